//! One question to an endpoint as OpenAI has it, and its answer: within a time and a size, and from nowhere else.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, redirect};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::{between, plan};

/// Bytes of an answer, at most.
const MAX_ANSWER: usize = 1 << 20;
/// When to come back where an endpoint does not say.
const USUAL_WAIT: Duration = Duration::from_secs(30);
/// The longest that anybody is told to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// Characters of what an endpoint says of an error.
const MAX_SAID: usize = 200;

/// Why a model has not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// It does not take the key.
    #[error("the model's endpoint answers {0}: it does not take the `apiKey` of the config")]
    Refused(u16),
    /// It has too much to do, or was asked too often.
    #[error("the model's endpoint has too much to do now, or was asked too often")]
    Busy(Duration),
    /// It answers something else than 200, with what it says of it.
    #[error("the model's endpoint answers {0}{1}")]
    Failed(u16, String),
    /// It has not answered within so many seconds.
    #[error("the model has not answered within {0} s")]
    Silent(u64),
    /// Nothing is there, or the connection was cut.
    #[error("the model's endpoint cannot be reached, or its answer was cut: {0}")]
    Away(String),
    /// It says more than anybody reads.
    #[error("the model's endpoint answers more than {MAX_ANSWER} bytes; nothing of it was kept")]
    Endless,
    /// It was not done when it had said as much as it may.
    #[error("the model's answer was longer than `maxTokens` ({0}) allows")]
    Cut(u32),
    /// It answers, and nothing can be done with that.
    #[error("the model's answer is of no use: {0}")]
    Useless(String),
}

/// What a model says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub content: String,
    /// Tokens that the question and the answer have taken.
    pub tokens: Option<u64>,
}

/// A model, until a time.
pub(super) struct Model<'a> {
    settings: &'a plan::Copilot,
    client: reqwest::Client,
    end: Instant,
}

impl<'a> Model<'a> {
    /// The model of these settings, which has to have answered at `end`.
    ///
    /// # Errors
    /// The key cannot be sent, or no client can be made.
    pub fn new(settings: &'a plan::Copilot, end: Instant) -> Result<Self, ModelError> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &settings.api_key {
            let unfit = |_| ModelError::Useless("the `apiKey` of the config cannot be sent in a header".to_owned());
            let mut value = HeaderValue::try_from(format!("Bearer {}", key.0)).map_err(unfit)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = between::client(|| {
            // Where it leads elsewhere, the key does not follow.
            let builder = reqwest::Client::builder().default_headers(headers.clone()).redirect(redirect::Policy::none());
            if settings.is_outside { builder } else { builder.no_proxy() }
        });
        Ok(Self { settings, client: client.map_err(|error| ModelError::Away(told(&error)))?, end })
    }

    /// Asks for one answer.
    ///
    /// # Errors
    /// There is none, or it is no such answer.
    pub async fn ask(&self, messages: &[Value]) -> Result<Reply, ModelError> {
        let late = || ModelError::Silent(self.settings.timeout.as_secs());
        timeout_at(self.end, self.asked(messages)).await.map_err(|_| late())?
    }

    async fn asked(&self, messages: &[Value]) -> Result<Reply, ModelError> {
        let (status, body) = self.sent(messages, "max_tokens").await?;
        let asks_for_the_other = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY)
            && String::from_utf8_lossy(&body).contains("max_completion_tokens");
        // Some models know the limit by its newer name alone, and others by the older one.
        let (status, body) = if asks_for_the_other { self.sent(messages, "max_completion_tokens").await? } else { (status, body) };
        if status != StatusCode::OK {
            return Err(ModelError::Failed(status.as_u16(), self.said(&body)));
        }
        self.read(&body)
    }

    async fn sent(&self, messages: &[Value], limit: &str) -> Result<(StatusCode, Vec<u8>), ModelError> {
        let url = format!("{}/chat/completions", self.settings.base_url);
        let body = json!({"model": self.settings.model, "messages": messages, "stream": false, limit: self.settings.max_tokens});
        let response = self.client.post(url).json(&body).send().await.map_err(|error| ModelError::Away(told(&error)))?;
        match response.status() {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => return Err(ModelError::Refused(status.as_u16())),
            StatusCode::TOO_MANY_REQUESTS => return Err(ModelError::Busy(wait(&response))),
            _ => {}
        }
        let status = response.status();
        let mut body = Vec::new();
        let mut parts = response.bytes_stream();
        while let Some(part) = parts.next().await {
            body.extend_from_slice(&part.map_err(|error| ModelError::Away(told(&error)))?);
            if body.len() > MAX_ANSWER {
                return Err(ModelError::Endless);
            }
        }
        Ok((status, body))
    }

    fn read(&self, body: &[u8]) -> Result<Reply, ModelError> {
        let useless = |what: &str| ModelError::Useless(what.to_owned());
        let answer: Value = serde_json::from_slice(body).map_err(|_| useless("its endpoint answers no JSON"))?;
        let choice = answer.pointer("/choices/0").ok_or_else(|| useless("its endpoint answers without `choices`"))?;
        if choice["finish_reason"] == "length" {
            return Err(ModelError::Cut(self.settings.max_tokens));
        }
        // Whoever asks for tools or refuses says nothing, and is told so.
        let content = choice.pointer("/message/content").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Reply { content, tokens: answer.pointer("/usage/total_tokens").and_then(Value::as_u64) })
    }

    /// What an endpoint says of an error, without the key.
    fn said(&self, body: &[u8]) -> String {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = answer.pointer("/error/message").or_else(|| answer.get("error")).and_then(Value::as_str).unwrap_or_default();
        let said = self.settings.api_key.as_ref().map_or_else(|| said.to_owned(), |key| said.replace(&key.0, "[hidden]"));
        if said.is_empty() { said } else { format!(": {}", crate::text::quoted(&said, MAX_SAID)) }
    }
}

/// When an endpoint wants to be asked again.
fn wait(response: &Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(USUAL_WAIT, Duration::from_secs).min(LONGEST_WAIT)
}

/// What went wrong at the bottom, without the address.
fn told(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    crate::text::quoted(&cause.to_string(), MAX_SAID)
}
