//! Proxies in the environment, and many customers behind one address.

use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::split::{Split, customer};
use super::test_env::{Condition, Conditioned, until};
use crate::client::PATIENCE;
use crate::process::{Home, wait_until_ready};
use crate::processes::shop::config;

/// Every variable that names a proxy.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

#[tokio::test(flavor = "multi_thread")]
async fn the_processes_of_a_shop_talk_directly_whatever_proxy_the_environment_names() {
    let split = Split::new();
    let dead = format!("http://127.0.0.1:{}", split.nowhere);
    let proxies = PROXIES.map(|name| (name, dead.as_str()));
    let users = split.users_products(&proxies).await;
    let orders = split.orders(&proxies);
    wait_until_ready(&orders.client).await;
    let gateway = split.gateway(&proxies).await;
    let ada = customer(&gateway.client, &gateway.client, "ada").await;
    ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    crate::shop::wait_for_stock(&ada, "prod-001", 49).await;
    let compared = orders.client.get("/healthz").await;
    assert_eq!(compared.body["checks"]["shared-secrets"]["status"], "up", "{compared:?}");

    for process in [&users, &orders, &gateway] {
        let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).envs(proxies).output().unwrap();
        let probed = run(&["probe", &format!("{}/readyz", process.client.base())]);
        assert!(probed.status.success(), "{probed:?}");
        let shown = run(&["top", "--once", "--interval", "0.2", process.client.base()]);
        let page = String::from_utf8_lossy(&shown.stdout).into_owned();
        let address = process.client.base().trim_start_matches("http://");
        assert!(shown.status.success() && page.contains(address) && !page.contains("no answer"), "{page}");
    }
}

/// The first line of the first request that somebody sends there, and its headers.
async fn first_request(listener: &TcpListener) -> String {
    let (mut stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("somebody connects").unwrap();
    let mut head = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut head)).await.expect("somebody sends").unwrap();
    String::from_utf8_lossy(&head[..read]).into_owned()
}

/// A gateway that exports spans with these variables; its log is in the file `log`.
async fn exporting(home: &Home, variables: &[(&str, &str)]) -> Conditioned {
    let log = Some(std::fs::File::create(home.path().join("log")).unwrap().into());
    let variables: Vec<(&str, &str)> = variables.iter().copied().chain([("OTEL_BSP_SCHEDULE_DELAY", "100")]).collect();
    let gateway = home.start_under(Condition { config: config("gateway.yaml"), log, variables: &variables, ..Condition::default() }).await;
    assert_eq!(gateway.client.get("/api/products").await.status, 502, "nobody is behind it");
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_go_through_the_proxy_of_the_environment_unless_no_proxy_names_their_collector() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let with_password = here.replace("http://", "http://me:hidden@");
    let elsewhere = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318"), ("HTTP_PROXY", with_password.as_str())];
    let gateway = exporting(&home, &elsewhere).await;
    let asked = first_request(&listener).await;
    assert!(asked.starts_with("POST http://collector.example:4318/v1/traces "), "{asked}");
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    let line = log.lines().find(|line| line.contains("spans are exported")).unwrap();
    assert!(line.contains("http://collector.example:4318") && line.contains(&format!("HTTP_PROXY ({here})")), "{line}");
    assert!(!log.contains("hidden"), "{log}");
    drop(gateway);

    let dead = format!("http://127.0.0.1:{}", crate::kafka_broker::free_port());
    let exempt = [("OTEL_EXPORTER_OTLP_ENDPOINT", here.as_str()), ("HTTP_PROXY", dead.as_str()), ("NO_PROXY", "127.0.0.1")];
    let _gateway = exporting(&home, &exempt).await;
    let asked = first_request(&listener).await;
    assert!(asked.starts_with("POST /v1/traces "), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_certificates_of_authorities_asks_and_exports_over_plain_http() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let nothing = home.path().join("no-certificates").to_str().unwrap().to_owned();
    let without = [("SSL_CERT_FILE", nothing.as_str()), ("SSL_CERT_DIR", nothing.as_str())];
    let gateway = exporting(&home, &[without.as_slice(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str())]].concat()).await;
    let asked = first_request(&listener).await;
    assert!(asked.starts_with("POST /v1/traces "), "{asked}");

    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).envs(without).output().unwrap();
    let probed = run(&["probe", &format!("{}/healthz", gateway.client.base())]);
    assert!(probed.status.success() || String::from_utf8_lossy(&probed.stderr).contains(" answers "), "{probed:?}");
    let shown = run(&["top", "--once", "--interval", "0.2", gateway.client.base()]);
    let page = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success() && !page.contains("no answer"), "{page}");
}

