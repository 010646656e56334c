//! One client that holds all connections, and what is left to others.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::test_env::{Condition, Conditioned};
use crate::client::{Client, PATIENCE};
use crate::kafka_broker::free_port;
use crate::process::{Home, wait_until_ready};
use crate::test_app::repository;

/// As many as a process has by default.
const CONNECTIONS: usize = 1_024;
/// Event streams of one user, by default.
const STREAMS: usize = 16;

/// A monolith with an address for probes, begun with fewer files than it has connections; and a client of that address.
async fn monolith(home: &Home) -> (Conditioned, Client) {
    // What is opened here is many files too.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let probes = format!("127.0.0.1:{}", free_port());
    let text = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    let with_address = text
        .replace("    type: health.checker\n    config:\n", &format!("    type: health.checker\n    config:\n      address: {probes}\n"));
    assert_ne!(text, with_address);
    let config = home.path().join("crowd.yaml");
    std::fs::write(&config, with_address).unwrap();
    let products = repository().join("seed/products.json");
    let around = ["sh", "-c", "ulimit -Sn 512 && exec \"$@\"", "sh"];
    let variables = [("PRODUCTS_SEED", products.to_str().unwrap()), ("WEB_ROOT", "web")];
    let shop = home.spawn_under(Condition { config, around: &around, variables: &variables, ..Condition::default() });
    wait_until_ready(&shop.client).await;
    (shop, Client::new(&format!("http://{probes}")))
}

fn address(client: &Client) -> &str {
    client.base().trim_start_matches("http://")
}

/// A connection that has asked for `path`, if for anything, and is kept.
async fn held(client: &Client, path: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(address(client)).await.unwrap();
    if let Some(path) = path {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n").as_bytes()).await.unwrap();
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 4096])).await.expect("an answer").unwrap();
        assert!(read > 0, "an answer");
    }
    stream
}

/// How long the quickest of a few probes took, each on a connection of its own: the machine may be busy with other things as well.
async fn probed(client: &Client, path: &str) -> Duration {
    let mut quickest = PATIENCE;
    for _ in 0..5 {
        let begin = Instant::now();
        let answer = Client::new(client.base()).get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        quickest = quickest.min(begin.elapsed());
    }
    quickest
}

async fn assert_probes_are_quick(shop: &Conditioned, probes: &Client) {
    for client in [&shop.client, probes] {
        for path in ["/livez", "/readyz", "/healthz", "/metrics"] {
            let took = probed(client, path).await;
            assert!(took < Duration::from_millis(100), "{path} of {} took {took:?}", client.base());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_with_all_connections_keeps_out_neither_probes_nor_customers() {
    let home = Home::new();
    let (shop, probes) = monolith(&home).await;
    let elsewhere = probes.get("/api/products").await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND, "the address for probes is for nothing else");

    for path in [Some("/livez"), Some("/api/products"), None] {
        let mut crowd = Vec::new();
        for _ in 0..CONNECTIONS {
            crowd.push(held(&shop.client, path).await);
        }
        assert_probes_are_quick(&shop, &probes).await;
        let name = format!("customer-{}", path.map_or(0, str::len));
        let customer = Client::new(shop.client.base()).customer(&name).await;
        customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
        drop(crowd);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_user_has_so_many_event_streams() {
    let home = Home::new();
    let shop = home.start_under(Condition { variables: &[("PAYMENT_RETRY_AFTER", "1h")], ..Condition::default() }).await;
    let ada = shop.client.customer("ada").await;
    let order = ada.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let path = format!("/api/orders/{}/events", order["id"].as_str().unwrap());
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let stream = ada.open(&path).await;
        assert_eq!(stream.status(), StatusCode::OK);
        streams.push(stream);
    }
    let refused = ada.get(&path).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after") && refused.body["detail"].as_str().unwrap().contains("may have 16"), "{refused:?}");
    streams.pop();
    super::test_env::until("a stream more", || async {
        let stream = ada.open(&path).await;
        (stream.status() == StatusCode::OK).then_some(())
    })
    .await;
}
