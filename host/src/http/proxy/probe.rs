//! Whether somebody answers where a proxy passes requests on to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri};
use futures::future::join_all;
use hyper_util::client::legacy::Client;

use super::link::Connector;
use crate::http::{Check, Status};
use crate::plan;

/// What is asked. Any answer below 500 will do: a backend that has no such path is there all the same. An accepted connection would
/// not: the system accepts it for a process that hangs or was stopped.
const PATH: &str = "/livez";

/// Asks the backends of one proxy.
pub struct Probe {
    client: Client<Connector, Body>,
    /// What clients know a backend by, by what is asked of it.
    backends: BTreeMap<String, BTreeSet<String>>,
    limit: Duration,
}

impl Probe {
    /// Of the backends of `settings`; each has `limit` for its answer.
    #[must_use]
    pub fn new(settings: &plan::Proxy, limit: Duration) -> Self {
        let mut backends: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (prefix, url) in &settings.targets {
            if let Some(authority) = url.parse::<Uri>().ok().and_then(|url| url.into_parts().authority) {
                backends.entry(format!("http://{authority}{PATH}")).or_default().insert(settings.backend_name(prefix));
            }
        }
        Self { client: super::client(settings.connect_timeout.min(limit), 1), backends, limit }
    }

    /// Asks all at once. A backend that is away or hangs leaves the proxy of use for the others.
    pub async fn ask(&self) -> Check {
        let asked = self.backends.iter().map(|(url, names)| async move {
            let names = names.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
            self.problem(url).await.map(|problem| format!("{names} {problem}"))
        });
        let problems: Vec<String> = join_all(asked).await.into_iter().flatten().collect();
        if problems.is_empty() {
            return Check::new(Status::Up, format!("{} backends answer", self.backends.len()));
        }
        Check::new(Status::Degraded, problems.join("; "))
    }

    async fn problem(&self, url: &str) -> Option<String> {
        let Ok(request) = Request::get(url).body(Body::empty()) else { return Some("has no address".to_owned()) };
        match tokio::time::timeout(self.limit, self.client.request(request)).await {
            Ok(Ok(answer)) if answer.status() < StatusCode::INTERNAL_SERVER_ERROR => None,
            Ok(Ok(answer)) => Some(format!("answers {} to {PATH}", answer.status().as_u16())),
            Ok(Err(error)) if error.is_connect() => Some("accepts no connection".to_owned()),
            Ok(Err(_)) => Some("closes the connection without an answer".to_owned()),
            Err(_) => Some(format!("has not answered within {} ms", self.limit.as_millis())),
        }
    }
}
