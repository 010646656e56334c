//! How long goods are set aside for an order that is not paid: so long as the config says and no longer, whatever its customer does.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use millrace::store::RunStatus;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, order, path_of};
use crate::conditions::split::INTERNAL_SECRET;
use crate::conditions::test_env::until;
use crate::process::Home;
use crate::shop::wait_for_stock;
use crate::test_app::{TestApp, built, monolith_of_any_component};

const ENDS: [&str; 3] = ["delivered", "failed", "cancelled"];
/// Units of prod-001 at the start.
const ALL: u64 = 50;

/// The monolith whose unpaid orders hold their goods for `hold`, with these texts in the place of others.
fn holding(folder: &Path, hold: &str, changes: &[(&str, &str)]) -> PathBuf {
    let path = monolith_of_any_component(folder);
    let held = format!("after: {hold}");
    let changes = changes.iter().copied().chain([("after: ${RESERVATION_MINUTES:-30}m", held.as_str())]);
    let text = changes.fold(std::fs::read_to_string(&path).unwrap(), |text, (from, to)| {
        assert!(text.contains(from), "'{from}' is no longer in the config");
        text.replace(from, to)
    });
    std::fs::write(&path, text).unwrap();
    path
}

/// An app of that config; `payment` is the component that takes payments.
async fn app(hold: &str, payment: &str, changes: &[(&str, &str)], variables: &[(&str, &str)]) -> TestApp {
    let folder = tempfile::tempdir().unwrap();
    let config = holding(folder.path(), hold, changes);
    std::fs::create_dir(folder.path().join("components")).unwrap();
    for (file, name) in [("inventory", "inventory"), (payment, "payment"), ("shipping", "shipping"), ("notify", "notify")] {
        std::fs::copy(built(&format!("{file}.wasm")), folder.path().join(format!("components/{name}.wasm"))).unwrap();
    }
    TestApp::start_in(folder, &config, variables).await
}

fn last_of(order: &Value) -> (&str, &str) {
    let last = order["history"].as_array().unwrap().last().unwrap();
    (last["transition"].as_str().unwrap(), last["cause"].as_str().unwrap())
}

