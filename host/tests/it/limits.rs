//! What happens when something is used up: instances that a workflow may have, and runs that a process may hold.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use millrace::clock::Clock;
use millrace::store::{self, Commit, RunStatus, StepRun};
use millrace_workflow::RunKind;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::conditions::test_env::until;
use crate::process::Home;
use crate::test_app::{TestApp, built, repository};

/// First attempts at one component that a process holds at once.
const HELD: usize = 1_024;
/// Of these, how many are inside the component at once; as many runs are beyond what a process holds.
const INSIDE: usize = 64;

/// The config of jobs with these texts in the place of others, and the component that it names.
fn jobs(home: &Home, changes: &[(&str, &str)]) -> PathBuf {
    std::fs::copy(built("hostile.wasm"), home.component("hostile.wasm")).unwrap();
    let text = std::fs::read_to_string(repository().join("host/tests/it/configs/jobs.yaml")).unwrap();
    let text = changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "'{from}' is no longer in jobs.yaml");
        text.replace(from, to)
    });
    let config = home.path().join("jobs.yaml");
    std::fs::write(&config, text).unwrap();
    config
}

async fn place(customer: &Client) -> Answer {
    customer.post("/api/jobs", &json!({"mode": "sleep"})).await
}

/// The answer is that there is no room, and when to ask again.
fn assert_full(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("'job-processing' has as many unfinished instances as it may have") && detail.contains("nothing was stored"));
}

