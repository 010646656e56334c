//! Guessing of passwords is slowed where it comes from, and keeps no owner out.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use futures::future::join_all;
use jiff::SignedDuration;
use millrace::plan::{Middleware, RateLimit};
use serde_json::{Value, json};

use crate::support::{Answer, Edge, Setup};

const LOGIN: &str = "/api/auth/login";
const REGISTER: &str = "/api/auth/register";
const RIGHT: &str = "password123";
const WRONG: &str = "password124";

/// Where somebody is.
#[derive(Clone, Copy)]
struct At<'a> {
    peer: &'a str,
    forwarded: Option<&'static str>,
}

fn at(peer: &str) -> At<'_> {
    At { peer, forwarded: None }
}

impl At<'_> {
    async fn post(self, edge: &Edge, path: &str, body: Value) -> Answer {
        let mut request = Request::post(path).header("content-type", "application/json").body(Body::from(body.to_string())).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.peer.parse().unwrap(), 1234)));
        if let Some(address) = self.forwarded {
            request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
        }
        edge.ask(request).await
    }

    async fn login(self, edge: &Edge, email: &str, password: &str) -> Answer {
        self.post(edge, LOGIN, json!({"email": email, "password": password})).await
    }

    async fn register(self, edge: &Edge, email: &str) {
        let answer = self.post(edge, REGISTER, json!({"name": "Ada", "email": email, "password": RIGHT})).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
}

/// Guesses one after the other, some seconds apart, until one is sent away; how many were tried.
async fn until_refused<'a>(edge: &Edge, guess: impl Fn(usize) -> (At<'a>, String)) -> usize {
    for tried in 0..60 {
        let (from, email) = guess(tried);
        let answer = from.login(edge, &email, WRONG).await;
        if answer.status == 429 {
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 4, "{}", answer.text);
            return tried;
        }
        answer.problem(401);
        pass(edge, 2);
    }
    panic!("nobody slows them");
}

fn pass(edge: &Edge, seconds: i64) {
    edge.clock.advance(SignedDuration::from_secs(seconds));
}

/// How many attempts were held or refused.
async fn slowed(edge: &Edge) -> u64 {
    let metrics = edge.get("/metrics").await.text;
    let counted = metrics.lines().filter(|line| line.starts_with("shop_logins_slowed_total"));
    counted.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

async fn is_let_in_at_once(edge: &Edge, from: At<'_>, email: &str) {
    let before = slowed(edge).await;
    let answer = from.login(edge, email, RIGHT).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(slowed(edge).await, before, "it was held");
}

#[tokio::test]
async fn who_guesses_from_elsewhere_does_not_keep_the_owner_out() {
    let edge = Setup::new().start();
    at("203.0.113.1").register(&edge, "ada@example.com").await;
    let tried = until_refused(&edge, |_| (at("198.51.100.1"), "ada@example.com".into())).await;
    assert!((5..15).contains(&tried), "{tried} were tried");
    // They go on for five minutes.
    for _ in 0..60 {
        let guess = at("198.51.100.1").login(&edge, "ada@example.com", WRONG).await;
        assert!(guess.status == 401 || guess.status == 429);
        pass(&edge, 5);
    }
    while at("198.51.100.1").login(&edge, "ada@example.com", WRONG).await.status != 401 {
        pass(&edge, 5);
    }
    is_let_in_at_once(&edge, at("203.0.113.1"), "ada@example.com").await;
    is_let_in_at_once(&edge, at("192.0.2.77"), "ada@example.com").await;
    let right = at("198.51.100.1").login(&edge, "ada@example.com", RIGHT).await;
    assert_eq!(right.status, 429, "nor does a guesser profit from the owner's login: {}", right.text);
}

#[tokio::test]
async fn an_owner_whose_network_is_shared_with_a_guesser_waits_for_seconds_only() {
    let edge = Setup::new().start();
    let shared = at("203.0.113.1");
    shared.register(&edge, "ada@example.com").await;
    for _ in 0..30 {
        shared.login(&edge, "ada@example.com", WRONG).await.problem(401);
        pass(&edge, 2);
    }
    assert_eq!(shared.login(&edge, "ada@example.com", RIGHT).await.status, 200);
}

#[tokio::test]
async fn one_password_tried_at_many_accounts_is_slowed_for_that_network_alone() {
    let edge = Setup::new().start();
    at("203.0.113.1").register(&edge, "ada@example.com").await;
    at("198.51.100.1").register(&edge, "bob@example.com").await;
    let tried = until_refused(&edge, |n| (at("198.51.100.1"), format!("n{n}@example.com"))).await;
    assert!((20..45).contains(&tried), "{tried} were tried");
    let refused = at("198.51.100.1").login(&edge, "ada@example.com", RIGHT).await;
    assert_eq!(refused.problem(429), "too many wrong passwords from this network");
    is_let_in_at_once(&edge, at("203.0.113.1"), "ada@example.com").await;
    is_let_in_at_once(&edge, at("198.51.100.1"), "bob@example.com").await;
}

#[tokio::test]
async fn many_networks_at_one_account_are_slowed_in_sum_and_its_owner_is_not() {
    let edge = Setup::new().start();
    at("203.0.113.1").register(&edge, "ada@example.com").await;
    let peers: Vec<String> = (1..=60).map(|n| format!("198.51.100.{n}")).collect();
    let guesses = join_all(peers.iter().map(|peer| at(peer).login(&edge, "ada@example.com", WRONG))).await;
    let tried = guesses.iter().filter(|answer| answer.status == 401).count();
    assert!((20..=30).contains(&tried), "{tried} were tried");
    for refused in guesses.iter().filter(|answer| answer.status != 401) {
        assert_eq!(refused.problem(429), "too many wrong passwords for this account");
    }
    is_let_in_at_once(&edge, at("203.0.113.1"), "ada@example.com").await;
    // Who has erred queues apart from who has not.
    pass(&edge, 30);
    let guilty: Vec<&String> = peers.iter().zip(&guesses).filter(|(_, answer)| answer.status == 401).map(|(peer, _)| peer).collect();
    let (again, owner) = tokio::join!(
        join_all(guilty.iter().chain(&guilty).map(|peer| at(peer).login(&edge, "ada@example.com", WRONG))),
        at("192.0.2.77").login(&edge, "ada@example.com", RIGHT),
    );
    assert!(again.iter().any(|answer| answer.status == 429));
    assert_eq!(owner.status, 200, "{}", owner.text);
}

#[tokio::test]
async fn who_guesses_gets_the_same_answers_whether_or_not_there_is_such_an_account() {
    let edge = Setup::new().start();
    at("203.0.113.1").register(&edge, "ada@example.com").await;
    let mut seen = Vec::new();
    for (peer, email) in [("198.51.100.1", "ada@example.com"), ("198.51.100.2", "nobody@example.com")] {
        let mut answers = Vec::new();
        for _ in 0..16 {
            let answer = at(peer).login(&edge, email, WRONG).await;
            answers.push((answer.status.as_u16(), answer.text));
            pass(&edge, 10);
        }
        seen.push(answers);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].iter().any(|(status, _)| *status == 429) && seen[0].iter().any(|(status, _)| *status == 401), "{seen:?}");
}

