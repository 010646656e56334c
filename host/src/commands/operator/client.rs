//! A client of an `operator.api`. What it refuses is an error in its own words.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::Value;

use crate::commands::http_client;
use crate::services::error::NO_SUCH_PATH;

/// For a whole answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks one process.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    /// Of the API at `url`.
    pub(super) fn new(url: &str, token: Option<String>) -> anyhow::Result<Self> {
        // It is a process of the same installation, whatever proxy the environment names.
        let http = http_client(LIMIT)?;
        Ok(Self { http, base: url.trim_end_matches('/').to_owned(), token })
    }

    /// What is at `path`, which says what is asked for.
    pub(super) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.answer(self.request(Method::GET, path, query)?).await
    }

    /// Asks for a deed.
    pub(super) async fn post(&self, path: &[&str], body: &Value, key: Option<&str>) -> anyhow::Result<Value> {
        let mut request = self.request(Method::POST, path, &[])?.json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.answer(request).await
    }

    /// Puts something in the place of what has this digest.
    pub(super) async fn put(&self, path: &[&str], body: &Value, digest: &str) -> anyhow::Result<Value> {
        self.answer(self.request(Method::PUT, path, &[])?.header(header::IF_MATCH, format!("\"{digest}\"")).json(body)).await
    }

    /// Asks for an end of something.
    pub(super) async fn delete(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.answer(self.request(Method::DELETE, path, &[])?.json(body)).await
    }

    /// Sends a file, and the text of its signature if it has one.
    pub(super) async fn upload(&self, path: &[&str], file: Vec<u8>, signature: Option<String>) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, path, &[])?.header(header::CONTENT_TYPE, "application/wasm").body(file);
        let signature = signature.map(|text| text.trim().to_owned());
        self.answer(signature.into_iter().fold(request, |request, text| request.header("X-Signature", text))).await
    }

    fn request(&self, method: Method, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<RequestBuilder> {
        let mut url: reqwest::Url =
            self.base.parse().with_context(|| format!("'{}' is no URL such as http://127.0.0.1:9080/operator", self.base))?;
        url.path_segments_mut().map_err(|()| anyhow::anyhow!("'{}' is no URL of a server", self.base))?.extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let response = request.send().await.with_context(|| {
            format!("nothing answers at {}; does the config have a module of type operator.api, and is this its address (--url, MILLRACE_OPERATOR)?", self.base)
        })?;
        let status = response.status();
        let is_json =
            response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|media| media.contains("json"));
        let text = response.text().await?;
        if !is_json {
            bail!("what answers at {} is no operator.api: it answered {status} without JSON", self.base);
        }
        let answer: Value = serde_json::from_str(&text).context("the answer is no JSON")?;
        if status.is_success() {
            return Ok(answer);
        }
        let detail = answer.get("detail").and_then(Value::as_str).unwrap_or("no reason was given");
        match status {
            StatusCode::NOT_FOUND if answer.get("code").and_then(Value::as_str) == Some(NO_SUCH_PATH) => bail!(
                "there is no operator.api at {}, but something else ({detail}): a process says at its start where its own is, for example \
                 http://127.0.0.1:9080/operator (--url, MILLRACE_OPERATOR)",
                self.base
            ),
            StatusCode::UNAUTHORIZED => bail!("{detail}; give a token with --token or MILLRACE_TOKEN"),
            _ => bail!("{detail}"),
        }
    }
}
