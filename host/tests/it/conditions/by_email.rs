//! Orders are found by their customer's e-mail where another process keeps the accounts.

use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::split::{INTERNAL_SECRET, Split};
use crate::processes::shop::config;
use crate::test_app::SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_found_by_the_email_of_an_account_that_another_process_keeps() {
    let split = Split::new();
    let users = split.users_products(&[]).await;
    let mut orders = split.orders(&[]);
    orders.until_ready().await;
    let gateway = split.gateway(&[]).await;
    let ada = gateway.client.customer("ada").await;
    let id = ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await["id"].as_str().unwrap().to_owned();
    gateway.client.customer("sue").await.order_until("prod-002", 1, "tok_visa", &["delivered"]).await;
    let data = split.home.path().join("users-products");
    let variables = [("DATA_DIR", data.as_path()), ("JWT_SECRET", Path::new(SECRET))];
    split.home.operate_from_shell(&config("users-products.yaml"), &["users", "grant", "sue@example.com", "support"], &variables).unwrap();
    let sue = gateway.client.login("sue").await;

    let found = sue.get("/api/admin/orders?search=Ada@Example.com").await;
    assert_eq!(found.status, StatusCode::OK, "{found:?}");
    let ids: Vec<_> = found.body["items"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [id.as_str()], "hers, and nobody else's");
    assert_eq!(sue.get("/api/admin/orders?search=nobody@example.com").await.body["items"], json!([]));
    // Her orders are found by her new e-mail at once, and by the old one no more.
    let change = json!({"email": "lovelace@example.com", "currentPassword": "password123"});
    let changed = ada.send(Method::PUT, "/api/auth/profile", Some(&change), &[]).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_eq!(sue.get("/api/admin/orders?search=lovelace@example.com").await.body["items"][0]["id"], id.as_str());
    assert_eq!(sue.get("/api/admin/orders?search=ada@example.com").await.body["items"], json!([]));

    let path = "/internal/accounts/by-email";
    let asked = json!({"email": "lovelace@example.com"});
    assert_eq!(users.client.post(path, &asked).await.status, StatusCode::UNAUTHORIZED, "a secret is needed");
    let secret = [("x-internal-secret", INTERNAL_SECRET)];
    let told = users.client.send(Method::POST, path, Some(&asked), &secret).await;
    assert!(told.status == StatusCode::OK && told.body["id"].is_string(), "{told:?}");
    assert_eq!(gateway.client.send(Method::POST, path, Some(&asked), &secret).await.status, StatusCode::NOT_FOUND);

    drop(users);
    let alone = sue.get("/api/admin/orders?search=lovelace@example.com").await;
    assert_eq!(alone.status, StatusCode::SERVICE_UNAVAILABLE, "nobody knows whose it is, which is not that it is nobody's: {alone:?}");
    assert_eq!(alone.body["detail"], "whose an e-mail is cannot be asked now", "no address within is told");
    let own = ada.get("/api/orders?search=lovelace@example.com").await;
    assert_eq!((own.status, &own.body), (StatusCode::OK, &json!([])), "who finds their own only asks nobody: {own:?}");
    let by_id = sue.get(&format!("/api/admin/orders?search={id}")).await;
    assert_eq!(by_id.body["items"][0]["id"], id.as_str(), "what needs no account is found: {by_id:?}");
}
