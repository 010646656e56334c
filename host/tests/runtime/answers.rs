//! The four answers, and what goes into a job.

use std::time::Duration;

use millrace::runtime::Verdict;
use serde_json::json;

use crate::fixtures::built;
use crate::workshop::{Plan, accepted, job, transient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_answers_one_of_four_things() {
    let workshop = Plan::of(built("hostile")).start().await;
    let accept = workshop.run(json!({ "mode": "accept", "value": { "a": [1, 2] } })).await;
    assert_eq!(accepted(&accept)["echo"], json!({ "a": [1, 2] }));
    assert_eq!((accept.digest.clone(), accept.limit), (workshop.digest(), None));

    let reject = workshop.run(json!({ "mode": "reject" })).await.verdict;
    let Verdict::Rejected { code, reason, details } = reject else { panic!("{reject:?}") };
    assert_eq!(code, "insufficient_funds");
    assert_eq!(reason, "the card has no money\u{fffd}[31m", "a control character came through");
    assert_eq!(details["last4"], "0002");

    assert_eq!(workshop.run(json!({ "mode": "transient" })).await.verdict, Verdict::Transient("try again".into()));
    assert_eq!(workshop.run(json!({ "mode": "permanent" })).await.verdict, Verdict::Permanent("never".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_carries_its_key_and_its_deadline() {
    let workshop = Plan::of(built("hostile")).start().await;
    let before = jiff_now();
    let report = workshop.run_within(json!({ "mode": "accept" }), Duration::from_secs(20)).await;
    let results = accepted(&report);
    assert_eq!((results["key"].as_str(), results["attempt"].as_u64()), (Some("key-1"), Some(1)));
    let left = results["deadline"].as_i64().expect("a number") - before;
    assert!((20_000..40_000).contains(&left), "the deadline is {left} ms away");
}

fn jiff_now() -> i64 {
    millrace::clock::Clock::system().now().as_millisecond()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steps_config_goes_over_the_components_key_by_key() {
    let mut plan = Plan::of(built("hostile"));
    plan.config = json!({ "currency": "USD", "rate": 0.9 });
    let workshop = plan.start().await;
    let ask = || job(&json!({ "mode": "config" }), Duration::from_secs(20));
    let own = workshop.runtime.run("worker", ask(), None).await;
    assert_eq!(accepted(&own)["rate"], json!(0.9));
    let step = json!({ "rate": 0.5, "seed": 7 });
    let merged = workshop.runtime.run("worker", ask(), step.as_object()).await;
    assert_eq!(json!(accepted(&merged)), json!({ "currency": "USD", "rate": 0.5, "seed": 7 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_a_transient_failure_that_says_what_is_wrong() {
    let workshop = Plan::of(built("hostile")).start().await;
    for (mode, says) in [
        ("not json", "not a JSON object"),
        ("not an object", "not a JSON object"),
        ("deep json", "not a JSON object"),
        ("large result", "at most 262144"),
        ("huge result", "at most 262144"),
        ("200000 strings", "at most 262144"),
        ("bad code", "a code has 1 to 64 visible ASCII characters"),
    ] {
        let report = workshop.run(json!({ "mode": mode })).await;
        assert!(transient(&report).contains(says), "{mode}: {:?}", report.verdict);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_reason_is_cut() {
    let workshop = Plan::of(built("hostile")).start().await;
    let verdict = workshop.run(json!({ "mode": "long reason" })).await.verdict;
    let Verdict::Permanent(reason) = verdict else { panic!("{verdict:?}") };
    assert!(reason.len() <= 2_048 && reason.starts_with("no no") && reason.ends_with('…'), "{} bytes", reason.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_component_is_told_as_such() {
    let workshop = Plan::of(built("hostile")).start().await;
    let report = workshop.runtime.run("nobody", job(&json!({}), Duration::from_secs(1)), None).await;
    assert_eq!(report.verdict, Verdict::Transient("there is no component 'nobody' in the configuration".into()));
    assert_eq!(report.digest, "");
}
