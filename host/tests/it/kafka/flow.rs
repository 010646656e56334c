//! Orders whose events go through Kafka, and orders that nothing but Kafka moves.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use millrace_workflow::RunKind;
use rustix::process::Signal;
use serde_json::Value;

use super::test_env::{Shop, contents, until_at_rest};
use super::topics::{EVENTS, Record};
use crate::client::{Client, path_of};
use crate::conditions::long;
use crate::conditions::test_env::Condition;
use crate::kafka_broker::{Driver, KafkaBroker};
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::{TestApp, repository};

const HAPPY: [&str; 8] = ["new", "validating", "validated", "paying", "paid", "shipping", "shipped", "delivered"];
const ORDERS: usize = 30;

pub async fn broker() -> Arc<KafkaBroker> {
    tokio::task::spawn_blocking(KafkaBroker::shared).await.unwrap()
}

/// Places orders and waits until all are delivered.
pub async fn deliver(customer: &Client, count: usize) -> Vec<Value> {
    let orders = (0..count).map(|_| customer.order_until("prod-008", 1, "tok_visa", &["delivered", "failed", "cancelled"]));
    let delivered = futures::future::join_all(orders).await;
    for order in &delivered {
        assert_eq!(path_of(order), HAPPY);
    }
    delivered
}

pub fn ids(orders: &[Value]) -> Vec<String> {
    orders.iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

fn causes(order: &Value, transition: &str) -> Vec<String> {
    let rows = order["history"].as_array().unwrap().iter().filter(|row| row["transition"] == transition);
    rows.map(|row| row["cause"].as_str().unwrap().to_owned()).collect()
}

/// The notification component ran once for each event of each order.
async fn check_notified_once(app: &TestApp, orders: &[Value]) {
    until_at_rest(app).await;
    for id in ids(orders) {
        let runs = app.store.instances.runs("orders", &id).await.unwrap();
        let notified: Vec<&str> = runs
            .iter()
            .filter(|run| run.kind == RunKind::Task && run.name == "notification-handler")
            .map(|run| run.to_state.as_str())
            .collect();
        let states: HashSet<&str> = notified.iter().copied().collect();
        assert_eq!((notified.len(), states.len()), (EVENTS.len(), EVENTS.len()), "{notified:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_both_the_commit_and_the_events_nothing_happens_twice() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let app = shop.start().await;
    let customer = app.client.customer("ada").await;
    let orders = deliver(&customer, ORDERS).await;
    for order in &orders {
        assert_eq!(causes(order, "start_payment").len(), 1);
        assert_ne!(causes(order, "start_payment"), ["event"]);
    }
    let transactions: HashSet<&str> = orders.iter().map(|order| order["data"]["transaction_id"].as_str().unwrap()).collect();
    assert_eq!(transactions.len(), ORDERS);
    shop.topics.until_told(&ids(&orders)).await;
    shop.topics.until_consumed().await;
    check_notified_once(&app, &orders).await;
    assert_eq!(customer.stock("prod-008").await, 999 - ORDERS as u64);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_automatic_transitions_kafka_alone_drives_orders_to_their_end() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::Events);
    let app = shop.start().await;
    let customer = app.client.customer("bob").await;
    let orders = deliver(&customer, ORDERS).await;
    for order in &orders {
        assert_eq!(causes(order, "start_payment"), ["event"]);
        assert_eq!(causes(order, "start_shipping"), ["event"]);
    }
    shop.topics.until_told(&ids(&orders)).await;
    shop.topics.until_consumed().await;
    check_notified_once(&app, &orders).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_topic_replayed_twice_and_shuffled_leaves_the_database_as_it_was() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::Events);
    let app = shop.start().await;
    let customer = app.client.customer("cleo").await;
    let orders = deliver(&customer, ORDERS).await;
    shop.topics.until_told(&ids(&orders)).await;
    shop.topics.until_consumed().await;
    until_at_rest(&app).await;
    let before = contents(&app).await;

    let mut replay: Vec<Record> = shop.topics.records().await;
    replay.extend(replay.clone());
    // A permutation that is the same in every run: neighbours end up far apart.
    let mixed = |payload: &Vec<u8>| payload.iter().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    replay.sort_by_cached_key(|record| record.payload.as_ref().map(mixed));
    for (index, record) in replay.iter_mut().enumerate() {
        if index % 2 == 0 {
            record.headers.clear();
        }
    }
    shop.topics.produce(&replay).await;
    shop.topics.until_consumed().await;
    until_at_rest(&app).await;
    assert_eq!(contents(&app).await, before);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_stopped_for_a_while_buries_no_event_and_leaves_no_order_behind() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::Events);
    let home = Home::new();
    let seed = repository().join("seed/products.json").display().to_string();
    let condition = Condition { config: shop.config(), variables: &[("PRODUCTS_SEED", &seed)], ..Condition::default() };
    let process = home.start_under(condition).await;
    let customer = process.client.customer("hana").await;
    // In the short form longer than the broker waits for a member of the group.
    let pause = Duration::from_secs(if long() { 40 } else { 8 });
    let mut placed = Vec::new();
    for _ in 0..20 {
        placed.push(customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned());
    }
    process.signal_alone(Signal::STOP);
    tokio::time::sleep(pause).await;
    process.signal_alone(Signal::CONT);
    placed.push(customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned());
    for id in &placed {
        customer.wait_for("orders", id, &["delivered"]).await;
    }
    shop.topics.until_consumed().await;
    let scraped = Scraped::of(&process.client).await;
    assert_eq!(scraped.value("ecommerce_dead_letters_total", &[]).unwrap_or_default(), 0.0, "{}", scraped.text);
    assert_eq!(scraped.value("ecommerce_breaker_state", &[]).unwrap_or_default(), 0.0, "{}", scraped.text);
    let (_, listed, complaint) = shop.operate_alone(&["dlq", "list"]);
    assert!(listed.starts_with("0 dead letters"), "{listed} {complaint}");
}
