//! A step of `millrace:step` 0.1 and one of 0.2 in one machine: what the second keeps and publishes is there once, whatever is killed and tried
//! again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace::clock::Clock;
use millrace::store::{self, Database, KvOwner, Store};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Client, PATIENCE, path_of};
use crate::process::Home;
use crate::test_app::{built, repository};

const RETURNS: usize = 60;

/// The returns desk, which counts what has passed its inspection: of a return for the reason `twice` the first attempt counts, publishes and fails.
fn desk(home: &Home) -> std::path::PathBuf {
    for name in ["returns-inspection.wasm", "keeper.wasm"] {
        std::fs::copy(built(name), home.component(name)).unwrap();
    }
    let text = std::fs::read_to_string(repository().join("host/tests/it/configs/returns.yaml")).unwrap();
    let changes = [
        (
            "  - name: letters\n",
            r#"  - name: counting
    type: dynamic.component
    config:
      source: "${COMPONENTS_DIR}/keeper.wasm"
      capabilities:
        kv: {}
        events: [{type: goods.counted, topic: counted}]
        # It can also ask a bank, which nobody wants of it here.
        http: [{service: bank, url: "http://127.0.0.1:9"}]
        secrets: {key: {value: not-needed, services: [bank]}}
      config: {do: [{count: goods}, {publish: goods.counted}, {failAtFirst: twice}]}
  - name: count-goods
    type: processing.step
    config:
      componentId: counting
      successTransition: goods_counted
      compensateTransition: not_counted
      maxRetries: 9
      retryBackoffMs: 10
      timeoutSeconds: 20
    dependsOn: [counting, returns-engine]
  - name: letters
"#,
        ),
        ("          approved: {", "          counting: {description: It is counted}\n          approved: {"),
        (
            "          inspection_passed: {fromState: inspecting, toState: approved}\n",
            "          inspection_passed: {fromState: inspecting, toState: counting}
          goods_counted: {fromState: counting, toState: approved}
          not_counted: {fromState: counting, toState: turned_down}\n",
        ),
        ("    hooks:\n", "    hooks:\n      - {workflowType: goods-return, toStates: [counting], handler: count-goods}\n"),
    ];
    let text = changes.iter().fold(text, |text, (here, changed)| {
        assert!(text.contains(here), "{here}");
        text.replace(here, changed)
    });
    let config = home.path().join("counted.yaml");
    std::fs::write(&config, text).unwrap();
    config
}

/// All returns of the customer, each at its end.
async fn ended(customer: &Client) -> Vec<Value> {
    let mut ended = Vec::new();
    for row in customer.get("/api/returns?limit=200").await.body.as_array().unwrap() {
        ended.push(customer.wait_for("returns", row["id"].as_str().unwrap(), &["refunded", "turned_down", "closed"]).await);
    }
    ended
}

/// The database of a process that is gone; its lock may go a moment later.
async fn opened(home: &Home) -> Store {
    let database =
        Database { place: millrace::store::Place::File(home.path().join("data/returns.db")), readers: 1, keys: Vec::new(), kinds: vec![] };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match store::open(&database, Clock::system()) {
            Ok(store) => return store,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_is_exact_and_a_business_event_is_told_once_after_retries_and_a_kill() {
    let home = Home::new();
    let config = desk(&home);
    let process = home.start_config(&config, &[]).await;
    let customer = process.client.customer("ada").await;
    let token = customer.login("ada").await.token().to_owned();
    for number in 0..RETURNS {
        // Few enough that no circuit breaker opens.
        let reason = if number % 30 == 10 { "twice" } else { "wrong colour" };
        let sent = customer.post("/api/returns", &json!({"article": "Desk Mat", "reason": reason, "condition": "new"})).await;
        assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
    }
    process.kill();

    let process = home.start_config(&config, &[]).await;
    let ended = ended(&process.client.with_token(&token)).await;
    assert_eq!(ended.len(), RETURNS);
    for one in &ended {
        assert_eq!(path_of(one), ["requested", "inspecting", "counting", "approved", "refunded"], "{one:#}");
        let counted = one["history"].as_array().unwrap().iter().find(|row| row["transition"] == "goods_counted").unwrap();
        let failed_first = one["data"]["reason"] == "twice";
        assert!(!failed_first || counted["attempt"].as_u64().is_some_and(|attempt| attempt > 1), "its first attempt failed: {counted}");
    }
    process.kill();

    let store = opened(&home).await;
    let owner = |instance: Option<&str>| KvOwner {
        component: "counting".into(),
        instance: instance.map(|id| ("returns".to_owned(), id.to_owned())),
    };
    let value = async |instance: Option<&str>| store.resources.kv(&owner(instance), "goods").await.unwrap();
    assert_eq!(value(None).await, Some(RETURNS.to_string()));
    store.messages.republish(jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in store.messages.unpublished(0, 100_000).await.unwrap().into_iter().filter(|event| event.topic == "counted") {
        told.entry(event.key).or_default().push(serde_json::from_str(&event.payload).unwrap());
    }
    for one in &ended {
        let id = one["id"].as_str().unwrap();
        assert_eq!(value(Some(id)).await.as_deref(), Some("1"));
        let [event]: [Value; 1] =
            told.remove(id).unwrap_or_default().try_into().unwrap_or_else(|events: Vec<Value>| panic!("{id}: {events:?}"));
        assert_eq!((&event["type"], &event["data"]["data"]), (&json!("goods.counted"), &json!({"said": "hello"})));
        assert_eq!((&event["data"]["step"], &event["data"]["toState"]), (&json!("count-goods"), &json!("counting")));
    }
    assert!(told.is_empty(), "{told:?}");
}
