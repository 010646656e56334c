//! More connections than there are places.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::connection::{Listening, PATIENCE, listening, rest, statuses};
use crate::support::Setup;

const PLACES: usize = 8;

fn narrow(setup: Setup) -> Setup {
    let mut setup = setup;
    setup.plan.server.as_mut().unwrap().max_connections = PLACES;
    setup
}

/// What is answered first, and leaves the connection open.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer").unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// So many connections, each of which has asked for `path`.
async fn held(server: &Listening, number: usize, path: &str) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..number {
        let mut stream = server.connect().await;
        let answer = ask(&mut stream, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        streams.push(stream);
    }
    streams
}

async fn is_open(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 64])).await.is_err()
}

/// A route that answers once there is a permit, and tells who waits by another one.
fn waiting(arrived: &Arc<Semaphore>, release: &Arc<Semaphore>) -> Router {
    let (arrived, release) = (Arc::clone(arrived), Arc::clone(release));
    Router::new().fallback(any(move || async move {
        arrived.add_permits(1);
        release.acquire().await.unwrap().forget();
        "done"
    }))
}

#[tokio::test]
async fn a_request_takes_the_place_of_the_connection_that_was_idle_for_longest() {
    let server = listening(narrow(Setup::new())).await;
    let mut idle = held(&server, PLACES, "/").await;
    // It has asked again, so the second is the one that was idle for longest.
    assert!(ask(&mut idle[0], "/").await.starts_with("HTTP/1.1 200 "));
    let mut silent = server.connect().await;
    assert!(is_open(&mut idle[1]).await, "who asks nothing needs no place");
    let mut newcomer = server.connect().await;
    let answer = ask(&mut newcomer, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("connection: close"), "{answer}");
    assert_eq!(rest(&mut idle[1]).await, "");
    for at in [0, 2, 7] {
        assert!(is_open(&mut idle[at]).await, "{at}");
    }
    assert_eq!(rest(&mut silent).await, "", "nobody stands around for long");
}

#[tokio::test]
async fn probes_are_answered_and_others_are_told_while_all_places_are_in_use() {
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let server = listening(narrow(Setup::new().with_route("/slow", vec![], waiting(&arrived, &release)))).await;
    let mut busy = Vec::new();
    for _ in 0..PLACES {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        busy.push(stream);
    }
    let _all = tokio::time::timeout(PATIENCE, arrived.acquire_many(PLACES as u32)).await.expect("all are under way").unwrap();
    for path in ["/livez", "/healthz", "/metrics"] {
        let answer = server.exchange(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        assert!(statuses(&answer) == ["200"] && answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    let refused = server.exchange(b"GET /api/auth/profile HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for part in
        ["HTTP/1.1 503 ", "\r\nretry-after: 5\r\n", "\r\nconnection: close\r\n", "nosniff", "x-request-id", "all 8 connections are in use"]
    {
        assert!(refused.contains(part), "no '{part}' in {refused}");
    }
    let metrics = server.edge.get("/metrics").await.text;
    assert!(metrics.contains("path=\"<refused>\",status_code=\"503\"} 1\n"), "{metrics}");

    release.add_permits(PLACES);
    for stream in &mut busy {
        assert_eq!(statuses(&rest(stream).await), ["200"]);
    }
    assert_eq!(statuses(&server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await), ["200"]);
}

#[tokio::test]
async fn an_event_stream_ends_before_a_request_is_refused() {
    let endless = Router::new().fallback(any(|| async {
        let body = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let mut response: Response = body.into_response();
        response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        response
    }));
    let server = listening(narrow(Setup::new().with_route("/events", vec![], endless))).await;
    let mut streams = held(&server, PLACES, "/events").await;
    assert_eq!(statuses(&server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await), ["200"]);
    rest(&mut streams[0]).await;
    assert!(is_open(&mut streams[1]).await);
}

#[tokio::test]
async fn who_keeps_a_request_waiting_makes_way_for_one_that_is_whole() {
    const SIZE: usize = 16 << 20;
    let large = Router::new().fallback(any(|| async { vec![b'x'; SIZE] }));
    let mut setup = narrow(Setup::new().with_route("/large", vec![], large));
    setup.plan.server.as_mut().unwrap().read_timeout = Duration::from_secs(60);
    setup.plan.server.as_mut().unwrap().write_timeout = Duration::from_secs(60);
    let server = listening(setup).await;
    let half = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    let mut dawdlers = Vec::new();
    for request in [half, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"].into_iter().cycle().take(PLACES) {
        let mut stream = server.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        dawdlers.push(stream);
    }
    // The time limits of bodies and answers are longer.
    let deadline = Instant::now() + Duration::from_secs(9);
    let mut answered = 0;
    while answered < PLACES {
        assert!(Instant::now() < deadline, "{answered}");
        let mut stream = server.connect().await;
        // It keeps its place, but for being idle.
        let answer = ask(&mut stream, "/").await;
        if answer.starts_with("HTTP/1.1 200 ") {
            answered += 1;
            stream.write_all(half.as_bytes()).await.unwrap();
            dawdlers.push(stream);
        } else {
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn silent_connections_keep_no_probe_out() {
    let server = listening(narrow(Setup::new())).await;
    // More than there are places and standing room together.
    let mut silent = Vec::new();
    for _ in 0..PLACES + 100 {
        silent.push(server.connect().await);
    }
    assert_eq!(statuses(&server.exchange(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await), ["503"], "not ready yet");
    assert_eq!(statuses(&server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await), ["200"]);
}

#[tokio::test]
async fn an_address_for_probes_answers_nothing_else() {
    let mut setup = Setup::new();
    setup.plan.server.as_mut().unwrap().probes_only = true;
    let server = listening(setup).await;
    let ask = async |path: &str| server.exchange(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    for path in ["/livez", "/healthz", "/metrics", "/livez?verbose"] {
        assert_eq!(statuses(&ask(path).await), ["200"], "{path}");
    }
    for path in ["/", "/api/auth/profile", "/openapi.json", "/livez/"] {
        assert_eq!(statuses(&ask(path).await), ["404"], "{path}");
    }
}
