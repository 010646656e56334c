//! `http.simple_proxy`: passes requests on to other processes and their answers back, both as they come.
//!
//! Knows addresses and headers. What a request asks for, and who may ask it, is the affair of who answers. A request is sent
//! once: only one of which no byte was written, because a kept connection had closed, is sent over another, and one that does nothing (GET and
//! HEAD without a body) is sent once more, over a new connection, if its own ended before the answer. Where a prefix has several targets, the one
//! with the least to do is asked, and another one under the same conditions; also one whose client has given it an `Idempotency-Key`, with which it
//! would ask again itself.
//!
//! Whose fault it is that there is no answer is found out here: what a client does wrong with its body is answered as the backend would
//! answer it, and told of no backend.

mod backends;
mod headers;
mod link;
mod peers;
mod probe;
mod replay;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_reverse_proxy::{ProxyError, ProxyPolicy, ReverseProxy};
use futures::StreamExt as _;
use hyper::body::Body as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

pub use self::backends::Backends;
use self::backends::{Backend, Outcome};
use self::link::Connector;
pub(super) use self::peers::health_of;
pub use self::probe::Probe;
use self::replay::Replay;
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
/// With this its sender may send a request again, whatever became of it.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
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
    lanes: Vec<Lane>,
    /// Counts requests, so that those who have equally much to do take turns.
    turn: AtomicUsize,
    backends: Arc<Backends>,
}

/// The way to one of the backends of a target.
struct Lane {
    backend: Arc<Backend>,
    forward: ReverseProxy<Connector>,
    /// The same, with a new connection for each request.
    anew: ReverseProxy<Connector>,
}

/// Who was asked last.
#[derive(Default)]
struct Asked(Mutex<Option<Arc<Backend>>>);

impl Asked {
    fn note(&self, backend: &Arc<Backend>) {
        *self.0.lock() = Some(Arc::clone(backend));
    }

    /// Its `host:port`.
    fn address(&self) -> String {
        self.0.lock().as_ref().map(|backend| backend.authority.clone()).unwrap_or_default()
    }

