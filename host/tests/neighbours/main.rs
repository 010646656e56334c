//! What a component can do to its neighbours in time. A program of its own: tests of one program run side by side, and brokers and
//! browsers beside it would be what is measured.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, spawns what it likes, and is read where it stands"
)]
#![allow(dead_code, reason = "what is shared with the other tests is not all used here")]

#[path = "../it/client.rs"]
mod client;
#[path = "../it/compiled.rs"]
mod compiled;
#[path = "../it/process.rs"]
mod process;
#[path = "../it/test_app.rs"]
mod test_app;

use std::time::{Duration, Instant};

use test_app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_never_ends_is_stopped_and_compensated_while_others_go_on() {
    let app = TestApp::start("host/tests/it/configs/jobs.yaml", &[]).await;
    let user = app.client.customer("ada").await;
    let mut spinners = Vec::new();
    for _ in 0..4 {
        let answer = user.post("/api/jobs", &serde_json::json!({"mode": "spin"})).await;
        assert_eq!(answer.status, reqwest::StatusCode::CREATED, "{answer:?}");
        spinners.push(answer.body["id"].as_str().unwrap().to_owned());
    }
    let mut done = 0;
    while user.get(&format!("/api/jobs/{}", spinners[0])).await.body["state"] == "working" {
        let answer = user.post("/api/jobs", &serde_json::json!({"mode": "accept"})).await;
        let began = Instant::now();
        user.wait_for("jobs", answer.body["id"].as_str().unwrap(), &["done"]).await;
        assert!(began.elapsed() < Duration::from_millis(500), "a neighbour waited {:?}", began.elapsed());
        done += 1;
    }
    assert!(done > 5, "only {done} neighbours were served while the loop ran");
    for id in spinners {
        let failed = user.wait_for("jobs", &id, &["failed", "done"]).await;
        assert_eq!(failed["state"], "failed");
        let last = failed["history"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((last["transition"].as_str(), last["cause"].as_str()), (Some("work_failed"), Some("failed")));
        let runs = app.store.instances.runs("jobs", &id).await.unwrap();
        assert!(runs[0].last_error.as_ref().is_some_and(|error| error.contains("worker")), "{runs:?}");
    }
}
