//! One log line and one count for every request, and a limit to how long it may take.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::early::Early;
use super::{request_id, security};
use crate::http::error::{ApiError, ToNobody};
use crate::plan::paths;
use crate::telemetry::Metrics;
use crate::telemetry::traces::{self, Kind, Span};

/// What requests are called that no route answers: files, and paths that do not exist.
const ELSEWHERE: &str = "/{*path}";

/// What a request counts as whose client has gone before there was an answer. No status of HTTP, and known from other servers: it is
/// neither a fault of ours nor a refusal.
const CLIENT_GONE: u16 = 499;

/// What [`record`] needs.
pub(in crate::http) struct Observer {
    pub(in crate::http) metrics: Metrics,
    /// Route as the config writes it, by route as the router knows it; probes are not in it.
    pub(in crate::http) templates: HashMap<String, String>,
    /// Longest time from a request to its answer's head.
    pub(in crate::http) deadline: Duration,
    pub(in crate::http) bounded: BoundedLines,
}

/// Lines of a second, at most, about requests that no rate limit of a route has let through: what comes in floods must not fill the disk.
const MAX_BOUNDED_LINES: u64 = 20;

/// How many of those lines there are in this second.
pub(in crate::http) struct BoundedLines {
    begin: Instant,
    /// The second, counted from the beginning, and the lines in it: 32 bits each.
    lines: AtomicU64,
}

impl BoundedLines {
    pub(in crate::http) fn new() -> Self {
        Self { begin: Instant::now(), lines: AtomicU64::new(0) }
    }

    /// Whether there is room for one more.
    fn have_room(&self) -> bool {
        let second = self.begin.elapsed().as_secs() << 32;
        let next = |lines: u64| Some(if lines >> 32 == second >> 32 { lines.saturating_add(1) } else { second + 1 });
        let before = self.lines.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        before >> 32 != second >> 32 || before & u64::from(u32::MAX) < MAX_BOUNDED_LINES
    }
}

/// Logs and counts; a request that takes too long is answered 503, and one whose handler panics 500.
pub(super) async fn record(observer: &Observer, mut request: Request, next: Next) -> Response {
    let early = request.extensions_mut().remove::<Early>();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = match (&early, &matched) {
        (Some(early), _) => early.route(),
        (None, None) => ELSEWHERE,
        (None, Some(path)) => match observer.templates.get(path.as_str()) {
            Some(template) => template,
            None => return security::unless_panicked(next.run(request)).await,
        },
    };
    let is_file = early.is_none() && matched.is_none();
    let is_early = early.is_some();
    let is_unlimited = is_file || *request.method() == Method::OPTIONS || route == paths::OPENAPI;
    let method = method_name(request.method());
    let span = server_span(method, route, &request);
    let begin = Instant::now();
    let mut waiting = Waiting { observer, span: &span, method, route, begin, is_file, answered: false };
    let response = match early {
        Some(early) => early.answer(request.headers()),
        None => {
            let response = tokio::time::timeout(observer.deadline, span.clone().around(security::unless_panicked(next.run(request))));
            response.await.unwrap_or_else(|_| too_slow())
        }
    };
    waiting.answered = true;
    let status = if response.extensions().get::<ToNobody>().is_some() { CLIENT_GONE } else { response.status().as_u16() };
    let took = begin.elapsed();
    span.set("http.response.status_code", || i64::from(status));
    if response.status().is_server_error() {
        span.fail("");
    }
    let is_told = match status {
        // A page is many files, and those that are served are counted.
        ..400 if is_file => false,
        ..500 if is_unlimited => observer.bounded.have_room(),
        _ if is_early || matches!(status, 405 | 429) => observer.bounded.have_room(),
        _ => true,
    };
    span.within(|| log(method, route, took, status, &response, is_told));
    observer.metrics.http_request(method, route, status, took);
    response
}

/// A request without an answer so far. If it is dropped as that, its connection has ended.
struct Waiting<'a> {
    observer: &'a Observer,
    span: &'a Span,
    method: &'static str,
    route: &'a str,
    begin: Instant,
    is_file: bool,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let (method, route, took) = (self.method, self.route, self.begin.elapsed());
        self.span.set("http.response.status_code", || i64::from(CLIENT_GONE));
        let ms = took.as_secs_f64() * 1000.0;
        self.span.within(|| {
            if self.is_file {
                tracing::debug!(target: "millrace::access", method, route, status = CLIENT_GONE, ms, "request");
            } else {
                tracing::info!(target: "millrace::access", method, route, status = CLIENT_GONE, ms, "request");
            }
        });
        self.observer.metrics.http_request(method, route, CLIENT_GONE, took);
    }
}

/// The request as a part of the trace that its client says, if it says one.
fn server_span(method: &'static str, route: &str, request: &Request) -> Span {
    let caused = request.headers().get(traces::HEADER).and_then(|value| value.to_str().ok());
    let span = Span::begin(Kind::Server, caused, || format!("{method} {route}"));
    span.set("http.request.method", || method)
        .set("http.route", || route.to_owned())
        .set("url.path", || request.uri().path().to_owned())
        .set("url.scheme", || "http");
    span
}

fn log(method: &'static str, route: &str, took: Duration, status: u16, response: &Response, is_told: bool) {
    let request_id = response.headers().get(request_id::NAME).and_then(|id| id.to_str().ok());
    let ms = took.as_secs_f64() * 1000.0;
    if !is_told {
        tracing::debug!(target: "millrace::access", method, route, status, ms, request_id, "request");
    } else if response.status().is_server_error() {
        tracing::warn!(target: "millrace::access", method, route, status, ms, request_id, "request");
    } else {
        tracing::info!(target: "millrace::access", method, route, status, ms, request_id, "request");
    }
}

fn too_slow() -> Response {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the answer took too long; what was begun goes on").into_response()
}

/// A label with few values, whatever clients send.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_some_refusals_of_each_second_are_told() {
        let bounded = BoundedLines::new();
        let told = (0..10_000).filter(|_| bounded.have_room()).count() as u64;
        let seconds = bounded.begin.elapsed().as_secs() + 1;
        assert!((MAX_BOUNDED_LINES..=MAX_BOUNDED_LINES * seconds).contains(&told), "{told}");
    }
}
