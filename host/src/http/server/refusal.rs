//! Connections that are let in for probes only, and what is said of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::error::ApiError;
use crate::telemetry::Metrics;

/// Connections of addresses that have too many which are answered at once; more are closed without an answer.
const AT_ONCE: usize = 32;
/// When to come back. Browsers close what they do not use within some seconds.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Between two lines of the log.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// Counts and logs what is refused for want of room.
pub(super) struct Refusals {
    metrics: Metrics,
    room: Arc<Semaphore>,
    address: Mutex<Lately>,
    full: Mutex<Lately>,
}

/// What was refused since the last line of the log.
#[derive(Default)]
struct Lately {
    refused: u64,
    told: Option<Instant>,
}

impl Refusals {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, room: Arc::new(Semaphore::new(AT_ONCE)), address: Mutex::default(), full: Mutex::default() }
    }

    /// Notes a connection of `peer`, which has `limit` already; room to answer it, if there is.
    pub(super) fn note(&self, peer: IpAddr, limit: usize) -> Option<OwnedSemaphorePermit> {
        self.metrics.connection_refused();
        if let Some(refused) = self.address.lock().line_due() {
            tracing::warn!(%peer, limit, refused, "connections of an address that has too many are refused; `maxConnectionsPerAddress` of http.server says how many it may have, and proxies belong into `trustedProxies`");
        }
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Says to one of an address that has too many why it gets no answer.
    pub(super) fn address_has_too_many(&self, limit: usize) -> ApiError {
        unavailable(format!("this address has {limit} connections already; use one of them, or close some"))
    }

    /// Notes a request for which no place was found among so many, and says so to its client.
    pub(super) fn all_in_use(&self, places: usize) -> ApiError {
        if let Some(refused) = self.full.lock().line_due() {
            tracing::warn!(
                places,
                refused,
                "requests are refused because all connections are in use; `maxConnections` of http.server says how many there may be"
            );
        }
        unavailable(format!("all {places} connections are in use; nothing was done, send the request again later"))
    }
}

fn unavailable(detail: String) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()))
}

impl Lately {
    /// How many were refused since the last line, this one included, if it is time for another line.
    fn line_due(&mut self) -> Option<u64> {
        self.refused += 1;
        if self.told.is_some_and(|told| told.elapsed() < LINE_INTERVAL) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_line_a_minute_and_it_tells_how_many() {
        let mut lately = Lately::default();
        let lines: Vec<Option<u64>> = (0..4).map(|_| lately.line_due()).collect();
        assert_eq!(lines, [Some(1), None, None, None]);
        lately.told = lately.told.and_then(|told| told.checked_sub(LINE_INTERVAL));
        assert_eq!(lately.line_due(), Some(4));
    }
}
