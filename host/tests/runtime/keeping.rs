//! What components of 0.2 have: configuration by key, a state, events, secrets, schemas; beside those of 0.1.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use millrace::runtime::{
    After, Alongside, Capabilities, ComponentSettings, EventGrant, GivenKv, Grant, GrantTarget, InProcess, KvChange, KvGrant, KvOp,
    KvOwner, KvSource, Report, SecretGrant, Source, Verdict,
};
use serde_json::{Value, json};

use crate::fixtures::{built, tiny};
use crate::workshop::{Plan, Workshop, accepted};

fn granted() -> Capabilities {
    Capabilities {
        kv: Some(KvGrant { instance_bytes: 1 << 10, component_bytes: 1 << 10 }),
        events: vec![EventGrant { event_type: "fraud.flagged".into(), topic: "risk".into() }],
        secrets: vec![SecretGrant { name: "key".into(), value: "s3cret".into(), services: vec!["provider".into()] }],
        ..Capabilities::default()
    }
}

async fn keeper(config: Value, component: &[(&str, &str)]) -> Workshop {
    let mut plan = Plan::of(built("keeper"));
    plan.capabilities = granted();
    plan.config = config;
    let component = component.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    plan.kv = Arc::new(GivenKv { component, instance: BTreeMap::new() });
    plan.start().await
}

