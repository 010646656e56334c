//! A broker that is not there at the start, comes, goes while orders are placed, and comes back.

use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::bed::{Driver, Shop};
use super::flow::{deliver, ids};
use crate::client::{Client, PATIENCE};
use crate::kafka_broker::KafkaBroker;

const PER_SECOND: u32 = 20;
const AWAY: Duration = Duration::from_secs(6);

async fn until_health(client: &Client, wanted: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = client.get("/healthz").await;
        assert_eq!(health.status, StatusCode::OK, "a broker that is away does not make the service unhealthy");
        let check = &health.body["checks"]["event-broker"];
        if health.body["status"] == wanted {
            return check["message"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "expected {wanted}: {:#}", health.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn off_thread(mut broker: KafkaBroker, change: fn(&mut KafkaBroker)) -> KafkaBroker {
    tokio::task::spawn_blocking(move || {
        change(&mut broker);
        broker
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_delivered_without_a_broker_and_their_events_follow_when_it_is_back() {
    let broker = tokio::task::spawn_blocking(KafkaBroker::not_started).await.unwrap();
    let shop = Shop::new(&broker.address(), Driver::CommitAndEvents);
    let app = shop.start().await;
    let customer = app.client.customer("dora").await;

    let reason = until_health(&app.client, "degraded").await;
    assert!(reason.contains(&broker.address()), "{reason}");
    let mut orders = ids(&deliver(&customer, 5).await);
    let broker = off_thread(broker, KafkaBroker::start_again).await;
    until_health(&app.client, "healthy").await;
    shop.until_told(&orders).await;

    let broker = off_thread(broker, KafkaBroker::kill).await;
    let began = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut placed = Vec::new();
    while began.elapsed() < AWAY {
        pace.tick().await;
        let answer = customer.order("prod-008", 1, "tok_visa").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        placed.push(answer.body["id"].as_str().unwrap().to_owned());
    }
    let reason = until_health(&app.client, "degraded").await;
    assert!(reason.contains("events wait in the outbox") && reason.contains(&broker.address()), "{reason}");
    for id in &placed {
        let ended = customer.wait_for("orders", id, &["delivered", "failed", "cancelled"]).await;
        assert_eq!(ended["state"], "delivered");
    }
    orders.extend(placed);
    assert!(app.store.backlog().await.unwrap().outbox > 0);

    let _broker = off_thread(broker, KafkaBroker::start_again).await;
    until_health(&app.client, "healthy").await;
    shop.until_told(&orders).await;
    shop.until_consumed().await;
    app.stop().await;
}
