//! The three processes and their broker: what its topics hold, what happens while it is away, and orders that nothing else moves.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;

use super::shop::{ENDS, HAPPY, Shop, config};
use crate::client::{Client, PATIENCE, path_of};
use crate::conditions::long;
use crate::kafka::{EVENTS, Topics};
use crate::kafka_broker::{KafkaBroker, without_automatic_transitions};

const PER_SECOND: u32 = 20;
/// What is ordered in turn: so much of it that no stock runs out.
const WANTED: [&str; 10] =
    ["prod-008", "prod-008", "prod-005", "prod-008", "prod-008", "prod-008", "prod-008", "prod-006", "prod-008", "prod-008"];

fn orders_config() -> String {
    std::fs::read_to_string(config("orders.yaml")).unwrap()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn changed(mut broker: KafkaBroker, change: fn(&mut KafkaBroker)) -> KafkaBroker {
    blocking(move || {
        change(&mut broker);
        broker
    })
    .await
}

/// Waits until orders says that it is so, and answers what it says of its bus and of its database.
async fn until_health(orders: &Client, wanted: &str) -> (String, String) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = orders.get("/healthz").await;
        assert_eq!(health.status, StatusCode::OK, "a broker that is away does not make the service unhealthy");
        if health.body["status"] == wanted {
            let message = |module: &str| health.body["checks"][module]["message"].as_str().unwrap_or_else(|| panic!("{:#}", health.body));
            return (message("event-broker").to_owned(), message("persistence").to_owned());
        }
        assert!(Instant::now() < deadline, "expected {wanted}: {:#}", health.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until each of these orders is at its end, which must be its delivery.
async fn until_delivered(customer: &Client, orders: &[String]) {
    for id in orders {
        let ended = customer.wait_for("orders", id, &ENDS).await;
        assert_eq!(path_of(&ended), HAPPY, "{ended:#}");
    }
}

/// Places orders, so many a second, for so long; each must be accepted.
async fn place(customer: &Client, how_long: Duration) -> Vec<String> {
    let began = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut placed = Vec::new();
    while began.elapsed() < how_long {
        pace.tick().await;
        let answer = customer.order(WANTED[placed.len() % WANTED.len()], 1, "tok_visa").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        placed.push(answer.body["id"].as_str().unwrap().to_owned());
    }
    placed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_six_topics_hold_what_happened_to_an_order_by_its_key() {
    let broker = blocking(KafkaBroker::start).await;
    let topics = Topics::of_configs(&broker.address());
    let shop = Shop::open_config(topics, &orders_config(), &[]).await;
    let customer = shop.client().customer("ada").await;
    let delivered = customer.order_until("prod-001", 1, "tok_visa", &ENDS).await;
    let six = ["cancelled", "created", "delivered", "paid", "shipped", "validated"].map(|event| format!("order.{event}"));
    let all: Vec<String> = six.iter().cloned().chain(["user.changed", "user.password_forgotten"].map(str::to_owned)).collect();
    let made: Vec<String> = shop.topics.until_made().await.into_iter().filter(|topic| !topic.starts_with("refund.")).collect();
    assert_eq!(made, all, "made at the start, and no others");
    let id = delivered["id"].as_str().unwrap().to_owned();
    shop.topics.until_told(std::slice::from_ref(&id)).await;
    let cancelled = customer.order_until("prod-002", 1, "tok_chargeDeclined", &["cancelled"]).await;
    let cancelled = cancelled["id"].as_str().unwrap();
    let records = shop.topics.until_holding(|record| record.topic == "order.cancelled" && record.key == cancelled).await;

    let of_order: Vec<&str> = records.iter().filter(|record| record.key == id).map(|record| record.topic.as_str()).collect();
    assert_eq!(of_order, EVENTS.map(|event| format!("order.{event}")), "one of each");
    let paid = records.iter().find(|record| record.key == id && record.topic == "order.paid").unwrap();
    let contexts: std::collections::HashSet<&str> =
        records.iter().filter(|record| record.key == id).map(|record| record.headers["traceparent"].as_str()).collect();
    assert!(contexts.len() == 1 && contexts.iter().all(|context| context.len() == 55 && context.starts_with("00-")), "{contexts:?}");
    let event: Value = serde_json::from_slice(paid.payload.as_deref().unwrap()).unwrap();
    let data = &event["data"];
    assert_eq!((&event["specversion"], &event["subject"]), (&"1.0".into(), &id.as_str().into()));
    assert_eq!((&data["transition"], &data["fromState"], &data["toState"]), (&"payment_approved".into(), &"paying".into(), &"paid".into()));
    assert_eq!(data["data"]["total"].as_f64(), Some(149.99));
    assert!(data["data"].get("payment").is_none(), "the world does not see how it was paid: {event:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_automatic_transitions_removed_kafka_alone_drives_orders() {
    let broker = blocking(KafkaBroker::start).await;
    let config = without_automatic_transitions(&orders_config());
    let shop = Shop::open_config(Topics::of_configs(&broker.address()), &config, &[]).await;
    let customer = shop.client().customer("bea").await;
    let placed = place(&customer, Duration::from_secs(2)).await;
    until_delivered(&customer, &placed).await;
    for id in &placed {
        let order = customer.get(&format!("/api/orders/{id}")).await.body;
        let by_event = order["history"].as_array().unwrap().iter().filter(|row| row["cause"] == "event");
        assert_eq!(by_event.map(|row| row["transition"].as_str().unwrap()).collect::<Vec<_>>(), ["start_payment", "start_shipping"]);
    }
    shop.topics.until_told(&placed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_as_many_events_waiting_as_may_no_order_is_taken_until_the_broker_is_back() {
    let broker = blocking(KafkaBroker::not_started).await;
    let text = orders_config().replace("      database: order-db\n", "      database: order-db\n      maxOutboxEvents: 20\n");
    let shop = Shop::open_config(Topics::of_configs(&broker.address()), &text, &[]).await;
    let customer = shop.client().customer("emil").await;
    let deadline = Instant::now() + PATIENCE;
    let mut placed = Vec::new();
    let refused = loop {
        let answer = customer.order("prod-008", 1, "tok_visa").await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        placed.push(answer.body["id"].as_str().unwrap().to_owned());
        assert!(Instant::now() < deadline, "{} orders are accepted", placed.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    let (_, database) = until_health(shop.orders.client(), "degraded").await;
    assert!(database.starts_with("nothing new is accepted"), "{database}");
    until_delivered(&customer, &placed).await;
    let kept = customer.get("/api/orders?limit=200").await.body.as_array().unwrap().len();
    assert_eq!(kept, placed.len(), "what was refused was not stored");

    let _broker = changed(broker, KafkaBroker::start_again).await;
    until_health(shop.orders.client(), "healthy").await;
    shop.topics.until_told(&placed).await;
    placed = vec![customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned()];
    until_delivered(&customer, &placed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_delivered_without_a_broker_and_their_events_follow_when_it_is_back() {
    let broker = blocking(KafkaBroker::not_started).await;
    let shop = Shop::open_config(Topics::of_configs(&broker.address()), &orders_config(), &[]).await;
    let customer = shop.client().customer("dora").await;
    let orders = shop.orders.client();

    let (bus, _) = until_health(orders, "degraded").await;
    assert!(bus.contains(&broker.address()), "{bus}");
    let mut placed = place(&customer, Duration::from_secs(1)).await;
    until_delivered(&customer, &placed).await;
    let broker = changed(broker, KafkaBroker::start_again).await;
    until_health(orders, "healthy").await;
    shop.topics.until_told(&placed).await;

    let broker = changed(broker, KafkaBroker::kill).await;
    // Until the broker is known to be away, and then for a while: in the long form longer than events wait for its acknowledgement.
    let (bus, database) = loop {
        placed.extend(place(&customer, Duration::from_secs(1)).await);
        let (bus, database) = until_health(orders, "degraded").await;
        if bus.contains("events wait in the outbox") && !database.starts_with("0 events") {
            break (bus, database);
        }
    };
    placed.extend(place(&customer, Duration::from_secs(if long() { 60 } else { 3 })).await);
    assert!(bus.contains("events wait in the outbox") && bus.contains(&broker.address()), "{bus}");
    assert!(!database.starts_with("0 events"), "{database}");
    until_delivered(&customer, &placed).await;

    let _broker = changed(broker, KafkaBroker::start_again).await;
    until_health(orders, "healthy").await;
    shop.topics.until_told(&placed).await;
    shop.topics.until_consumed().await;
}
