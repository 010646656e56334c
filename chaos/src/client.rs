//! HTTP as a customer speaks it: JSON, a token, and no patience for ever.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

/// Longest wait for an answer. A program that stands still for a while answers afterwards.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// What it says; a text where it is no JSON.
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
    /// Of the host with that URL.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        Ok(Self { http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?, base: base.to_owned(), token: None })
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The answer to a request, if there was one.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> reqwest::Result<Answer> {
        let response = self.open(method, path, body, key).await?;
        let status = response.status();
        let text = response.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    /// An answer whose body comes bit by bit.
    pub async fn open(&self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> reqwest::Result<Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        request.send().await
    }

    /// Whether it answers 200 there.
    pub async fn is_well(&self, path: &str) -> bool {
        self.send(Method::GET, path, None, None).await.is_ok_and(|answer| answer.status == StatusCode::OK)
    }
}