async fn jobs_of(customer: &Client) -> Vec<Value> {
    customer.get("/api/jobs").await.body.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_instances_are_begun_than_a_workflow_may_have() {
    const MOST: usize = 3;
    let home = Home::new();
    let config = jobs(
        &home,
        &[
            ("      maxConcurrentRuns: ${PLACES:-64}\n", "      maxConcurrentRuns: 64\n      maxInstances: 3\n"),
            ("      initialTransition: start\n", "      initialTransition: start\n      actions: {abandon: [work_failed]}\n"),
            (
                "  statemachine:\n",
                "      - {method: GET, path: /api/jobs, handler: jobs-api, middlewares: [auth-middleware]}\n      \
                 - {method: POST, path: \"/api/jobs/{id}/abandon\", handler: jobs-api, middlewares: [auth-middleware]}\n  statemachine:\n",
            ),
            ("timeoutSeconds: 1\n", "timeoutSeconds: 60\n"),
        ],
    );
    let process = home.start_config(&config, &[]).await;
    let customer = process.client.customer("ada").await;
    let answers = futures::future::join_all((0..16).map(|_| place(&customer))).await;
    let (placed, refused): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!((placed.len(), refused.len()), (MOST, 16 - MOST), "also of many at once");
    refused.into_iter().for_each(assert_full);
    assert_eq!(jobs_of(&customer).await.len(), MOST);

    // What has not ended counts after a restart as well.
    process.kill();
    let process = home.start_config(&config, &[]).await;
    let customer = process.client.login("ada").await;
    assert_full(&place(&customer).await);
    assert_eq!(jobs_of(&customer).await.len(), MOST);

    // One ends, so there is room for one.
    let id = placed[0].body["id"].as_str().unwrap();
    let abandoned = customer.post(&format!("/api/jobs/{id}/abandon"), &json!({})).await;
    assert_eq!((abandoned.status, &abandoned.body["state"]), (StatusCode::OK, &json!("failed")), "{abandoned:?}");
    assert_eq!(place(&customer).await.status, StatusCode::CREATED);
    assert_full(&place(&customer).await);

    // What was refused has taken no room: neither a request that is wrong nor one that was sent before.
    for _ in 0..MOST {
        assert_eq!(customer.post("/api/jobs", &json!("no job")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let second = placed[1].body["id"].as_str().unwrap();
    customer.post(&format!("/api/jobs/{second}/abandon"), &json!({})).await;
    assert_eq!(place(&customer).await.status, StatusCode::CREATED);
    assert_full(&place(&customer).await);
}

/// That an owner has as many as one may have, of `most`.
fn assert_full_for(answer: &Answer, most: u64) {
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    assert_eq!((&answer.body["code"], &answer.body["limit"]), (&json!("limit_per_owner"), &json!(most)), "{answer:?}");
    assert!(answer.body["detail"].as_str().unwrap().contains("nothing was stored"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_owner_has_no_more_instances_in_the_states_that_count_than_one_may_have() {
    const MOST: u64 = 3;
    let home = Home::new();
    let config = jobs(
        &home,
        &[
            (
                "      initialTransition: start\n",
                "      initialTransition: start\n      actions: {abandon: [work_failed]}\n      \
                 perOwner: {maxInstances: 3, states: [queued, working]}\n",
            ),
            (
                "  statemachine:\n",
                "      - {method: GET, path: /api/jobs, handler: jobs-api, middlewares: [auth-middleware]}\n      \
                 - {method: POST, path: \"/api/jobs/{id}/abandon\", handler: jobs-api, middlewares: [auth-middleware]}\n  statemachine:\n",
            ),
            ("timeoutSeconds: 1\n", "timeoutSeconds: 60\n"),
        ],
    );
    let process = home.start_config(&config, &[]).await;
    let (ada, bob) = (process.client.customer("ada").await, process.client.customer("bob").await);
    let answers = futures::future::join_all((0..16).map(|_| place(&ada))).await;
    let (placed, refused): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!((placed.len(), refused.len()), (3, 13), "also of many at once");
    refused.into_iter().for_each(|answer| assert_full_for(answer, MOST));
    assert_eq!(jobs_of(&ada).await.len(), 3);
    assert_eq!(place(&bob).await.status, StatusCode::CREATED, "another one has a limit of its own");

    // What was there counts after a restart as well.
    process.kill();
    let process = home.start_config(&config, &[]).await;
    let token = process.client.login("ada").await.token().to_owned();
    let ada = process.client.with_token(&token);
    assert_full_for(&place(&ada).await, MOST);

    // One leaves the states that count, so there is room for one; what is wrong, or was sent before, takes none.
    let id = placed[0].body["id"].as_str().unwrap();
    let abandoned = ada.post(&format!("/api/jobs/{id}/abandon"), &json!({})).await;
    assert_eq!(abandoned.status, StatusCode::OK, "{abandoned:?}");
    assert_eq!(ada.post("/api/jobs", &json!("no job")).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let (body, key) = (json!({"mode": "sleep"}), [("idempotency-key", "the-same")]);
    let [first, again] = [(); 2].map(|()| ada.send(Method::POST, "/api/jobs", Some(&body), &key));
    let (first, again) = (first.await, again.await);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED), "{again:?}");
    assert_eq!(first.body["id"], again.body["id"], "what was placed is found again, also where there is no room for more");
    assert_full_for(&place(&ada).await, MOST);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_account_holds_no_more_of_the_shelf_than_its_unpaid_orders_may() {
    let limits = [("MAX_UNPAID_ORDERS", "2"), ("MAX_QUANTITY", "10"), ("PAYMENT_RETRY_AFTER", "1h")];
    let app = TestApp::start("configs/monolith.yaml", &limits).await;
    let (mallory, ada) = (app.client.customer("mallory").await, app.client.customer("ada").await);
    let everything = mallory.order("prod-001", 50, "tok_chargeDeclined").await;
    assert_eq!(everything.status, StatusCode::UNPROCESSABLE_ENTITY, "{everything:?}");
    let wrong = json!([{"pointer": "/items/0/quantity", "detail": "expected a whole number from 1 to 10, got 50"}]);
    assert_eq!(everything.body["errors"], wrong);
    let mut orders = Vec::new();
    for _ in 0..2 {
        orders.push(mallory.order_until("prod-001", 10, "tok_chargeDeclined", &["payment_failed"]).await);
    }
    assert_full_for(&mallory.order("prod-001", 10, "tok_chargeDeclined").await, 2);
    assert_eq!(ada.stock("prod-001").await, 30, "there is enough left for others");
    ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;

    // One is paid in the end, and no longer counts.
    let path = format!("/api/orders/{}/retry", orders[0]["id"].as_str().unwrap());
    assert_eq!(mallory.post(&path, &json!({"payment": {"token": "tok_visa"}})).await.status, StatusCode::OK);
    mallory.wait_for("orders", orders[0]["id"].as_str().unwrap(), &["delivered"]).await;
    mallory.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    assert_full_for(&mallory.order("prod-001", 1, "tok_visa").await, 2);
}

#[tokio::test]
async fn files_fill_no_log_whether_they_are_there_or_not() {
    let home = Home::new();
    let process = home.start(&[]).await;
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(process.client.open("/").await.status(), StatusCode::OK);
        assert_eq!(process.client.open("/nothing.png").await.status(), StatusCode::NOT_FOUND);
    }
    let seconds = began.elapsed().as_secs() as usize + 1;
    assert_eq!(process.client.get("/api/products").await.status, StatusCode::OK);
    let log = process.log();
    until("the last request is logged", async || log.lock().iter().any(|line| line.contains("/api/products")).then_some(())).await;
    let lines = |status: &str| log.lock().iter().filter(|line| line.contains("/{*path}") && line.contains(status)).count();
    assert_eq!(lines("\"status\":200"), 0);
    let missing = lines("\"status\":404");
    assert!((1..=20 * (seconds + 1)).contains(&missing), "{missing} lines in {seconds} s");
}

/// A run that brings its own input, due at once; those of a lower number first.
fn waiting(number: usize, resource: &str, input: &Value, now: jiff::Timestamp) -> StepRun {
    StepRun {
        key: format!("{resource}:{number}"),
        resource_kind: "fillers".into(),
        resource_id: resource.into(),
        workflow: "job-processing".into(),
        input: Some(input.to_string().into()),
        kind: RunKind::Task,
        name: "fill".into(),
        component: "worker".into(),
        visit: 1,
        attempt: 1,
        transition: "start".into(),
        from_state: "queued".into(),
        to_state: "working".into(),
        status: RunStatus::Ready,
        owner: None,
        fence: 0,
        crashes: 0,
        due_at: now - jiff::SignedDuration::from_mins(10) + jiff::SignedDuration::from_millis(number as i64),
        last_error: None,
        traceparent: None,
    }
}

/// Looks into the database beside the process that has it.
struct Beside(rusqlite::Connection);

impl Beside {
    fn of(home: &Home) -> Self {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self(rusqlite::Connection::open_with_flags(home.path().join("data/jobs.db"), flags).unwrap())
    }

    fn count(&self, what: &str) -> usize {
        let count: i64 = self.0.query_row(&format!("SELECT count(*) FROM step_runs WHERE {what}"), [], |row| row.get(0)).unwrap();
        usize::try_from(count).unwrap()
    }
}

/// CPU time that a process has used.
fn computed(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // After the name, which may have any character: user and system time are the fields 14 and 15, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_more_runs_timers_fire_and_what_is_due_waits_in_the_store() {
    let home = Home::new();
    let config = jobs(
        &home,
        &[(
            "          work_failed: {fromState: working, toState: failed}\n",
            "          work_failed: {fromState: working, toState: failed}\n          \
             expire: {fromState: working, toState: failed, after: 300ms}\n",
        )],
    );
    let now = Clock::system().now();
    let slow = json!({"mode": "slow", "ms": 8_000});
    let fillers = (0..HELD).map(|number| waiting(number, "held", &slow, now));
    let beyond = (HELD..HELD + INSIDE).map(|number| waiting(number, "beyond", &slow, now));
    let store = store::open(
        &store::Database { place: store::Place::File(home.path().join("data/jobs.db")), readers: 1, keys: vec![], kinds: vec![] },
        Clock::system(),
    )
    .unwrap();
    store.resources.commit(Commit { runs: fillers.chain(beyond).collect(), ..Commit::default() }).await.unwrap();
    store.operations.close().await;

    let process = home.start_config(&config, &[]).await;
    let beside = Beside::of(&home);
    until("all the room is taken", async || (beside.count("status = 'running'") == HELD).then_some(())).await;
    let customer = process.client.customer("ada").await;
    let (began, computed_before) = (Instant::now(), computed(process.id()));
    let job = place(&customer).await.body["id"].as_str().unwrap().to_owned();
    let expired = customer.wait_for("jobs", &job, &["failed", "done"]).await;
    assert_eq!(expired["history"][1]["transition"], "expire", "{expired:#}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let busy = (computed(process.id()) - computed_before).as_secs_f64() / began.elapsed().as_secs_f64();
    assert_eq!(beside.count("status = 'running'"), HELD, "the room is still taken");
    assert_eq!(beside.count("status = 'ready' AND resource_id = 'beyond'"), INSIDE, "nobody took what there is no room for");
    assert!(busy < 0.5, "waiting for room took {:.0} % of a processor", busy * 100.0);

    // The first have ended, so there is room for as many.
    until("what waited is taken", async || (beside.count("status = 'ready' AND resource_id = 'beyond'") == 0).then_some(())).await;
    assert!(beside.count("status = 'running'") <= HELD);
    process.kill();
}
