//! Several targets of one prefix: who is asked, and when another one is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::any;
use http_body_util::BodyExt;
use millrace::http::{Backends, Probe};
use millrace::shutdown::Stop;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::proxy::{Backend, PATIENCE, gateway_over, never_answers, proxy, raw_backend};
use crate::support::Edge;

/// A backend that tells its name and what it was sent, and counts requests; whether it is ready is for the test to say.
struct Named {
    backend: Backend,
    asked: Arc<AtomicUsize>,
    ready: Arc<AtomicBool>,
}

impl Named {
    async fn start(name: &'static str) -> Self {
        let (asked, ready) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
        let (count, is_ready) = (Arc::clone(&asked), Arc::clone(&ready));
        let tell = move |request: Request| {
            let (count, is_ready) = (Arc::clone(&count), Arc::clone(&is_ready));
            async move {
                if request.uri().path() == "/readyz" {
                    let status = if is_ready.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                    return (status, String::new());
                }
                count.fetch_add(1, Ordering::SeqCst);
                let body = request.into_body().collect().await.unwrap().to_bytes();
                (StatusCode::OK, format!("{name} {}", String::from_utf8_lossy(&body)))
            }
        };
        Self { backend: Backend::start(Router::new().fallback(any(tell))).await, asked, ready }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A gateway whose requests go to all of `urls`.
struct Spread {
    edge: Edge,
    backends: Arc<Backends>,
    stop: Stop,
    watching: JoinSet<anyhow::Result<()>>,
}

impl Spread {
    fn over(urls: &[&str]) -> Self {
        let settings = proxy(&[("/api", &urls.join(","))]);
        let backends = Arc::new(Backends::new(&settings, None));
        let (edge, stop) = gateway_over(&settings, &backends);
        Self { edge, backends, stop, watching: JoinSet::new() }
    }

    /// The same, which looks whether they take requests.
    fn watched(urls: &[&str]) -> Self {
        let mut spread = Self::over(urls);
        spread.watching.spawn(Arc::clone(&spread.backends).watch(spread.stop.clone()));
        spread
    }

    async fn post(&self, body: &'static str, key: Option<&str>) -> (u16, String) {
        let mut request = Request::post("/api/things");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = self.edge.ask(request.body(Body::from(body)).unwrap()).await;
        (answer.status.as_u16(), answer.text)
    }

    /// Which of them get requests, in the sequence of their URLs.
    fn up(&self) -> Vec<bool> {
        self.backends.figures().iter().map(|(_, figures)| figures.up).collect()
    }

    async fn until_up(&self, wanted: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.up().iter().filter(|up| **up).count() != wanted {
            assert!(Instant::now() < deadline, "{wanted} were expected to get requests: {:?}", self.backends.figures());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A URL at which nobody listens. While the socket is kept nobody else gets its port, and connections to it are refused.
fn nobody() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

#[tokio::test]
async fn requests_are_spread_over_all() {
    let [a, b] = [Named::start("a").await, Named::start("b").await];
    let spread = Spread::over(&[&a.backend.url(), &b.backend.url()]);
    for _ in 0..10 {
        assert_eq!(spread.post("", None).await.0, 200);
    }
    assert_eq!((a.asked(), b.asked()), (5, 5), "they have equally much to do, so they take turns");
}

#[tokio::test]
async fn whoever_listens_to_a_stream_is_something_to_do() {
    let endless = || async {
        let stream = futures::stream::pending::<Result<&'static str, std::io::Error>>();
        ([("content-type", "text/event-stream")], Body::from_stream(stream))
    };
    let streaming = Backend::start(Router::new().fallback(any(endless))).await;
    let other = Named::start("b").await;
    let spread = Spread::over(&[&streaming.url(), &other.backend.url()]);
    let stream = spread.edge.router.clone().oneshot(Request::get("/api/events").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    for _ in 0..4 {
        assert_eq!(spread.post("", None).await.1, "b ");
    }
    drop(stream);
    let deadline = Instant::now() + PATIENCE;
    while spread.backends.figures().iter().any(|(_, figures)| figures.under_way > 0) {
        assert!(Instant::now() < deadline, "the listener is gone: {:?}", spread.backends.figures());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_finds_no_connection_goes_whole_to_another_target_whatever_it_is() {
    let there = Named::start("there").await;
    let (_socket, gone) = nobody();
    let spread = Spread::over(&[&gone, &there.backend.url()]);
    for _ in 0..4 {
        assert_eq!(spread.post("the body", None).await, (200, "there the body".into()));
    }
    assert_eq!(there.asked(), 4);
    let figures = spread.backends.figures();
    let of = |url: &str| figures.iter().find(|(target, _)| url.ends_with(target)).unwrap().1;
    assert_eq!((of(&gone).unsent, of(&gone).up), (1, false), "it is left out after the first");
    assert_eq!(of(&there.backend.url()).answered, 4);
}

#[tokio::test]
async fn where_nobody_can_be_reached_the_client_is_told_so() {
    let [(_first, one), (_second, other)] = [nobody(), nobody()];
    let spread = Spread::over(&[&one, &other]);
    for _ in 0..2 {
        let (status, text) = spread.post("", Some("key")).await;
        assert_eq!((status, text.as_str()), (502, r#"{"error":"backend unavailable","backend":"api","path":"/api/things"}"#));
    }
}

#[tokio::test]
async fn what_a_target_may_have_acted_on_goes_to_another_one_only_with_a_key_or_if_it_does_nothing() {
    for (method, key, status) in [("POST", None, 502), ("POST", Some("key"), 200), ("DELETE", None, 502), ("GET", None, 200)] {
        let (silent, heads, _serving) = raw_backend(never_answers).await;
        let other = Named::start("other").await;
        let spread = Spread::over(&[&silent, &other.backend.url()]);
        let body = if method == "POST" { "the body" } else { "" };
        let mut request = Request::builder().method(method).uri("/api/things");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = spread.edge.ask(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, status, "{method} {key:?}");
        if status == 200 {
            assert_eq!(answer.text, format!("other {body}"));
        }
        assert_eq!((heads.load(Ordering::SeqCst), other.asked()), (1, usize::from(status == 200)), "{method} {key:?}");
    }
}

/// Says which database it keeps to who asks whether it lives, and hangs up on what else it is asked.
async fn keeps_one_and_hangs_up(listener: TcpListener, requests: Arc<AtomicUsize>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        if head.starts_with(b"GET /livez") {
            let answer = "HTTP/1.1 200 OK\r\nx-millrace-database: one\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.unwrap();
        } else {
            requests.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn a_key_is_of_no_use_at_a_target_that_keeps_another_database() {
    for (database, status) in [("one", 200), ("another", 502)] {
        let (hanging, heads, _serving) = raw_backend(keeps_one_and_hangs_up).await;
        let tell = move || async move { ([("x-millrace-database", database)], "taken") };
        let other = Backend::start(Router::new().fallback(any(tell))).await;
        let urls = [hanging, other.url()].join(",");
        let settings = proxy(&[("/api", &urls)]);
        let spread = Spread::over(&urls.split(',').collect::<Vec<_>>());
        Probe::new(&settings, &spread.backends, PATIENCE).ask().await;
        assert_eq!(spread.post("the body", Some("key")).await.0, status, "{database}");
        assert_eq!(heads.load(Ordering::SeqCst), 1, "the first one was asked");
    }
}

#[tokio::test]
async fn a_target_that_is_not_ready_gets_nothing_until_it_is() {
    let [a, b] = [Named::start("a").await, Named::start("b").await];
    let spread = Spread::watched(&[&a.backend.url(), &b.backend.url()]);
    a.ready.store(false, Ordering::SeqCst);
    spread.until_up(1).await;
    let before = a.asked();
    for _ in 0..6 {
        assert_eq!(spread.post("", None).await.1, "b ");
    }
    assert_eq!(a.asked(), before);
    b.ready.store(false, Ordering::SeqCst);
    spread.until_up(0).await;
    assert_eq!(spread.post("", None).await.0, 200, "where nobody is ready, they are asked all the same");
    a.ready.store(true, Ordering::SeqCst);
    spread.until_up(1).await;
    for _ in 0..4 {
        assert_eq!(spread.post("", None).await.1, "a ");
    }
    spread.stop.request();
}

#[tokio::test]
async fn a_target_that_comes_back_at_its_address_gets_requests_again() {
    let there = Named::start("there").await;
    let (socket, late) = nobody();
    let spread = Spread::watched(&[&late, &there.backend.url()]);
    spread.until_up(1).await;
    let listener = socket.listen(16).unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, Router::new().fallback(any(|| async { "back" }))).await.unwrap() });
    spread.until_up(2).await;
    let answers = [spread.post("", None).await.1, spread.post("", None).await.1];
    assert!(answers.contains(&"back".into()) && answers.contains(&"there ".into()), "{answers:?}");
    spread.stop.request();
}