#[tokio::test]
async fn all_addresses_of_one_ipv6_customer_and_all_spellings_of_one_account_count_together() {
    let edge = Setup::new().start();
    let peers: Vec<_> = (0..60).map(|n| format!("2001:db8:1:2::{n:x}")).collect();
    let spellings = ["Ada@example.com", "\u{FF21}da@Example.com", "ada@example\u{3002}com"];
    let tried = until_refused(&edge, |n| (at(&peers[n]), spellings[n % 3].into())).await;
    assert!(tried < 15, "{tried} were tried");
}

/// Somebody with a whole /48 of IPv6 guesses from each of its networks once, so that none of them has erred before.
#[tokio::test]
async fn all_networks_of_one_ipv6_site_together_do_not_keep_an_owner_out_who_is_elsewhere() {
    let edge = Setup::new().start();
    at("2001:db8:9::1").register(&edge, "ada@example.com").await;
    let mut networks = (0..).map(|n| format!("2001:db8:1:{n:x}::1"));
    for round in 0..3 {
        // Never where the owner was before.
        let elsewhere = format!("2001:db8:{:x}::1", 0x70 + round);
        let peers: Vec<String> = networks.by_ref().take(30).collect();
        let guesses = join_all(peers.iter().map(|peer| at(peer).login(&edge, "ada@example.com", WRONG)));
        let owner = async {
            tokio::task::yield_now().await;
            at(&elsewhere).login(&edge, "ada@example.com", RIGHT).await
        };
        let (guesses, owner) = tokio::join!(guesses, owner);
        assert!(guesses.iter().all(|answer| answer.status == 401 || answer.status == 429));
        assert_eq!(owner.status, 200, "{}", owner.text);
        pass(&edge, 2);
    }
}

#[tokio::test]
async fn one_password_tried_at_many_accounts_from_many_networks_of_one_ipv6_site_is_slowed() {
    let edge = Setup::new().start();
    let mut held = 0;
    for n in 0..200 {
        let peer = format!("2001:db8:1:{n:x}::1");
        held = slowed(&edge).await;
        if held > 0 {
            break;
        }
        at(&peer).login(&edge, &format!("n{n}@example.com"), WRONG).await.problem(401);
    }
    assert!(held > 0, "nobody slows them");
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_network_is_the_one_it_speaks_for() {
    let mut setup = Setup::new();
    for route in &mut setup.plan.routes {
        route.middlewares.push(Middleware::RateLimit(RateLimit {
            name: "limit".into(),
            requests_per_minute: 100_000,
            burst_size: 10_000,
            requests_per_hour: None,
            trusted_proxies: vec!["10.0.0.0/8".into()],
        }));
    }
    let edge = setup.start();
    let through = |address| At { peer: "10.1.1.1", forwarded: Some(address) };
    through("203.0.113.1").register(&edge, "ada@example.com").await;
    until_refused(&edge, |_| (through("198.51.100.1"), "ada@example.com".into())).await;
    is_let_in_at_once(&edge, through("203.0.113.1"), "ada@example.com").await;
    is_let_in_at_once(&edge, through("203.0.113.99"), "ada@example.com").await;
    // Who is no proxy speaks for nobody.
    let invented = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    let tried = until_refused(&edge, |n| (At { peer: "192.0.2.5", forwarded: Some(invented[n % 3]) }, "ada@example.com".into())).await;
    assert!(tried < 15, "{tried} were tried");
}

#[tokio::test]
async fn what_is_slowed_is_counted() {
    let edge = Setup::new().start();
    until_refused(&edge, |_| (at("198.51.100.1"), "ada@example.com".into())).await;
    let metrics = edge.get("/metrics").await.text;
    for outcome in ["held", "refused"] {
        let series = format!(r#"shop_logins_slowed_total{{by="network_at_account",outcome="{outcome}"}}"#);
        assert!(metrics.contains(&series), "{series} is not in {metrics}");
    }
}
