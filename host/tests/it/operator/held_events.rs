//! Events that would move an instance which somebody holds.

use std::path::{Path, PathBuf};

use millrace::clock::Clock;
use millrace::plan::access::Role;
use millrace::store::{Commit, Database, Hold, OutboxRow, Place, open};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{PATIENT, declined, staff, texts, until};
use crate::client::Client;
use crate::process::Home;
use crate::test_app::{TestApp, changed_monolith};

const LAST: &str = "        event: order.paid\n        workflow: order-processing\n        action: start_shipping\n";

/// The monolith, with an event that ends an order which is not paid.
fn config(folder: &Path) -> PathBuf {
    let more = "      - {topic: order.delivered, event: order.delivered, workflow: order-processing, action: abandon_payment}\n";
    changed_monolith(folder, &[(LAST, &format!("{LAST}{more}"))])
}

/// An event as some other system would send it.
fn event(id: &str, order: &str) -> OutboxRow {
    let data = json!({"instanceId": order, "resource": "orders", "workflow": "order-processing", "transition": "x", "fromState": "y",
                      "toState": "delivered", "seq": 99, "data": {}});
    let payload = json!({"specversion": "1.0", "id": id, "source": "/elsewhere", "type": "order.delivered", "subject": order,
                         "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json", "data": data});
    OutboxRow {
        position: 0,
        event_id: id.into(),
        topic: "order.delivered".into(),
        key: order.into(),
        seq: 99,
        payload: payload.to_string().into(),
        traceparent: None,
    }
}

fn transitions(shown: &Value, name: &str) -> Vec<Value> {
    shown["history"].as_array().unwrap().iter().filter(|row| row["transition"] == name).cloned().collect()
}

/// A shop with an order whose payment was declined, which support holds.
struct Scene {
    app: TestApp,
    operator: Client,
    id: String,
    path: String,
    _folder: tempfile::TempDir,
}

async fn held(variables: &[(&str, &str)]) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let app = TestApp::start(config.to_str().unwrap(), variables).await;
    let id = declined(&app, "ada").await;
    let operator = staff(&app, "olga", &[Role::Support]).await;
    let path = format!("/operator/instances/orders/{id}");
    let held = operator.post(&format!("{path}/hold"), &json!({"reason": "fraud is looked into"})).await;
    assert_eq!(held.status, StatusCode::OK, "{held:?}");
    assert_eq!(held.body["instance"]["waiting"], json!([]));
    Scene { app, operator, id, path, _folder: folder }
}

