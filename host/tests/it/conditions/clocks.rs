//! A date that somebody sets, forward or back, while the process runs or while it does not; and a process that is stopped and goes on.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use millrace::clock::Clock;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::long;
use super::split::{self, Split};
use super::test_env::{Condition, Conditioned, until};
use crate::client::Client;
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::{TestApp, built, repository};

/// How long a declined payment waits here before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// What a wait may take beyond its own delay on a slow machine: far less than any jump.
const SLACK: Duration = Duration::from_secs(20);

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How often an order's payment was tried again.
fn retries(order: &Value) -> usize {
    order["history"].as_array().unwrap().iter().filter(|row| row["transition"] == "retry_payment").count()
}

async fn order_of(customer: &Client, id: &str) -> Value {
    customer.get(&format!("/api/orders/{id}")).await.body
}

/// Waits until its payment is tried once more, and answers when that was seen.
async fn until_retried(customer: &Client, id: &str, before: usize) -> Instant {
    until("the payment is tried again", || async { (retries(&order_of(customer, id).await) > before).then(Instant::now) }).await
}

async fn declined(customer: &Client) -> (String, Instant) {
    let order = customer.order("prod-001", 1, "tok_chargeDeclined").await;
    let began = Instant::now();
    let id = order.body["id"].as_str().unwrap().to_owned();
    customer.wait_for("orders", &id, &["payment_failed"]).await;
    (id, began)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_waits_its_own_delay_whatever_the_date_does_meanwhile() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "2s")]).await;
    app.client.customer("ada").await;
    for jump in [HOUR, -HOUR, DAY, -DAY] {
        let customer = app.client.login("ada").await;
        let (id, began) = declined(&customer).await;
        app.clock.set(jump);
        let retried = until_retried(&customer, &id, 0).await.duration_since(began);
        assert!(retried >= RETRY_AFTER, "{jump}: tried again after {retried:?} already");
        assert!(retried < RETRY_AFTER + SLACK, "{jump}: tried again after {retried:?} only");
        // A new order is not held up either.
        customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
        app.clock.set(-jump);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_waits_no_longer_than_its_own_delay_when_the_date_was_set_between_two_processes() {
    let variables = [("PAYMENT_RETRY_AFTER", "2s")];
    let mut app = TestApp::start("configs/monolith.yaml", &variables).await;
    app.client.customer("ada").await;
    for jump in [-HOUR, -DAY, HOUR, DAY] {
        let (id, began) = declined(&app.client.login("ada").await).await;
        let folder = app.stop().await;
        let clock = Clock::system();
        clock.advance(jump);
        app = TestApp::start_at(clock, folder, &repository().join("configs/monolith.yaml"), &variables).await;
        let retried = until_retried(&app.client.login("ada").await, &id, 0).await.duration_since(began);
        assert!(jump > SignedDuration::ZERO || retried >= RETRY_AFTER, "{jump}: tried again after {retried:?} already");
        assert!(retried < RETRY_AFTER + SLACK, "{jump}: tried again after {retried:?} only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stuck_gets_older_although_the_date_was_set_back() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "1h")]).await;
    declined(&app.client.customer("ada").await).await;
    app.clock.set(-DAY);
    app.clock.advance(SignedDuration::from_mins(6));
    let oldest = |scraped: &Scraped| scraped.value("ecommerce_oldest_active_seconds", &[]).is_some_and(|age| (360.0..500.0).contains(&age));
    Scraped::until(&app.client, "its age is what has passed", oldest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_do_not_keep_an_owner_out_for_a_day_when_the_date_is_set_back() {
    let app = TestApp::monolith().await;
    app.client.customer("ada").await;
    let wrong = json!({"email": "ada@example.com", "password": "password124"});
    for _ in 0..7 {
        app.client.post("/api/auth/login", &wrong).await;
    }
    app.clock.set(-DAY);
    let began = Instant::now();
    until("the owner is let in", || async {
        let right = json!({"email": "ada@example.com", "password": "password123"});
        app.client.post("/api/auth/login", &right).await.status.is_success().then_some(())
    })
    .await;
    assert!(began.elapsed() < SLACK, "{:?}", began.elapsed());
}

/// Starts a process whose date is off by so much; what it measures is not.
async fn start_at(home: &Home, config: PathBuf, offset: &str, variables: &[(&str, &str)]) -> Conditioned {
    let around = ["faketime", "-f", offset];
    let variables: Vec<_> = variables.iter().copied().chain([("FAKETIME_DONT_FAKE_MONOTONIC", "1")]).collect();
    home.start_under(Condition { config, around: &around, variables: &variables, ..Condition::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_and_comes_back_a_day_earlier_makes_its_runs_and_timers_go_on() {
    let (home, config) = (Home::new(), jobs(20));
    std::fs::copy(built("hostile.wasm"), home.component("hostile.wasm")).unwrap();
    let config_file = home.path().join("jobs.yaml");
    std::fs::write(&config_file, config).unwrap();
    let process = home.start_config(&config_file, &[]).await;
    let customer = process.client.customer("ada").await;
    let id = customer.post("/api/jobs", &json!({"mode": "sleep"})).await.body["id"].as_str().unwrap().to_owned();
    home.until_inside_a_component("jobs", &id).await;
    process.kill();
    std::fs::remove_file(home.path().join("data/jobs.in-flight")).unwrap();
    let process = start_at(&home, config_file, "-1d", &[]).await;
    home.until_inside_a_component("jobs", &id).await;
    drop(process);

    let home = Home::new();
    let variables = [("PAYMENT_RETRY_AFTER", "4s")];
    let process = home.start(&variables).await;
    process.client.customer("ada").await;
    let (id, _) = declined(&process.client.login("ada").await).await;
    process.kill();
    let process = start_at(&home, repository().join("configs/monolith.yaml"), "-1d", &variables).await;
    let ready = Instant::now();
    let customer = process.client.login("ada").await;
    let retried = until_retried(&customer, &id, 0).await.duration_since(ready);
    assert!(retried < Duration::from_secs(4) + SLACK, "{retried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_clock_is_ahead_of_that_which_takes_its_tokens_is_told_of_until_it_is_not() {
    let split = Split::new();
    let users = split.users_products_at("+90s").await;
    let mut orders = split.orders(&[]);
    orders.until_ready().await;
    let ada = split::customer(&users.client, &orders.client, "ada").await;
    let refused = ada.get("/api/orders").await;
    assert_eq!(refused.status, reqwest::StatusCode::UNAUTHORIZED, "its tokens are of the future here: {refused:?}");
    let clocks = async || orders.client.get("/healthz").await.body["checks"]["clocks"].clone();
    let check = until("it is told of", || async { Some(clocks().await).filter(|check| check["status"] == "degraded") }).await;
    let message = check["message"].as_str().unwrap();
    let seconds = message.split_whitespace().find_map(|word| word.parse::<i64>().ok()).unwrap_or_else(|| panic!("{message}"));
    assert!((85..=95).contains(&seconds) && message.contains("ahead") && message.contains(users.client.base()), "{message}");
    assert_eq!(orders.client.get("/readyz").await.status, reqwest::StatusCode::OK, "who has an older token can order");

    drop(users);
    let users = split.users_products(&[]).await;
    until("the clocks agree", || async { Some(clocks().await).filter(|check| check["status"] == "up") }).await;
    let ada = orders.client.with_token(users.client.login("ada").await.token());
    assert_eq!(ada.get("/api/orders").await.status, reqwest::StatusCode::OK);
}

/// A process of jobs whose step may take so many seconds.
fn jobs(seconds: u32) -> String {
    let text = std::fs::read_to_string(repository().join("host/tests/it/configs/jobs.yaml")).unwrap();
    let patient = text.replace("timeoutSeconds: 1\n", &format!("timeoutSeconds: {seconds}\n"));
    assert_ne!(text, patient);
    patient
}

/// Stops the whole process for a while.
async fn pause(process: &Conditioned, length: Duration) {
    process.signal_alone(Signal::STOP);
    tokio::time::sleep(length).await;
    process.signal_alone(Signal::CONT);
}

/// Longer than any time limit of these tests.
fn a_pause() -> Duration {
    Duration::from_secs(if long() { 40 } else { 4 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_that_ran_out_while_the_process_was_stopped_counts_for_nothing() {
    let home = Home::new();
    std::fs::copy(built("hostile.wasm"), home.component("hostile.wasm")).unwrap();
    let config = home.path().join("jobs.yaml");
    std::fs::write(&config, jobs(2)).unwrap();
    let log = std::fs::File::create(home.path().join("log")).unwrap();
    let process = home.start_under(Condition { config, log: Some(Stdio::from(log)), ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    let job = async || customer.post("/api/jobs", &json!({"mode": "sleep"})).await.body["id"].as_str().unwrap().to_owned();
    let timeouts = async || {
        let scraped = Scraped::of(&process.client).await;
        scraped.value("jobs_component_runs_total", &[("outcome", "timeout")]).unwrap_or_default()
    };

    let undisturbed = customer.wait_for("jobs", &job().await, &["failed"]).await;
    let each = timeouts().await;
    assert!(each > 0.0);

    let id = job().await;
    home.until_inside_a_component("jobs", &id).await;
    pause(&process, a_pause()).await;
    let paused = customer.wait_for("jobs", &id, &["failed"]).await;
    let attempts = |job: &Value| job["history"].as_array().unwrap().last().unwrap()["attempt"].clone();
    assert_eq!(attempts(&paused), attempts(&undisturbed), "the attempt that was stopped was not counted");
    assert_eq!(timeouts().await, 2.0 * each, "nor held against the component");
    let log = std::fs::read_to_string(home.path().join("log")).unwrap();
    assert!(log.contains("this process was stopped and goes on") && log.contains("the attempt is made again"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_under_load_makes_no_dead_letter_and_opens_no_breaker() {
    let home = Home::new();
    let config = home.path().join("monolith.yaml");
    let text = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    let hasty = text.replace("deliveryTimeout: 30s", "deliveryTimeout: 1s");
    assert_ne!(text, hasty);
    std::fs::write(&config, hasty).unwrap();
    let seed = repository().join("seed/products.json").display().to_string();
    let variables = [("PRODUCTS_SEED", seed.as_str()), ("WEB_ROOT", "/nonexistent")];
    let process = home.start_under(Condition { config, variables: &variables, ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    let orders = {
        let customer = customer.clone();
        tokio::spawn(async move {
            let mut placed = Vec::new();
            for _ in 0..60 {
                let answer = customer.order("prod-008", 1, "tok_visa").await;
                placed.push(answer.body["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned());
            }
            placed
        })
    };
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        pause(&process, Duration::from_millis(1_500)).await;
    }
    for id in orders.await.unwrap() {
        customer.wait_for("orders", &id, &["delivered"]).await;
    }
    let scraped =
        Scraped::until(&process.client, "all events are published", |scraped| scraped.value("ecommerce_outbox_events", &[]) == Some(0.0))
            .await;
    assert_eq!(scraped.value("ecommerce_dead_letters_total", &[]).unwrap_or_default(), 0.0, "{}", scraped.text);
    assert_eq!(scraped.value("ecommerce_breaker_state", &[]).unwrap_or_default(), 0.0, "{}", scraped.text);
}
