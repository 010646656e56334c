//! Money that goes back, or that was never taken.
//!
//! Refunds are tried where accounts and stock are in one process, orders in another, and a gateway is before both.

use std::path::Path;

use millrace::plan::access::Role;
use reqwest::StatusCode;
use serde_json::json;

use super::split::Split;
use super::test_env::until;
use crate::client::order;
use crate::processes::shop::config;
use crate::test_app::{SECRET, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn money_and_goods_come_back_through_three_processes() {
    let split = Split::new();
    let _users = split.users_products(&[]).await;
    let mut orders = split.orders(&[("SHIPPING_RETRY_AFTER", "20m")]);
    orders.until_ready().await;
    let gateway = split.gateway(&[]).await;
    let ada = gateway.client.customer("ada").await;
    gateway.client.customer("fay").await;
    let data = split.home.path().join("users-products");
    let variables = [("DATA_DIR", data.as_path()), ("JWT_SECRET", Path::new(SECRET))];
    split.home.operate_from_shell(&config("users-products.yaml"), &["users", "grant", "fay@example.com", "finance"], &variables).unwrap();
    let of_orders = [("DATA_DIR", split.home.path().join("orders"))];
    let of_orders: Vec<(&str, &Path)> = of_orders.iter().map(|(name, folder)| (*name, folder.as_path())).collect();
    for (command, reason) in [("users", "it keeps no accounts"), ("reservations", "nothing can be reserved")] {
        let told = split.home.operate_from_shell(&config("orders.yaml"), &[command, "list"], &of_orders).unwrap_err();
        assert!(told.contains(reason), "what another process keeps is not nothing: {told}");
    }
    let fay = gateway.client.login("fay").await;

    let bought = ada.order_until("prod-001", 2, "tok_visa", &["delivered"]).await;
    let id = bought["id"].as_str().unwrap();
    until("the goods have left the stock", || async { (ada.stock("prod-001").await == 48).then_some(()) }).await;
    let body = json!({"orderId": id, "amount": 29_998, "reason": "sent back", "restock": true});
    assert_eq!(ada.post("/api/admin/refunds", &body).await.status, StatusCode::FORBIDDEN);
    let made = fay.post("/api/admin/refunds", &body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    ada.wait_for("refunds", made.body["id"].as_str().unwrap(), &["closed"]).await;
    assert_eq!(ada.stock("prod-001").await, 50);
    assert_eq!(fay.post("/api/admin/refunds", &body).await.status, StatusCode::CONFLICT);
    let found = fay.get(&format!("/api/admin/orders?search={id}")).await.body;
    assert_eq!(found["items"][0]["id"], id, "{found:#}");
    // Nobody ships this one: support gives it up, and the whole sum and the goods come back.
    split.home.operate_from_shell(&config("users-products.yaml"), &["users", "grant", "fay@example.com", "support"], &variables).unwrap();
    let fay = gateway.client.login("fay").await;
    let mut body = order("prod-001", 1, "tok_visa");
    body["shipping"]["zip"] = json!("99997");
    let placed = ada.post("/api/orders", &body).await;
    let unshipped = ada.wait_for("orders", placed.body["id"].as_str().unwrap(), &["ship_failed"]).await["id"].as_str().unwrap().to_owned();
    let given_up = fay.post(&format!("/api/admin/orders/{unshipped}/abandon_shipping"), &json!({"reason": "no carrier"})).await;
    assert_eq!((given_up.status, &given_up.body["state"]), (StatusCode::OK, &json!("cancelled")), "{given_up:?}");
    let refunds = ada.get(&format!("/api/refunds?orderId={unshipped}")).await.body;
    assert_eq!(refunds[0]["data"]["amount"], 14_999, "{refunds:#}");
    ada.wait_for("refunds", refunds[0]["id"].as_str().unwrap(), &["closed"]).await;
    until("the goods are back", || async { (ada.stock("prod-001").await == 50).then_some(()) }).await;
    let listed = ada.get(&format!("/api/refunds?orderId={id}")).await.body;
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_free_is_paid_sent_and_given_up_without_a_charge() {
    let app = TestApp::start("configs/monolith.yaml", &[("SHIPPING_RETRY_AFTER", "20m")]).await;
    let ada = app.client.customer("ada").await;
    let carl = app.staff("carl", &[Role::Catalogue, Role::Support]).await;
    let gift = json!({"id": "gift", "name": "Gift", "price": 0, "stock": 10});
    assert_eq!(carl.post("/api/admin/products", &gift).await.status, StatusCode::CREATED);
    for token in ["tok_visa", "tok_chargeDeclined"] {
        let sent = ada.order_until("gift", 2, token, &["delivered", "payment_failed", "cancelled"]).await;
        assert_eq!((&sent["state"], &sent["data"]["total"]), (&json!("delivered"), &json!(0)), "{sent:#}");
        assert_eq!(sent["data"]["transaction_id"], json!(null), "nothing was charged: {sent:#}");
    }
    // Nobody ships this one: it is given up, its goods are back, and no money is sent back that was never taken.
    let mut body = order("gift", 1, "tok_visa");
    body["shipping"]["zip"] = json!("99997");
    let placed = ada.post("/api/orders", &body).await.body;
    let id = ada.wait_for("orders", placed["id"].as_str().unwrap(), &["ship_failed"]).await["id"].as_str().unwrap().to_owned();
    let given_up = carl.post(&format!("/api/admin/orders/{id}/abandon_shipping"), &json!({"reason": "no carrier"})).await;
    assert_eq!((given_up.status, &given_up.body["state"]), (StatusCode::OK, &json!("cancelled")), "{given_up:?}");
    until("the goods are back", || async { (ada.stock("gift").await == 6).then_some(()) }).await;
    assert_eq!(ada.get(&format!("/api/refunds?orderId={id}")).await.body, json!([]));
}
