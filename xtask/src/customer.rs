//! Somebody who buys, wherever the shop listens.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::http;

/// The first and the longest pause between two looks at an order: what is fast is seen to be, and what is slow uses up no rate limit.
const POLL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));
const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "password123";

/// A customer who is logged in.
pub struct Customer {
    client: reqwest::Client,
    shop: SocketAddr,
    token: String,
}

/// One mouse, where to, and how it is paid: the test values of the components make something of both.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Of the address.
    pub city: &'a str,
    /// Of the address.
    pub zip: &'a str,
    /// Test token.
    pub payment: &'a str,
}

impl Default for Wanted<'_> {
    /// Arrives.
    fn default() -> Self {
        Self { city: "Portland", zip: "97201", payment: "tok_visa" }
    }
}

impl Customer {
    /// Opens an account and logs in.
    pub async fn register(shop: SocketAddr) -> anyhow::Result<Self> {
        Self::register_as(shop, EMAIL).await
    }

    /// The same with that e-mail address.
    pub async fn register_as(shop: SocketAddr, email: &str) -> anyhow::Result<Self> {
        let mut customer = Self { client: http::client()?, shop, token: String::new() };
        let account = json!({"name": "Ada", "email": email, "password": PASSWORD});
        http::json(customer.request(Method::POST, "/api/auth/register").json(&account), 201).await?;
        let login = json!({"email": email, "password": PASSWORD});
        let session = http::json(customer.request(Method::POST, "/api/auth/login").json(&login), 200).await?;
        customer.token = session["token"].as_str().context("a login has no token")?.to_owned();
        Ok(customer)
    }

    /// What speaks for them, as a bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Reads the catalogue.
    pub async fn browse(&self) -> anyhow::Result<Value> {
        http::json(self.request(Method::GET, "/api/products"), 200).await
    }

    /// Orders. The status of the answer and the order's id, if there is one.
    pub async fn order(&self, wanted: Wanted<'_>) -> anyhow::Result<(u16, Option<String>)> {
        let order = json!({
            "items": [{"productId": "prod-002", "quantity": 1}],
            "shipping": {"address": "1 Mill Lane", "city": wanted.city, "state": "OR", "zip": wanted.zip},
            "payment": {"token": wanted.payment},
        });
        let response = self.request(Method::POST, "/api/orders").json(&order).send().await?;
        let status = response.status().as_u16();
        let answer: Value = response.json().await.unwrap_or_default();
        Ok((status, answer["id"].as_str().map(str::to_owned)))
    }

    /// Orders, which has to succeed. The order's id.
    pub async fn place(&self, wanted: Wanted<'_>) -> anyhow::Result<String> {
        let (status, id) = self.order(wanted).await?;
        ensure!(status == 201, "the order is answered {status}");
        id.context("the order has no id")
    }

    /// Waits until an order is in a state.
    pub async fn wait_for(&self, id: &str, wanted: &str, patience: Duration) -> anyhow::Result<()> {
        self.see(id, wanted, patience).await.map(drop)
    }

    /// The order as soon as it is in a state.
    pub async fn see(&self, id: &str, wanted: &str, patience: Duration) -> anyhow::Result<Value> {
        let deadline = Instant::now() + patience;
        let mut pause = POLL.0;
        loop {
            let order = http::json(self.request(Method::GET, &format!("/api/orders/{id}")), 200).await?;
            if order["state"] == wanted {
                return Ok(order);
            }
            ensure!(Instant::now() < deadline, "{id} should be {wanted} after {patience:?} and is {}", order["state"]);
            sleep(pause).await;
            pause = (pause * 3 / 2).min(POLL.1);
        }
    }

    /// Gives an order up.
    pub async fn cancel(&self, id: &str) -> anyhow::Result<()> {
        let order = http::json(self.request(Method::POST, &format!("/api/orders/{id}/cancel")), 200).await?;
        ensure!(order["state"] == "cancelled", "{id} is {} after it was cancelled", order["state"]);
        Ok(())
    }

    /// How many orders the customer has.
    pub async fn orders(&self) -> anyhow::Result<usize> {
        let list = http::json(self.request(Method::GET, "/api/orders"), 200).await?;
        Ok(list.as_array().context("the list of orders is no list")?.len())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.shop));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }
}

/// The components that an order has passed, in turn, each with the digest of its version.
pub fn passed(order: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let history = order["history"].as_array().context("the order has no history")?;
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    Ok(history.iter().filter_map(|row| text(row, "component").zip(text(row, "digest"))).collect())
}
