//! Events that somebody else has written into the shop's topics: about orders that are not there, or that something else happened to.

use millrace::clock::Clock;
use millrace::store;
use serde_json::{Value, json};

use super::flow::{broker, ids};
use super::test_env::Shop;
use super::topics::Record;
use crate::kafka_broker::Driver;
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::repository;

const GHOST: &str = "order-that-nobody-has-placed";

/// An event of this shop with some of its fields changed, under an id of its own.
fn forged(genuine: &Value, topic: &str, changes: &[(&str, Value)]) -> Record {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
    let mut event = genuine.clone();
    event["id"] = json!(format!("forged-{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
    event["type"] = json!(topic);
    for (pointer, value) in changes {
        *event.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {genuine}")) = value.clone();
    }
    let key = event["subject"].as_str().unwrap().to_owned();
    let headers = [("ce_id", event["id"].as_str().unwrap()), ("content-type", "application/cloudevents+json")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Record { topic: topic.to_owned(), key, payload: Some(event.to_string().into_bytes()), headers, at: 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_happen_to_an_order_that_is_kept_here_is_told_to_nobody_and_counted() {
    let broker = broker().await;
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let home = Home::new();
    let seed = repository().join("seed/products.json").display().to_string();
    let process = home.start_config(&shop.config(), &[("PRODUCTS_SEED", &seed), ("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = process.client.customer("gil").await;
    let delivered = customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    let declined = customer.order_until("prod-008", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let (paid, last) = (shop.topics.topic("paid"), shop.topics.topic("delivered"));
    shop.topics.until_told(&ids(std::slice::from_ref(&delivered))).await;
    let genuine = shop.topics.records().await.into_iter().find(|record| record.topic == last).unwrap();
    let genuine: Value = serde_json::from_slice(genuine.payload.as_deref().unwrap()).unwrap();

    let of = |id: &Value| vec![("/subject", id.clone()), ("/data/instanceId", id.clone()), ("/data/orderId", id.clone())];
    let mut seven = vec![forged(&genuine, &last, &of(&json!(GHOST)))];
    seven.push(forged(&genuine, &last, &of(&declined["id"])));
    seven.push(forged(&genuine, &paid, &[]));
    seven.push(forged(&genuine, &last, &[("/data/data/total", json!(1))]));
    seven.push(forged(&genuine, &last, &[("/data/data/userId", json!("somebody-else"))]));
    seven.push(forged(&genuine, &last, &[("/data/resource", json!("parcels")), ("/data/workflow", json!("parcel"))]));
    seven.push(forged(&genuine, &last, &[("/data/seq", json!(99))]));
    shop.topics.produce(&seven).await;

    let counted = |metrics: &Scraped, reason: &str| {
        metrics.value("ecommerce_ignored_events_total", &[("reason", reason), ("consumer", "handler:notification-handler")])
    };
    Scraped::until(&process.client, "each is counted", |metrics| {
        counted(metrics, "unknown_instance") == Some(1.0) && counted(metrics, "contradicts_history") == Some(6.0)
    })
    .await;
    let ignored: Vec<Value> = process
        .log()
        .lock()
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"].as_str().is_some_and(|message| message.contains("is ignored")))
        .collect();
    assert_eq!(ignored.len(), 1, "one line, however many there are: {ignored:?}");
    assert_eq!((&ignored[0]["level"], &ignored[0]["consumer"]), (&json!("WARN"), &json!("handler:notification-handler")));

    // What is true is told as before, to those who come after too.
    let next = customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    shop.topics.until_told(&ids(std::slice::from_ref(&next))).await;
    shop.topics.until_consumed().await;
    process.kill();
    let store = store::open(
        &store::Database { place: store::Place::File(home.path().join("data/ecommerce.db")), readers: 1, keys: vec![], kinds: vec![] },
        Clock::system(),
    )
    .unwrap();
    for (id, states) in ids(&[delivered, declined, next]).iter().map(String::as_str).chain([GHOST]).zip([
        ["delivered", "new", "paid", "shipped", "validated"].as_slice(),
        &["new", "payment_failed", "validated"],
        &["delivered", "new", "paid", "shipped", "validated"],
        &[],
    ]) {
        let runs = store.instances.runs("orders", id).await.unwrap();
        let handled = runs.iter().filter(|run| run.name == "notification-handler");
        let mut told: Vec<&str> = handled.map(|run| run.to_state.as_str()).collect();
        told.sort_unstable();
        assert_eq!(told, states, "what a customer was told of '{id}'");
    }
    store.operations.close().await;
}
