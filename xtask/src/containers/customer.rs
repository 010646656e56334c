//! A customer of the shop, wherever it listens.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::http;

/// How long anything may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);
const PASSWORD: &str = "password123";

/// Logged in.
pub struct Customer {
    shop: SocketAddr,
    token: String,
}

impl Customer {
    /// Registers and logs in.
    pub async fn register(shop: SocketAddr) -> anyhow::Result<Self> {
        let user = json!({"name": "Test User", "email": "test@example.com", "password": PASSWORD}).to_string();
        http::json(shop, ("POST", "/api/auth/register"), None, Some(&user), 201).await?;
        let login = json!({"email": "test@example.com", "password": PASSWORD}).to_string();
        let session = http::json(shop, ("POST", "/api/auth/login"), None, Some(&login), 200).await?;
        Ok(Self { shop, token: session["token"].as_str().context("a login has no token")?.to_owned() })
    }

    /// Orders a keyboard, paid with a test token. The id of the order.
    pub async fn order(&self, payment: &str) -> anyhow::Result<String> {
        let order = json!({
            "items": [{"productId": "prod-001", "quantity": 1}],
            "shipping": {"address": "123 Main St", "city": "Portland", "state": "OR", "zip": "97201"},
            "payment": {"token": payment},
        });
        let placed = http::json(self.shop, ("POST", "/api/orders"), Some(&self.token), Some(&order.to_string()), 201).await?;
        Ok(placed["id"].as_str().context("an order has no id")?.to_owned())
    }

    /// Waits until an order is in `state`.
    pub async fn until(&self, order: &str, state: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.see(order).await?;
            if seen["state"] == state {
                return Ok(seen);
            }
            ensure!(Instant::now() < deadline, "{order} is still {}, not {state}, after {PATIENCE:?}", seen["state"]);
            sleep(POLL).await;
        }
    }

    /// An order as it is now.
    pub async fn see(&self, order: &str) -> anyhow::Result<Value> {
        http::json(self.shop, ("GET", &format!("/api/orders/{order}")), Some(&self.token), None, 200).await
    }

    /// Gives an order up.
    pub async fn cancel(&self, order: &str) -> anyhow::Result<()> {
        let seen = http::json(self.shop, ("POST", &format!("/api/orders/{order}/cancel")), Some(&self.token), None, 200).await?;
        ensure!(seen["state"] == "cancelled", "{order} is {} after it was cancelled", seen["state"]);
        Ok(())
    }

    /// How many orders the customer has.
    pub async fn orders(&self) -> anyhow::Result<usize> {
        let list = http::json(self.shop, ("GET", "/api/orders"), Some(&self.token), None, 200).await?;
        Ok(list.as_array().context("the list of orders is no list")?.len())
    }
}

/// Asks Prometheus until `expression` has a value that `enough` accepts.
pub async fn until_measured(prometheus: SocketAddr, expression: &str, enough: impl Fn(f64) -> bool) -> anyhow::Result<f64> {
    let path = format!("/api/v1/query?query={}", encoded(expression));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = http::json(prometheus, ("GET", &path), None, None, 200).await?;
        let value = answer["data"]["result"][0]["value"][1].as_str().and_then(|value| value.parse().ok());
        match value {
            Some(value) if enough(value) => return Ok(value),
            _ if Instant::now() > deadline => bail!("Prometheus says of {expression} after {PATIENCE:?}: {answer}"),
            _ => sleep(POLL * 20).await,
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_may_stand_in_a_query() {
        assert_eq!(encoded("sum(up) > 1"), "sum%28up%29%20%3E%201");
    }
}
