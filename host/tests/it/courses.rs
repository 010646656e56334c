//! Orders that have come a long way: what may be asked of them, and what it costs to look at them.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use millrace::clock::Clock;
use millrace::store::{self, Commit, Guard, HistoryRow, Resource};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;
use crate::conditions::test_env::until;
use crate::process::Home;
use crate::test_app::{TestApp, changed_monolith};

/// Streams of one user that read nothing.
const STREAMS: usize = 64;
/// Transitions of the order that has come a long way.
const LONG: u64 = 3_000;

/// The monolith with these texts in the place of others.
async fn start_changed(changes: &[(&str, &str)], variables: &[(&str, &str)]) -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    TestApp::start(&changed_monolith(folder.path(), changes).display().to_string(), variables).await
}

async fn retry(customer: &Client, id: &str) -> crate::client::Answer {
    customer.post(&format!("/api/orders/{id}/retry"), &json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_order_can_be_tried_by_hand_as_often_as_by_its_timer_and_no_more() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "20m")]).await;
    let customer = app.client.customer("ada").await;
    let mut order = customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let id = order["id"].as_str().unwrap().to_owned();
    for attempt in 1..=3 {
        let next = &order["next"];
        assert_eq!(
            (&next["transition"], &next["attempt"], &next["of"]),
            (&json!("retry_payment"), &json!(attempt), &json!(3)),
            "{order:#}"
        );
        let at: jiff::Timestamp = next["at"].as_str().unwrap().parse().unwrap();
        let left = at.duration_since(app.clock.now());
        assert_eq!((&order["final"], &order["actions"]), (&json!(false), &json!(["cancel", "retry"])), "{order:#}");
        assert!(left > jiff::SignedDuration::from_mins(15) && left <= jiff::SignedDuration::from_mins(20), "{left}");
        assert_eq!(retry(&customer, &id).await.status, StatusCode::OK);
        order = until("it is declined again", async || {
            let order = customer.get(&format!("/api/orders/{id}")).await.body;
            (order["state"] != "paying").then_some(order)
        })
        .await;
    }
    let last = order["history"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&order["state"], &last["transition"], &last["cause"]),
        (&json!("cancelled"), &json!("abandon_payment"), &json!("exhausted"))
    );
    assert!(order["next"].is_null(), "nothing follows: {order:#}");
    assert_eq!((&order["final"], &order["actions"]), (&json!(true), &json!([])), "{order:#}");
    assert_eq!(retry(&customer, &id).await.status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shipment_can_be_asked_for_again_by_hand_but_not_without_a_pause() {
    let app = start_changed(&[("retryBackoffMs: 2000", "retryBackoffMs: 10")], &[("SHIPPING_RETRY_AFTER", "1h")]).await;
    let customer = app.client.customer("ada").await;
    let mut body = crate::client::order("prod-001", 1, "tok_visa");
    body["shipping"]["zip"] = json!("99999");
    let id = customer.post("/api/orders", &body).await.body["id"].as_str().unwrap().to_owned();
    let failed = customer.wait_for("orders", &id, &["ship_failed"]).await;
    assert_eq!((&failed["next"]["transition"], &failed["next"]["attempt"]), (&json!("retry_shipping"), &json!(1)), "{failed:#}");
    assert!(failed["next"]["of"].is_null(), "it has no end: {failed:#}");
    assert_eq!(failed["actions"], json!(["retry"]), "{failed:#}");
    assert_eq!(retry(&customer, &id).await.status, StatusCode::OK, "the first is free");
    let paused = customer.wait_for("orders", &id, &["ship_failed"]).await;
    assert_eq!(paused["actions"], json!([]), "it is paused: {paused:#}");
    let refused = retry(&customer, &id).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&wait), "{refused:?}");
    let still = customer.get(&format!("/api/orders/{id}")).await.body;
    assert_eq!(still["next"]["attempt"], json!(2), "what was refused changed nothing: {still:#}");
    app.clock.advance(jiff::SignedDuration::from_secs(6));
    assert_eq!(customer.get(&format!("/api/orders/{id}")).await.body["actions"], json!(["retry"]));
    assert_eq!(customer.get("/api/orders").await.body[0]["actions"], json!(["retry"]));
    assert_eq!(retry(&customer, &id).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_has_gone_as_far_as_it_may_asks_for_a_person() {
    let changes = [
        ("      maxConcurrentRuns: ", "      maxTransitions: 8\n      maxConcurrentRuns: "),
        ("            maxAttempts: 3\n            exhausted: abandon_payment\n", ""),
    ];
    let app = start_changed(&changes, &[("PAYMENT_RETRY_AFTER", "20ms")]).await;
    let customer = app.client.customer("ada").await;
    let placed = customer.order("prod-001", 2, "tok_chargeDeclined").await.body["id"].as_str().unwrap().to_owned();
    let path = format!("/api/orders/{placed}");
    let worn = until("it asks for a person", async || {
        let order = customer.get(&path).await.body;
        order["attention"].is_string().then_some(order)
    })
    .await;
    assert!(worn["attention"].as_str().unwrap().contains("8 are allowed"), "{worn:#}");
    assert_eq!((&worn["state"], worn["history"].as_array().unwrap().len()), (&json!("payment_failed"), 8), "{worn:#}");
    assert_eq!(worn["actions"], json!(["cancel"]), "only its end is left: {worn:#}");
    let refused = retry(&customer, &placed).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert!(refused.body["detail"].as_str().unwrap().contains("a person has to look at it"), "{refused:?}");
    let cancelled = customer.post(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (StatusCode::OK, &json!("cancelled")), "its end is always possible");
    crate::shop::wait_for_stock(&customer, "prod-001", 50).await;
}

/// A home with an order that has made many transitions, its owner's token and its id.
async fn long_way() -> (Home, PathBuf, String, String) {
    let home = Home::new();
    let server = "    type: http.server\n    config:\n";
    let config = changed_monolith(home.path(), &[(server, &format!("{server}      maxEventStreamsPerUser: {STREAMS}\n"))]);
    let variables = [("PAYMENT_RETRY_AFTER", "10h")];
    let process = home.start_config(&config, &variables).await;
    let customer = process.client.customer("ada").await;
    let order = customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let (id, token) = (order["id"].as_str().unwrap().to_owned(), customer.token().to_owned());
    process.kill();
    let store = store::open(
        &store::Database { place: store::Place::File(home.path().join("data/ecommerce.db")), readers: 1, keys: vec![], kinds: vec![] },
        Clock::system(),
    )
    .unwrap();
    let mut resource = store.resources.resource("orders", &id).await.unwrap().unwrap();
    let progress = resource.workflow.as_mut().unwrap();
    let made = progress.instance.version;
    progress.instance.version = LONG;
    let timers = store.instances.timers("orders", &id).await.unwrap();
    let timers = timers.into_iter().map(|timer| millrace::store::Timer { version: LONG, ..timer }).collect();
    let history: Vec<HistoryRow> = (made + 1..=LONG).map(|seq| row(seq, resource.updated_at)).collect();
    let change = Some((Guard::Version(resource.version), Resource { version: resource.version + 1, ..resource }));
    store.resources.commit(Commit { change, history, timers, ..Commit::default() }).await.unwrap();
    store.operations.close().await;
    (home, config, token, id)
}

fn row(seq: u64, at: jiff::Timestamp) -> HistoryRow {
    let there = seq.is_multiple_of(2);
    let word = |yes: &str, no: &str| if there { yes.to_owned() } else { no.to_owned() };
    HistoryRow {
        seq,
        from: word("payment_failed", "paying"),
        to: word("paying", "payment_failed"),
        transition: word("retry_payment", "payment_declined"),
        at,
        cause: word("api", "rejected"),
        component: Some("payment-processor".into()),
        digest: Some("ab".repeat(32)),
        attempt: Some(1),
        reason: Some("the card was declined".into()),
    }
}

/// Memory of a process that is not shared with others, in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_read_and_sent_in_pages_and_readers_that_take_nothing_cost_little() {
    let (home, config, token, id) = long_way().await;
    let process = home.start_config(&config, &[("PAYMENT_RETRY_AFTER", "10h")]).await;
    let customer = process.client.with_token(&token);
    let path = format!("/api/orders/{id}");

    // The newest first; a page leads to the one before it, without a gap and to the very first.
    let answer = customer.get(&path).await;
    let (mut seen, mut body) = (Vec::new(), answer.body);
    assert!(body.to_string().len() < 60_000, "{} bytes", body.to_string().len());
    assert_eq!(answer.headers["link"].to_str().unwrap(), format!("<{path}?historyBefore={}>; rel=\"next\"", LONG - 99));
    loop {
        let page: Vec<u64> = body["history"].as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect();
        assert!(page.len() <= 100 && page.is_sorted(), "{page:?}");
        seen.splice(0..0, page);
        let Some(next) = body["historyNext"].as_str() else { break };
        body = customer.get(&format!("{path}?historyBefore={next}")).await.body;
    }
    assert_eq!(seen, (1..=LONG).collect::<Vec<_>>());
    for wrong in ["0", "-1", "first"] {
        assert_eq!(customer.get(&format!("{path}?historyBefore={wrong}")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }

    // One that reads gets all of it, and goes on where it was.
    assert_eq!(events(&customer, &path, None, LONG).await, (1..=LONG).collect::<Vec<_>>());
    assert_eq!(events(&customer, &path, Some(LONG - 150), LONG).await, (LONG - 149..=LONG).collect::<Vec<_>>());

    let before = resident(process.id());
    let mut silent = Vec::new();
    for _ in 0..STREAMS {
        let response = customer.open(&format!("{path}/events")).await;
        assert_eq!(response.status(), StatusCode::OK);
        silent.push(response);
    }
    // What is sent until each connection is full; then a quick answer tells that nothing else is going on.
    let last = Cell::new(0);
    until("nothing more is read for them", async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = resident(process.id());
        (now.abs_diff(last.replace(now)) < 256 * 1_024).then_some(())
    })
    .await;
    let grown = resident(process.id()).saturating_sub(before);
    assert!(grown < 20 << 20, "{STREAMS} readers that take nothing cost {} KiB", grown >> 10);
    eprintln!("{STREAMS} readers that take nothing cost {} KiB", grown >> 10);
    assert_eq!(customer.get(&path).await.status, StatusCode::OK);
    drop(silent);
}

/// Numbers of the events of a stream, up to `last`.
async fn events(customer: &Client, path: &str, after: Option<u64>, last: u64) -> Vec<u64> {
    let after = after.map(|seq| seq.to_string());
    let mut request =
        reqwest::Client::new().request(Method::GET, format!("{}{path}/events", customer.base())).bearer_auth(customer.token());
    if let Some(after) = &after {
        request = request.header("last-event-id", after);
    }
    let mut response = request.send().await.unwrap();
    let (mut text, mut seen) = (String::new(), Vec::new());
    while seen.last() != Some(&last) {
        let piece = tokio::time::timeout(crate::client::PATIENCE, response.chunk()).await.expect("the stream goes on").unwrap().unwrap();
        text.push_str(std::str::from_utf8(&piece).unwrap());
        while let Some((event, rest)) = text.split_once("\n\n") {
            let seq = event.lines().find_map(|line| line.strip_prefix("id: ")).map(|seq| seq.parse::<u64>().unwrap());
            seen.extend(seq);
            text = rest.to_owned();
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_order_is_answered_with_all_of_its_history() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("ada").await;
    let order = customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    assert_eq!(order["history"].as_array().unwrap().len(), 7);
    assert!(order["historyNext"].is_null() && order["next"].is_null(), "{order:#}");
    let answer = customer.get(&format!("/api/orders/{}", order["id"].as_str().unwrap())).await;
    assert!(!answer.headers.contains_key("link"), "{answer:?}");
    let listed: Value = customer.get("/api/orders").await.body[0].clone();
    assert!(listed["history"].is_null() && listed["historyNext"].is_null(), "{listed:#}");
}
