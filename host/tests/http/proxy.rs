//! What the proxy changes on the way to a backend and back, and what it does when there is none.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use axum::{Json, Router};
use futures::StreamExt;
use http_body_util::BodyExt;
use millrace::http::Backends;
use millrace::plan::{Endpoint, Middleware, Proxy};
use millrace::shutdown::Stop;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceExt;

use crate::support::{Answer, Edge, Setup, cors, route};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A backend on a port of its own, which ends with the test.
pub struct Backend {
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl Backend {
    pub async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, _serving: serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Tells what it was asked, in a body and in headers that should not get through.
async fn tell(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let headers: serde_json::Map<String, Value> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap()))).collect();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let told = json!({"method": parts.method.as_str(), "target": parts.uri.to_string(), "headers": headers, "body": body});
    let answered = [
        ("connection", "x-hop"),
        ("x-hop", "one connection only"),
        ("x-internal-trace", "ours"),
        ("server", "backend/1.0"),
        ("x-kept", "yes"),
        ("access-control-allow-origin", "https://backend.example"),
    ];
    (answered, Json(told))
}

pub fn proxy(targets: &[(&str, &str)]) -> Proxy {
    Proxy {
        name: "proxy".into(),
        targets: targets.iter().map(|(prefix, urls)| ((*prefix).to_owned(), urls.split(',').map(str::to_owned).collect())).collect(),
        connect_timeout: Duration::from_millis(500),
        response_timeout: Duration::from_secs(2),
        max_body_bytes: 64 << 10,
    }
}

/// An edge that passes everything below `/api` on.
fn gateway(proxy: &Proxy) -> (Edge, Stop) {
    gateway_over(proxy, &Arc::new(Backends::new(proxy, None)))
}

/// The same to backends that a test looks at.
pub fn gateway_over(proxy: &Proxy, backends: &Arc<Backends>) -> (Edge, Stop) {
    let stop = Stop::new();
    let mut setup = Setup::new();
    setup.plan.auth = Some(crate::support::auth());
    setup.plan.routes = ["GET", "POST", "PUT", "DELETE"]
        .map(|method| {
            let middlewares = vec![Middleware::Cors(cors()), Middleware::RequestId];
            route(method, "/api/{rest...}", Endpoint::Proxy("proxy".into()), middlewares)
        })
        .to_vec();
    setup.plan.routes.push(route("GET", "/{rest...}", Endpoint::Proxy("proxy".into()), vec![]));
    setup.proxies.insert("proxy".into(), millrace::http::proxy(proxy, backends, stop.clone()));
    (setup.start(), stop)
}

async fn gateway_to(router: Router) -> (Edge, Backend) {
    let backend = Backend::start(router).await;
    (gateway(&proxy(&[("/", &backend.url())])).0, backend)
}

fn from_browser(request: axum::http::request::Builder) -> axum::http::request::Builder {
    let peer: SocketAddr = "203.0.113.7:4711".parse().unwrap();
    request.header("host", "shop.example").extension(ConnectInfo(peer))
}

#[tokio::test]
async fn a_request_arrives_whole_and_its_answer_comes_back_whole() {
    let (edge, _backend) = gateway_to(Router::new().fallback(any(tell))).await;
    let request = from_browser(Request::post("/api/things/a%20b?x=1&y=%2F")).header("authorization", "Bearer t").header("x-own", "1");
    let answer = edge.ask(request.body(Body::from("hello")).unwrap()).await;
    assert_eq!(answer.status, 200);
    let told = answer.json();
    assert_eq!((&told["method"], &told["target"], &told["body"]), (&json!("POST"), &json!("/api/things/a%20b?x=1&y=%2F"), &json!("hello")));
    assert_eq!((&told["headers"]["authorization"], &told["headers"]["x-own"]), (&json!("Bearer t"), &json!("1")));
    assert_eq!(answer.header("x-kept"), "yes");
    assert_eq!(told["headers"]["x-request-id"], answer.header("x-request-id"), "both sides know the request by one name");
}

