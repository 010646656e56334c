//! Questions to a Prometheus over its HTTP API.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::http;
use crate::patience::until_answered;

/// How long one that does not answer is asked for the same.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// A Prometheus.
#[derive(Clone)]
pub struct Prometheus {
    client: reqwest::Client,
    address: SocketAddr,
}

/// Labels and their values.
pub type Labels = BTreeMap<String, String>;

/// An alert that waits or is told.
#[derive(Debug, Clone, Deserialize)]
pub struct Alert {
    /// `alertname` is one of them.
    pub labels: Labels,
    /// What people read.
    pub annotations: Labels,
    /// `pending` or `firing`.
    pub state: String,
}

/// A rule.
#[derive(Debug, Clone, Deserialize)]
pub struct Rule {
    /// Of the alert, or of what is recorded.
    pub name: String,
    /// The expression.
    pub query: String,
    /// `alerting` or `recording`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why it could not be evaluated; empty otherwise.
    #[serde(rename = "lastError", default)]
    pub last_error: String,
}

#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Response<T> {
    Success { data: T },
    Error { error: String },
}

#[derive(Deserialize)]
struct Answer {
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct Sample {
    value: (f64, String),
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

impl Prometheus {
    /// The one that listens there.
    pub fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { client: http::client()?, address })
    }

    /// The value of each series that answers `expression` now.
    pub async fn values(&self, expression: &str) -> anyhow::Result<Vec<f64>> {
        let answer: Answer = self.get("query", &[("query", expression)]).await.with_context(|| expression.to_owned())?;
        let samples: Vec<Sample> = serde_json::from_value(answer.result).with_context(|| format!("{expression} is no vector"))?;
        samples.into_iter().map(|sample| sample.value.1.parse().with_context(|| format!("{expression}: {}", sample.value.1))).collect()
    }

    /// Every alert that is told.
    pub async fn firing(&self) -> anyhow::Result<Vec<Alert>> {
        let Alerts { mut alerts } = self.get("alerts", &[]).await?;
        alerts.retain(|alert| alert.state == "firing");
        Ok(alerts)
    }

    /// Every rule.
    pub async fn rules(&self) -> anyhow::Result<Vec<Rule>> {
        let Groups { groups } = self.get("rules", &[]).await?;
        Ok(groups.into_iter().flat_map(|group| group.rules).collect())
    }

    /// Reads settings and rules again.
    pub async fn reload(&self) -> anyhow::Result<()> {
        let request = self.client.post(format!("http://{}/-/reload", self.address));
        let (status, text) = Self::answer(request).await?;
        anyhow::ensure!(status.is_success(), "Prometheus does not take the rules: {text}");
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, what: &str, parameters: &[(&str, &str)]) -> anyhow::Result<T> {
        let url = reqwest::Url::parse_with_params(&format!("http://{}/api/v1/{what}", self.address), parameters)?;
        let (_, text) = Self::answer(self.client.get(url)).await?;
        match serde_json::from_str(&text).with_context(|| format!("Prometheus answers {text}"))? {
            Response::Success { data } => Ok(data),
            Response::Error { error } => bail!("Prometheus says: {error}"),
        }
    }

    /// What is answered: to a request that may be made again, because one that is busy takes no notice of it.
    async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<(reqwest::StatusCode, String)> {
        until_answered(ANSWER_LIMIT, async || {
            let response = request.try_clone().context("its body can be sent once only")?.send().await?;
            Ok((response.status(), response.text().await?))
        })
        .await
    }
}
