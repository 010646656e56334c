//! Accounts of the monolith: what leads out of it, and what its config asks for.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::client::PATIENCE;
use crate::observability::scraped::Scraped;
use crate::test_app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn who_has_forgotten_the_password_is_sent_a_link_by_the_component_that_sends_messages() {
    let app = TestApp::monolith().await;
    app.client.customer("ada").await;
    let labels = [("component", "notification-sender"), ("outcome", "accepted")];
    let sent = async || Scraped::of(&app.client).await.value("ecommerce_component_runs_total", &labels).unwrap_or_default();
    let before = sent().await;
    let asked = app.client.post("/api/auth/password/forgotten", &json!({"email": "ada@example.com"})).await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    let deadline = Instant::now() + PATIENCE;
    while sent().await < before + 0.5 {
        assert!(Instant::now() < deadline, "no message was sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_variable_says_so_finance_sets_up_a_second_factor_first() {
    let app = TestApp::start("configs/monolith.yaml", &[("REQUIRE_SECOND_FACTOR", "true")]).await;
    let customer = app.client.customer("ada").await;
    let id = customer.get("/api/auth/profile").await.body["id"].as_str().unwrap().to_owned();
    app.store.users.set_roles(&id, &["finance".to_owned()].into(), None).await.unwrap().unwrap();
    let credentials = json!({"email": "ada@example.com", "password": "password123"});
    let login = app.client.post("/api/auth/login", &credentials).await.body;
    assert_eq!(login["needs"], "second-factor-enrolment");
    let limited = app.client.with_token(login["token"].as_str().unwrap());
    let refused = limited.get("/api/orders").await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::FORBIDDEN, &json!("second-factor-enrolment-required")));
    let begun = limited.post("/api/auth/totp", &json!({})).await;
    let device = totp_rs::Totp::from_url(begun.body["uri"].as_str().unwrap()).unwrap();
    let now = u64::try_from(app.clock.now().as_second()).unwrap();
    let confirmed =
        limited.send(Method::POST, "/api/auth/totp/confirm", Some(&json!({"code": device.generate(now).to_string()})), &[]).await;
    assert_eq!(confirmed.status, StatusCode::OK, "{confirmed:?}");
    let full = app.client.with_token(confirmed.body["token"].as_str().unwrap());
    assert_eq!(full.get("/api/orders").await.status, StatusCode::OK);
}
