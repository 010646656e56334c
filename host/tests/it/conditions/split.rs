//! Orders and users-products as two processes without a broker: each may be started with other settings, and keeps its address and data.

use std::process::Stdio;

use super::bed::{Condition, Conditioned};
use crate::client::Client;
use crate::kafka_broker::free_port;
use crate::process::{Home, wait_until_ready};
use crate::test_app::{SECRET, repository};

pub const INTERNAL_SECRET: &str = "what these processes share and nobody else does";

/// Where two processes are, and what they keep.
pub struct Split {
    pub home: Home,
    users_products: u16,
    orders: u16,
    /// Nobody is there.
    pub nowhere: u16,
}

impl Split {
    pub fn new() -> Self {
        Self { home: Home::new(), users_products: free_port(), orders: free_port(), nowhere: free_port() }
    }

    /// Starts users-products, and waits until it is ready.
    pub async fn users_products(&self, variables: &[(&str, &str)]) -> Conditioned {
        let process = self.spawn("users-products", self.users_products, variables, Stdio::null());
        wait_until_ready(&process.client).await;
        process
    }

    /// Starts orders, and waits for nothing: with a wrong secret it is not ready.
    pub fn orders(&self, variables: &[(&str, &str)]) -> Conditioned {
        self.spawn("orders", self.orders, variables, Stdio::null())
    }

    /// The same, with its log in a file.
    pub fn orders_logging(&self, variables: &[(&str, &str)], log: &str) -> Conditioned {
        self.spawn("orders", self.orders, variables, std::fs::File::create(self.home.path().join(log)).unwrap().into())
    }

    /// Starts the gateway before them, and waits until it is ready.
    pub async fn gateway(&self, variables: &[(&str, &str)]) -> Conditioned {
        let process = self.spawn("gateway", free_port(), variables, Stdio::null());
        wait_until_ready(&process.client).await;
        process
    }

    fn spawn(&self, name: &str, port: u16, variables: &[(&str, &str)], log: Stdio) -> Conditioned {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (users_products, orders) = (url(self.users_products), url(self.orders));
        let data = self.home.path().join(name).display().to_string();
        let broker = format!("127.0.0.1:{}", self.nowhere);
        let shared = [
            ("DATA_DIR", data.as_str()),
            ("CATALOGUE_URL", users_products.as_str()),
            ("USERS_PRODUCTS_URL", users_products.as_str()),
            ("ORDERS_URL", orders.as_str()),
            ("KAFKA_BROKERS", broker.as_str()),
            ("JWT_SECRET", SECRET),
            ("INTERNAL_SECRET", INTERNAL_SECRET),
        ];
        let variables: Vec<(&str, &str)> = shared.iter().chain(variables).copied().collect();
        let config = repository().join("configs").join(format!("{name}.yaml"));
        self.home.spawn_under(Condition { config, log, port: Some(port), variables: &variables, ..Condition::default() })
    }
}

/// A new customer, as `orders` sees it.
pub async fn customer(users_products: &Client, orders: &Client, name: &str) -> Client {
    let body = serde_json::json!({"name": name, "email": format!("{name}@example.com"), "password": "password123"});
    let registered = users_products.post("/api/auth/register", &body).await;
    orders.with_token(registered.body["token"].as_str().unwrap_or_else(|| panic!("{registered:?}")))
}
