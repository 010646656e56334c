//! A customer with a browser's manners: HTTP, JSON and a token.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// Longest wait for anything that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

/// A client of one host, logged in or not.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).pool_max_idle_per_host(64).build().unwrap();
        Self { http, base: base.to_owned(), token: None }
    }

    /// A client of the same host that is elsewhere: its connections come from `address`.
    pub fn at(&self, address: std::net::IpAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).local_address(address).build().unwrap();
        Self { http, base: self.base.clone(), token: None }
    }

    /// A new customer with a token.
    pub async fn customer(&self, name: &str) -> Self {
        let body = json!({"name": name, "email": format!("{name}@example.com"), "password": "password123"});
        let answer = self.post("/api/auth/register", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        self.with_token(answer.body["token"].as_str().unwrap())
    }

    /// A customer that has an account, with a new token.
    pub async fn login(&self, name: &str) -> Self {
        let body = json!({"email": format!("{name}@example.com"), "password": "password123"});
        let answer = self.post("/api/auth/login", &body).await;
        self.with_token(answer.body["token"].as_str().unwrap_or_else(|| panic!("{answer:?}")))
    }

    /// The token of a customer.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Where the host is.
    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[]).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        self.try_send(method, path, body, headers).await.unwrap()
    }

    pub async fn try_send(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Answer { status, headers, body })
    }

    /// Sends what is no JSON.
    pub async fn send_text(&self, method: Method, path: &str, media: &str, text: impl Into<Vec<u8>>) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.token()).header("content-type", media);
        let response = request.body(text.into()).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status, headers, body }
    }

    /// The head of an answer, whose body may never end.
    pub async fn begin(&self, method: Method, path: &str, body: Option<&Value>) -> reqwest::Response {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    /// An answer whose body comes bit by bit.
    pub async fn open(&self, path: &str) -> reqwest::Response {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(self.token.as_deref().unwrap_or_default());
        request.send().await.unwrap()
    }

    /// Places an order of one line.
    pub async fn order(&self, product: &str, quantity: u64, token: &str) -> Answer {
        self.post("/api/orders", &order(product, quantity, token)).await
    }

    /// Places an order and waits for its end, or for one of `states`.
    pub async fn order_until(&self, product: &str, quantity: u64, token: &str, states: &[&str]) -> Value {
        let answer = self.order(product, quantity, token).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        self.wait_for("orders", answer.body["id"].as_str().unwrap(), states).await
    }

    /// Polls a resource until it is in one of `states`.
    pub async fn wait_for(&self, kind: &str, id: &str, states: &[&str]) -> Value {
        self.wait_within(PATIENCE, kind, id, states).await
    }

    /// Polls a resource until it is in one of `states`, for as long as `patience`.
    pub async fn wait_within(&self, patience: Duration, kind: &str, id: &str, states: &[&str]) -> Value {
        let path = format!("/api/{kind}/{id}");
        let deadline = Instant::now() + patience;
        loop {
            let answer = self.get(&path).await;
            let state = answer.body["state"].as_str().unwrap_or_default();
            if states.contains(&state) {
                return answer.body;
            }
            assert!(Instant::now() < deadline, "'{id}' is still '{state}', expected {states:?}: {:#}", answer.body);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Units of a product that can be bought.
    pub async fn stock(&self, product: &str) -> u64 {
        self.get(&format!("/api/products/{product}")).await.body["data"]["stock"].as_u64().unwrap()
    }
}

/// An order of one line, paid with a test token.
pub fn order(product: &str, quantity: u64, token: &str) -> Value {
    json!({
        "items": [{"productId": product, "quantity": quantity}],
        "shipping": {"address": "123 Main St", "city": "Portland", "state": "OR", "zip": "97201"},
        "payment": {"token": token},
    })
}

/// States passed, the first included.
pub fn path_of(resource: &Value) -> Vec<String> {
    let history = resource["history"].as_array().unwrap();
    let first = history.first().map(|row| row["from"].as_str().unwrap().to_owned());
    first.into_iter().chain(history.iter().map(|row| row["to"].as_str().unwrap().to_owned())).collect()
}
