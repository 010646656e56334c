//! A further service, which is nothing but the config in `configs/examples`, beside the shop's own over a real Kafka.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace::clock::Clock;
use millrace::store::{self, RunStatus};

use super::shop::{Shop, config};
use crate::client::{Client, PATIENCE};
use crate::kafka::{EVENTS, Topics, deliver, ids};
use crate::kafka_broker::KafkaBroker;
use crate::process::Process;

const HANDLER: &str = "notification-handler";
const GROUP: &str = "notifications-group";
const ORDERS: usize = 10;

/// Starts the service, which goes on where it was.
async fn start_notifications(shop: &Shop) -> Process {
    let data = shop.home.path().join("notifications").display().to_string();
    let own = [("DATA_DIR", data.as_str()), ("KAFKA_BROKERS", shop.topics.address())];
    shop.home.start_config(&config("examples/notifications.yaml"), &own).await
}

/// States that the service has notified of, by order. Fails on one that is not done. The service must not be running.
async fn notified(shop: &Shop, orders: &[String]) -> BTreeMap<String, Vec<String>> {
    let path = shop.home.path().join("notifications/notifications.db");
    let store = store::open(&store::Database { place: store::Place::File(path), readers: 1, keys: vec![], kinds: vec![] }, Clock::system())
        .unwrap();
    let mut notified = BTreeMap::new();
    for id in orders {
        let runs = store.instances.runs("orders", id).await.unwrap();
        assert!(runs.iter().all(|run| run.status == RunStatus::Done && run.name == HANDLER), "{runs:?}");
        notified.insert(id.clone(), runs.into_iter().map(|run| run.to_state).collect());
    }
    store.operations.close().await;
    notified
}

/// Attempts of the component that the service has counted.
async fn counted(notifications: &Client) -> usize {
    let metrics = notifications.get("/metrics").await.body;
    let attempts = metrics.as_str().unwrap().lines().filter(|line| {
        line.starts_with("ecommerce_notifications_module_operations_total{")
            && line.contains(&format!("module=\"{HANDLER}\""))
            && line.contains("operation=\"process\"")
    });
    attempts.map(|line| line.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()).sum()
}

async fn until_counted(notifications: &Client, expected: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counted = counted(notifications).await;
        assert!(counted <= expected, "{counted} attempts for {expected} events");
        if counted == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{counted} attempts for {expected} events");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_made_of_a_config_alone_notifies_of_each_event_once() {
    let broker = tokio::task::spawn_blocking(KafkaBroker::start).await.unwrap();
    let topics = Topics::of_configs(&broker.address());
    let of_service = topics.of_group(GROUP);
    let shop = Shop::open_config(topics, &std::fs::read_to_string(config("orders.yaml")).unwrap(), &[]).await;
    let customer = shop.client().customer("olga").await;
    // It is told of what was before it, too.
    let mut orders = ids(&deliver(&customer, ORDERS).await);
    let notifications = start_notifications(&shop).await;
    until_counted(&notifications.client, ORDERS * EVENTS.len()).await;
    orders.extend(ids(&deliver(&customer, ORDERS).await));
    until_counted(&notifications.client, orders.len() * EVENTS.len()).await;
    let health = notifications.client.get("/healthz").await.body;
    assert_eq!(health["status"], "healthy", "{health:#}");

    // Started again it is told of nothing twice, and of nothing too little.
    of_service.until_consumed().await;
    notifications.kill();
    let missed = ids(&deliver(&customer, ORDERS).await);
    let notifications = start_notifications(&shop).await;
    until_counted(&notifications.client, ORDERS * EVENTS.len()).await;
    of_service.until_consumed().await;
    notifications.kill();

    orders.extend(missed);
    let states = ["new", "validated", "paid", "shipped", "delivered"];
    for (order, mut notified) in notified(&shop, &orders).await {
        notified.sort_by_key(|state| states.iter().position(|known| known == state));
        assert_eq!(notified, states, "{order}");
    }
}
