//! How long goods are set aside for an order that is not paid: so long as the config says and no longer, whatever its customer does.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::SignedDuration;
use millrace::store::{RunStatus, StepRun};
use millrace_workflow::RunKind;
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

/// An order whose payment does what that city says, where that is the `hostile` component.
async fn order_to(customer: &Client, city: &str) -> String {
    let mut body = order("prod-001", 1, "tok_visa");
    body["shipping"]["city"] = city.into();
    customer.post("/api/orders", &body).await.body["id"].as_str().unwrap().to_owned()
}

/// The last run of an order's payment.
async fn payment_of(app: &TestApp, id: &str) -> Option<StepRun> {
    let runs = app.store.instances.runs("orders", id).await.unwrap();
    runs.into_iter().rfind(|run| run.name == "step-payment")
}

/// Waits until the payment of an order waits in the store because a breaker is open.
async fn held_back(app: &TestApp, id: &str) -> StepRun {
    let waits = async || {
        let payment = payment_of(app, id).await?;
        let waits = payment.last_error.as_deref().is_some_and(|error| error.contains("circuit breaker"));
        (waits && payment.status == RunStatus::Ready).then_some(payment)
    };
    until("the payment waits for the breaker", waits).await
}

/// Waits until an order has given its goods back because its time was up.
async fn given_up(customer: &Client, id: &str) -> Value {
    let cancelled = customer.wait_for("orders", id, &ENDS).await;
    assert_eq!((cancelled["state"].as_str(), last_of(&cancelled)), (Some("cancelled"), ("abandon_payment", "timer")), "{cancelled:#}");
    cancelled
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_payment_waits_for_a_breaker_ends_whether_it_was_attempted_or_not() {
    let app = app("1h", "hostile", &[], &[("PAYMENT_RETRY_AFTER", "10h")]).await;
    let customer = app.client.customer("ada").await;
    let declined = async || {
        let id = order_to(&customer, "reject").await;
        customer.wait_for("orders", &id, &["payment_failed"]).await;
        id
    };
    let (again, cancelled) = (declined().await, declined().await);
    let mut tried = Vec::new();
    for _ in 0..5 {
        tried.push(order_to(&customer, "panic").await);
    }
    for id in &tried {
        assert!(held_back(&app, id).await.attempt > 1);
    }
    let untouched = order_to(&customer, "accept").await;
    held_back(&app, &untouched).await;
    for id in [&again, &cancelled] {
        assert_eq!(customer.post(&format!("/api/orders/{id}/retry"), &json!({})).await.status, StatusCode::OK);
        let waiting = held_back(&app, id).await;
        assert_eq!((waiting.visit, waiting.attempt), (2, 1), "{waiting:?}");
    }

    // An earlier visit that was answered takes nothing away: this one was not begun.
    let offers = async || {
        let order = customer.get(&format!("/api/orders/{cancelled}")).await.body;
        order["actions"].as_array().unwrap().contains(&json!("cancel")).then_some(())
    };
    until("it says that it can be cancelled", offers).await;
    let answer = customer.post(&format!("/api/orders/{cancelled}/cancel"), &json!({})).await;
    assert_eq!((answer.status, &answer.body["state"]), (StatusCode::OK, &json!("cancelled")), "{answer:?}");

    app.clock.advance(SignedDuration::from_mins(61));
    let ended = given_up(&customer, &untouched).await;
    assert_eq!(path_of(&ended)[3..], ["paying", "payment_failed", "cancelled"]);
    for id in tried.iter().chain([&again]) {
        given_up(&customer, id).await;
    }
    wait_for_stock(&customer, "prod-001", ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_goes_on_asking_in_vain_holds_no_goods_beyond_their_time() {
    let app = app("5s", "payment", &[], &[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let (mallory, ada) = (app.client.customer("mallory").await, app.client.customer("ada").await);
    let in_vain = async |product: &str| {
        let answer = mallory.order(product, 1, "tok_gatewayDown").await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    };
    let held = join_all((0..30).map(|_| in_vain("prod-001"))).await;
    // Whoever fails alone is left alone: what was attempted waits behind what is new.
    let waiting = until("payments that were attempted wait for the breaker", async || {
        let payments = join_all(held.iter().map(|id| payment_of(&app, id))).await;
        let waits = |payment: &StepRun| payment.attempt == 2 && payment.last_error.as_deref().is_some_and(|why| why.contains("breaker"));
        let waiting: Vec<String> = payments.into_iter().flatten().filter(waits).map(|payment| payment.resource_id).collect();
        (!waiting.is_empty()).then_some(waiting)
    })
    .await;
    let ended = until("all of them have given their goods back", async || {
        in_vain("prod-008").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let orders = join_all(waiting.iter().map(|id| seen(&mallory, id))).await;
        orders.iter().all(|order| order["state"] == "cancelled").then_some(orders)
    })
    .await;
    let mut without_a_try = 0;
    for order in &ended {
        assert_eq!(last_of(order), ("abandon_payment", "timer"), "{order:#}");
        let row = order["history"].as_array().unwrap().iter().rfind(|row| row["transition"] == "payment_declined").unwrap();
        assert_eq!(row["reason"], "the service behind this step did not answer in time; whatever it did was undone", "{row:#}");
        let runs = app.store.instances.runs("orders", order["id"].as_str().unwrap()).await.unwrap();
        assert!(runs.iter().any(|run| run.kind == RunKind::Undo && run.status == RunStatus::Done), "nobody has asked: {runs:#?}");
        without_a_try += usize::from(runs.iter().any(|run| run.kind == RunKind::Step && run.name == "step-payment" && run.attempt == 2));
    }
    assert!(without_a_try > 0, "none of them waited until its time was up");
    wait_for_stock(&ada, "prod-001", ALL).await;
    assert_eq!(ada.order_until("prod-001", 1, "tok_visa", &ENDS).await["state"], "delivered");
}

async fn seen(customer: &Client, id: &str) -> Value {
    customer.get(&format!("/api/orders/{id}")).await.body
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_a_place_behind_payments_that_hang_ends_too() {
    let app = app("1h", "hostile", &[], &[("MAX_CONCURRENT_RUNS", "8")]).await;
    let customer = app.client.customer("ada").await;
    let crowd = || app.runtime.crowd("payment-processor").unwrap_or_default();
    let mut last = order_to(&customer, "sleep").await;
    while crowd().waiting == 0 {
        last = order_to(&customer, "sleep").await;
        // Whether it has its place or waits for one.
        let seen = async || (payment_of(&app, &last).await.is_some() && crowd().running > 0).then_some(());
        until("its payment is claimed", seen).await;
    }
    app.clock.advance(SignedDuration::from_mins(61));
    let ended = given_up(&customer, &last).await;
    assert_eq!(path_of(&ended)[3..], ["paying", "payment_failed", "cancelled"], "it was never attempted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_component_the_config_does_not_name_any_more_ends_too() {
    let variables = [("PAYMENT_RETRY_AFTER", "10h")];
    let app = app("1h", "payment", &[], &variables).await;
    let clock = app.clock.clone();
    let customer = app.client.customer("ada").await;
    let id = declined(&customer, 5).await;
    let token = customer.token().to_owned();
    let folder = app.stop().await;
    // What began on the old definition needs a component of the old name.
    let config = holding(folder.path(), "1h", &[("payment-processor", "other-processor")]);
    let app = TestApp::start_at(clock, folder, &config, &variables).await;
    let customer = app.client.with_token(&token);
    assert_eq!(customer.post(&format!("/api/orders/{id}/retry"), &json!({})).await.status, StatusCode::OK);
    until("its payment is set aside", async || {
        payment_of(&app, &id).await.filter(|payment| payment.status == RunStatus::Stranded).map(drop)
    })
    .await;
    app.clock.advance(SignedDuration::from_mins(61));
    given_up(&customer, &id).await;
    wait_for_stock(&customer, "prod-001", ALL).await;
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
