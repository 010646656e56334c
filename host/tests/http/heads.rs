//! What the heads of requests say: what balancers, probes and old proxies send, and what is refused in words.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::any;
use tokio::io::AsyncWriteExt;

use crate::connection::{Listening, listening, rest, statuses};
use crate::support::Setup;

const LOGIN: &str = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

async fn listening_here() -> Listening {
    listening(Setup::new()).await
}

/// A header of an answer; empty if it has none.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let lines = answer.split("\r\n\r\n").next().unwrap_or_default().split("\r\n");
    lines.filter_map(|line| line.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// Asserts that an answer is a whole problem with all that every answer has; returns its detail.
fn problem(answer: &str, status: u16) -> String {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    for (name, value) in [("content-type", "application/problem+json"), ("x-content-type-options", "nosniff"), ("connection", "close")] {
        assert_eq!(header(answer, name), value, "{name} of {answer}");
    }
    assert!(!header(answer, "x-request-id").is_empty() && !header(answer, "date").is_empty(), "{answer}");
    let body: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["status"], status);
    body["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_head_speaks_for_itself_on_a_connection_that_is_used_again() {
    let server = listening_here().await;
    let sized = format!("{LOGIN}Content-Length: 2\r\n\r\n{{}}");
    let chunked = format!("{LOGIN}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n");
    let last = format!("{LOGIN}Connection: close\r\nContent-Length: 2\r\n\r\n{{}}");
    let all = [sized.as_str(), &chunked, &sized, &chunked, &last].concat();
    assert_eq!(statuses(&server.exchange(all.as_bytes()).await), ["422"; 5], "in one go");
    // The same in pieces that end anywhere.
    let mut stream = server.connect().await;
    for piece in all.as_bytes().chunks(23) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(statuses(&rest(&mut stream).await), ["422"; 5], "in pieces");
}

#[tokio::test]
async fn two_lengths_of_one_body_are_refused_whatever_the_target_looks_like() {
    let server = listening_here().await;
    for target in ["/api/auth/login", "/api/auth/login#x", "/api/auth/login?a#b", "http://x/api/auth/login"] {
        for framing in ["Content-Length: 2\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\ncontent-length: 2"] {
            let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{framing}\r\n\r\n");
            let sized = format!("{LOGIN}Content-Length: 2\r\n\r\n{{}}");
            let answer = server.exchange(format!("{sized}{head}2\r\n{{}}\r\n0\r\n\r\n").as_bytes()).await;
            assert_eq!(statuses(&answer), ["422", "400"], "{target} with {framing}");
        }
    }
}

#[tokio::test]
async fn half_a_head_behind_a_request_is_not_waited_for_longer_than_another() {
    let mut setup = Setup::new();
    setup.plan.server.as_mut().unwrap().head.timeout = Duration::from_millis(300);
    let server = listening(setup).await;
    let begin = Instant::now();
    let answer = server.exchange(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHo").await;
    assert_eq!(statuses(&answer), ["200"]);
    // An idle connection may rest for a minute.
    assert!(begin.elapsed() >= Duration::from_millis(300) && begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_request_that_takes_long_does_not_count_against_the_head_behind_it() {
    let slow = Router::new().fallback(any(|| async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        "done"
    }));
    let mut setup = Setup::new().with_route("/slow", vec![], slow);
    setup.plan.server.as_mut().unwrap().head.timeout = Duration::from_millis(400);
    let server = listening(setup).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /slow HTTP/1.1\r\nHost: x\r\nConne").await.unwrap();
    stream.write_all(b"ction: close\r\n\r\n").await.unwrap();
    assert_eq!(statuses(&rest(&mut stream).await), ["200", "200"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_in_words_and_counted() {
    let server = listening_here().await;
    let garbage = server.exchange(b"\x16\x03\x01 no http\r\n\r\n").await;
    assert!(problem(&garbage, 400).contains("no request of HTTP/1.1"), "{garbage}");
    let many: String = (0..65).map(|n| format!("X-{n}: 1\r\n")).collect();
    let many = server.exchange(format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n").as_bytes()).await;
    assert_eq!(problem(&many, 431), "the request has more than 64 headers");
    let large = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", "a".repeat(17 * 1024));
    let large = server.exchange(large.as_bytes()).await;
    assert_eq!(problem(&large, 431), "the request line and the headers are larger than 16384 bytes");
    let guarded = server.exchange(b"GET /a/../b HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\nOrigin: https://shop.example\r\n\r\n").await;
    assert!(problem(&guarded, 400).contains("dot segments"), "{guarded}");
    assert_eq!((header(&guarded, "x-request-id"), header(&guarded, "access-control-allow-origin")), ("mine", "https://shop.example"));

    let metrics = server.edge.get("/metrics").await.text;
    for line in [
        "shop_http_requests_total{method=\"OTHER\",path=\"<refused>\",status_code=\"400\"} 1",
        "shop_http_requests_total{method=\"OTHER\",path=\"<refused>\",status_code=\"431\"} 2",
        "shop_http_requests_total{method=\"GET\",path=\"<refused>\",status_code=\"400\"} 1",
    ] {
        assert!(metrics.lines().any(|l| l == line), "no line {line} in\n{metrics}");
    }
}

#[tokio::test]
async fn sixty_headers_and_a_large_cookie_are_fine() {
    let server = listening_here().await;
    let many: String = (0..58).map(|n| format!("X-{n}: 1\r\n")).collect();
    let cookie = "c".repeat(8 * 1024);
    let request = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{many}Cookie: {cookie}\r\nConnection: close\r\n\r\n");
    assert_eq!(statuses(&server.exchange(request.as_bytes()).await), ["200"]);
}

#[tokio::test]
async fn an_old_client_needs_no_host_and_may_keep_its_connection() {
    let server = listening_here().await;
    for head in ["GET /livez HTTP/1.0\r\n\r\n", "GET /livez HTTP/1.0\r\nHost: x\r\n\r\n", "HEAD /livez HTTP/1.0\r\n\r\n"] {
        let answer = server.exchange(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    }
    let kept = "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /livez HTTP/1.0\r\n\r\n";
    let answer = server.exchange(kept.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.0 200 ").count(), 2, "{answer}");
    assert_eq!(header(&answer, "connection"), "keep-alive", "{answer}");
}

#[tokio::test]
async fn a_target_may_name_the_host_as_clients_of_a_proxy_do() {
    let server = listening_here().await;
    let ask = async |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: shop.example:80\r\nConnection: close\r\n\r\n");
        server.exchange(request.as_bytes()).await
    };
    assert_eq!(statuses(&ask("http://SHOP.example:80/livez").await), ["200"]);
    assert_eq!(statuses(&ask("http://shop.example:80/api/unknown?a=b").await), ["404"]);
    assert_eq!(statuses(&ask("http://other.example:80/livez").await), ["400"]);
    assert_eq!(statuses(&ask("*").await), ["400"]);
}

#[tokio::test]
async fn options_say_what_is_allowed() {
    let server = listening_here().await;
    let options = async |target: &str| {
        let answer = server.exchange(format!("OPTIONS {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(statuses(&answer), ["204"], "{target}");
        header(&answer, "allow").to_owned()
    };
    assert!(options("*").await.contains("PATCH"));
    for path in ["/livez", "/metrics", "/openapi.json"] {
        let allowed = options(path).await;
        assert!(allowed.contains("GET") && allowed.contains("HEAD"), "{path}: {allowed}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_sent() {
    let server = listening_here().await;
    let answer = server.exchange(format!("{LOGIN}Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n").as_bytes()).await;
    assert_eq!(statuses(&answer), ["413"], "and no 100 before it");
    let fine = format!("{LOGIN}Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}");
    assert_eq!(statuses(&server.exchange(fine.as_bytes()).await), ["100", "422"]);
}

#[tokio::test]
async fn scripts_of_an_allowed_origin_can_read_also_what_no_route_answers() {
    let server = listening_here().await;
    let from = |origin: &str, head: &str| format!("{head}Origin: {origin}\r\nConnection: close\r\n\r\n");
    for (head, status) in [
        ("GET /api/unknown HTTP/1.1\r\nHost: x\r\n", "404"),
        ("DELETE /api/auth/login HTTP/1.1\r\nHost: x\r\n", "405"),
        ("GET /a%2fb HTTP/1.1\r\nHost: x\r\n", "400"),
        (&format!("{LOGIN}Content-Length: 70000\r\n"), "413"),
    ] {
        let answer = server.exchange(from("https://shop.example", head).as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{answer}");
        assert_eq!(header(&answer, "access-control-allow-origin"), "https://shop.example", "{answer}");
        let other = server.exchange(from("https://evil.example", head).as_bytes()).await;
        assert_eq!(header(&other, "access-control-allow-origin"), "", "{other}");
    }
    let preflight = "OPTIONS /api/unknown HTTP/1.1\r\nHost: x\r\nAccess-Control-Request-Method: GET\r\n";
    let answer = server.exchange(from("https://shop.example", preflight).as_bytes()).await;
    assert_eq!((statuses(&answer), header(&answer, "access-control-allow-origin")), (vec!["200"], "https://shop.example"), "{answer}");
}
