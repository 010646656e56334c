//! Requests to the host and to Prometheus on this machine.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

/// How long one exchange may take. That somebody is slow is no failure here: steps in five languages are compiled meanwhile.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client for this machine: it goes through no proxy.
pub fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().context("there can be no HTTP client")
}

/// Status of `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<u16> {
    Ok(client()?.get(format!("http://{address}{path}")).send().await?.status().as_u16())
}

/// Status of `POST path` with a JSON body.
pub async fn post(address: SocketAddr, path: &str, json: &str) -> anyhow::Result<u16> {
    let request = client()?.post(format!("http://{address}{path}")).header("content-type", "application/json");
    Ok(request.body(json.to_owned()).send().await?.status().as_u16())
}

/// Sends a request whose answer has to be this `status` and JSON.
pub async fn json(request: reqwest::RequestBuilder, status: u16) -> anyhow::Result<Value> {
    let (client, request) = request.build_split();
    let request = request?;
    let what = format!("{} {}", request.method(), request.url());
    let response = client.execute(request).await.with_context(|| what.clone())?;
    let answered = response.status().as_u16();
    let text = response.text().await?;
    if answered != status {
        bail!("{what} answered {answered}, not {status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("{what} did not answer with JSON: {text}"))
}