async fn declined(customer: &Client, units: u64) -> String {
    let order = customer.order_until("prod-001", units, "tok_chargeDeclined", &["payment_failed"]).await;
    order["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_never_paid_gives_its_goods_back_however_often_its_payment_is_tried() {
    let unlimited = [("            maxAttempts: 3\n            exhausted: abandon_payment\n", "")];
    let app = app("3s", "payment", &unlimited, &[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let (mallory, other) = (app.client.customer("mallory").await, app.client.customer("ada").await);
    let began = Instant::now();
    let id = declined(&mallory, ALL).await;
    assert_eq!(other.stock("prod-001").await, 0, "sold out for everybody else");
    let answers = RefCell::new(Vec::new());
    let cancelled = until("the order is cancelled", async || {
        let answer = mallory.post(&format!("/api/orders/{id}/retry"), &json!({})).await;
        answers.borrow_mut().push(answer);
        let order = mallory.get(&format!("/api/orders/{id}")).await.body;
        (order["state"] == "cancelled").then_some(order)
    })
    .await;
    let answers = answers.into_inner();
    for answer in answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS) {
        let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=5).contains(&wait), "{answer:?}");
    }
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(last_of(&cancelled), ("abandon_payment", "timer"), "{cancelled:#}");
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        assert!(answers.iter().any(|answer| answer.status == status), "the first retry is free, the next ones wait: no {status}");
    }
    let retries = cancelled["history"].as_array().unwrap().iter().filter(|row| row["transition"] == "retry_payment").count();
    assert!(retries <= 2, "{retries} retries in three seconds");
    wait_for_stock(&other, "prod-001", ALL).await;
    assert_eq!(other.order_until("prod-001", ALL, "tok_visa", &ENDS).await["state"], "delivered");
    assert_eq!(other.stock("prod-001").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_goes_on_from_process_to_process_and_no_date_shortens_it() {
    let app = app("1h", "payment", &[], &[("PAYMENT_RETRY_AFTER", "10h")]).await;
    let customer = app.client.customer("ada").await;
    let id = declined(&customer, 5).await;
    let path = format!("/api/orders/{id}");
    for jump in [24, -48, 24] {
        app.clock.set(SignedDuration::from_hours(jump));
        let login = customer.post("/api/auth/login", &json!({"email": "ada@example.com", "password": "password123"})).await;
        let order = app.client.with_token(login.body["token"].as_str().unwrap()).get(&path).await.body;
        assert_eq!((&order["state"], &order["next"]["transition"]), (&json!("payment_failed"), &json!("abandon_payment")), "{order:#}");
    }
    app.clock.advance(SignedDuration::from_mins(61));
    let cancelled = customer.wait_for("orders", &id, &ENDS).await;
    assert_eq!((cancelled["state"].as_str(), last_of(&cancelled)), (Some("cancelled"), ("abandon_payment", "timer")));
    wait_for_stock(&customer, "prod-001", ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_neither_ends_nor_forgets_the_time() {
    let home = Home::new();
    let config = holding(home.path(), "4s", &[]);
    let variables = [("PAYMENT_RETRY_AFTER", "1h")];
    let process = home.start_config(&config, &variables).await;
    let customer = process.client.customer("ada").await;
    let began = Instant::now();
    let id = declined(&customer, 7).await;
    process.kill();
    let process = home.start_config(&config, &variables).await;
    let customer = process.client.with_token(customer.token());
    let cancelled = customer.wait_for("orders", &id, &ENDS).await;
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!((cancelled["state"].as_str(), last_of(&cancelled)), (Some("cancelled"), ("abandon_payment", "timer")));
    wait_for_stock(&customer, "prod-001", ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_under_way_is_waited_for_and_money_that_was_taken_keeps_its_goods() {
    let slow = [(
        "      description: Charges the customer",
        "      config: {simulate: {latencyMs: {min: 2500, max: 2500}}}\n      description: Charges the customer",
    )];
    let app = app("1s", "payment", &slow, &[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = app.client.customer("ada").await;
    let began = Instant::now();
    let paid = customer.order("prod-001", 3, "tok_visa").await.body["id"].as_str().unwrap().to_owned();
    let declined = customer.order("prod-001", 4, "tok_chargeDeclined").await.body["id"].as_str().unwrap().to_owned();
    let (paid, declined) = (customer.wait_for("orders", &paid, &ENDS).await, customer.wait_for("orders", &declined, &ENDS).await);
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(paid["state"], "delivered", "{paid:#}");
    assert_eq!((declined["state"].as_str(), last_of(&declined)), (Some("cancelled"), ("abandon_payment", "timer")), "{declined:#}");
    wait_for_stock(&customer, "prod-001", ALL - 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_payment_was_never_attempted_ends_too() {
    // Its payment does what the city of the order says.
    let app = app("1h", "hostile", &[], &[]).await;
    let customer = app.client.customer("ada").await;
    let order_to = async |city: &str| {
        let mut body = order("prod-001", 1, "tok_visa");
        body["shipping"]["city"] = city.into();
        customer.post("/api/orders", &body).await.body["id"].as_str().unwrap().to_owned()
    };
    let waits = async |id: &str| {
        let waits = async || {
            let runs = app.store.instances.runs("orders", id).await.unwrap();
            let payment = runs.into_iter().find(|run| run.name == "step-payment")?;
            let waits = payment.last_error.as_deref().is_some_and(|error| error.contains("circuit breaker"));
            (waits && payment.status == RunStatus::Ready).then_some(())
        };
        until("the payment waits for the breaker", waits).await;
    };
    let mut tried = Vec::new();
    for _ in 0..5 {
        tried.push(order_to("panic").await);
    }
    for id in &tried {
        waits(id).await;
    }
    let untouched = order_to("accept").await;
    waits(&untouched).await;
    app.clock.advance(SignedDuration::from_mins(61));
    let cancelled = customer.wait_for("orders", &untouched, &ENDS).await;
    assert_eq!((cancelled["state"].as_str(), last_of(&cancelled)), (Some("cancelled"), ("abandon_payment", "timer")), "{cancelled:#}");
    assert_eq!(path_of(&cancelled)[3..], ["paying", "payment_failed", "cancelled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_has_sold_or_given_back_is_forgotten_in_time_and_what_it_holds_is_not() {
    let variables = [("INTERNAL_SECRET", INTERNAL_SECRET), ("RETAIN_EVENTS", "0s"), ("RETAIN_RESERVATIONS", "0s")];
    let app = TestApp::start("configs/users-products.yaml", &variables).await;
    let ask = async |method: Method, path: &str, body: Option<Value>| {
        let path = format!("/internal/reservations/{path}");
        app.client.send(method, &path, body.as_ref(), &[("x-internal-secret", INTERNAL_SECRET)]).await
    };
    let reserve = async |key: &str| ask(Method::PUT, key, Some(json!({"lines": [{"sku": "prod-001", "quantity": 2}]}))).await;
    for key in ["sold", "given-back", "held"] {
        assert_eq!(reserve(key).await.body["status"], "reserved");
    }
    assert_eq!(ask(Method::POST, "sold/commit", None).await.body["status"], "sold");
    assert_eq!(ask(Method::DELETE, "given-back", None).await.body["status"], "released");
    app.clock.advance(SignedDuration::from_mins(50));
    assert_eq!(
        reserve("given-back").await.body["status"],
        "released",
        "what is asked late, or twice, is known for an hour whatever the config says"
    );

    app.clock.advance(SignedDuration::from_mins(20));
    until("both are forgotten", || async {
        let metrics = app.client.get("/metrics").await.body;
        metrics.as_str().unwrap().contains("_pruned_rows_total{kind=\"reservations\"} 2\n").then_some(())
    })
    .await;
    assert_eq!(ask(Method::POST, "sold/commit", None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(Method::DELETE, "given-back", None).await.body["status"], "released");
    assert_eq!(reserve("held").await.body["status"], "reserved");
    assert_eq!(app.client.stock("prod-001").await, ALL - 4, "two are sold, two are held");
}