async fn release(operator: &Client, path: &str) {
    let released = operator.post(&format!("{path}/release"), &json!({"reason": "all is well"})).await;
    assert_eq!(released.status, StatusCode::OK, "{released:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_held_order_wait_and_move_it_in_their_sequence_when_it_is_released() {
    let Scene { app, operator, id, path, .. } = &held(&PATIENT).await;
    let outbox = vec![event("e-1", id), event("e-2", id)];
    app.store.resources.commit(Commit { outbox, ..Commit::default() }).await.unwrap();
    let shown = until("both events wait", async || {
        let shown = operator.get(path).await.body;
        (shown["waiting"].as_array()?.len() == 2).then_some(shown)
    })
    .await;
    assert_eq!(texts(&shown["waiting"], "event"), ["e-1", "e-2"]);
    assert_eq!(texts(&shown["waiting"], "transition"), ["abandon_payment"; 2]);
    assert_eq!(shown["state"], "payment_failed", "{shown}");
    let next = texts(&shown["next"], "text");
    assert!(next.contains(&"2 events wait for its release: the first asks for 'abandon_payment'".to_owned()), "{next:?}");

    release(operator, path).await;
    let shown = until("the first event moves it, and the second no longer fits", async || {
        let shown = operator.get(path).await.body;
        (shown["state"] == "cancelled" && shown["waiting"] == json!([])).then_some(shown)
    })
    .await;
    let made = transitions(&shown, "abandon_payment");
    assert_eq!((made.len(), &made[0]["cause"]), (1, &json!("event")), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_of_a_held_order_is_lost_by_a_kill() {
    let (home, patient) = (Home::new(), [("PAYMENT_RETRY_AFTER", "1h")]);
    let config = config(home.path());
    let process = home.start_config(&config, &patient).await;
    let customer = process.client.customer("ada").await;
    let token = customer.login("ada").await.token().to_owned();
    let order = customer.order_until("prod-002", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let id = order["id"].as_str().unwrap();
    process.kill();

    let file = std::fs::read_dir(home.path().join("data")).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|end| end == "db")).unwrap();
    let database = Database { place: Place::File(file.clone()), readers: 1, keys: vec![], kinds: vec![] };
    let store = open(&database, Clock::system()).unwrap();
    let hold = Hold { who: "olga".into(), reason: "fraud is looked into".into(), at: jiff::Timestamp::UNIX_EPOCH };
    assert!(store.instances.hold("orders", id, hold, None).await.unwrap());
    store.resources.commit(Commit { outbox: vec![event("e-1", id)], ..Commit::default() }).await.unwrap();
    store.operations.close().await;
    drop(store);

    let process = home.start_config(&config, &patient).await;
    until("the event waits", async || {
        let connection = rusqlite::Connection::open_with_flags(&file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let count: i64 = connection.query_row("SELECT count(*) FROM waiting_events", [], |row| row.get(0)).unwrap();
        (count == 1).then_some(Value::Null)
    })
    .await;
    process.kill();

    // As if the process had died right after the release was written.
    let store = open(&database, Clock::system()).unwrap();
    assert_eq!(store.instances.waiting("orders", id, 10).await.unwrap()[0].event_id, "e-1");
    assert!(store.instances.let_go("orders", id, None).await.unwrap());
    store.operations.close().await;
    drop(store);
    let process = home.start_config(&config, &patient).await;
    let customer = process.client.with_token(&token);
    let ended = customer.wait_for("orders", id, &["cancelled"]).await;
    assert_eq!(transitions(&ended, "abandon_payment").len(), 1, "{ended:#}");
}

/// One event waits for an order that is held.
async fn waits(app: &TestApp, operator: &Client, id: &str) {
    let outbox = vec![event("e-1", id)];
    app.store.resources.commit(Commit { outbox, ..Commit::default() }).await.unwrap();
    until("the event waits", async || {
        let shown = operator.get(&format!("/operator/instances/orders/{id}")).await.body;
        (shown["waiting"].as_array()?.len() == 1).then_some(shown)
    })
    .await;
}

/// The order once the event has moved it.
async fn ended_by_event(operator: &Client, path: &str) -> Value {
    let shown = until("the event moves it", async || {
        let shown = operator.get(path).await.body;
        (shown["state"] == "cancelled").then_some(shown)
    })
    .await;
    assert_eq!(transitions(&shown, "abandon_payment")[0]["cause"], "event", "{shown}");
    assert_eq!(shown["waiting"], json!([]));
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_came_before_a_timer_was_due_moves_a_released_order_before_it() {
    let Scene { app, operator, id, path, .. } = &held(&[("PAYMENT_RETRY_AFTER", "2m"), ("OPERATOR_WRITES", "true")]).await;
    waits(app, operator, id).await;
    app.clock.advance(jiff::SignedDuration::from_mins(3));
    release(operator, path).await;
    let shown = ended_by_event(operator, path).await;
    assert!(transitions(&shown, "retry_payment").is_empty(), "the timer fires first: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_fits_after_a_run_that_was_held_is_not_lost() {
    let Scene { app, operator, id, path, .. } = &held(&PATIENT).await;
    let fired = operator.post(&format!("{path}/fire"), &json!({"reason": "try", "transition": "retry_payment"})).await;
    assert_eq!(fired.body["instance"]["state"], "paying", "{fired:?}");
    waits(app, operator, id).await;
    release(operator, path).await;
    let shown = ended_by_event(operator, path).await;
    assert_eq!(transitions(&shown, "payment_declined").len(), 2, "the step was made first: {shown}");
}
