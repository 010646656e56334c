//! A client that costs little: one connection, requests one after the other.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

/// A connection of a user (or of nobody, with an empty token).
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    token: String,
    order: Bytes,
}

impl Connection {
    pub async fn open(address: SocketAddr, token: &str) -> anyhow::Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let order = json!({
            "items": [{"productId": "plenty", "quantity": 1}],
            "shipping": {"address": "123 Main St", "city": "Portland", "state": "OR", "zip": "97201"},
        });
        Ok(Self { sender, token: token.to_owned(), order: order.to_string().into() })
    }

    pub async fn get(&mut self, path: &str) -> anyhow::Result<Bytes> {
        self.send(Method::GET, path, Bytes::new(), StatusCode::OK).await
    }

    pub async fn post(&mut self, path: &str, body: &Value, expected: StatusCode) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.send(Method::POST, path, body.to_string().into(), expected).await?)?)
    }

    /// Places an order and answers its id.
    pub async fn place_order(&mut self) -> anyhow::Result<String> {
        let body = self.send(Method::POST, "/api/orders", self.order.clone(), StatusCode::CREATED).await?;
        let order: Value = serde_json::from_slice(&body)?;
        Ok(order["id"].as_str().context("no id")?.to_owned())
    }

    /// Reads the order's events until its last; fails unless that is its delivery.
    pub async fn follow_to_the_end(&mut self, id: &str) -> anyhow::Result<()> {
        let events = self.get(&format!("/api/orders/{id}/events")).await?;
        let text = String::from_utf8_lossy(&events);
        anyhow::ensure!(text.contains("\"state\":\"delivered\""), "order {id} was not delivered: {text}");
        Ok(())
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes, expected: StatusCode) -> anyhow::Result<Bytes> {
        let mut request =
            Request::builder().method(method).uri(path).header("host", "127.0.0.1").header("accept", "application/json, text/html");
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Full::new(body))?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status == expected, "{path} answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

/// Times of one kind.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that `percent` of all do not exceed, in milliseconds.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a few thousand times"
    )]
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = ((sorted.len() as f64 * percent / 100.0).ceil() as usize).saturating_sub(1);
        sorted.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1_000.0)
    }
}
