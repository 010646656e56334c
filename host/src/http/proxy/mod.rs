//! `http.simple_proxy`: passes requests on to other processes and their answers back, both as they come.
//!
//! Knows addresses and headers. What a request asks for, and who may ask it, is the affair of who answers. A request is sent
//! once: only one of which no byte was written, because a kept connection had closed, is sent over another, and one that does nothing (GET and
//! HEAD without a body) is sent once more, over a new connection, if its own ended before the answer.
//!
//! Whose fault it is that there is no answer is found out here: what a client does wrong with its body is answered as the backend would
//! answer it, and told of no backend.

mod headers;
mod link;
mod peers;
mod probe;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum_reverse_proxy::{ProxyError, ProxyPolicy, ReverseProxy};
use futures::StreamExt as _;
use hyper::body::Body as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use schemars::JsonSchema;
use serde::Serialize;

use self::link::Connector;
pub(super) use self::peers::health_of;
pub use self::probe::Probe;
use self::upload::{Bounds, Course};
use super::body::{Cut, MAX_BODY_TIME};
use super::error::ApiError;
use crate::between::{self, POOL_IDLE};
use crate::plan::{self, paths::is_below};
use crate::shutdown::Stop;
use crate::telemetry::traces::{self, Kind, Span};

/// Paths below this are for processes, whatever the targets say.
const INTERNAL: &str = "/internal";
/// Idle connections kept for each backend.
const POOL_SIZE: usize = 64;
/// When to come back if a backend is away: it is started again, or waited for, within seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// One `http.simple_proxy`.
struct Proxy {
    /// Longest prefix first.
    targets: Vec<Target>,
    bounds: Bounds,
    response_timeout: Duration,
    stop: Stop,
}

/// Where requests below a prefix go.
struct Target {
    prefix: String,
    /// What clients know the backend by.
    name: String,
    /// `host:port`, as the config writes it.
    backend: String,
    forward: ReverseProxy<Connector>,
    /// The same, with a new connection for each request.
    anew: ReverseProxy<Connector>,
}

/// In the extensions of an answer: the backend was asked twice for it.
#[derive(Clone, Copy)]
pub(super) struct AskedTwice;

/// Why there is no answer of the backend.
enum Failure {
    /// The client did not send all of its request.
    Cut(Cut),
    /// For the log.
    Away(String),
    Late(Duration),
}

/// What a client is told of a backend that does not answer.
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
    if let Err(refusal) = proxy.check_length(&request) {
        return refusal.into_response();
    }
    let span = target.span(&request);
    if let Some(Ok(traceparent)) = span.traceparent().map(HeaderValue::try_from) {
        request.headers_mut().insert(traces::HEADER, traceparent);
    }
    let (request, course) = upload::watch(request, proxy.bounds);
    match span.clone().around(target.ask(request, &course, proxy.response_timeout)).await {
        Ok(mut response) => {
            span.set("http.response.status_code", || i64::from(response.status().as_u16()));
            headers::clean_answer(response.headers_mut());
            if is_event_stream(response.headers()) { ending_at(proxy.stop.clone(), response) } else { response }
        }
        Err(failure) => {
            let response = target.unanswered(&path, &failure);
            span.set("http.response.status_code", || i64::from(response.status().as_u16()));
            match failure {
                Failure::Cut(_) => {}
                Failure::Away(cause) => span.fail(cause),
                Failure::Late(limit) => span.fail(format!("no answer within {limit:?}")),
            }
            response
        }
    }
}

impl Proxy {
    fn new(settings: &plan::Proxy, stop: Stop) -> Self {
        let (client, unpooled) = (client(settings.connect_timeout, POOL_SIZE), client(settings.connect_timeout, 0));
        let policy = ProxyPolicy::new().with_public_scheme("http").with_via(settings.name.as_str());
        let target = |(prefix, url): (&String, &String)| {
            let authority = url.parse::<Uri>().ok().and_then(|url| url.authority().map(ToString::to_string));
            let by = |client: &Client<Connector, Body>| {
                ReverseProxy::new_with_client("", url.as_str(), client.clone()).with_policy(policy.clone())
            };
            Target {
                prefix: prefix.clone(),
                name: settings.backend_name(prefix),
                backend: authority.unwrap_or_else(|| url.clone()),
                forward: by(&client),
                anew: by(&unpooled),
            }
        };
        let mut targets: Vec<Target> = settings.targets.iter().map(target).collect();
        targets.sort_by_key(|target| std::cmp::Reverse(target.prefix.len()));
        let bounds = Bounds { size: settings.max_body_bytes, time: MAX_BODY_TIME };
        Self { targets, bounds, response_timeout: settings.response_timeout, stop }
    }

