//! What is answered before a request has reached any route: with the headers that every answer has, and in a few moments.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{MAX_HEADER_BYTES, MAX_HEADERS};
use crate::http::error::ApiError;
use crate::http::middleware::{request_id, security};
use crate::telemetry::Metrics;

/// Connections that are refused with an answer at once; more are closed without one.
const AT_ONCE: usize = 32;
/// From the connection to the end of the answer.
const TIME: Duration = Duration::from_secs(1);
/// For the peer to take the answer, once it is written, before the connection is closed.
const LINGER: Duration = Duration::from_millis(500);
/// When to come back. Browsers close what they do not use within some seconds.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// Between two lines of the log.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// An answer that no route gives, with what every answer has.
pub(super) fn response(error: ApiError, asked: &axum::http::HeaderMap) -> Response {
    let mut response = error.with(header::CONNECTION, HeaderValue::from_static("close")).into_response();
    response.headers_mut().insert(request_id::NAME, request_id::of(asked));
    security::set_headers(response.headers_mut());
    response
}

/// Refuses connections of those who have too many.
pub(super) struct Refusals {
    metrics: Metrics,
    room: Arc<Semaphore>,
    lately: Mutex<Lately>,
}

/// What was refused since the last line of the log.
#[derive(Default)]
struct Lately {
    refused: u64,
    told: Option<Instant>,
}

impl Refusals {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, room: Arc::new(Semaphore::new(AT_ONCE)), lately: Mutex::default() }
    }

    /// Notes one of `peer`, which has `limit` already; room to answer it, if there is.
    pub(super) fn note(&self, peer: IpAddr, limit: usize) -> Option<OwnedSemaphorePermit> {
        self.metrics.connection_refused();
        if let Some(refused) = self.lately.lock().line_due() {
            tracing::warn!(%peer, limit, refused, "connections of an address that has too many are refused; `maxConnectionsPerAddress` of http.server says how many it may have, and proxies belong into `trustedProxies`");
        }
        Arc::clone(&self.room).try_acquire_owned().ok()
    }
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

/// Answers the first request of a connection with 503 and closes it. It costs little: one head, one short answer, a second.
pub(super) async fn answer(mut stream: TcpStream, limit: usize) {
    let _ = stream.set_nodelay(true);
    let answered = async {
        let service = service_fn(|request: axum::http::Request<Incoming>| {
            let detail = format!("this address has {limit} connections already; use one of them, or close some");
            let error = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, RETRY_AFTER.as_secs().into());
            let response: axum::http::Response<Body> = response(error, request.headers());
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .header_read_timeout(TIME)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_HEADER_BYTES)
            .serve_connection(TokioIo::new(&mut stream), service);
        // Not shut down by hyper: what the peer has still on its way would reset the connection, and with it the answer.
        connection.without_shutdown().await.is_ok()
    };
    if tokio::time::timeout(TIME, answered).await == Ok(true) {
        let _ = stream.shutdown().await;
        let mut rest = [0; 4096];
        let _ = tokio::time::timeout(LINGER, async { while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} }).await;
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
