//! Gateway, users-products and orders as processes on loopback, over a real Kafka.

use std::path::PathBuf;
use std::sync::Arc;

use crate::client::Client;
use crate::kafka::Topics;
use crate::kafka_broker::{KafkaBroker, free_port};
use crate::process::{Home, Process};
use crate::test_app::repository;

pub const INTERNAL_SECRET: &str = "what these three processes share and nobody else";
pub const HAPPY: [&str; 8] = ["new", "validating", "validated", "paying", "paid", "shipping", "shipped", "delivered"];
pub const ENDS: [&str; 3] = ["delivered", "failed", "cancelled"];

/// A config of the repository.
pub fn config(name: &str) -> PathBuf {
    repository().join("configs").join(name)
}

/// Three processes on loopback, and the variables by which they know each other.
pub struct Shop {
    pub home: Home,
    pub users_products: Service,
    pub orders: Service,
    pub gateway: Service,
    /// What its orders tell Kafka.
    pub topics: Topics,
    /// Kept running, if it is the one of all tests.
    broker: Option<Arc<KafkaBroker>>,
    pub variables: Vec<(&'static str, String)>,
}

/// One of them; it keeps its address and its data while it is gone.
pub struct Service {
    name: &'static str,
    config: PathBuf,
    pub address: String,
    pub process: Option<Process>,
}

impl Service {
    fn new(name: &'static str, config: PathBuf) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        Self { name, config, address, process: None }
    }

    pub async fn start(&mut self, home: &Home, shared: &[(&'static str, String)]) {
        let data = home.path().join(self.name).display().to_string();
        let own = [("LISTEN", self.address.as_str()), ("OPERATOR_LISTEN", "127.0.0.1:0"), ("DATA_DIR", data.as_str())];
        let variables: Vec<(&str, &str)> = own.into_iter().chain(shared.iter().map(|(name, value)| (*name, value.as_str()))).collect();
        self.process = Some(home.start_config(&self.config, &variables).await);
    }

    pub fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    pub fn client(&self) -> &Client {
        &self.process.as_ref().unwrap().client
    }
}

impl Shop {
    /// The three configs of the repository, with topics of its own on the broker of all tests.
    pub async fn open(variables: &[(&'static str, &str)]) -> Self {
        let broker = tokio::task::spawn_blocking(KafkaBroker::shared).await.unwrap();
        let topics = Topics::unique(&broker.address());
        let text = std::fs::read_to_string(config("orders.yaml")).unwrap();
        let text = text.replace("order.", &format!("{}.", topics.prefix())).replace("orders-group", topics.group());
        let mut shop = Self::open_config(topics, &text, variables).await;
        shop.broker = Some(broker);
        shop
    }

    /// The three processes with this text as the config of orders.
    pub async fn open_config(topics: Topics, orders: &str, variables: &[(&'static str, &str)]) -> Self {
        let home = Home::new();
        let orders_config = home.path().join("orders.yaml");
        std::fs::write(&orders_config, orders).unwrap();
        let web = home.path().join("web");
        std::fs::create_dir(&web).unwrap();
        std::fs::write(web.join("index.html"), "<title>the shop</title>").unwrap();

        let users_products = Service::new("users-products", config("users-products.yaml"));
        let orders = Service::new("orders", orders_config);
        let gateway = Service::new("gateway", config("gateway.yaml"));
        let mut shared = vec![
            ("INTERNAL_SECRET", INTERNAL_SECRET.to_owned()),
            ("CATALOGUE_URL", format!("http://{}", users_products.address)),
            ("USERS_PRODUCTS_URL", format!("http://{}", users_products.address)),
            ("ORDERS_URL", format!("http://{}", orders.address)),
            ("KAFKA_BROKERS", topics.address().to_owned()),
            ("WEB_ROOT", web.display().to_string()),
        ];
        shared.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut shop = Self { home, users_products, orders, gateway, topics, broker: None, variables: shared };
        shop.start_users_products().await;
        shop.start_orders().await;
        shop.gateway.start(&shop.home, &shop.variables).await;
        shop
    }

    pub async fn start_users_products(&mut self) {
        self.users_products.start(&self.home, &self.variables).await;
    }

    pub async fn start_orders(&mut self) {
        self.orders.start(&self.home, &self.variables).await;
    }

    pub fn client(&self) -> &Client {
        self.gateway.client()
    }
}
