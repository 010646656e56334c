//! Orders and users-products as two processes without a broker: each may be started with other settings, and keeps its address and data.

use std::path::PathBuf;
use std::process::Stdio;

use super::test_env::{Condition, Conditioned};
use crate::client::Client;
use crate::kafka_broker::free_port;
use crate::process::Home;
use crate::test_app::{SECRET, from_anywhere, repository};

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
        let mut process = self.spawn("users-products", self.users_products, variables, None);
        process.until_ready().await;
        process
    }

    /// The same, whose date is off by so much; what it measures is not.
    pub async fn users_products_at(&self, offset: &str) -> Conditioned {
        let config = repository().join("configs/users-products.yaml");
        let variables = [("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let mut process = self.spawn_around(&["faketime", "-f", offset], config, "users-products", self.users_products, &variables);
        process.until_ready().await;
        process
    }

    /// Starts orders, and waits for nothing: with a wrong secret it is not ready.
    pub fn orders(&self, variables: &[(&str, &str)]) -> Conditioned {
        self.spawn("orders", self.orders, variables, None)
    }

    /// The same with a config that says `after` instead of `before`.
    pub fn orders_of(&self, before: &str, after: &str) -> Conditioned {
        let text = std::fs::read_to_string(repository().join("configs/orders.yaml")).unwrap();
        assert_eq!(text.matches(before).count(), 1, "{before}");
        let path = self.home.path().join("orders.yaml");
        std::fs::write(&path, from_anywhere(&text.replace(before, after))).unwrap();
        self.spawn_config(path, "orders", self.orders, &[], None)
    }

    /// The same, with its log in a file.
    pub fn orders_logging(&self, variables: &[(&str, &str)], log: &str) -> Conditioned {
        self.spawn("orders", self.orders, variables, Some(std::fs::File::create(self.home.path().join(log)).unwrap().into()))
    }

    /// Starts the gateway before them, and waits until it is ready.
    pub async fn gateway(&self, variables: &[(&str, &str)]) -> Conditioned {
        let mut process = self.spawn("gateway", free_port(), variables, None);
        process.until_ready().await;
        process
    }

    fn spawn(&self, name: &str, port: u16, variables: &[(&str, &str)], log: Option<Stdio>) -> Conditioned {
        self.spawn_config(repository().join("configs").join(format!("{name}.yaml")), name, port, variables, log)
    }

    fn spawn_config(&self, config: PathBuf, name: &str, port: u16, variables: &[(&str, &str)], log: Option<Stdio>) -> Conditioned {
        self.spawn_condition(Condition { config, log, ..Condition::default() }, name, port, variables)
    }

    fn spawn_around(&self, around: &[&str], config: PathBuf, name: &str, port: u16, variables: &[(&str, &str)]) -> Conditioned {
        self.spawn_condition(Condition { config, around, ..Condition::default() }, name, port, variables)
    }

    fn spawn_condition(&self, condition: Condition<'_>, name: &str, port: u16, variables: &[(&str, &str)]) -> Conditioned {
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
        self.home.spawn_under(Condition { port: Some(port), variables: &variables, ..condition })
    }
}

/// A new customer, as `orders` sees it.
pub async fn customer(users_products: &Client, orders: &Client, name: &str) -> Client {
    let body = serde_json::json!({"name": name, "email": format!("{name}@example.com"), "password": "password123"});
    let registered = users_products.post("/api/auth/register", &body).await;
    orders.with_token(registered.body["token"].as_str().unwrap_or_else(|| panic!("{registered:?}")))
}