#[tokio::test]
async fn the_backend_learns_who_asks_and_nothing_that_the_client_invents() {
    let (edge, _backend) = gateway_to(Router::new().fallback(any(tell))).await;
    let invented = [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
        ("x-internal-secret", "guessed"),
        ("x-internal-user", "admin"),
        ("proxy-authorization", "Basic eA=="),
        ("connection", "keep-alive, x-nominated, upgrade"),
        ("x-nominated", "for one connection"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("keep-alive", "timeout=5"),
    ];
    let request = invented.iter().fold(from_browser(Request::get("/api/things")), |request, (name, value)| request.header(*name, *value));
    let told = edge.ask(request.body(Body::empty()).unwrap()).await.json();
    let headers = told["headers"].as_object().unwrap();
    assert_eq!(headers["x-forwarded-for"], "203.0.113.7");
    assert_eq!((&headers["x-forwarded-host"], &headers["x-forwarded-proto"]), (&json!("shop.example"), &json!("http")));
    assert_eq!(headers["forwarded"], "for=203.0.113.7;host=\"shop.example\";proto=http");
    for gone in ["x-real-ip", "x-internal-secret", "x-internal-user", "proxy-authorization", "connection", "x-nominated", "upgrade", "te"] {
        assert!(!headers.contains_key(gone), "{gone}: {headers:?}");
    }
}

#[tokio::test]
async fn the_client_learns_nothing_of_the_inside() {
    let (edge, _backend) = gateway_to(Router::new().fallback(any(tell))).await;
    let request = Request::get("/api/things").header("origin", "https://shop.example").body(Body::empty()).unwrap();
    let answer = edge.ask(request).await;
    for gone in ["connection", "x-hop", "x-internal-trace", "server"] {
        assert_eq!(answer.header(gone), "", "{gone}");
    }
    assert_eq!(answer.headers.get_all("access-control-allow-origin").iter().count(), 1, "{:?}", answer.headers);
    assert_eq!(answer.header("access-control-allow-origin"), "https://shop.example", "the gateway's own rule counts");
}

#[tokio::test]
async fn a_target_may_have_a_path_of_its_own() {
    let backend = Backend::start(Router::new().fallback(any(tell))).await;
    let (edge, _) = gateway(&proxy(&[("/api", &backend.url()), ("/api/old", &format!("{}/v1/", backend.url()))]));
    assert_eq!(edge.get("/api/new/1").await.json()["target"], "/api/new/1");
    assert_eq!(edge.get("/api/old/1?a=b").await.json()["target"], "/v1/api/old/1?a=b");
}

#[tokio::test]
async fn what_no_target_covers_and_what_is_internal_is_not_passed_on() {
    let backend = Backend::start(Router::new().fallback(any(tell))).await;
    let (edge, _) = gateway(&proxy(&[("/api/things", &backend.url()), ("/internal", &backend.url())]));
    for path in ["/api/thingsx", "/api/other", "/internal", "/internal/reservations/1"] {
        let detail = edge.get(path).await.problem(404);
        assert!(detail.contains(path), "{detail}");
    }
}

#[tokio::test]
async fn a_backend_that_is_not_there_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (edge, _) = gateway(&proxy(&[("/api", &format!("http://{closed}"))]));
    for method in ["GET", "POST"] {
        let answer = edge.send(method, "/api/things/1?secret=x", None, "").await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (502, "application/json"));
        assert_eq!(answer.text, r#"{"error":"backend unavailable","backend":"api","path":"/api/things/1"}"#, "{closed} is nobody's affair");
        assert_eq!(answer.header("retry-after"), "2");
    }
}

#[tokio::test]
async fn an_error_of_the_backend_is_its_own() {
    let refuse = || async { (axum::http::StatusCode::BAD_GATEWAY, "mine") };
    let (edge, _backend) = gateway_to(Router::new().fallback(any(refuse))).await;
    let answer = edge.get("/api/things").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (502, "mine"));
}

#[tokio::test]
async fn a_backend_that_does_not_begin_to_answer_is_given_up() {
    let never = || async { std::future::pending::<()>().await };
    let backend = Backend::start(Router::new().fallback(any(never))).await;
    let (edge, _) = gateway(&Proxy { response_timeout: Duration::from_millis(100), ..proxy(&[("/api", &backend.url())]) });
    let answer = edge.get("/api/things").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (504, &json!("backend timed out")));
    assert_eq!((&answer.json()["backend"], answer.header("retry-after")), (&json!("api"), "2"));
}

/// A backend of raw bytes, which `serve` answers, and how many heads it has read.
pub async fn raw_backend<F>(serve: impl FnOnce(TcpListener, Arc<AtomicUsize>) -> F) -> (String, Arc<AtomicUsize>, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(AtomicUsize::new(0));
    let mut serving = JoinSet::new();
    serving.spawn(serve(listener, Arc::clone(&heads)));
    (url, heads, serving)
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
}

