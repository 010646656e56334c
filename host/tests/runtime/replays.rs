//! Attempts that failed, made again as they were.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use millrace::runtime::{Capabilities, Grant, GrantTarget, InProcess, Verdict};
use serde_json::json;

use crate::fixtures::{built, marked};
use crate::workshop::{Plan, Workshop};

/// Answers with how often it was asked.
fn counter(asked: &Arc<AtomicU64>) -> InProcess {
    let asked = Arc::clone(asked);
    InProcess::new(tower::service_fn(move |_: Request<Bytes>| {
        let times = asked.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(Response::new(Bytes::from(format!("asked {times} times before")))) }
    }))
}

async fn caller(asked: &Arc<AtomicU64>) -> Workshop {
    let mut plan = Plan::of(built("caller"));
    let target = GrantTarget::Handler("counter".into());
    plan.capabilities = Capabilities {
        http: vec![Grant { service: "stock".into(), target, headers: Vec::new(), credential: None }],
        config: vec![("region".into(), "eu".into())],
        ..Capabilities::default()
    };
    plan.services = HashMap::from([("counter".to_owned(), counter(asked))]);
    plan.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_gives_the_same_answer_again_and_nobody_is_asked() {
    let asked = Arc::default();
    let workshop = caller(&asked).await;
    let job = |service: &str| json!({"service": service, "path": "/count", "body": "hello", "key": "region", "fail": true});
    let [first, second] = [workshop.run(job("stock")).await, workshop.run(job("stock")).await];
    assert_ne!(first.verdict, second.verdict, "it finds something else each time");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    for report in [first, second, workshop.run(job("nowhere")).await] {
        let recording = report.recording.clone().expect("what failed is kept");
        assert!(recording.is_complete());
        let Verdict::Transient(reason) = &report.verdict else { panic!("it fails: {report:?}") };
        for _ in 0..2 {
            let said = workshop.runtime.replay("worker", &report.digest, &recording).await.expect("it is made again");
            assert_eq!(said, recording.said);
            assert_eq!(said.reason.as_ref(), Some(reason));
        }
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "nobody was asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_did_not_fail_is_not_kept_and_what_broke_breaks_again() {
    let workshop = Plan::of(built("hostile")).start().await;
    for mode in ["accept", "reject", "probe"] {
        assert_eq!(workshop.run(json!({"mode": mode})).await.recording, None, "{mode}");
    }
    for mode in ["permanent", "panic", "exit", "recurse", "grow", "call flood", "not json", "bad code", "large result"] {
        let report = workshop.run(json!({"mode": mode})).await;
        let Some(recording) = report.recording else { panic!("{mode} is not kept") };
        let said = workshop.runtime.replay("worker", &report.digest, &recording).await.expect("it is made again");
        assert_eq!(said, recording.said, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_version_finds_the_same_and_may_answer_otherwise() {
    let asked = Arc::default();
    let workshop = caller(&asked).await;
    let report = workshop.run(json!({"service": "stock", "path": "/count", "fail": true})).await;
    let recording = report.recording.expect("what failed is kept");
    let alike =
        workshop.runtime.judge("worker", marked(&built("caller"), "the same once more").into(), None).await.expect("it is good").digest;
    assert_ne!(alike, report.digest);
    let said = workshop.runtime.replay("worker", &alike, &recording).await.expect("it is made again");
    assert_eq!(said, recording.said);
    let missing = workshop.runtime.replay("worker", &"0".repeat(64), &recording).await;
    assert!(missing.is_err(), "{missing:?}");
}
