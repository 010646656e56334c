//! Which path answers which method, and what the middlewares do.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::any;
use millrace::plan::{Cors, Endpoint, Middleware, RateLimit};

use crate::support::{Edge, Setup, cors, route};

fn ok() -> Router {
    Router::new().fallback(any(|| async { "ok" }))
}

fn rate_limit(trusted: &[&str]) -> Middleware {
    Middleware::RateLimit(RateLimit {
        name: "limit".into(),
        requests_per_minute: 1,
        burst_size: 3,
        requests_per_hour: None,
        trusted_proxies: trusted.iter().map(|&t| t.to_owned()).collect(),
    })
}

fn from(peer: &str, forwarded: Option<&str>) -> Request<Body> {
    let mut request = Request::get("/limited").body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1234)));
    if let Some(address) = forwarded {
        request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
    }
    request
}

async fn preflight(edge: &Edge, origin: &str) -> crate::support::Answer {
    let request = Request::options("/api/auth/login").header("origin", origin).header("access-control-request-method", "POST");
    edge.ask(request.header("access-control-request-headers", "content-type").body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_unknown_path_of_the_api_is_a_json_404() {
    let edge = Setup::new().start();
    for path in ["/api", "/api/unknown", "/api/auth", "/api/auth/login/x", "/internal/x", "/unknown", "/metrics/x"] {
        let request = Request::get(path).header("accept", "text/html").body(Body::empty()).unwrap();
        let detail = edge.ask(request).await.problem(404);
        assert!(detail.contains(path), "{detail}");
    }
}

#[tokio::test]
async fn a_known_path_with_another_method_is_405_and_tells_which() {
    let edge = Setup::new().start();
    let answer = edge.send("DELETE", "/api/auth/profile", None, "").await;
    answer.problem(405);
    for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
        assert!(answer.header("allow").contains(method), "{}", answer.header("allow"));
    }
    assert_eq!(edge.send("GET", "/api/auth/login", None, "").await.status, 405);
    assert_eq!(edge.send("TRACE", "/api/auth/login", None, "").await.status, 405);
}

#[tokio::test]
async fn a_header_does_not_change_the_method() {
    let edge = Setup::new().start();
    let request = Request::post("/api/auth/profile").header("x-http-method-override", "PUT").header("x-method-override", "PUT");
    edge.ask(request.body(Body::empty()).unwrap()).await.problem(405);
}

#[tokio::test]
async fn get_also_answers_head_without_a_body() {
    let edge = Setup::new().start();
    for path in ["/healthz", "/livez", "/metrics", "/openapi.json", "/"] {
        let answer = edge.ask(Request::head(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""), "{path}");
    }
}

#[tokio::test]
async fn a_refusal_is_no_larger_than_what_it_refuses() {
    let edge = Setup::new().start();
    let many: serde_json::Map<String, serde_json::Value> = (0..5_500).map(|n| (format!("f{n}"), 1.into())).collect();
    let long = serde_json::json!({"\u{feff}".repeat(19_000): 1});
    let twice = format!(r#"{{"{0}":1,"{0}":1}}"#, "\u{feff}".repeat(9_000));
    for (body, status) in [(serde_json::Value::from(many).to_string(), 422), (long.to_string(), 422), (twice, 400)] {
        assert!(body.len() > 50_000 && body.len() < 64 << 10, "{}", body.len());
        let refused = edge.send("POST", "/api/auth/register", None, body).await;
        refused.problem(status);
        assert!(refused.text.len() < 10_000, "{} bytes", refused.text.len());
    }
}

#[tokio::test]
async fn placeholders_of_different_names_share_a_path() {
    let mut setup = Setup::new().with_route("/api/things/{id}", vec![], ok());
    setup.plan.routes.push(route("DELETE", "/api/things/{thing}", Endpoint::Proxy("/api/things/{id}".into()), vec![]));
    let edge = setup.start();
    assert_eq!(edge.get("/api/things/1").await.text, "ok");
    assert_eq!(edge.send("DELETE", "/api/things/1", None, "").await.text, "ok");
}

#[tokio::test]
async fn an_allowed_origin_may_ask_and_call() {
    let edge = Setup::new().start();
    let asked = preflight(&edge, "https://shop.example").await;
    assert!(asked.status.is_success());
    assert_eq!(asked.header("access-control-allow-origin"), "https://shop.example");
    assert_eq!(asked.header("access-control-allow-credentials"), "true");
    assert!(asked.header("access-control-allow-methods").contains("PUT"));
    assert_eq!(asked.header("access-control-max-age"), "600");

    let called = Request::get("/api/auth/profile").header("origin", "https://shop.example").body(Body::empty()).unwrap();
    let called = edge.ask(called).await;
    called.problem(401);
    assert_eq!(called.header("access-control-allow-origin"), "https://shop.example", "a browser can read the error");
}

#[tokio::test]
async fn another_origin_is_allowed_nothing() {
    let edge = Setup::new().start();
    assert_eq!(preflight(&edge, "https://evil.example").await.header("access-control-allow-origin"), "");
    assert_eq!(preflight(&edge, "null").await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn every_origin_gets_no_credentials() {
    let everybody = Cors { allowed_origins: vec!["*".into()], allowed_headers: vec!["*".into()], ..cors() };
    let edge = Setup::new().with_route("/open", vec![Middleware::Cors(everybody)], ok()).start();
    let answer = edge.ask(Request::get("/open").header("origin", "https://evil.example").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn a_request_id_is_kept_made_or_replaced() {
    let edge = Setup::new().start();
    let with = |id: Option<&str>| {
        let mut request = Request::get("/api/auth/profile");
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(edge.ask(with(Some("abc-123"))).await.header("x-request-id"), "abc-123");
    let (one, other) = (edge.ask(with(None)).await, edge.ask(with(None)).await);
    assert!(!one.header("x-request-id").is_empty() && one.header("x-request-id") != other.header("x-request-id"));
    for odd in ["a b", "<script>", &"x".repeat(200), ""] {
        let made = edge.ask(with(Some(odd))).await.header("x-request-id").to_owned();
        assert!(made.len() == 36 && made != odd, "{odd:?} became {made:?}");
    }
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let edge = Setup::new().with_route("/limited", vec![rate_limit(&[])], ok()).start();
    for _ in 0..3 {
        assert_eq!(edge.ask(from("203.0.113.7", None)).await.status, 200);
    }
    let refused = edge.ask(from("203.0.113.7", None)).await;
    refused.problem(429);
    assert!((1..=60).contains(&refused.header("retry-after").parse().unwrap()));
    assert_eq!(edge.ask(from("203.0.113.8", None)).await.status, 200, "others go on");
}

#[tokio::test]
async fn routes_with_one_limiter_share_its_buckets() {
    let edge = Setup::new().with_route("/limited", vec![rate_limit(&[])], ok()).with_route("/other", vec![rate_limit(&[])], ok()).start();
    for path in ["/limited", "/other", "/limited"] {
        assert_eq!(edge.get(path).await.status, 200);
    }
    assert_eq!(edge.get("/other").await.status, 429);
}

#[tokio::test]
async fn inventing_addresses_does_not_evade_the_limit() {
    let edge = Setup::new().with_route("/limited", vec![rate_limit(&["10.0.0.0/8"])], ok()).start();
    let mut answers = vec![];
    for n in 0..6 {
        answers.push(edge.ask(from("203.0.113.7", Some(&format!("1.2.3.{n}")))).await.status.as_u16());
    }
    assert_eq!(answers, [200, 200, 200, 429, 429, 429]);
    let mut proxied = vec![];
    for n in 0..5 {
        proxied.push(edge.ask(from("10.0.0.1", Some(&format!("9.9.9.{n}, 198.51.100.1")))).await.status.as_u16());
    }
    assert_eq!(proxied, [200, 200, 200, 429, 429], "what the client itself wrote before the proxy does not count");
}

#[tokio::test]
async fn middlewares_run_in_the_sequence_that_is_written() {
    let limited_first = vec![rate_limit(&[]), Middleware::Auth];
    let edge = Setup::new().with_route("/limited", limited_first, ok()).start();
    let mut answers = vec![];
    for _ in 0..4 {
        answers.push(edge.get("/limited").await.status.as_u16());
    }
    assert_eq!(answers, [401, 401, 401, 429]);

    let checked_first = vec![Middleware::Auth, rate_limit(&[])];
    let edge = Setup::new().with_route("/limited", checked_first, ok()).start();
    for _ in 0..5 {
        assert_eq!(edge.get("/limited").await.status, 401);
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_process_goes_on() {
    let broken = Router::new().fallback(any(|| async {
        if true {
            panic!("boom: secret")
        }
    }));
    let edge = Setup::new().with_route("/broken", vec![], broken).start();
    assert_eq!(edge.get("/broken").await.problem(500), "internal error");
    assert_eq!(edge.get("/livez").await.status, 200);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let never = Router::new().fallback(any(|| async { std::future::pending::<()>().await }));
    let mut setup = Setup::new().with_route("/never", vec![], never);
    let server = setup.plan.server.as_mut().unwrap();
    (server.read_timeout, server.write_timeout) = (Duration::from_millis(50), Duration::from_millis(50));
    setup.start().get("/never").await.problem(503);
}

#[tokio::test]
async fn every_answer_carries_the_headers_browsers_need() {
    let edge = Setup::new().start();
    for path in ["/", "/healthz", "/api/unknown", "/openapi.json"] {
        let answer = edge.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!answer.header("referrer-policy").is_empty() && !answer.header("content-security-policy").is_empty(), "{path}");
        assert_eq!(answer.header("server"), "", "{path}");
    }
}