/// Answers the first request of each connection and reads the second, after which it hangs up.
async fn answers_once_per_connection(listener: TcpListener, requests: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        for answer in [Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), None] {
            read_head(&mut stream).await;
            requests.fetch_add(1, Ordering::SeqCst);
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_a_backend_may_have_acted_on_is_not_sent_again() {
    let (url, requests, _serving) = raw_backend(answers_once_per_connection).await;
    let (edge, _) = gateway(&proxy(&[("/api", &url)]));
    assert_eq!(edge.send("POST", "/api/things", None, "").await.text, "ok");
    assert_eq!(edge.send("POST", "/api/things", None, "").await.status, 502);
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

/// Reads requests and hangs up, always.
pub async fn never_answers(listener: TcpListener, requests: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        requests.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_does_nothing_is_asked_once_more_when_its_connection_ended() {
    let (url, requests, _serving) = raw_backend(answers_once_per_connection).await;
    let (edge, _) = gateway(&proxy(&[("/api", &url)]));
    for asked in [1, 3] {
        assert_eq!(edge.get("/api/things").await.text, "ok");
        assert_eq!(requests.load(Ordering::SeqCst), asked, "the second one on the connection of the first, then on one of its own");
    }
    let told = edge.get("/metrics").await.text;
    let line = r#"module_operations_total{module="proxy",operation="ask_again",status="success"} 1"#;
    assert!(told.contains(line), "{told}");
}

#[tokio::test]
async fn a_backend_that_never_answers_is_asked_twice_at_most_and_once_for_what_has_a_body() {
    for (method, body, asked) in [("GET", "", 2), ("HEAD", "", 2), ("GET", "{}", 1), ("POST", "", 1), ("DELETE", "", 1)] {
        let (url, requests, _serving) = raw_backend(never_answers).await;
        let (edge, _) = gateway(&proxy(&[("/api", &url)]));
        assert_eq!(edge.send(method, "/api/things", None, body).await.status, 502, "{method} {body}");
        assert_eq!(requests.load(Ordering::SeqCst), asked, "{method} {body}");
    }
}

#[tokio::test]
async fn a_backend_that_was_started_again_is_found_again() {
    let once = || Router::new().fallback(any(|| async { "ok" }));
    let first = Backend::start(once()).await;
    let (address, url) = (first.address, first.url());
    let (edge, _) = gateway(&proxy(&[("/api", &url)]));
    assert_eq!(edge.get("/api/things").await.text, "ok");
    drop(first);
    assert_eq!(edge.get("/api/things").await.status, 502);
    let listener = TcpListener::bind(address).await.unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, once()).await.unwrap() });
    assert_eq!(edge.send("POST", "/api/things", None, "").await.text, "ok");
}

async fn next(body: &mut Body) -> Option<String> {
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("something comes")?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn events_come_through_one_by_one_and_end_when_the_gateway_stops() {
    let (send, events) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let events = Arc::new(tokio::sync::Mutex::new(Some(events)));
    let stream = get(move || {
        let events = Arc::clone(&events);
        async move {
            let events = ReceiverStream::new(events.lock().await.take().unwrap());
            ([("content-type", "text/event-stream")], Body::from_stream(events))
        }
    });
    let backend = Backend::start(Router::new().fallback(stream)).await;
    let (edge, stop) = gateway(&proxy(&[("/api", &backend.url())]));
    let response = edge.router.clone().oneshot(Request::get("/api/things/1/events").body(Body::empty()).unwrap()).await.unwrap();
    let mut body = response.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n"] {
        send.send(Ok(event.into())).await.unwrap();
        assert_eq!(next(&mut body).await.as_deref(), Some(event));
    }
    stop.request();
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn a_body_goes_up_while_it_is_made() {
    let (told, mut heard) = mpsc::channel::<Bytes>(4);
    let listen = any(move |request: Request| {
        let told = told.clone();
        async move {
            let mut body = request.into_body().into_data_stream();
            while let Some(Ok(piece)) = body.next().await {
                told.send(piece).await.unwrap();
            }
            "done"
        }
    });
    let (edge, _backend) = gateway_to(Router::new().fallback(listen)).await;
    let (send, pieces) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let request = Request::put("/api/things/1").body(Body::from_stream(ReceiverStream::new(pieces))).unwrap();
    let mut asking = JoinSet::new();
    asking.spawn(edge.router.clone().oneshot(request));
    for piece in ["one", "two"] {
        send.send(Ok(piece.into())).await.unwrap();
        assert_eq!(tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap(), piece);
    }
    drop(send);
    let response = asking.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "done");
}

/// A body in pieces, of which nobody knows the length.
fn in_pieces(bytes: &[u8]) -> Body {
    Body::from_stream(futures::stream::iter(bytes.chunks(16 << 10).map(|piece| Ok::<_, Infallible>(piece.to_vec())).collect::<Vec<_>>()))
}