async fn told(workshop: &Workshop, steps: Value) -> Report {
    workshop.run(json!({"do": steps})).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configuration_is_read_by_key_and_type() {
    let workshop = keeper(json!({"region": "eu", "limits": {"daily": 7}, "tags": ["a", "b"]}), &[]).await;
    for (asked, found) in [
        (json!({"key": "region"}), json!("eu")),
        (json!({"key": "/limits/daily", "as": "integer"}), json!(7)),
        (json!({"key": "tags", "as": "list"}), json!(["a", "b"])),
        (json!({"key": "nothing", "as": "list"}), Value::Null),
    ] {
        let report = told(&workshop, json!([{"config": asked}])).await;
        assert_eq!(accepted(&report)["keeper_config"], found);
    }
    let report = told(&workshop, json!([{"config": {"key": "region", "as": "integer"}}])).await;
    let Verdict::Permanent(why) = &report.verdict else { panic!("{report:?}") };
    assert_eq!(why, "`region` of the configuration is a text, not a whole number");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_comes_with_an_answer_and_with_nothing_else() {
    let workshop = keeper(json!({}), &[("orders", "41"), ("old", "x")]).await;
    let writes = [
        json!({"count": "orders"}),
        json!({"set": {"key": "a", "value": "1"}}),
        json!({"delete": "old"}),
        json!({"publish": "fraud.flagged"}),
    ];
    let with = |end: &[Value]| Value::Array(writes.iter().chain(end).cloned().collect());

    let report = told(&workshop, with(&[json!({"get": "a"})])).await;
    assert_eq!(
        (&accepted(&report)["keeper_count"], &accepted(&report)["keeper_get"]),
        (&json!(42), &json!("1")),
        "it reads its own writes"
    );
    let Alongside { kv, events } = report.alongside.clone();
    let change = |of_instance, key: &str, op| KvChange { of_instance, key: key.into(), op };
    let expected = [
        change(true, "orders", KvOp::Add(1)),
        change(false, "a", KvOp::Set("1".into())),
        change(false, "old", KvOp::Delete),
        change(false, "orders", KvOp::Add(1)),
    ];
    assert_eq!(kv, expected);
    assert_eq!((events.len(), events[0].topic.as_str(), &events[0].data["said"]), (1, "risk", &json!("hello")));

    let refused = told(&workshop, with(&[json!({"reject": "no"})])).await;
    assert!(matches!(refused.verdict, Verdict::Rejected { .. }), "{refused:?}");
    assert_eq!(refused.alongside, report.alongside, "a rejection is an answer");
    for end in [json!({"fail": "later"}), json!({"trap": ""}), json!({"get": ""}), json!({"publish": "fraud.cleared"})] {
        let report = told(&workshop, with(&[end])).await;
        assert!(matches!(report.verdict, Verdict::Transient(_) | Verdict::Permanent(_)), "{report:?}");
        assert_eq!(report.alongside, Alongside::default());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_state_and_an_event_that_nobody_declared_are_told_to_the_component() {
    let workshop = keeper(json!({}), &[("big", &"x".repeat(900))]).await;
    let report = told(&workshop, json!([{"set": {"key": "more", "value": "x".repeat(100)}}])).await;
    assert!(matches!(&report.verdict, Verdict::Permanent(why) if why.contains("of 1024 bytes")), "{report:?}");
    let report = told(&workshop, json!([{"publish": "fraud.cleared"}])).await;
    assert!(matches!(&report.verdict, Verdict::Permanent(why) if why.contains("it declares fraud.flagged")), "{report:?}");
}

/// A state that is not to be had.
struct Broken;

#[async_trait]
impl KvSource for Broken {
    async fn value(&self, _: &KvOwner, _: &str) -> anyhow::Result<Option<String>> {
        anyhow::bail!("the disk is on fire")
    }

    async fn bytes(&self, _: &KvOwner) -> anyhow::Result<u64> {
        anyhow::bail!("the disk is on fire")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_cannot_be_read_is_a_failure_for_now() {
    let mut plan = Plan::of(built("keeper"));
    (plan.capabilities, plan.kv) = (granted(), Arc::new(Broken));
    let report = told(&plan.start().await, json!([{"count": "orders"}])).await;
    assert_eq!(report.verdict, Verdict::Transient("the state cannot be read now".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_attempt_reads_the_same_state_when_it_is_made_again() {
    let workshop = keeper(json!({}), &[("orders", "41")]).await;
    let report = told(&workshop, json!([{"count": "orders"}, {"get": "other"}, {"fail": "later"}])).await;
    let recording = report.recording.clone().expect("what failed is kept");
    assert!(recording.is_complete());
    let said = workshop.runtime.replay("worker", &report.digest, &recording).await.expect("it is made again");
    assert_eq!(said, recording.said);
    assert!(said.reason.as_ref().is_some_and(|reason| reason.contains("\"keeper_count\":42")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_it_does_not_read_and_an_answer_against_its_word_are_permanent_and_name_the_place() {
    let workshop = keeper(json!({}), &[]).await;
    let report = workshop.run(json!({"do": "nothing"})).await;
    assert!(matches!(&report.verdict, Verdict::Permanent(why) if why.contains("by its own data schema: /do: ")), "{report:?}");
    assert!(report.recording.is_none() && !report.digest.is_empty(), "it was not run");
    let report = told(&workshop, json!([{"count": "orders"}, {"answer": 1}])).await;
    assert_eq!(accepted(&report)["keeper_answer"], json!(1));
    let report = told(&workshop, json!([{"count": "orders"}, {"answer": "private"}])).await;
    let Verdict::Permanent(why) = &report.verdict else { panic!("{report:?}") };
    assert!(why.starts_with("component 'worker' broke its own answer schema: /keeper_answer: ") && !why.contains("private"), "{why}");
    assert_eq!((report.alongside, report.answered), (Alongside::default(), false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_0_1_works_as_ever_beside_it() {
    let mut plan = Plan::of(tiny("i32.const 96"));
    plan.capabilities = granted();
    let report = plan.start().await.run(json!({})).await;
    assert!(accepted(&report).is_empty());
    assert_eq!(report.alongside, Alongside::default());
}

/// Answers with the headers that it was sent.
fn provider() -> InProcess {
    InProcess::new(tower::service_fn(|request: Request<Bytes>| async move {
        let sent = request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or("none");
        Ok::<_, Infallible>(Response::new(Bytes::from(sent.to_owned())))
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_filled_in_on_the_way_to_its_service_and_to_no_other() {
    let workshop = keeper(json!({}), &[]).await;
    let placeholder = accepted(&told(&workshop, json!([{"secret": "key"}])).await)["keeper_secret"].clone();
    assert!(!placeholder.to_string().contains("s3cret"), "{placeholder}");
    assert_eq!(accepted(&told(&workshop, json!([{"secret": "other"}])).await)["keeper_secret"], Value::Null);

    let mut plan = Plan::of(built("caller"));
    let grant = |service: &str| Grant {
        service: service.into(),
        target: GrantTarget::Handler("provider".into()),
        headers: Vec::new(),
        credential: None,
    };
    let config = vec![("region".into(), "eu".into())];
    plan.capabilities = Capabilities { http: vec![grant("provider"), grant("other")], config, ..granted() };
    plan.services = HashMap::from([("provider".to_owned(), provider())]);
    let workshop = plan.start().await;
    let header = format!("Bearer {}", placeholder.as_str().expect("a text"));
    let ask = |service: &str| json!({"service": service, "path": "/", "headers": {"authorization": header}, "body": ""});
    assert_eq!(accepted(&workshop.run(ask("provider")).await)["body"], "Bearer s3cret");
    let denied = workshop.run(ask("other")).await;
    assert!(accepted(&denied)["error"].as_str().is_some_and(|error| error.contains("HttpRequestDenied")), "{denied:?}");
}

/// A component that reads another type than `keeper` answers.
fn misreader() -> Vec<u8> {
    let (word, count) = (br#""keeper_word":{"type":"string"}"#, br#""keeper_count":{"type":"array"}"#);
    let mut file = built("keeper");
    let at = file.windows(word.len()).position(|part| part == word).expect("the schema is in the file");
    file[at..at + word.len()].copy_from_slice(count);
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_of_which_one_answers_what_a_later_one_does_not_read_are_not_taken_together() {
    let workshop = keeper(json!({}), &[]).await;
    let after = After { component: "worker".into(), earlier: "step-work".into(), step: "step-more".into(), workflow: "orders".into() };
    let behind = |source: &Path, after: Vec<After>| ComponentSettings {
        name: "other".into(),
        source: Source::File(source.to_owned()),
        after,
        ..workshop.settings.clone()
    };
    let source = workshop.dir.path().join("misreader.wasm");
    std::fs::write(&source, misreader()).expect("a file");
    for (fits, other) in [
        (true, behind(&workshop.source, vec![after.clone()])),
        (true, behind(&source, Vec::new())),
        (false, behind(&source, vec![after.clone()])),
    ] {
        let arranged = workshop.runtime.arrange(&[workshop.settings.clone(), other]).await;
        let told = arranged.err().map(|error| error.to_string());
        assert_eq!(told.is_none(), fits, "{told:?}");
        let place = "the step 'step-work' comes before 'step-more', and its `/keeper_count` may be of the type integer, and array is read";
        assert!(told.is_none_or(|told| told.contains(place)), "it names the place");
    }
}
