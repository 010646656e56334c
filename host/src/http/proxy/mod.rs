//! `http.simple_proxy`: passes requests on to other processes and their answers back, both as they come.
//!
//! Knows addresses and headers. What a request asks for, and who may ask it, is the affair of who answers. A request is sent
//! once: only one of which no byte was written, because a kept connection had closed, is sent over another.

mod headers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum_reverse_proxy::{ProxyError, ProxyPolicy, ReverseProxy};
use futures::StreamExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use schemars::JsonSchema;
use serde::Serialize;

use super::error::ApiError;
use crate::plan;
use crate::shutdown::Stop;
use crate::telemetry::traces::{self, Kind, Span};

/// Paths below this are for processes, whatever the targets say.
const INTERNAL: &str = "/internal";
/// Well below the time after which a backend closes a connection without a request, so that it is rarely written to then.
const POOL_IDLE: Duration = Duration::from_secs(20);
/// Idle connections kept for each backend.
const POOL_SIZE: usize = 64;

/// One `http.simple_proxy`.
struct Proxy {
    /// Longest prefix first.
    targets: Vec<Target>,
    stop: Stop,
}

/// Where requests below a prefix go.
struct Target {
    prefix: String,
    /// `host:port`, as the config writes it.
    backend: String,
    forward: ReverseProxy<HttpConnector>,
}

/// Why there is no answer of the backend.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Unanswered")]
pub(super) struct Unanswered<'a> {
    error: &'a str,
    backend: &'a str,
    path: &'a str,
}

/// The proxy of `settings`, for requests with their whole path. At `stop` it ends event streams, which never end by themselves.
pub fn proxy(settings: &plan::Proxy, stop: Stop) -> Router {
    Router::new().fallback(pass_on).with_state(Arc::new(Proxy::new(settings, stop)))
}

async fn pass_on(State(proxy): State<Arc<Proxy>>, mut request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some(target) = proxy.target(&path) else { return ApiError::no_such_path(&path).into_response() };
    headers::clean_request(request.headers_mut());
    let span = target.span(&request);
    if let Some(Ok(traceparent)) = span.traceparent().map(HeaderValue::try_from) {
        request.headers_mut().insert(traces::HEADER, traceparent);
    }
    let Ok(mut response) = span.clone().around(target.forward.proxy_request(request)).await;
    span.set("http.response.status_code", || i64::from(response.status().as_u16()));
    if let Some(failure) = response.extensions().get::<ProxyError>() {
        span.fail(failure.message().to_owned());
        return target.unanswered(&path, response.status(), failure);
    }
    headers::clean_answer(response.headers_mut());
    if is_event_stream(response.headers()) { ending_at(proxy.stop.clone(), response) } else { response }
}

impl Proxy {
    fn new(settings: &plan::Proxy, stop: Stop) -> Self {
        let client = client(settings.connect_timeout);
        let policy =
            ProxyPolicy::new().with_public_scheme("http").with_upstream_timeout(settings.response_timeout).with_via(settings.name.as_str());
        let target = |(prefix, url): (&String, &String)| {
            let authority = url.parse::<Uri>().ok().and_then(|url| url.authority().map(ToString::to_string));
            Target {
                prefix: prefix.clone(),
                backend: authority.unwrap_or_else(|| url.clone()),
                forward: ReverseProxy::new_with_client("", url.as_str(), client.clone()).with_policy(policy.clone()),
            }
        };
        let mut targets: Vec<Target> = settings.targets.iter().map(target).collect();
        targets.sort_by_key(|target| std::cmp::Reverse(target.prefix.len()));
        Self { targets, stop }
    }

    /// Chosen by the very text that is sent on.
    fn target(&self, path: &str) -> Option<&Target> {
        if is_below(INTERNAL, path) {
            return None;
        }
        self.targets.iter().find(|target| is_below(&target.prefix, path))
    }
}

impl Target {
    fn span(&self, request: &Request) -> Span {
        let span = Span::child(Kind::Client, || request.method().to_string());
        span.set("http.request.method", || request.method().to_string())
            .set("url.full", || format!("http://{}{}", self.backend, request.uri().path()))
            .set("server.address", || self.backend.clone());
        span
    }

    fn unanswered(&self, path: &str, status: StatusCode, failure: &ProxyError) -> Response {
        tracing::warn!(backend = self.backend, path, status = status.as_u16(), cause = failure.message(), "a backend does not answer");
        let error = if status == StatusCode::GATEWAY_TIMEOUT { "backend timed out" } else { "backend unavailable" };
        let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (status, headers, axum::Json(Unanswered { error, backend: &self.backend, path })).into_response()
    }
}

fn client(connect_timeout: Duration) -> Client<HttpConnector, Body> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(connect_timeout));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_SIZE)
        .build(connector)
}

fn is_below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"))
}

/// The same answer, with a body that ends at `stop` at the latest: a reader of events comes back and goes on where it was.
fn ending_at(stop: Stop, response: Response) -> Response {
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(async move { stop.requested().await })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(path: &str) -> Option<String> {
        let targets = [("/api", "http://rest:1"), ("/api/things", "http://things:2/base"), ("/api/things/old", "http://old:3")];
        let settings = plan::Proxy {
            name: "proxy".into(),
            targets: targets.iter().map(|(prefix, url)| ((*prefix).to_owned(), (*url).to_owned())).collect(),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
        };
        Proxy::new(&settings, Stop::new()).target(path).map(|target| target.backend.clone())
    }

    #[test]
    fn the_longest_prefix_wins_and_ends_at_a_slash() {
        for (path, backend) in [
            ("/api", Some("rest:1")),
            ("/api/thingsx", Some("rest:1")),
            ("/api/things", Some("things:2")),
            ("/api/things/1", Some("things:2")),
            ("/api/things/old/1", Some("old:3")),
            ("/apix", None),
            ("/", None),
        ] {
            assert_eq!(chosen(path).as_deref(), backend, "{path}");
        }
    }

    #[test]
    fn what_is_internal_is_not_passed_on_even_where_everything_is() {
        let settings = plan::Proxy {
            name: "proxy".into(),
            targets: [("/".to_owned(), "http://all:1".to_owned())].into(),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
        };
        let proxy = Proxy::new(&settings, Stop::new());
        assert!(proxy.target("/internal").is_none() && proxy.target("/internal/reservations/1").is_none());
        assert!(proxy.target("/internally").is_some());
    }
}
