//! Deeds on many instances: whose asker goes away while they are done, and for which too much would have to be looked at.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use millrace::plan::access::Role;
use reqwest::Method;
use serde_json::json;

use super::{PATIENT, declined, staff, texts, until};
use crate::test_app::TestApp;

const MANY: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_leaves_the_rest_alone() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let customer = app.client.customer("ada").await;
    for _ in 0..MANY {
        customer.order("prod-002", 1, "tok_chargeDeclined").await;
    }
    let operator = staff(&app, "olga", &[Role::Operator]).await;
    let counted = async |what: &str| operator.get(&format!("/operator/instances/counts?{what}")).await.body["count"].as_u64().unwrap();
    until("all are declined", async || (counted("state=payment_failed").await == MANY).then(|| json!(true))).await;

    let body = json!({"action": "hold", "filter": {"kind": "orders"}, "reason": "the wrong filter"});
    // Nothing is written until the process has seen that nobody waits any more.
    let locked = rusqlite::Connection::open(app.folder.path().join("data/ecommerce.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    until("the process sees that the client has gone", async || {
        let asked = operator.send(Method::POST, "/operator/instances/bulk", Some(&body), &[("Idempotency-Key", "k")]);
        let impatient = tokio::time::timeout(Duration::from_millis(200), asked).await;
        assert!(impatient.is_err(), "it is done though nothing can be written: {impatient:?}");
        let metrics = app.client.begin(Method::GET, "/metrics", None).await.text().await.unwrap();
        metrics.lines().any(|line| line.contains("instances/bulk") && line.contains("499")).then(|| json!(true))
    })
    .await;
    locked.execute_batch("ROLLBACK").unwrap();
    drop(locked);

    let ended = until("the deed ends", async || {
        let answer = operator.send(Method::POST, "/operator/instances/bulk", Some(&body), &[("Idempotency-Key", "k")]).await.body;
        (answer["count"] == MANY).then_some(answer)
    })
    .await;
    assert!(ended["done"].as_u64().unwrap() < MANY, "the rest was held as well: {ended}");
    assert_eq!(counted("held=true").await, ended["done"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_index_finds_is_looked_for_in_parts_and_no_deed_is_done_on_a_part_of_it() {
    let app = TestApp::start("configs/monolith.yaml", &PATIENT).await;
    let id = declined(&app, "ada").await;
    // Newer ones, more than one request looks at.
    let database = rusqlite::Connection::open(app.folder.path().join("data/ecommerce.db")).unwrap();
    let many = "INSERT INTO resources (kind, id, owner, state, version, workflow, machine, instance, finished, created_at, updated_at, data, touched_at)
                WITH RECURSIVE each (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM each WHERE n < 20001)
                SELECT kind, 'many-' || n, owner, 'delivered', 1, workflow, machine, instance, 1, created_at + n, updated_at, '{}', touched_at
                FROM resources, each WHERE kind = 'orders'";
    until("they are there", async || database.execute(many, []).ok().map(|count| json!(count))).await;
    // Of another kind, and older than all of them.
    let other = "INSERT INTO resources (kind, id, owner, state, version, workflow, machine, instance, finished, created_at, updated_at, data, touched_at)
                 SELECT 'repairs', 'repair-old', owner, state, 1, workflow, machine, instance, finished, created_at - 1, updated_at, '{}', touched_at
                 FROM resources WHERE id = ?1";
    until("it is there", async || database.execute(other, [&id]).ok().map(|count| json!(count))).await;
    drop(database);

    let operator = staff(&app, "olga", &[Role::Operator]).await;
    let part = &id[id.len() - 12..];
    let first = operator.get(&format!("/operator/instances?kind=orders&text={part}")).await.body;
    assert_eq!(first["items"], json!([]), "it is older than all that was looked at");
    let rest =
        operator.get(&format!("/operator/instances?kind=orders&text={part}&cursor={}", first["nextCursor"].as_str().unwrap())).await.body;
    assert_eq!((texts(&rest["items"], "id"), &rest["nextCursor"]), (vec![id.clone()], &json!(null)));
    let whole = operator.get(&format!("/operator/instances?text={id}")).await.body;
    assert_eq!((texts(&whole["items"], "id"), &whole["nextCursor"]), (vec![id.clone()], &json!(null)), "an index has whole ids");
    let of_another_kind = operator.get("/operator/instances?text=repair-old").await.body;
    let found = (texts(&of_another_kind["items"], "id"), &of_another_kind["nextCursor"]);
    assert_eq!(found, (vec!["repair-old".to_owned()], &json!(null)), "only kinds that have it are looked at");
    let count = operator.get(&format!("/operator/instances/counts?text={part}")).await.body;
    assert_eq!(count, json!({"count": 0, "more": true}));

    let bulk = async |filter: serde_json::Value| {
        let body = json!({"action": "hold", "filter": filter, "reason": "the bank calls", "preview": true});
        operator.post("/operator/instances/bulk", &body).await
    };
    let refused = bulk(json!({"text": part})).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.body.to_string().contains("more than the 20000 newest instances, of which 0 fit"), "{refused:?}");
    let narrow = bulk(json!({"text": part, "state": "payment_failed"})).await;
    assert_eq!((narrow.status.as_u16(), &narrow.body["count"]), (200, &json!(1)), "{narrow:?}");
}

#[test]
fn the_terminal_says_what_becomes_of_a_deed_that_is_interrupted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/operator", listener.local_addr().unwrap());
    let arguments = ["instances", "bulk", "hold", "--state", "paying", "--reason", "x", "--yes", "--url", &url];
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    // It waits for an answer that does not come.
    let (mut connection, _) = listener.accept().unwrap();
    let mut byte = [0];
    connection.read_exact(&mut byte).unwrap();
    let pid = rustix::process::Pid::from_child(&command);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut told = String::new();
    command.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(!command.wait().unwrap().success());
    assert!(told.contains("interrupted") && told.contains("leaves the rest alone"), "{told}");
}
