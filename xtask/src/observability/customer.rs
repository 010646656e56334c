//! Somebody who buys, through the gateway.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::http;

const POLL: Duration = Duration::from_millis(50);

/// A customer who is logged in.
pub struct Customer {
    client: reqwest::Client,
    gateway: SocketAddr,
    token: String,
}

impl Customer {
    /// Opens an account.
    pub async fn register(gateway: SocketAddr) -> anyhow::Result<Self> {
        let client = http::client()?;
        let account = json!({"name": "Ada", "email": "ada@example.com", "password": "password123"});
        let response = client.post(format!("http://{gateway}/api/auth/register")).json(&account).send().await?;
        let answer: Value = response.error_for_status()?.json().await?;
        let token = answer["token"].as_str().context("there is no token")?.to_owned();
        Ok(Self { client, gateway, token })
    }

    /// Reads the catalogue.
    pub async fn browse(&self) -> anyhow::Result<()> {
        self.client.get(format!("http://{}/api/products", self.gateway)).send().await?.error_for_status()?;
        Ok(())
    }

    /// Orders one mouse to that place. The status of the answer and the order's id, if there is one.
    pub async fn order(&self, city: &str, zip: &str) -> anyhow::Result<(u16, Option<String>)> {
        let order = json!({
            "items": [{"productId": "prod-002", "quantity": 1}],
            "shipping": {"address": "1 Mill Lane", "city": city, "state": "OR", "zip": zip},
        });
        let request = self.client.post(format!("http://{}/api/orders", self.gateway)).bearer_auth(&self.token).json(&order);
        let response = request.send().await?;
        let status = response.status().as_u16();
        let answer: Value = response.json().await.unwrap_or_default();
        Ok((status, answer["id"].as_str().map(str::to_owned)))
    }

    /// Orders, which has to succeed. The order's id.
    pub async fn place(&self, city: &str, zip: &str) -> anyhow::Result<String> {
        let (status, id) = self.order(city, zip).await?;
        ensure!(status == 201, "the order is answered {status}");
        id.context("the order has no id")
    }

    /// Waits until the order is in that state.
    pub async fn wait_for(&self, id: &str, wanted: &str, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let state = self.state(id).await?;
            if state == wanted {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{id} should be {wanted} and is {state}");
            }
            sleep(POLL).await;
        }
    }

    async fn state(&self, id: &str) -> anyhow::Result<String> {
        let request = self.client.get(format!("http://{}/api/orders/{id}", self.gateway)).bearer_auth(&self.token);
        let order: Value = request.send().await?.error_for_status()?.json().await?;
        Ok(order["state"].as_str().unwrap_or_default().to_owned())
    }
}
