//! A second business on the same host: its own states, component and events, and no host code.

use std::time::Instant;

use jiff::SignedDuration;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::client::{Client, PATIENCE, path_of};
use crate::test_app::{TestApp, repository};

async fn desk() -> (TestApp, Client) {
    let app = TestApp::start("host/tests/it/configs/returns.yaml", &[]).await;
    let customer = app.client.customer("ada").await;
    (app, customer)
}

fn parcel(condition: &str) -> Value {
    json!({"article": "Desk Mat", "reason": "wrong colour", "condition": condition, "iban": "DE02120300000000202051"})
}

async fn send_back(customer: &Client, condition: &str) -> String {
    let answer = customer.post("/api/returns", &parcel(condition)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let id = answer.body["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("return-"), "{id}");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_are_inspected_and_an_event_alone_pays_the_refund() {
    let (app, customer) = desk().await;
    let id = send_back(&customer, "new").await;
    let refunded = customer.wait_for("returns", &id, &["refunded", "closed", "turned_down"]).await;
    assert_eq!(path_of(&refunded), ["requested", "inspecting", "approved", "refunded"]);
    assert_eq!(refunded["history"][2]["cause"], "event");
    assert!(refunded["data"]["grade"].is_string() && refunded["data"]["refund_percent"].is_number(), "{refunded:#}");
    assert!(refunded["data"]["iban"].is_null(), "a private field is never shown");
    wait_for_letters(&app, &id, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_customer_broke_is_turned_down_and_may_be_appealed_or_withdrawn() {
    let (_app, customer) = desk().await;
    let id = send_back(&customer, "damaged_by_customer").await;
    let turned_down = customer.wait_for("returns", &id, &["turned_down", "refunded"]).await;
    assert_eq!(turned_down["state"], "turned_down");
    assert!(turned_down["data"]["reason"].as_str().is_some());
    let appealed = customer.post(&format!("/api/returns/{id}/appeal"), &json!({})).await;
    assert_eq!(appealed.status, StatusCode::OK, "{appealed:?}");
    let again = customer.wait_for("returns", &id, &["turned_down"]).await;
    let visits = again["history"].as_array().unwrap().iter().filter(|row| row["to"] == "inspecting").count();
    assert_eq!(visits, 2);
    let withdrawn = customer.post(&format!("/api/returns/{id}/withdraw"), &json!({})).await;
    assert_eq!(withdrawn.body["state"], "withdrawn");
    let late = customer.post(&format!("/api/returns/{id}/appeal"), &json!({})).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_changes_no_field_that_the_schema_lets_a_customer_write() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("forging.yaml");
    let text = std::fs::read_to_string(repository().join("host/tests/it/configs/returns.yaml")).unwrap();
    let changes = [
        // It answers what its config says.
        ("/returns-inspection.wasm\"", "/hostile.wasm\", config: {article: Diamond, condition: opened, iban: GB00, grade: A}"),
        ("          article: {", "          mode: {type: string}\n          article: {"),
    ];
    let text = changes.iter().fold(text, |text, (honest, forging)| {
        assert!(text.contains(honest), "{honest}");
        text.replace(honest, forging)
    });
    std::fs::write(&config, text).unwrap();
    let app = TestApp::start(&config.display().to_string(), &[]).await;
    let customer = app.client.customer("bea").await;
    let mut body = parcel("new");
    body["mode"] = json!("config");
    let sent = customer.post("/api/returns", &body).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
    let id = sent.body["id"].as_str().unwrap();
    let refunded = customer.wait_for("returns", id, &["refunded", "closed", "turned_down"]).await;
    assert_eq!(refunded["data"]["grade"], "A", "{refunded:#}");
    let stored = app.store.resources.resource("returns", id).await.unwrap().unwrap();
    for field in ["article", "condition", "iban"] {
        assert_eq!(stored.data[field], body[field], "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_appeals_for_a_fortnight_and_the_return_is_closed() {
    let (app, customer) = desk().await;
    let id = send_back(&customer, "damaged_by_customer").await;
    customer.wait_for("returns", &id, &["turned_down"]).await;
    app.clock.advance(SignedDuration::from_hours(13 * 24));
    assert_eq!(customer.get(&format!("/api/returns/{id}")).await.status, StatusCode::UNAUTHORIZED, "the token has expired meanwhile");
    app.clock.advance(SignedDuration::from_hours(2 * 24));
    let deadline = Instant::now() + PATIENCE;
    while app.store.resources.resource("returns", &id).await.unwrap().unwrap().state != "closed" {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let history = app.store.resources.history("returns", &id, 0, 100).await.unwrap();
    assert_eq!(history.last().unwrap().cause, "timer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_condition_is_looked_at_twice() {
    let (_app, customer) = desk().await;
    let id = send_back(&customer, "unknown").await;
    let refunded = customer.wait_for("returns", &id, &["refunded", "turned_down"]).await;
    assert_eq!(refunded["history"][1]["attempt"], 2, "{refunded:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_schema_does_not_allow_is_refused_with_every_reason() {
    let (_app, customer) = desk().await;
    let answer = customer.post("/api/returns", &json!({"article": "", "condition": "eaten", "colour": "red"})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body["errors"].as_array().unwrap().len() >= 4, "{}", answer.body);
    for host_owned in ["id", "state", "version", "userId", "role"] {
        let mut body = parcel("new");
        body[host_owned] = json!("mine");
        assert_eq!(customer.post("/api/returns", &body).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{host_owned}");
    }
}

async fn wait_for_letters(app: &TestApp, id: &str, expected: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let runs = app.store.instances.runs("returns", id).await.unwrap();
        let letters = runs.iter().filter(|run| run.name == "desk" && run.status == millrace::store::RunStatus::Done).count();
        if letters == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{letters} letters: {runs:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
