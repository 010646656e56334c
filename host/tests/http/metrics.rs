//! Who may read `/metrics`.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::http::request::Builder;
use axum::routing::any;
use millrace::plan::{Endpoint, MetricsAccess, Secret};

use crate::support::{Answer, Edge, Setup, route};

const TOKEN: &str = "sixteen-or-more!";

fn edge(access: MetricsAccess) -> Edge {
    let mut setup = Setup::new();
    setup.plan.metrics.as_mut().unwrap().access = access;
    setup.start()
}

fn private(trusted: &[&str]) -> Edge {
    edge(MetricsAccess::Private { trusted_proxies: trusted.iter().map(|&network| network.to_owned()).collect(), hosts: vec![] })
}

fn from(peer: &str) -> Builder {
    Request::get("/metrics").extension(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4711)))
}

async fn ask(edge: &Edge, request: Builder) -> Answer {
    edge.ask(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn they_are_for_this_machine_and_private_networks_and_others_are_told_so() {
    let edge = private(&[]);
    for near in ["127.0.0.1", "::1", "10.0.0.7", "172.20.0.3", "192.168.1.9", "169.254.3.4", "fd12::1", "fe80::2", "::ffff:10.0.0.7"] {
        let answer = ask(&edge, from(near)).await;
        assert_eq!(answer.status, 200, "{near}: {}", answer.text);
        assert!(answer.text.contains("shop_"), "{}", answer.text);
    }
    for (public, shown) in [("203.0.113.9", "203.0.113.9"), ("2001:db8::9", "2001:db8::9"), ("::ffff:203.0.113.9", "203.0.113.9")] {
        let detail = ask(&edge, from(public)).await.problem(403);
        for part in ["this machine and private networks", &format!("'{shown}'"), "metrics.collector", "token or open"] {
            assert!(detail.contains(part), "no '{part}' in {detail}");
        }
        let head = Request::head("/metrics").extension(ConnectInfo(SocketAddr::new(public.parse().unwrap(), 1)));
        assert_eq!(ask(&edge, head).await.status, 403);
    }
}

#[tokio::test]
async fn a_proxy_in_front_makes_nobody_near() {
    for edge in [private(&[]), private(&["10.0.0.0/8"])] {
        for chain in ["203.0.113.9", "127.0.0.1, 203.0.113.9", "203.0.113.9, 10.0.0.2", "somebody"] {
            ask(&edge, from("10.0.0.1").header("x-forwarded-for", chain)).await.problem(403);
        }
        assert_eq!(ask(&edge, from("10.0.0.1").header("x-forwarded-for", "192.168.3.4")).await.status, 200);
        ask(&edge, from("203.0.113.9").header("x-forwarded-for", "127.0.0.1")).await.problem(403);
    }
}

/// What a page on a public name that leads to this machine can make the browser of somebody inside ask.
fn rebound(path: &str, host: &str) -> Builder {
    Request::get(path).extension(ConnectInfo(SocketAddr::new([127, 0, 0, 1].into(), 4711))).header("host", host)
}

#[tokio::test]
async fn a_public_name_that_leads_here_makes_nobody_near() {
    let hosts = vec!["metrics.shop.example".to_owned()];
    let edge = edge(MetricsAccess::Private { trusted_proxies: vec![], hosts });
    for host in ["evil.example", "evil.example:8080", "localhost.evil.example"] {
        let detail = ask(&edge, rebound("/metrics", host)).await.problem(403);
        assert!(detail.contains(&format!("'{host}'")) && detail.contains("`hosts` of the metrics.collector"), "{detail}");
    }
    for host in ["localhost:8080", "127.0.0.1:8080", "orders:8082", "millrace.prod.svc.cluster.local", "metrics.shop.example:443"] {
        assert_eq!(ask(&edge, rebound("/metrics", host)).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn with_a_token_they_are_for_who_sends_it_wherever_from() {
    let edge = edge(MetricsAccess::Token(Secret(TOKEN.into())));
    for peer in ["203.0.113.9", "127.0.0.1"] {
        assert_eq!(ask(&edge, from(peer).header("authorization", format!("Bearer {TOKEN}"))).await.status, 200);
        for wrong in ["Bearer sixteen-or-more", "Bearer", "Basic c2l4dGVlbg==", "Bearer "] {
            let answer = ask(&edge, from(peer).header("authorization", wrong)).await;
            answer.problem(401);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
        assert!(ask(&edge, from(peer)).await.problem(401).contains("Bearer"));
    }
}

#[tokio::test]
async fn they_may_be_open_to_everybody() {
    assert_eq!(ask(&edge(MetricsAccess::Open), from("203.0.113.9")).await.status, 200);
}

#[tokio::test]
async fn a_gateway_that_passes_everything_on_tells_its_own_and_nobody_elses() {
    let mut setup = Setup::new();
    setup.plan.routes.push(route("GET", "/{rest...}", Endpoint::Proxy("all".into()), vec![]));
    setup.proxies.insert("all".into(), Router::new().fallback(any(|| async { "of the service behind" })));
    let edge = setup.start();
    assert_eq!(edge.get("/anything").await.text, "of the service behind");
    assert!(edge.get("/metrics").await.text.contains("shop_http_requests_total"));
    ask(&edge, from("203.0.113.9")).await.problem(403);
}