#[test]
fn a_granted_service_outside_is_called_directly_and_validate_says_so() {
    let home = Home::new();
    let told = |url: &str, no_proxy: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(["validate", "--format", "lines"])
            .arg(config("orders.yaml"))
            .current_dir(home.path())
            .env("COMPONENTS_DIR", home.path().join("components"))
            .envs([("JWT_SECRET", crate::test_app::SECRET), ("INTERNAL_SECRET", super::split::INTERNAL_SECRET), ("CATALOGUE_URL", url)])
            .envs([("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", no_proxy)])
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let outside = told("https://stock.example", "");
    assert!(outside.contains("'stock' is called directly") && outside.contains("HTTPS_PROXY (http://proxy:3128)"), "{outside}");
    assert!(!told("https://stock.example", ".example").contains("proxy"), "NO_PROXY says so already");
    assert!(!told("https://users-products", "").contains("proxy"), "a service of the same network");
}

/// A connection that is kept open.
struct Kept(TcpStream);

impl Kept {
    async fn open(process: &Conditioned) -> Self {
        Self(TcpStream::connect(process.client.base().trim_start_matches("http://")).await.unwrap())
    }

    /// What is answered, head and body, or what was until the connection ended.
    async fn ask(&mut self, path: &str) -> String {
        let head = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nX-Request-Id: my-own\r\n\r\n");
        self.0.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = tokio::time::timeout(PATIENCE, self.0.read(&mut piece)).await.expect("an answer").expect("no reset");
            answer.extend_from_slice(&piece[..read]);
            if read == 0 || answer.ends_with(b"}") {
                return String::from_utf8(answer).unwrap();
            }
        }
    }
}

