//! A component that fails again and again is left alone for a while, and nobody's job is lost by that.

use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use super::scraped::Scraped;
use crate::client::{Client, PATIENCE};
use crate::test_app::{TestApp, built};

async fn place(customer: &Client, mode: &str) -> String {
    customer.post("/api/jobs", &json!({"mode": mode})).await.body["id"].as_str().unwrap().to_owned()
}

async fn job(customer: &Client, id: &str) -> Value {
    customer.get(&format!("/api/jobs/{id}")).await.body
}

async fn breaker_is(app: &TestApp, level: f64) {
    let what = format!("the breaker's state is {level}");
    Scraped::until(&app.client, &what, |scraped| scraped.value("jobs_breaker_state", &[("component", "worker")]) == Some(level)).await;
}

/// Two attempts each: the third job's first one is the fifth failure, which opens it.
async fn open(app: &TestApp, customer: &Client) -> String {
    for _ in 0..2 {
        let id = place(customer, "panic").await;
        customer.wait_for("jobs", &id, &["failed"]).await;
    }
    let third = place(customer, "panic").await;
    breaker_is(app, 2.0).await;
    third
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_takes_no_attempt_from_anybody() {
    let app = TestApp::start("host/tests/it/configs/jobs.yaml", &[]).await;
    let customer = app.client.customer("ada").await;
    let half_way = open(&app, &customer).await;
    let fresh = place(&customer, "accept").await;
    let health = app.client.get("/healthz").await.body;
    let check = &health["checks"]["worker"];
    assert!(check["status"] == "degraded" && check["message"].as_str().unwrap().ends_with("circuit breaker is open"), "{health:#}");

    // Until both were denied, which they are told of in the store, nothing says that they will be.
    let deadline = Instant::now() + PATIENCE;
    for (id, attempt) in [(&half_way, 2), (&fresh, 1)] {
        loop {
            let run = app.store.instances.runs("jobs", id).await.unwrap().remove(0);
            if run.last_error.as_deref().is_some_and(|error| error.contains("circuit breaker")) {
                assert_eq!(run.attempt, attempt, "{run:?}");
                break;
            }
            assert!(Instant::now() < deadline, "{run:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(job(&customer, id).await["state"], "working", "waiting is no failure");
    }

    // Whichever is let through first: sooner or later the one that works closes it.
    while job(&customer, &fresh).await["state"] != "done" {
        assert!(Instant::now() < deadline, "{:#}", job(&customer, &fresh).await);
        app.clock.advance(SignedDuration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ended = customer.wait_for("jobs", &half_way, &["failed"]).await;
    assert_eq!(ended["history"][1]["attempt"], 2, "both of its attempts were made: {ended:#}");
    assert_eq!(job(&customer, &fresh).await["history"][1]["attempt"], 1);
    let denied = Scraped::of(&app.client).await.value("jobs_component_runs_total", &[("outcome", "denied")]);
    assert!(denied >= Some(2.0), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_closes_it_and_what_waited_runs_at_once() {
    let app = TestApp::start("host/tests/it/configs/jobs.yaml", &[]).await;
    let customer = app.client.customer("bea").await;
    open(&app, &customer).await;
    let waiting = place(&customer, "accept").await;
    let version = [std::fs::read(built("hostile.wasm")).unwrap(), vec![0, 3, 2, b'v', b'2']].concat();
    std::fs::write(app.component("hostile.wasm"), version).unwrap();
    app.runtime.reload("worker").await.unwrap();
    customer.wait_for("jobs", &waiting, &["done"]).await;
    breaker_is(&app, 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_can_never_be_paid_do_not_keep_others_from_paying() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "50ms")]).await;
    let customer = app.client.customer("cleo").await;
    // Four starts of the payment with several attempts each: far more failures in a row than a breaker takes.
    let mut placed = Vec::new();
    for _ in 0..6 {
        placed.push(customer.order("prod-008", 1, "tok_gatewayDown").await.body["id"].as_str().unwrap().to_owned());
    }
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    for id in &placed {
        let tried = || async {
            let order = customer.get(&format!("/api/orders/{id}")).await.body;
            order["history"].as_array().unwrap().iter().filter(|row| row["transition"] == "payment_declined").count() >= 4
        };
        let deadline = Instant::now() + PATIENCE;
        while !tried().await {
            assert!(Instant::now() < deadline, "four starts of the payment come to nothing: {id}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Nobody declines them, so they are tried until their goods are given back.
    app.clock.advance(jiff::SignedDuration::from_mins(31));
    for id in placed {
        customer.wait_for("orders", &id, &["cancelled"]).await;
    }
    let payment = [("component", "payment-processor")];
    let scraped = Scraped::of(&app.client).await;
    assert_eq!(scraped.value("ecommerce_breaker_state", &payment), Some(0.0), "{}", scraped.text);
    assert_eq!(scraped.value("ecommerce_component_runs_total", &[("outcome", "denied")]).unwrap_or_default(), 0.0, "nothing was held back");
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
}