#[tokio::test]
async fn a_body_that_is_too_large_for_the_backend_gets_the_backends_answer() {
    let backend = Setup::new().start();
    let backend = Backend::start(backend.router.clone()).await;
    let (edge, _) = gateway(&Proxy { max_body_bytes: 8 << 20, ..proxy(&[("/api", &backend.url())]) });
    let ask = |body: Body, length: Option<usize>| {
        let mut request = Request::post("/api/auth/login").header("content-type", "application/json");
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        edge.ask(request.body(body).unwrap())
    };
    let large = vec![b' '; 4 << 20];
    let known: Answer = ask(Body::from(large.clone()), Some(large.len())).await;
    known.problem(413);
    ask(in_pieces(&large), None).await.problem(413);
}

/// Answers each request as soon as it has seen the head, and closes: what the client still sends is met by a reset.
async fn answers_early(listener: TcpListener, heads: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        heads.fetch_add(1, Ordering::SeqCst);
        let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 5\r\nconnection: close\r\n\r\nearly";
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_has_been_sent_reaches_the_client() {
    let (url, _, _serving) = raw_backend(answers_early).await;
    let (edge, _) = gateway(&Proxy { max_body_bytes: 64 << 20, ..proxy(&[("/api", &url)]) });
    for size in [1_000, 60_000, 1 << 20, 8 << 20] {
        for round in 0..10 {
            let body = vec![b'x'; size];
            let body = if round % 2 == 0 { in_pieces(&body) } else { Body::from(body) };
            let answer = edge.ask(Request::post("/api/things").body(body).unwrap()).await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (401, "early"), "{size} bytes, round {round}");
        }
    }
}

#[tokio::test]
async fn what_is_too_much_for_the_gateway_is_refused_by_the_gateway() {
    let (url, heads, _serving) = raw_backend(answers_early).await;
    let (edge, _) = gateway(&proxy(&[("/api", &url)]));
    let large = vec![b' '; 70_000];
    let request = Request::post("/api/things").header("content-length", large.len()).body(Body::from(large.clone())).unwrap();
    assert_eq!(edge.ask(request).await.problem(413), "the body is larger than 65536 bytes");
    assert_eq!(heads.load(Ordering::SeqCst), 0, "the backend was not asked");
}

#[tokio::test]
async fn a_client_that_breaks_off_its_body_is_not_told_that_the_backend_is_away() {
    let (edge, _backend) = gateway_to(Router::new().fallback(any(tell))).await;
    for (kind, status, counted) in [
        (std::io::ErrorKind::InvalidData, 400, "400"),
        (std::io::ErrorKind::UnexpectedEof, 400, "499"),
        (std::io::ErrorKind::ConnectionReset, 400, "499"),
    ] {
        let pieces = futures::stream::iter([Ok(Bytes::from("some")), Err(std::io::Error::from(kind))]);
        let answer = edge.ask(Request::post("/api/things").body(Body::from_stream(pieces)).unwrap()).await;
        answer.problem(status);
        assert_eq!(answer.header("retry-after"), "", "it is no fault of the backend");
        let metrics = edge.get("/metrics").await.text;
        let line = format!(r#"http_requests_total{{method="POST",path="/api/{{rest...}}",status_code="{counted}"}}"#);
        assert!(metrics.contains(&line) && !metrics.contains("status_code=\"5"), "{kind:?}: {metrics}");
    }
    let (send, pieces) = mpsc::channel::<Result<Bytes, Infallible>>(16);
    for _ in 0..16 {
        send.send(Ok(vec![b'x'; 8 << 10].into())).await.unwrap();
    }
    let endless = Request::post("/api/things").body(Body::from_stream(ReceiverStream::new(pieces))).unwrap();
    assert_eq!(edge.ask(endless).await.problem(413), "the body is larger than 65536 bytes");
}

#[tokio::test]
async fn conditions_and_heads_are_the_backends_affair() {
    let revalidated = |request: Request| async move {
        let has = request.headers().get("if-none-match").is_some_and(|tag| tag == "\"1\"");
        let status = if has { axum::http::StatusCode::NOT_MODIFIED } else { axum::http::StatusCode::OK };
        (status, [("etag", "\"1\""), ("vary", "accept-encoding")], if has { "" } else { "whole" })
    };
    let (edge, _backend) = gateway_to(Router::new().fallback(get(revalidated))).await;
    let kept = edge.ask(Request::get("/api/things").header("if-none-match", "\"1\"").body(Body::empty()).unwrap()).await;
    assert_eq!((kept.status.as_u16(), kept.text.as_str(), kept.header("etag")), (304, "", "\"1\""));
    let head = edge.ask(Request::head("/api/things").body(Body::empty()).unwrap()).await;
    assert_eq!((head.status.as_u16(), head.text.as_str(), head.header("content-length")), (200, "", "5"));
}