/// A gateway whose config was changed.
async fn changed_gateway(home: &Home, change: impl Fn(&str) -> String, log: Option<Stdio>) -> Conditioned {
    let text = change(&std::fs::read_to_string(config("gateway.yaml")).unwrap());
    let path = home.path().join("changed.yaml");
    std::fs::write(&path, text).unwrap();
    // Not ready by asking: each question is a connection.
    let process = home.spawn_under(Condition { config: path, log, ..Condition::default() });
    wait_until_ready(&process.client).await;
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_too_many_connections_is_told_so_and_others_are_not_concerned() {
    let home = Home::new();
    let log = home.path().join("log");
    let limited = |text: &str| text.replace("      idleTimeout: 60s\n", "      idleTimeout: 60s\n      maxConnectionsPerAddress: 3\n");
    let gateway = changed_gateway(&home, limited, Some(std::fs::File::create(&log).unwrap().into())).await;
    // The client of the test keeps the connection that it has asked with.
    let mut kept = vec![Kept::open(&gateway).await, Kept::open(&gateway).await];
    for one in &mut kept {
        assert!(one.ask("/livez").await.starts_with("HTTP/1.1 200 "));
    }
    for _ in 0..20 {
        let refused = Kept::open(&gateway).await.ask("/api/products").await.to_lowercase();
        assert!(refused.starts_with("http/1.1 503 "), "{refused}");
        for part in [
            "\r\nretry-after: 5\r\n",
            "\r\nconnection: close\r\n",
            "\r\ncontent-type: application/problem+json\r\n",
            "\r\nx-content-type-options: nosniff\r\n",
            "\r\nx-request-id: my-own\r\n",
            "this address has 3 connections already",
        ] {
            assert!(refused.contains(part), "no '{part}' in\n{refused}");
        }
    }
    let metrics = gateway.client.get("/metrics").await.body;
    assert!(metrics.as_str().unwrap().contains("\necommerce_gateway_http_connections_refused_total 20\n"), "{metrics}");
    let lines = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = lines.lines().filter(|line| line.contains("maxConnectionsPerAddress")).collect();
    assert_eq!(lines.len(), 1, "one line a minute: {lines:#?}");

    let probed = Kept::open(&gateway).await.ask("/livez").await.to_lowercase();
    assert!(
        probed.starts_with("http/1.1 200 ") && probed.contains("\r\nconnection: close\r\n"),
        "probes are answered all the same: {probed}"
    );

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Kept(socket.connect(gateway.client.base().trim_start_matches("http://").parse().unwrap()).await.unwrap());
    assert!(other.ask("/livez").await.starts_with("HTTP/1.1 200 "), "another address has connections of its own");

    // Who says nothing is sent away all the same, soon.
    let mut silent = Kept::open(&gateway).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), silent.0.read(&mut [0; 64])).await;
    assert!(ended.is_ok(), "a connection that is refused is not kept");

    kept.pop();
    until("a place that was given back", || async {
        let answer = Kept::open(&gateway).await.ask("/openapi.json").await;
        answer.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_may_have_as_many_connections_as_it_likes() {
    let home = Home::new();
    let trusting = |text: &str| {
        text.replace("      idleTimeout: 60s\n", "      idleTimeout: 60s\n      maxConnectionsPerAddress: 1\n")
            .replace("      burstSize:", "      trustedProxies: [127.0.0.0/8]\n      burstSize:")
    };
    let gateway = changed_gateway(&home, trusting, None).await;
    let mut kept = Vec::new();
    for _ in 0..10 {
        kept.push(Kept::open(&gateway).await);
    }
    for one in &mut kept {
        assert!(one.ask("/livez").await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_was_never_there_is_named_before_a_customer_is_refused() {
    let split = Split::new();
    let mut orders = split.orders(&[]);
    let catalogue = async |client: &crate::client::Client| {
        let answer = client.try_send(reqwest::Method::GET, "/healthz", None, &[]).await.ok()?;
        Some(answer.body["checks"]["catalogue"].clone()).filter(serde_json::Value::is_object)
    };
    let away = until("the catalogue is looked for", || catalogue(&orders.client)).await;
    let told = away["message"].as_str().unwrap_or_default();
    assert!(away["status"] == "degraded" && told.contains("http://127.0.0.1:") && told.contains("does not answer"), "{away}");
    let _users_products = split.users_products(&[]).await;
    until("it is found without an order", || async { catalogue(&orders.client).await.filter(|check| check["status"] == "up") }).await;
    orders.until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_url_may_end_in_a_slash_and_one_that_leads_elsewhere_sells_nothing_and_says_so() {
    let split = Split::new();
    let users = split.users_products(&[]).await;
    let slash = format!("{}/", users.client.base());
    let mut orders = split.orders(&[("CATALOGUE_URL", &slash)]);
    orders.until_ready().await;
    let ada = customer(&users.client, &orders.client, "ada").await;
    ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    drop(orders);

    let elsewhere = format!("{}/api", users.client.base());
    let orders = split.orders(&[("CATALOGUE_URL", &elsewhere)]);
    let told = until("it is told before a customer comes", || async {
        let health = orders.client.try_send(reqwest::Method::GET, "/healthz", None, &[]).await.ok()?;
        let message = health.body["checks"]["catalogue"]["message"].as_str()?.to_owned();
        message.contains("not as a catalogue").then_some(message)
    })
    .await;
    assert!(told.contains("/api/api/products/none"), "{told}");
    let refused = ada.order("prod-001", 1, "tok_visa").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_is_away_is_named_with_its_reason_until_it_is_back() {
    let split = Split::new();
    let users = split.users_products(&[]).await;
    let mut orders = split.orders(&[]);
    orders.until_ready().await;
    let ada = customer(&users.client, &orders.client, "ada").await;
    drop(users);
    let refused = ada.order("prod-008", 1, "tok_visa").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    let health = orders.client.get("/healthz").await;
    assert_eq!(health.status, StatusCode::OK, "what was accepted goes on: {health:?}");
    let told = health.body["checks"]["catalogue"]["message"].as_str().unwrap();
    assert!(told.contains("new orders are refused") && told.contains("Connection refused"), "{told}");

    let _users = split.users_products(&[]).await;
    until("nobody has to look any more", || async {
        (orders.client.get("/healthz").await.body["checks"]["catalogue"]["status"] == "up").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_expects_other_words_is_told_from_one_that_is_away() {
    let split = Split::new();
    // As a listener for TLS or passwords does with what it does not expect.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let orders = split.orders(&[("KAFKA_BROKERS", &address)]);
    let told = || async {
        let health = orders.client.try_send(reqwest::Method::GET, "/healthz", None, &[]).await.ok()?;
        let message = health.body["checks"]["event-broker"]["message"].as_str()?.to_owned();
        message.contains("TLS or a password").then_some(message)
    };
    let hanging_up = async {
        loop {
            drop(listener.accept().await.unwrap());
        }
    };
    let message = tokio::select! {
        message = until("it says what the broker may want", told) => message,
        () = hanging_up => unreachable!("it hangs up for ever"),
    };
    assert!(message.contains(&format!("no broker answers at {address}")), "{message}");
}
