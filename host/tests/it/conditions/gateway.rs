//! A gateway whose clients break off, and whose backends hang.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::split::Split;
use super::test_env::{Condition, Conditioned, until};
use crate::client::{Client, PATIENCE};
use crate::process::{Home, wait_until_ready};
use crate::processes::shop::config;

/// A gateway with `backend` behind all its prefixes, which waits a second for an answer.
async fn gateway(home: &Home, backend: &Client, log: Stdio) -> Conditioned {
    let text = std::fs::read_to_string(config("gateway.yaml")).unwrap();
    let kind = "    type: http.simple_proxy\n    config:\n";
    assert!(text.contains(kind));
    let path = home.path().join("gateway.yaml");
    std::fs::write(&path, text.replace(kind, &format!("{kind}      responseTimeout: 1s\n"))).unwrap();
    let url = backend.base();
    let variables = [("USERS_PRODUCTS_URL", url), ("ORDERS_URL", url), ("RATE_LIMIT_BURST", "1000"), ("RATE_LIMIT_PER_MINUTE", "60000")];
    let process = home.spawn_under(Condition { config: path, log: Some(log), variables: &variables, ..Condition::default() });
    wait_until_ready(&process.client).await;
    process
}

async fn connect(client: &Client) -> TcpStream {
    TcpStream::connect(client.base().trim_start_matches("http://")).await.unwrap()
}

