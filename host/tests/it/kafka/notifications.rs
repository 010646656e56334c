//! A further service, which is nothing but the config in `configs/examples`, beside the shop's own over a real Kafka.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use millrace::store::sqlite::{Sqlite, SqliteSettings};
use millrace::store::{RunStatus, Store as _};

use super::bed::{EVENTS, until_consumed};
use super::flow::{broker, deliver, ids};
use crate::client::{Client, PATIENCE};
use crate::process::{Home, Process};
use crate::test_app::repository;

const INTERNAL_SECRET: &str = "what users-products and orders share here";
const HANDLER: &str = "notification-handler";
const ORDERS: usize = 10;

/// The processes of the shop that orders need, and where their Kafka is.
struct Shop {
    home: Home,
    broker: String,
    customer: Client,
    _users_products: Process,
    _orders: Process,
}

impl Shop {
    async fn open(broker: String) -> Self {
        let home = Home::new();
        let data = |name: &str| home.path().join(name).display().to_string();
        let own = [("DATA_DIR", &*data("users-products")), ("INTERNAL_SECRET", INTERNAL_SECRET)];
        let users_products = home.start_config(&config("users-products.yaml"), &own).await;
        let catalogue = users_products.client.base();
        let own = [
            ("DATA_DIR", &*data("orders")),
            ("INTERNAL_SECRET", INTERNAL_SECRET),
            ("KAFKA_BROKERS", &broker),
            ("CATALOGUE_URL", catalogue),
        ];
        let orders = home.start_config(&config("orders.yaml"), &own).await;
        let customer = orders.client.with_token_of(&users_products.client.customer("olga").await);
        Self { home, broker, customer, _users_products: users_products, _orders: orders }
    }

    /// Starts the service, which goes on where it was.
    async fn start_notifications(&self) -> Process {
        let data = self.home.path().join("notifications").display().to_string();
        let own = [("DATA_DIR", data.as_str()), ("KAFKA_BROKERS", &self.broker)];
        self.home.start_config(&config("examples/notifications.yaml"), &own).await
    }

    /// Waits until the service has stored how far it is in the topics.
    async fn until_consumed(&self) {
        let topics = EVENTS.iter().map(|event| format!("order.{event}")).collect();
        until_consumed(self.broker.clone(), "notifications-group".to_owned(), topics).await;
    }

    /// States that the service has notified of, by order. Fails on one that is not done. The service must not be running.
    async fn notified(&self, orders: &[String]) -> BTreeMap<String, Vec<String>> {
        let path = self.home.path().join("notifications/notifications.db");
        let store = Sqlite::open(&SqliteSettings { path, readers: 1 }).unwrap();
        let mut notified = BTreeMap::new();
        for id in orders {
            let runs = store.runs("orders", id).await.unwrap();
            assert!(runs.iter().all(|run| run.status == RunStatus::Done && run.name == HANDLER), "{runs:?}");
            notified.insert(id.clone(), runs.into_iter().map(|run| run.to_state).collect());
        }
        store.close().await;
        notified
    }
}

fn config(name: &str) -> std::path::PathBuf {
    repository().join(Path::new("configs").join(name))
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
    let broker = broker().await;
    let shop = Shop::open(broker.address()).await;
    // It is told of what was before it, too.
    let mut orders = ids(&deliver(&shop.customer, ORDERS).await);
    let notifications = shop.start_notifications().await;
    until_counted(&notifications.client, ORDERS * EVENTS.len()).await;
    orders.extend(ids(&deliver(&shop.customer, ORDERS).await));
    until_counted(&notifications.client, orders.len() * EVENTS.len()).await;
    let health = notifications.client.get("/healthz").await.body;
    assert_eq!(health["status"], "healthy", "{health:#}");

    // Started again it is told of nothing twice, and of nothing too little.
    shop.until_consumed().await;
    notifications.kill();
    let missed = ids(&deliver(&shop.customer, ORDERS).await);
    let notifications = shop.start_notifications().await;
    until_counted(&notifications.client, ORDERS * EVENTS.len()).await;
    shop.until_consumed().await;
    notifications.kill();

    orders.extend(missed);
    let states = ["new", "validated", "paid", "shipped", "delivered"];
    for (order, mut notified) in shop.notified(&orders).await {
        notified.sort_by_key(|state| states.iter().position(|known| known == state));
        assert_eq!(notified, states, "{order}");
    }
}
