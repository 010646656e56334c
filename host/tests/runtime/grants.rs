//! Calls to services: only granted ones, by name, with what the host adds.

use std::collections::HashMap;
use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use millrace::runtime::{Capabilities, Grant, GrantTarget, InProcess};
use serde_json::{Value, json};

use crate::fixtures::built;
use crate::workshop::{PATIENCE, Plan, Workshop, accepted};

/// Answers with what it got.
fn echo() -> InProcess {
    InProcess::new(tower::service_fn(|request: Request<Bytes>| async move {
        assert_ne!(request.uri().path(), "/panic", "as asked");
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let got = json!({
            "method": request.method().as_str(),
            "host": request.uri().host(),
            "path": request.uri().path_and_query().map(ToString::to_string),
            "key": header("x-service-key"),
            "own": header("x-own"),
            "body": String::from_utf8_lossy(request.body()),
        });
        Ok::<_, Infallible>(Response::new(Bytes::from(got.to_string())))
    }))
}

fn grants(target: GrantTarget) -> Capabilities {
    let headers = vec![("X-Service-Key".to_owned(), "hidden".to_owned())];
    Capabilities {
        http: vec![Grant { service: "stock".into(), target, headers, credential: None }],
        config: vec![("region".into(), "eu".into())],
        ..Capabilities::default()
    }
}

async fn caller() -> Workshop {
    let mut plan = Plan::of(built("caller"));
    plan.capabilities = grants(GrantTarget::Handler("products".into()));
    plan.services = HashMap::from([("products".to_owned(), echo())]);
    plan.start().await
}

fn ask(path: &str) -> Value {
    json!({ "service": "stock", "path": path, "headers": { "x-own": "mine", "x-service-key": "forged" }, "body": "hello", "key": "region" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_module_is_called_without_a_socket_and_with_the_hosts_header() {
    let workshop = caller().await;
    let report = workshop.run(ask("/api/stock?for=order-1")).await;
    let results = accepted(&report);
    assert_eq!(results["status"], 200, "{results:?}");
    let got: Value = serde_json::from_str(results["body"].as_str().expect("a text")).expect("JSON");
    assert_eq!(
        got,
        json!({ "method": "POST", "host": "stock", "path": "/api/stock?for=order-1", "key": "hidden", "own": "mine", "body": "hello" })
    );
    assert_eq!(results["value"], "eu");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_not_granted_is_denied_readably() {
    let workshop = caller().await;
    for service in ["elsewhere", "stock.example.com", "127.0.0.1:9", "stock:8080", "user@stock"] {
        let report = workshop.run(json!({ "service": service, "path": "/" })).await;
        let error = accepted(&report)["error"].as_str().unwrap_or_default();
        assert!(error.contains("HttpRequestDenied") || error.contains("HttpRequestUriInvalid"), "{service}: {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_climbs_is_not_sent() {
    let workshop = caller().await;
    let report = workshop.run(ask("/api/../admin")).await;
    assert_eq!(accepted(&report)["error"].as_str(), Some("ErrorCode::HttpRequestUriInvalid"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_beyond_the_limit_is_not_collected() {
    let workshop = caller().await;
    let mut request = ask("/");
    request["body"] = json!("x".repeat(100 << 10));
    let report = workshop.run(request).await;
    assert!(accepted(&report)["error"].as_str().unwrap_or_default().contains("HttpRequestBodySize"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_panics_is_an_error_for_the_component() {
    let workshop = caller().await;
    let report = workshop.run(ask("/panic")).await;
    assert!(accepted(&report)["error"].as_str().unwrap_or_default().contains("InternalError"), "{report:?}");
    assert_eq!(accepted(&workshop.run(ask("/")).await)["status"], 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_url_is_called_at_its_real_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut plan = Plan::of(built("caller"));
    plan.capabilities = grants(GrantTarget::Url(format!("http://{address}/base/")));
    let workshop = plan.start().await;
    let server = async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"0\r\n\r\n") {
            let mut chunk = [0; 1_024];
            let size = stream.read(&mut chunk).await.expect("bytes");
            request.extend_from_slice(&chunk[..size]);
        }
        stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: http://elsewhere/\r\ncontent-length: 2\r\n\r\nok").await.expect("written");
        String::from_utf8_lossy(&request).to_lowercase()
    };
    let both = async { tokio::join!(workshop.run(ask("/api/stock")), server) };
    let (report, request) = tokio::time::timeout(PATIENCE, both).await.expect("it is called");
    assert_eq!(accepted(&report)["status"], 302, "a redirect is not followed: {report:?}");
    assert!(request.starts_with("post /base/api/stock http/1.1\r\n"), "{request}");
    for header in [format!("host: {address}\r\n"), "x-service-key: hidden\r\n".into(), "x-own: mine\r\n".into()] {
        assert!(request.contains(&header), "{header} is missing in {request}");
    }
    assert!(!request.contains("forged"), "{request}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_is_told_with_what_to_add() {
    let workshop = Plan::of(built("caller")).start().await;
    let reason = workshop.refused().reason;
    assert!(reason.contains("`capabilities.http` of module 'worker' grants nothing"), "{reason}");
    assert!(reason.contains("`capabilities.config` of module 'worker' grants nothing"), "{reason}");
}
