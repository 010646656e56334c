//! What waits, and what mends it.

use millrace::plan::access::Role;
use millrace::store::{Commit, OutboxRow, RunStatus, StartedBy, StepRun};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PATIENT, declined, millrace, staff, until};
use crate::test_app::TestApp;

/// A run of a component that can never work, set aside.
async fn set_aside(app: &TestApp, key: &str, order: &str) {
    let by = StartedBy {
        resource_kind: "orders".into(),
        resource_id: order.into(),
        workflow: "order-processing".into(),
        transition: "start".into(),
        from_state: "new".into(),
        to_state: "validating".into(),
    };
    let first = StepRun::first(key.into(), by, millrace_workflow::RunKind::Task, ("notify", "notification-sender"), app.clock.steady());
    let run = StepRun { status: RunStatus::Quarantined, crashes: 3, last_error: Some("it died".into()), ..first };
    app.store.resources.commit(Commit { runs: vec![run], ..Commit::default() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_told_with_its_cause_and_mended() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let order = declined(&app, "ada").await;
    let operator = staff(&app, "olga", &[Role::Operator]).await;
    set_aside(&app, "order-x:notify:1", &order).await;
    let poison = OutboxRow {
        position: 0,
        event_id: "poison-1".into(),
        topic: "order.delivered".into(),
        key: "order-1".into(),
        seq: 1,
        payload: "poison".into(),
        traceparent: None,
    };
    app.store.resources.commit(Commit { outbox: vec![poison], ..Commit::default() }).await.unwrap();

    let waiting = until("the poison is a dead letter", async || {
        let waiting = operator.get("/operator/waiting").await.body;
        (waiting["deadLetters"]["count"] == 1).then_some(waiting)
    })
    .await;
    assert_eq!(waiting["deadLetters"]["place"], "database");
    assert_eq!(waiting["deadLetters"]["items"][0]["topic"], "order.delivered");
    assert_eq!((&waiting["parked"], &waiting["runs"][0]["cause"]), (&json!(1), &json!("it died")), "{waiting}");
    let remedy = waiting["runs"][0]["remedy"].as_str().unwrap();
    assert_eq!(remedy, "millrace waiting release order-x:notify:1 --reason '...'");
    let timers = waiting["timers"].as_array().unwrap();
    assert!(timers.iter().any(|timer| timer["id"] == order.as_str() && timer["transition"] == "retry_payment"), "{waiting}");

    let unknown = operator.post("/operator/waiting/runs/release", &json!({"keys": ["nobody"], "reason": "x"})).await;
    assert_eq!(unknown.status, StatusCode::CONFLICT, "{unknown:?}");
    let token = operator.token().to_owned();
    let (ok, said) = tokio::task::block_in_place(|| millrace(&app, &token, &["waiting", "list"]));
    assert!(ok && said.contains("1 runs were set aside") && said.contains("it died") && said.contains("1 dead letters"), "{said}");
    let released = operator.post("/operator/waiting/runs/release", &json!({"all": true, "reason": "mended"})).await;
    assert_eq!(released.body["done"], 1, "{released:?}");
    until("the run goes on", async || (app.store.operations.backlog().await.unwrap().parked == 0).then_some(Value::Null)).await;

    let redriven = operator.post("/operator/waiting/dead-letters/redrive", &json!({"reason": "again"})).await;
    assert_eq!((&redriven.body["done"], &redriven.body["events"]), (&json!(1), &json!(1)), "{redriven:?}");
    until("it is a dead letter again", async || {
        let waiting = operator.get("/operator/waiting").await.body;
        (waiting["deadLetters"]["count"] == 1).then_some(waiting)
    })
    .await;
    let discard = json!({"topics": ["order.delivered"], "reason": "it never was an event"});
    assert_eq!(operator.post("/operator/waiting/dead-letters/discard", &discard).await.body["done"], 1);
    assert_eq!(operator.get("/operator/waiting").await.body["deadLetters"]["count"], 0);
}