/// The status of what is answered to a fault.
async fn status_of(client: &Client, fault: &Fault) -> String {
    let mut stream = connect(client).await;
    let (mut reader, mut writer) = stream.split();
    // Whoever refuses early stops to read.
    let sending = async {
        let _ = writer.write_all(&fault.bytes).await;
        if fault.is_the_end {
            let _ = writer.shutdown().await;
        }
    };
    let mut answer = [0; 12];
    let (read, ()) = tokio::join!(tokio::time::timeout(PATIENCE, reader.read_exact(&mut answer)), sending);
    read.expect("an answer in time").expect("an answer");
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{line} HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\n{headers}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A request that a client breaks off, breaks, or makes too large, or that is refused before it is read.
struct Fault {
    bytes: Vec<u8>,
    /// Nothing comes after them: the client ends its side of the connection.
    is_the_end: bool,
    status: &'static str,
}

fn faults() -> Vec<Fault> {
    let login = "POST /api/auth/login";
    let mut faults = Vec::new();
    for size in [10, 1_000, 60_000] {
        let piece = [format!("{size:x}\r\n").as_bytes(), &vec![b' '; size], b"\r\n"].concat();
        let chunked = "Transfer-Encoding: chunked";
        let (one_less, whole) = (format!("Content-Length: {}", size + 1), format!("Content-Length: {size}"));
        for (status, is_the_end, bytes) in [
            ("400", false, request(login, chunked, &[&piece[..], b"ZZ\r\n"].concat())),
            ("400", true, request(login, chunked, &piece)),
            ("400", true, request(login, &one_less, &vec![b' '; size])),
            ("401", false, request("PUT /api/auth/profile", &whole, &vec![b' '; size])),
        ] {
            faults.push(Fault { bytes, is_the_end, status });
        }
    }
    faults.push(Fault { bytes: request(login, "Content-Length: 70000", b"{"), is_the_end: false, status: "413" });
    faults
}

async fn metrics(process: &Conditioned) -> String {
    process.client.get("/metrics").await.body.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_does_wrong_is_no_fault_of_a_backend() {
    let home = Home::new();
    let backend = home.start_under(Condition::default()).await;
    let log = home.path().join("gateway.log");
    let gateway = gateway(&home, &backend.client, std::fs::File::create(&log).unwrap().into()).await;
    for fault in faults() {
        let head = String::from_utf8_lossy(&fault.bytes[..fault.bytes.len().min(120)]).into_owned();
        for client in [&backend.client, &gateway.client] {
            assert_eq!(status_of(client, &fault).await, fault.status, "{} bytes to {}: {head}", fault.bytes.len(), client.base());
        }
    }
    // One that has gone altogether is answered by nobody, and counted.
    let mut gone = connect(&gateway.client).await;
    gone.write_all(&request("POST /api/orders", "Content-Length: 1000", b"{")).await.unwrap();
    drop(gone);
    until("who has gone is counted", || async {
        let told = metrics(&gateway).await;
        told.contains(r#"path="/api/orders",status_code="499"} 1"#).then_some(())
    })
    .await;
    let told = metrics(&gateway).await;
    assert!(told.contains(r#"path="/api/auth/login",status_code="499"}"#) && !told.contains("status_code=\"5"), "{told}");
    assert_blameless(&log);
}

/// No line of the log speaks of a fault of ours or of a backend.
fn assert_blameless(log: &Path) {
    let lines = std::fs::read_to_string(log).unwrap();
    assert!(lines.contains("\"status\":499"), "{lines}");
    let blaming = ["a backend does not answer", "axum_reverse_proxy", "\"status\":5", "\"ERROR\""];
    let blames: Vec<&str> = lines.lines().filter(|line| blaming.iter().any(|words| line.contains(words))).collect();
    assert!(blames.is_empty(), "{blames:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_hangs_makes_the_gateway_degraded_and_is_waited_for_only_so_long() {
    let home = Home::new();
    let backend = home.start_under(Condition::default()).await;
    let gateway = gateway(&home, &backend.client, Stdio::null()).await;
    let health = || async { gateway.client.get("/healthz").await.body };
    until("all is well", || async { (health().await["status"] == "healthy").then_some(()) }).await;

    backend.signal(Signal::STOP);
    let begin = Instant::now();
    let hanging = until("the gateway is degraded", || async { Some(health().await).filter(|health| health["status"] == "degraded") }).await;
    let message = hanging["checks"]["api-proxy"]["message"].as_str().unwrap();
    assert!(message.contains("products") && message.contains("has not answered") && !message.contains("127.0.0.1"), "{message}");
    let refused = gateway.client.get("/api/products").await;
    assert_eq!((refused.status.as_u16(), refused.headers["retry-after"].as_bytes()), (504, b"2".as_slice()), "{refused:?}");
    assert_eq!(refused.body, serde_json::json!({"error": "backend timed out", "backend": "products", "path": "/api/products"}));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(gateway.client.get("/").await.status, 200, "what needs no backend is there");

    backend.signal(Signal::CONT);
    until("all is well again", || async { (health().await["status"] == "healthy").then_some(()) }).await;
    assert_eq!(gateway.client.get("/api/products").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_are_exchanged_are_named_in_the_health_and_the_log() {
    let split = Split::new();
    let users = split.users_products(&[]).await;
    let mut orders = split.orders(&[]);
    orders.until_ready().await;
    let exchanged = [("USERS_PRODUCTS_URL", orders.client.base()), ("ORDERS_URL", users.client.base())];
    let gateway = split.gateway(&exchanged).await;
    let health = gateway.client.get("/healthz").await;
    assert_eq!((health.status.as_u16(), &health.body["status"]), (200, &serde_json::json!("degraded")), "{health:?}");
    let told = health.body["checks"]["api-proxy"]["message"].as_str().unwrap();
    let (first, second) = told.split_once(": look whether the targets are exchanged").unwrap();
    for (part, missed, served) in [(first, "/api/orders", "/api/auth/login"), (second, "/api/auth", "/api/orders/*")] {
        let (misses, serves) = part.split_once(", but ").unwrap_or_else(|| panic!("{told}"));
        assert!(misses.contains("do not serve") && misses.contains(missed) && serves.contains(served), "{told}");
    }
    let line = "requests are passed on to somebody who does not serve them: orders";
    until("the log says it", || async { gateway.kept_log().contains(line).then_some(()) }).await;
    assert_eq!(gateway.kept_log().matches(line).count(), 1, "once");
    drop(gateway);

    let gateway = split.gateway(&[]).await;
    assert_eq!(gateway.client.get("/healthz").await.body["status"], "healthy");
}
