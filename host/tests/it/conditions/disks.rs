//! Disks that have no room for a while, are slow, or do not answer at all: what was done is not done again, and reads go on.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use rustix::process::Signal;

use super::long;
use super::test_env::{Condition, Conditioned, until};
use crate::client::{Client, PATIENCE};
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::repository;

/// A process of the shop whose calls of `call` are treated as `how`, in the words of strace.
pub fn with<'a>(call: &'a str, how: &'a str) -> [&'a str; 10] {
    ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", call, "-e", how]
}

/// Places orders, the next one paid by `token` of how many were accepted, until some were refused and ten were accepted after that.
pub async fn through_the_bad_time(customer: &Client, token: impl Fn(usize) -> &'static str) -> Vec<String> {
    let (mut accepted, mut refused, mut since) = (Vec::new(), 0, 0);
    let deadline = Instant::now() + PATIENCE * 2;
    while since < 10 {
        assert!(Instant::now() < deadline, "{} accepted, {refused} refused, {since} after that", accepted.len());
        let answer = customer.order("prod-008", 1, token(accepted.len())).await;
        if answer.status == StatusCode::CREATED {
            since += usize::from(refused > 0);
            accepted.push(answer.body["id"].as_str().unwrap().to_owned());
        } else {
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
            refused += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    accepted
}

/// How often the component that tells customers has done it.
async fn told(process: &Conditioned) -> f64 {
    let labels = [("component", "notification-sender"), ("outcome", "accepted")];
    Scraped::of(&process.client).await.value("ecommerce_component_runs_total", &labels).unwrap_or_default()
}

/// Waits until all events were taken, and answers how often customers were told.
async fn told_in_the_end(process: &Conditioned) -> f64 {
    let what = "all events are taken";
    Scraped::until(&process.client, what, |scraped| scraped.value("ecommerce_outbox_events", &[]) == Some(0.0)).await;
    told(process).await
}

/// Numbers of the writes that fail, well after the start, which makes some hundred.
const FULL: &str = "inject=pwrite64:error=ENOSPC:when=2500..2800";
const NO_QUOTA: &str = "inject=pwrite64:error=EDQUOT:when=2500..2800";

async fn nothing_is_told_twice_and_nothing_is_lost(failing: &str) {
    let home = Home::new();
    let process = home.start_under(Condition { around: &with("trace=pwrite64", failing), ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    let of_one = told_in_the_end(&process).await;
    assert!(of_one > 0.0, "a customer is told of an order");
    let accepted = through_the_bad_time(&customer, |_| "tok_visa").await;
    for id in &accepted {
        customer.wait_for("orders", id, &["delivered"]).await;
    }
    #[expect(clippy::cast_precision_loss, reason = "some hundred")]
    let of_all = of_one * (accepted.len() + 1) as f64;
    assert_eq!(told_in_the_end(&process).await, of_all, "customers are told once of each event of {} orders", accepted.len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_sent_is_not_sent_again_while_there_is_no_room_to_note_it() {
    nothing_is_told_twice_and_nothing_is_lost(FULL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_a_disk_that_is_full() {
    nothing_is_told_twice_and_nothing_is_lost(NO_QUOTA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_makes_orders_slow_and_keeps_the_process_ready() {
    let home = Home::new();
    let slow = with("trace=fdatasync", "inject=fdatasync:delay_enter=1200000");
    let process = home.start_under(Condition { around: &slow, ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    let placed = customer.order("prod-008", 1, "tok_visa").await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    // Its commits wait for each other, and for those of the relay and the event consumers: some thirty, of 1.2 s each.
    let delivered = customer.wait_within(PATIENCE * 4, "orders", placed.body["id"].as_str().unwrap(), &["delivered"]);
    let asked = async {
        until("the database is said to be slow", || async {
            let ready = process.client.get("/readyz").await;
            assert_eq!(ready.status, StatusCode::OK, "{ready:?}");
            let health = process.client.get("/healthz").await;
            assert_eq!(health.status, StatusCode::OK, "{health:?}");
            health.body["checks"]["persistence"]["message"].as_str().unwrap().contains("takes longer than").then_some(())
        })
        .await;
    };
    tokio::join!(delivered, asked);
}

/// Whether a request is answered within a moment, and how.
async fn status(client: &Client, path: &str) -> Option<StatusCode> {
    let answer = tokio::time::timeout(Duration::from_secs(10), client.try_send(Method::GET, path, None, &[])).await;
    answer.ok()?.ok().map(|answer| answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_answer_leaves_what_is_read_and_neither_hides_nor_holds_up_the_end() {
    let home = Home::new();
    // From some write on, well after the start, for longer than anybody waits.
    let hanging = with("trace=fdatasync", "inject=fdatasync:delay_enter=3600000000:when=60+");
    let process = home.start_under(Condition { around: &hanging, ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    let mut acknowledged = Vec::new();
    while let Ok(answer) = tokio::time::timeout(Duration::from_secs(3), customer.order("prod-008", 1, "tok_visa")).await {
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        acknowledged.push(answer.body["id"].as_str().unwrap().to_owned());
    }
    until("that nothing is written is told", || async {
        let health = process.client.get("/healthz").await;
        (health.status == StatusCode::SERVICE_UNAVAILABLE
            && health.body["checks"]["persistence"]["message"].as_str().unwrap().contains("takes longer than"))
        .then_some(())
    })
    .await;
    for path in ["/api/products", "/api/orders", "/readyz"] {
        assert_eq!(status(&customer, path).await, Some(StatusCode::OK), "{path}");
    }
    if long() {
        let since = Instant::now();
        until("/livez says so", || async { (status(&customer, "/livez").await == Some(StatusCode::SERVICE_UNAVAILABLE)).then_some(()) })
            .await;
        assert!(since.elapsed() > Duration::from_secs(30), "a minute passes first, of which some was waited for above");
        let told = process.client.get("/livez").await;
        assert!(told.body["reason"].as_str().unwrap().contains("the thread that writes"), "{told:?}");
    } else {
        assert_eq!(status(&customer, "/livez").await, Some(StatusCode::OK), "it may only be slow");
    }
    let took = process.end_inside(Signal::TERM).await;
    assert!(took < Duration::from_secs(10), "it took {took:?} to end");
    drop(process);

    let process = home.start_under(Condition::default()).await;
    let customer = process.client.with_token(customer.token());
    for id in acknowledged {
        customer.wait_for("orders", &id, &["delivered"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_before_the_disk_is_mounted_is_refused_where_there_is_a_database_and_told_of_where_there_may_be_none() {
    let home = Home::new();
    let config = repository().join("configs/monolith.yaml");
    let process = home.start(&[("DATABASE_CREATE", "true")]).await;
    let told = "there was no database: a new, empty one was made";
    assert!(process.log().lock().iter().any(|line| line.contains(told) && line.contains("WARN") && line.contains("/data/ecommerce.db")));
    drop(process);
    let process = home.start(&[("DATABASE_CREATE", "false")]).await;
    assert!(!process.log().lock().iter().any(|line| line.contains(told)));
    drop(process);

    let (data, elsewhere) = (home.path().join("data"), home.path().join("elsewhere"));
    std::fs::rename(&data, &elsewhere).unwrap();
    std::fs::create_dir(&data).unwrap();
    let output = home.command(&config).env("DATABASE_CREATE", "false").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("is its disk mounted?") && said.contains("/data/ecommerce.db"), "{said}");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "nothing is made below the place of the disk");
}