    fn count(&self, outcome: Outcome) {
        self.0.lock().iter().for_each(|backend| backend.count(outcome));
    }
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

/// The proxy of `settings` to their `backends`, for requests with their whole path. At `stop` it ends event streams, which never end by themselves.
pub fn proxy(settings: &plan::Proxy, backends: &Arc<Backends>, stop: Stop) -> Router {
    Router::new().fallback(pass_on).with_state(Arc::new(Proxy::new(settings, backends, stop)))
}

async fn pass_on(State(proxy): State<Arc<Proxy>>, mut request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let Some(target) = proxy.target(&path) else { return ApiError::no_such_path(&path).into_response() };
    headers::clean_request(request.headers_mut());
    if let Err(refusal) = proxy.check_length(&request) {
        return refusal.into_response();
    }
    let span = Span::child(Kind::Client, || request.method().to_string());
    span.set("http.request.method", || request.method().to_string());
    if let Some(Ok(traceparent)) = span.traceparent().map(HeaderValue::try_from) {
        request.headers_mut().insert(traces::HEADER, traceparent);
    }
    let (request, course) = upload::watch(request, proxy.bounds);
    let asked = Asked::default();
    let answer = span.clone().around(target.ask(request, &course, proxy.response_timeout, &asked)).await;
    span.set("url.full", || format!("http://{}{path}", asked.address())).set("server.address", || asked.address());
    match answer {
        Ok(mut response) => {
            span.set("http.response.status_code", || i64::from(response.status().as_u16()));
            headers::clean_answer(response.headers_mut());
            if is_event_stream(response.headers()) { ending_at(proxy.stop.clone(), response) } else { response }
        }
        Err(failure) => {
            let response = target.unanswered(&asked.address(), &path, &failure);
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
    fn new(settings: &plan::Proxy, backends: &Arc<Backends>, stop: Stop) -> Self {
        let (client, unpooled) = (client(settings.connect_timeout, POOL_SIZE), client(settings.connect_timeout, 0));
        let policy = ProxyPolicy::new().with_public_scheme("http").with_via(settings.name.as_str());
        let lane = |url: &String| {
            let by = |client: &Client<Connector, Body>| {
                ReverseProxy::new_with_client("", url.as_str(), client.clone()).with_policy(policy.clone())
            };
            Lane { backend: backends.at(url), forward: by(&client), anew: by(&unpooled) }
        };
        let target = |(prefix, urls): (&String, &Vec<String>)| Target {
            prefix: prefix.clone(),
            name: settings.backend_name(prefix),
            lanes: urls.iter().map(lane).collect(),
            turn: AtomicUsize::new(0),
            backends: Arc::clone(backends),
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
    /// The backend's answer, which has to begin within `limit` from the end of the request. Who was asked last is noted in `asked`.
    async fn ask(&self, request: Request, course: &Course, limit: Duration, asked: &Asked) -> Result<Response, Failure> {
        let asking = async {
            match &*self.lanes {
                [only] => only.ask_twice(request, asked).await,
                several => self.ask_around(several, request, course, asked).await,
            }
        };
        let response = tokio::select! {
            response = asking => response,
            () = course.overdue(limit) => {
                asked.count(Outcome::Late);
                return Err(Failure::Late(limit));
            }
        };
        match (response.extensions().get::<ProxyError>(), course.cut()) {
            (None, _) => Ok(response),
            (Some(_), Some(cut)) => Err(Failure::Cut(cut)),
            (Some(failure), None) => Err(Failure::Away(failure.message().to_owned())),
        }
    }

    /// Asks one of several, and another one if the one before cannot have acted on the request, or if it does no harm when both do.
    async fn ask_around(&self, several: &[Lane], request: Request, course: &Course, asked: &Asked) -> Response {
        let (head, body) = request.into_parts();
        let is_keyed = head.headers.contains_key(IDEMPOTENCY_KEY);
        let may_be_repeated = is_keyed || (between::is_harmless(&head.method) && body.is_end_stream());
        let body = Replay::of(body, is_keyed);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        // Without a connection, and with one that has broken off.
        let (mut unreached, mut broken): (Vec<usize>, Option<usize>) = (Vec::new(), None);
        let mut last = StatusCode::BAD_GATEWAY.into_response();
        while let Some(index) = next(several, turn, &unreached, broken) {
            let lane = &several[index];
            asked.note(&lane.backend);
            let under_way = lane.backend.begin();
            let way = if broken == Some(index) { &lane.anew } else { &lane.forward };
            let Ok(mut response) = way.proxy_request(Request::from_parts(head.clone(), body.body())).await;
            if broken.is_some() {
                response.extensions_mut().insert(AskedTwice);
            }
            let Some(outcome) = lane.came_of(&response) else { return under_way.until_the_end_of(response) };
            last = response;
            let goes_on = if outcome == Outcome::Unsent {
                self.backends.doubt(&lane.backend);
                unreached.push(index);
                true
            } else {
                // One with another database does not know the key.
                let is_known_there = several.iter().all(|other| other.backend.shares(&lane.backend));
                may_be_repeated && (between::is_harmless(&head.method) || is_known_there) && broken.replace(index).is_none()
            };
            if !goes_on || !body.is_whole() || course.cut().is_some() {
                break;
            }
            tracing::debug!(
                backend = lane.backend.authority,
                path = head.uri.path(),
                ?outcome,
                "a target has not answered: the next one is asked"
            );
        }
        last
    }

    fn unanswered(&self, backend: &str, path: &str, failure: &Failure) -> Response {
        let (status, error, cause) = match failure {
            Failure::Cut(cut) => return ApiError::from(*cut).into_response(),
            Failure::Away(cause) => (StatusCode::BAD_GATEWAY, "backend unavailable", cause.clone()),
            Failure::Late(limit) => (StatusCode::GATEWAY_TIMEOUT, "backend timed out", format!("no answer within {limit:?}")),
        };
        tracing::warn!(backend, path, status = status.as_u16(), cause, "a backend does not answer");
        let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store")), (header::RETRY_AFTER, RETRY_AFTER)];
        (status, headers, axum::Json(Unanswered { error, backend: &self.name, path })).into_response()
    }
}

impl Lane {
    /// A backend that is started again, or a firewall, ends connections that were kept: what does nothing is asked anew then.
    async fn ask_twice(&self, request: Request, asked: &Asked) -> Response {
        asked.note(&self.backend);
        let again = repeated(&request);
        let Ok(response) = self.forward.proxy_request(request).await;
        let has_broken_off = self.came_of(&response) == Some(Outcome::BrokenOff);
        let Some(again) = again.filter(|_| has_broken_off) else { return response };
        tracing::debug!(
            backend = self.backend.authority,
            path = again.uri().path(),
            "a connection ended before its answer: the backend is asked anew"
        );
        let Ok(mut response) = self.anew.proxy_request(again).await;
        self.came_of(&response);
        response.extensions_mut().insert(AskedTwice);
        response
    }

    /// Counts what came of asking, and answers it if it is no answer.
    fn came_of(&self, response: &Response) -> Option<Outcome> {
        let failure = response.extensions().get::<ProxyError>();
        let failed = failure.map(|failure| if failure.is_connect() { Outcome::Unsent } else { Outcome::BrokenOff });
        self.backend.count(failed.unwrap_or(Outcome::Answered));
        failed
    }
}

/// Whom to ask: of those that can be reached, as far as is known, the one with the least to do, and rather not the one whose connection has broken
/// off. Those who have equally much take turns.
fn next(lanes: &[Lane], turn: usize, unreached: &[usize], broken: Option<usize>) -> Option<usize> {
    let likely = |index: &usize| {
        let backend = &lanes[*index].backend;
        (backend.left_out().is_some(), broken == Some(*index), backend.under_way())
    };
    let in_turn = (0..lanes.len()).map(|place| (turn + place) % lanes.len());
    in_turn.filter(|index| !unreached.contains(index)).min_by_key(likely)
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
            targets: targets.iter().map(|(prefix, url)| ((*prefix).to_owned(), url.split(',').map(str::to_owned).collect())).collect(),
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_secs(1),
            max_body_bytes: 1,
        };
        Proxy::new(&settings, &Arc::new(Backends::new(&settings, None)), Stop::new())
    }

    #[test]
    fn who_has_least_to_do_is_asked_in_turn_and_who_is_left_out_or_has_broken_off_only_after_the_others() {
        let proxy = proxy(&[("/", "http://a:1,http://b:1,http://c:1")]);
        let lanes = &proxy.targets[0].lanes;
        let first = |turn| next(lanes, turn, &[], None);
        assert_eq!([0, 1, 2, 3].map(first), [Some(0), Some(1), Some(2), Some(0)]);
        let busy = lanes[0].backend.begin();
        assert_eq!(first(0), Some(1), "a has something to do");
        drop(busy);
        assert_eq!(next(lanes, 0, &[], Some(0)), Some(1));
        assert_eq!(next(lanes, 0, &[1, 2], Some(0)), Some(0), "nobody else can be reached");
        assert_eq!(next(lanes, 0, &[0, 1, 2], None), None);
        proxy.targets[0].backends.doubt(&lanes[0].backend);
        assert_eq!([0, 1, 2].map(first), [Some(1), Some(1), Some(2)], "a is left out");
        lanes.iter().for_each(|lane| proxy.targets[0].backends.doubt(&lane.backend));
        assert_eq!([0, 1, 2].map(first), [Some(0), Some(1), Some(2)], "where all are left out, none is");
    }

    fn chosen(path: &str) -> Option<String> {
        let proxy = proxy(&[("/api", "http://rest:1"), ("/api/things", "http://things:2/base"), ("/api/things/old", "http://old:3")]);
        proxy.target(path).map(|target| target.lanes[0].backend.authority.clone())
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