    /// Refuses a body that says it is too large before any of it is asked for.
    fn check_length(&self, request: &Request) -> Result<(), ApiError> {
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.bounds.size) { Err(Cut::TooLarge(self.bounds.size).into()) } else { Ok(()) }
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

    /// The backend's answer, which has to begin within `limit` from the end of the request.
    async fn ask(&self, request: Request, course: &Course, limit: Duration) -> Result<Response, Failure> {
        let response = tokio::select! {
            response = self.ask_twice(request) => response,
            () = course.overdue(limit) => return Err(Failure::Late(limit)),
        };
        match (response.extensions().get::<ProxyError>(), course.cut()) {
            (None, _) => Ok(response),
            (Some(_), Some(cut)) => Err(Failure::Cut(cut)),
            (Some(failure), None) => Err(Failure::Away(failure.message().to_owned())),
        }
    }

    /// A backend that is started again, or a firewall, ends connections that were kept: what does nothing is asked anew then.
    async fn ask_twice(&self, request: Request) -> Response {
        let again = repeated(&request);
        let Ok(response) = self.forward.proxy_request(request).await;
        let has_broken_off = response.extensions().get::<ProxyError>().is_some_and(|failure| !failure.is_connect());
        let Some(again) = again.filter(|_| has_broken_off) else { return response };
        tracing::debug!(
            backend = self.backend,
            path = again.uri().path(),
            "a connection ended before its answer: the backend is asked anew"
        );
        let Ok(mut response) = self.anew.proxy_request(again).await;
        response.extensions_mut().insert(AskedTwice);
        response
    }

    fn unanswered(&self, path: &str, failure: &Failure) -> Response {
        let (status, error, cause) = match failure {
            Failure::Cut(cut) => return ApiError::from(*cut).into_response(),
            Failure::Away(cause) => (StatusCode::BAD_GATEWAY, "backend unavailable", cause.clone()),
            Failure::Late(limit) => (StatusCode::GATEWAY_TIMEOUT, "backend timed out", format!("no answer within {limit:?}")),
        };
        tracing::warn!(backend = self.backend, path, status = status.as_u16(), cause, "a backend does not answer");
        let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store")), (header::RETRY_AFTER, RETRY_AFTER)];
        (status, headers, axum::Json(Unanswered { error, backend: &self.name, path })).into_response()
    }
}

/// A client that keeps up to `idle` connections to each backend.
fn client(connect_timeout: Duration, idle: usize) -> Client<Connector, Body> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(idle)
        .build(Connector(between::Connector::new(connect_timeout)))
}

/// The same request, if it may be sent twice: it does nothing, and has no body.
fn repeated(request: &Request) -> Option<Request> {
    if !between::is_harmless(request.method()) || !request.body().is_end_stream() {
        return None;
    }
    let mut again = Request::new(Body::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.version_mut() = request.version();
    *again.headers_mut() = request.headers().clone();
    *again.extensions_mut() = request.extensions().clone();
    Some(again)
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

    fn proxy(targets: &[(&str, &str)]) -> Proxy {
        let settings = plan::Proxy {
            name: "proxy".into(),
            targets: targets.iter().map(|(prefix, url)| ((*prefix).to_owned(), (*url).to_owned())).collect(),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            max_body_bytes: 1,
        };
        Proxy::new(&settings, Stop::new())
    }

    fn chosen(path: &str) -> Option<String> {
        let proxy = proxy(&[("/api", "http://rest:1"), ("/api/things", "http://things:2/base"), ("/api/things/old", "http://old:3")]);
        proxy.target(path).map(|target| target.backend.clone())
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
        let proxy = proxy(&[("/", "http://all:1")]);
        assert!(proxy.target("/internal").is_none() && proxy.target("/internal/reservations/1").is_none());
        assert!(proxy.target("/internally").is_some());
    }
}
