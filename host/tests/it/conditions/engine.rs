//! Components that hang, disks that fill, processes that die: what waits must not stop the rest.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use millrace::store::{Commit, RunStatus, StartedBy, StepRun};
use millrace_workflow::RunKind;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::disks::{through_the_bad_time, with};
use super::long;
use super::test_env::{Condition, until};
use crate::client::{Client, PATIENCE, order, path_of};
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::{TestApp, built, monolith_of_any_component, repository};

fn jobs() -> PathBuf {
    repository().join("host/tests/it/configs/jobs.yaml")
}

/// A home whose jobs do what they say.
fn home_of_jobs() -> Home {
    let home = Home::new();
    std::fs::copy(built("hostile.wasm"), home.component("hostile.wasm")).unwrap();
    home
}

async fn place(customer: &Client, mode: &str) -> String {
    let answer = customer.post("/api/jobs", &json!({ "mode": mode })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

/// From its creation to its last transition, by the server's clock.
fn took(resource: &Value) -> Duration {
    let at = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let last = resource["history"].as_array().unwrap().last().unwrap();
    at(&last["at"]).duration_since(at(&resource["createdAt"])).unsigned_abs()
}

/// Polls without haste: many are waited for at once. A connection that was closed while it was idle is no answer.
async fn ended(customer: &Client, kind: &str, id: &str, state: &str, patience: Duration) -> Value {
    let deadline = Instant::now() + patience;
    loop {
        let answer = customer.try_send(Method::GET, &format!("/api/{kind}/{id}"), None, &[]).await;
        if let Ok(answer) = &answer
            && answer.body["state"] == state
        {
            return answer.body.clone();
        }
        assert!(Instant::now() < deadline, "not '{state}': {answer:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_for_good_for_one_instance_after_the_other_is_told_of_until_it_does_not() {
    let home = home_of_jobs();
    let process = home.start_config(&jobs(), &[]).await;
    let (customer, other) = (process.client.customer("ada").await, process.client.customer("bob").await);
    let steps = async || process.client.get("/healthz").await.body["checks"]["steps"].clone();
    // As long as all of them are one customer's, what is wrong may be what that one asks for.
    for (number, customer) in [&customer, &customer, &customer, &other].into_iter().enumerate() {
        assert_eq!(steps().await["status"], "up", "{number} in a row, all of one customer");
        let id = place(customer, "permanent").await;
        until("it has failed", || async {
            let job = customer.get(&format!("/api/jobs/{id}")).await.body;
            (job["final"] == true).then_some(())
        })
        .await;
    }
    let told = until("it is told of", || async { Some(steps().await).filter(|check| check["status"] == "degraded") }).await;
    let message = told["message"].as_str().unwrap();
    for part in ["failed for good for each of the last 4 instances, since 20", "says: never", "'step-work'", "component 'worker'"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(process.client.get("/readyz").await.status, StatusCode::OK);
    let id = place(&customer, "accept").await;
    ended(&customer, "jobs", &id, "done", PATIENCE).await;
    assert_eq!(steps().await["status"], "up");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_hang_do_not_keep_others_waiting() {
    let home = home_of_jobs();
    let process = home.start_config(&jobs(), &[("PLACES", "18")]).await;
    let customer = process.client.customer("ada").await;
    // Eight a second that hang for a second, twice each, want 16 of the 18 places.
    let began = Instant::now();
    let mut placed = Vec::new();
    for tick in 0..120_u32 {
        tokio::time::sleep_until((began + Duration::from_millis(50) * tick).into()).await;
        if tick % 5 < 2 {
            place(&customer, "sleep").await;
        }
        let id = place(&customer, "accept").await;
        let customer = customer.clone();
        placed.push(tokio::spawn(async move { ended(&customer, "jobs", &id, "done", PATIENCE).await }));
    }
    let mut times = Vec::new();
    for job in placed {
        times.push(took(&job.await.unwrap()));
    }
    times.sort_unstable();
    assert!(times[times.len() - 1] < Duration::from_secs(1), "others waited: {:?}", &times[times.len() - 20..]);
    let scraped = Scraped::of(&process.client).await;
    assert_eq!(scraped.value("jobs_component_runs_total", &[("outcome", "denied")]), Some(0.0), "the breaker has opened");
    assert!(scraped.value("jobs_component_runs_total", &[("outcome", "timeout")]) > Some(10.0), "{}", scraped.text);
    assert!(scraped.value("jobs_component_places", &[("state", "running")]).is_some(), "{}", scraped.text);
}

/// Places `rate` orders a second for `length`; one in twenty hangs in its shipping if `hanging`. The times of the others, in sequence.
async fn shop_for(customer: &Client, rate: u32, length: Duration, hanging: bool) -> Vec<Duration> {
    let began = Instant::now();
    let mut placed = Vec::new();
    let count = rate * u32::try_from(length.as_secs()).unwrap();
    for number in 0..count {
        tokio::time::sleep_until((began + Duration::from_secs(1) * number / rate).into()).await;
        let hangs = hanging && number % 20 == 7;
        let mut body = order("prod-001", 1, "tok_visa");
        body["shipping"]["city"] = if hangs { "sleep" } else { "accept" }.into();
        let customer = customer.clone();
        placed.push(tokio::spawn(async move {
            let key = format!("{hanging}-{number}");
            let answer = until("the order is placed", || async {
                customer.try_send(Method::POST, "/api/orders", Some(&body), &[("Idempotency-Key", &key)]).await.ok()
            });
            let answer = answer.await;
            assert!(answer.status.is_success(), "{answer:?}");
            if hangs {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            let ended = ended(&customer, "orders", answer.body["id"].as_str().unwrap(), "delivered", PATIENCE * 4).await;
            Some(took(&ended))
        }));
    }
    join_all(placed).await.into_iter().filter_map(Result::unwrap).collect()
}

fn p99(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_in_twenty_that_hangs_in_its_shipping_does_not_slow_the_others() {
    let home = Home::new();
    std::fs::copy(built("hostile.wasm"), home.component("shipping.wasm")).unwrap();
    let seed = home.path().join("products.json");
    let product = json!([{ "id": "prod-001", "state": "active", "data": { "name": "Keyboard", "price": 1.5, "stock": 10_000_000 } }]);
    std::fs::write(&seed, product.to_string()).unwrap();
    let config = monolith_of_any_component(home.path());
    let process = home.start_config(&config, &[("PRODUCTS_SEED", seed.to_str().unwrap())]).await;
    let customer = process.client.customer("ada").await;
    // In the short form there is too little to compare on a busy machine: that nobody waits for those that hang must do.
    let (rate, lengths, bound) = match long() {
        true => (60, (60, 600), Duration::ZERO),
        false => (30, (3, 6), Duration::from_secs(1)),
    };
    let baseline = shop_for(&customer, rate, Duration::from_secs(lengths.0), false).await;
    let hanging = shop_for(&customer, rate, Duration::from_secs(lengths.1), true).await;
    let (before, with) = (p99(&baseline), p99(&hanging));
    let worst = hanging.iter().max().unwrap();
    let parts: Vec<Duration> = hanging.chunks(hanging.len().div_ceil(10)).map(p99).collect();
    eprintln!("p99 of each tenth of the time: {parts:?}");
    eprintln!("p99 {before:?} without and {with:?} beside orders that hang; the slowest of {} took {worst:?}", hanging.len());
    assert!(with < bound.max(before * 2), "p99 {before:?} without and {with:?} beside orders that hang");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_hundreds_that_wait_only_those_inside_a_component_are_suspects() {
    let home = home_of_jobs();
    let two_places = [("PLACES", "2")];
    let process = home.start_config(&jobs(), &two_places).await;
    let customer = process.client.customer("ada").await;
    join_all((0..150).map(|_| place(&customer, "sleep"))).await;
    let mut process = Some(process);
    for death in 1..=3 {
        let inside = || async { Some(noted(&home)).filter(|keys| !keys.is_empty()) };
        until("a run is inside its component", inside).await;
        process.take().unwrap().kill();
        let suspects = noted(&home);
        assert!((1..=2).contains(&suspects.len()), "death {death}: {suspects:?}");
        process = Some(home.start_config(&jobs(), &two_places).await);
    }
    let parked = home.operate(&jobs(), &["quarantined", "list"]).unwrap();
    let count: usize = parked.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(count <= 2, "{parked}");
}

/// What the process of the jobs has noted as being inside a component.
fn noted(home: &Home) -> Vec<String> {
    let file = std::fs::read(home.path().join("data/jobs.in-flight")).unwrap_or_default();
    let used = file.chunks_exact(256).filter(|slot| slot[..2] != [0, 0]);
    used.map(|slot| String::from_utf8_lossy(&slot[2..2 + usize::from(slot[0])]).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_claimed_and_in_nobodys_hand_is_found() {
    let app = TestApp::start("host/tests/it/configs/jobs.yaml", &[]).await;
    let by = StartedBy {
        resource_kind: "jobs".into(),
        resource_id: "job-lost".into(),
        workflow: "job-processing".into(),
        transition: "start".into(),
        from_state: "queued".into(),
        to_state: "working".into(),
    };
    let first = StepRun::first("job-lost:worker:1".into(), by, RunKind::Task, ("worker", "worker"), app.clock.now());
    let (input, owner) = (json!({ "mode": "accept" }).to_string(), Some(app.store.instances.epoch()));
    let lost = StepRun { input: Some(input.into()), status: RunStatus::Running, owner, fence: 1, ..first };
    app.store.resources.commit(Commit { runs: vec![lost], ..Commit::default() }).await.unwrap();
    let done = || async {
        let run = app.store.instances.runs("jobs", "job-lost").await.unwrap().remove(0);
        (run.status == RunStatus::Done).then_some(run)
    };
    let run = until("the lost run is done", done).await;
    assert_eq!((run.fence, run.attempt), (2, 1), "{run:?}");
    let recovered = Scraped::of(&app.client).await.value("jobs_runs_recovered_total", &[("component", "worker")]);
    assert_eq!(recovered, Some(1.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_for_a_while_leaves_no_order_behind() {
    let home = Home::new();
    // From some write of the database's on there is no room for three hundred of them, well after the start.
    let full = with("trace=pwrite64", FULL);
    let process = home.start_under(Condition { around: &full, ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    // Declined ones have timers to write, the others runs: both meet the full disk.
    let token = |accepted: usize| if accepted.is_multiple_of(2) { "tok_chargeDeclined" } else { "tok_visa" };
    let accepted = through_the_bad_time(&customer, token).await;
    for id in accepted {
        customer.wait_for("orders", &id, &["delivered", "cancelled"]).await;
    }
}

/// Made up of the numbers of the calls that fail: a start makes some hundred.
const FULL: &str = "inject=pwrite64:error=ENOSPC:when=2500..2800";

/// A shop whose payment does what the city of the order says.
async fn shop_with_hostile_payment() -> (TestApp, Client) {
    let folder = tempfile::tempdir().unwrap();
    let config = monolith_of_any_component(folder.path());
    let components = folder.path().join("components");
    std::fs::create_dir(&components).unwrap();
    for (file, name) in [("inventory", "inventory"), ("hostile", "payment"), ("shipping", "shipping"), ("notify", "notify")] {
        std::fs::copy(built(&format!("{file}.wasm")), components.join(format!("{name}.wasm"))).unwrap();
    }
    let app = TestApp::start_in(folder, &config, &[]).await;
    let customer = app.client.customer("ada").await;
    (app, customer)
}

async fn order_to(customer: &Client, city: &str) -> String {
    let mut body = order("prod-001", 1, "tok_visa");
    body["shipping"]["city"] = city.into();
    let answer = customer.post("/api/orders", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

/// Waits until the payment of an order waits in the store because its component's breaker is open.
async fn held_back(app: &TestApp, id: &str) {
    let denied = || async {
        let runs = app.store.instances.runs("orders", id).await.unwrap();
        let payment = runs.into_iter().find(|run| run.name == "step-payment")?;
        let waits = payment.last_error.as_deref().is_some_and(|error| error.contains("circuit breaker"));
        (waits && payment.status == RunStatus::Ready).then_some(())
    };
    until("the payment waits for the breaker", denied).await;
}

async fn cancel(customer: &Client, id: &str) -> crate::client::Answer {
    customer.post(&format!("/api/orders/{id}/cancel"), &json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_to_be_paid_can_be_cancelled_while_the_breaker_is_open() {
    let (app, customer) = shop_with_hostile_payment().await;
    let stock = customer.stock("prod-001").await;
    let mut tried = Vec::new();
    for _ in 0..5 {
        tried.push(order_to(&customer, "panic").await);
    }
    for id in &tried {
        held_back(&app, id).await;
    }
    let waiting = order_to(&customer, "accept").await;
    held_back(&app, &waiting).await;
    let said = async |id: &str| {
        let order = customer.get(&format!("/api/orders/{id}")).await.body;
        (order["actions"] == json!(["cancel", "retry"])).then_some(order)
    };
    let order = until("it says that it can be cancelled, or paid another way", || said(&waiting)).await;
    assert_eq!((&order["state"], &order["final"]), (&json!("paying"), &json!(false)), "{order:#}");
    let listed = customer.get("/api/orders").await.body;
    let listed = |id: &str| listed.as_array().unwrap().iter().find(|order| order["id"] == id).unwrap().clone();
    assert_eq!(listed(&waiting)["actions"], json!(["cancel", "retry"]));
    assert_eq!(listed(&tried[0])["actions"], json!([]), "it may have been charged");

    let cancelled = cancel(&customer, &waiting).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (StatusCode::OK, &json!("cancelled")), "{cancelled:?}");
    assert_eq!(path_of(&cancelled.body)[3..], ["paying", "payment_failed", "cancelled"]);
    assert_eq!((&cancelled.body["final"], &cancelled.body["actions"]), (&json!(true), &json!([])));
    let runs = app.store.instances.runs("orders", &waiting).await.unwrap();
    let payment = runs.iter().find(|run| run.name == "step-payment").unwrap();
    assert_eq!((payment.status, payment.attempt), (RunStatus::Done, 1), "{payment:?}");
    let given_back = || async { (customer.stock("prod-001").await == stock - 5).then_some(()) };
    until("the stock of the cancelled order is given back", given_back).await;

    // What was attempted may have been charged.
    let refused = cancel(&customer, &tried[0]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("'cancel' is not possible in state 'paying'") && detail.contains("may have had its effect"), "{detail}");
    let again = cancel(&customer, &waiting).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_ask_again_for_a_payment_that_waits_to_begin_uses_no_try_up_and_pays_with_the_new_card() {
    let (app, customer) = shop_with_hostile_payment().await;
    let mut tried = Vec::new();
    for _ in 0..5 {
        tried.push(order_to(&customer, "panic").await);
    }
    for id in &tried {
        held_back(&app, id).await;
    }
    let waiting = order_to(&customer, "accept").await;
    held_back(&app, &waiting).await;
    for number in 0..5 {
        let card = json!({"payment": {"token": format!("tok_{number}")}});
        let answer = customer.post(&format!("/api/orders/{waiting}/retry"), &card).await;
        assert_eq!((answer.status, &answer.body["state"]), (StatusCode::OK, &json!("paying")), "{number}: {answer:?}");
        held_back(&app, &waiting).await;
    }
    assert_eq!(customer.post(&format!("/api/orders/{waiting}/retry"), &json!({})).await.status, StatusCode::OK);
    let order = app.store.resources.resource("orders", &waiting).await.unwrap().unwrap();
    assert_eq!(order.data["payment"]["token"], "tok_4");
    let shown = customer.get(&format!("/api/orders/{waiting}")).await.body;
    assert_eq!(path_of(&shown)[3..], ["paying"], "nothing was tried, and nobody is told that it was: {shown:#}");

    // It is the breaker's next trial; what has failed comes later.
    let runs = app.store.instances.runs("orders", &waiting).await.unwrap();
    let due_at = runs.iter().find(|run| run.name == "step-payment").unwrap().due_at;
    app.clock.advance(due_at.duration_since(app.clock.steady()).max(SignedDuration::ZERO));
    let delivered = customer.wait_for("orders", &waiting, &["delivered"]).await;
    let retries = delivered["history"].as_array().unwrap().iter().filter(|row| row["transition"] == "retry_payment").count();
    assert_eq!(retries, 0, "{delivered:#}");
    let runs = app.store.instances.runs("orders", &waiting).await.unwrap();
    let payments: Vec<_> = runs.iter().filter(|run| run.name == "step-payment").collect();
    assert_eq!((payments.len(), payments[0].visit, payments[0].attempt), (1, 1, 1), "{payments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_just_being_paid_cannot_be_cancelled_and_the_answer_says_why() {
    let (app, customer) = shop_with_hostile_payment().await;
    let id = order_to(&customer, "sleep").await;
    // Before that it can be taken back, and a cancellation is granted.
    let inside = || async { app.runtime.crowd("payment-processor").filter(|crowd| crowd.running > 0) };
    until("a payment has its place", inside).await;
    let refused = || async {
        let answer = cancel(&customer, &id).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
        answer.body["detail"].as_str().filter(|detail| detail.contains("is being attempted right now")).map(str::to_owned)
    };
    let detail = until("the order is inside its payment", refused).await;
    assert!(detail.contains("'cancel' is not possible in state 'paying'") && detail.contains("step-payment"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_customer_asks_for_in_vain_keeps_nobody_else_from_paying() {
    let home = Home::new();
    let process = home.start(&[]).await;
    let (eve, ada) = (process.client.customer("eve").await, process.client.customer("ada").await);
    let refusals = || async {
        let scraped = Scraped::of(&process.client).await;
        scraped.value("ecommerce_component_runs_total", &[("component", "payment-processor"), ("outcome", "denied")])
    };
    let asks_in_vain = || async {
        for _ in 0..6 {
            let answer = eve.order("prod-008", 1, "tok_gatewayDown").await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        }
    };
    // Half of the last twenty, and more: nobody else has paid anything yet.
    for _ in 0..4 {
        asks_in_vain().await;
    }
    until("what she asks for is held back", || async { (refusals().await >= Some(1.0)).then_some(()) }).await;
    for _ in 0..4 {
        let began = Instant::now();
        ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
        assert!(began.elapsed() < Duration::from_secs(15), "half of a breaker's pause: {:?}", began.elapsed());
        asks_in_vain().await;
    }
    let scraped = Scraped::of(&process.client).await;
    assert_eq!(scraped.value("ecommerce_breaker_state", &[("component", "payment-processor")]), Some(0.0), "{}", scraped.text);
}
