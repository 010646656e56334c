//! What components of 0.2 have: configuration by key, a state, events, secrets, schemas; beside those of 0.1.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use millrace::runtime::{
    After, Alongside, Capabilities, ComponentSettings, EventGrant, GivenKv, Grant, GrantTarget, InProcess, KvChange, KvGrant, KvOp,
    KvOwner, KvSource, Report, SecretGrant, Source, SwapEvent, Verdict,
};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::fixtures::{built, tiny};
use crate::oci_registry::named;
use crate::workshop::{Plan, Workshop, accepted, next};

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

/// `keeper` with another text in the place of one that is as long or longer.
fn keeper_with(text: &str, other: &str) -> Vec<u8> {
    let (text, other) = (text.as_bytes(), format!("{other:width$}", width = text.len()));
    assert_eq!(text.len(), other.len(), "it has its place");
    let mut file = built("keeper");
    let at = file.windows(text.len()).position(|part| part == text).expect("it is in the file");
    file[at..at + text.len()].copy_from_slice(other.as_bytes());
    file
}

/// A component that reads this type of what `keeper` answers as an integer.
fn reads(kind: &str) -> Vec<u8> {
    keeper_with(
        r#"{"do":{"type":"array"},"keeper_word":{"type":"string"}}"#,
        &format!(r#"{{"do":{{}},"keeper_count":{{"type":"{kind}"}}}}"#),
    )
}

/// A component that answers it as a list.
fn answers_a_list() -> Vec<u8> {
    keeper_with(r#""keeper_count":{"type":"integer"}"#, r#""keeper_count":{"type":"array"  }"#)
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
    std::fs::write(&source, reads("array")).expect("a file");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_versions_that_only_fit_each_other_are_taken_together() {
    let mut workshop = keeper(json!({}), &[]).await;
    let after = After { component: "worker".into(), earlier: "step-work".into(), step: "step-more".into(), workflow: "orders".into() };
    let source = workshop.dir.path().join("components/other.wasm");
    std::fs::write(&source, reads("number")).expect("a file");
    let other =
        ComponentSettings { name: "other".into(), source: Source::File(source.clone()), after: vec![after], ..workshop.settings.clone() };
    let arranged = workshop.runtime.arrange(&[workshop.settings.clone(), other]).await.expect("they fit");
    workshop.runtime.put(arranged);
    let runtime = Arc::clone(&workshop.runtime);
    let serving = || ["worker", "other"].map(|name| format!("sha256:{}", runtime.digest(name).expect("it serves")));
    let replace_other = |file: &[u8]| {
        let beside = source.with_extension("new");
        std::fs::write(&beside, file).and_then(|()| std::fs::rename(&beside, &source)).expect("a file");
    };
    let first = serving();
    let mut events = workshop.runtime.events();

    workshop.replace(&answers_a_list());
    let told = runtime.reload("worker").await.expect_err("the other one reads a number").to_string();
    assert!(told.contains("answers what is not read") && told.contains("both are taken at once"), "{told}");
    assert_eq!(serving(), first, "those before serve");
    replace_other(&reads("array"));
    runtime.reload("other").await.expect("it fits what waits for it");
    assert_eq!(serving(), [named(&answers_a_list()), named(&reads("array"))]);
    assert!(runtime.status().iter().all(|component| component.refused.is_none()));
    assert_eq!(two_swapped(&mut events).await, ["other", "worker"]);

    // What waits for another one is forgotten once its file has something else.
    workshop.replace(&built("keeper"));
    runtime.reload("worker").await.expect_err("the other one reads a list");
    workshop.replace(&answers_a_list());
    runtime.reload("worker").await.expect("it serves already");
    replace_other(&reads("number"));
    runtime.reload("other").await.expect_err("nothing waits for it any more");
    // Whoever watches the files is told the same.
    workshop.watch();
    workshop.replace(&built("keeper"));
    assert_eq!(two_swapped(&mut events).await, ["other", "worker"]);
    assert_eq!(serving(), [named(&built("keeper")), named(&reads("number"))]);
    workshop.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_versions_that_wait_those_two_are_taken_that_fit_each_other_and_recorded_at_once() {
    let workshop = keeper(json!({}), &[]).await;
    let runtime = Arc::clone(&workshop.runtime);
    let after = |component: &str, earlier: &str, step: &str| After {
        component: component.into(),
        earlier: earlier.into(),
        step: step.into(),
        workflow: "orders".into(),
    };
    let place = |name: &str| workshop.dir.path().join(format!("components/{name}.wasm"));
    let put = |name: &str, file: &[u8]| std::fs::write(place(name), file).expect("a file");
    let behind = |name: &str, after: After| ComponentSettings {
        name: name.into(),
        source: Source::File(place(name)),
        after: vec![after],
        ..workshop.settings.clone()
    };
    ["other", "third"].iter().for_each(|name| put(name, &reads("number")));
    let others = [behind("other", after("worker", "step-work", "step-more")), behind("third", after("other", "step-more", "step-last"))];
    let all = [&[workshop.settings.clone()][..], &others].concat();
    runtime.put(runtime.arrange(&all).await.expect("they fit"));
    let serving = || ["worker", "other", "third"].map(|name| format!("sha256:{}", runtime.digest(name).expect("it serves")));
    let first = serving();

    for name in ["other", "third"] {
        put(name, &reads("array"));
        let told = runtime.reload(name).await.expect_err("the one before it answers an integer").to_string();
        assert!(told.contains("reads what it does not get"), "{told}");
    }
    assert_eq!(serving(), first);
    let writes = workshop.writes.load(Ordering::Relaxed);
    workshop.replace(&answers_a_list());
    runtime.reload("worker").await.expect("what waits at `other` reads a list");
    assert_eq!(serving(), [named(&answers_a_list()), named(&reads("array")), first[2].clone()]);
    assert_eq!(workshop.writes.load(Ordering::Relaxed), writes + 1, "both are recorded, or none");
}

/// The names of the next two components of which another version serves.
async fn two_swapped(events: &mut Receiver<SwapEvent>) -> [String; 2] {
    let mut swapped = Vec::new();
    loop {
        if let SwapEvent::Swapped { component, .. } = next(events).await {
            swapped.push(component);
        }
        swapped.sort();
        match <[String; 2]>::try_from(swapped) {
            Ok(both) => return both,
            Err(so_far) => swapped = so_far,
        }
    }
}
