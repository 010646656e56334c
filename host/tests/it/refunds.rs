//! Money that is given back: parts of it, all of it, never more than was taken, once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::admin_orders::staff;
use crate::client::{Answer, Client, PATIENCE, order, path_of};
use crate::test_app::TestApp;

/// A shop in which Ada has one keyboard for 149.99, and Fay gives money back.
struct Shop {
    app: TestApp,
    ada: Client,
    fay: Client,
    order: String,
}

impl Shop {
    async fn open() -> Self {
        let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "20m")]).await;
        let ada = app.client.customer("ada").await;
        let fay = staff(&app, "fay", &["finance"]).await;
        let order = ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await["id"].as_str().unwrap().to_owned();
        Self { app, ada, fay, order }
    }

    async fn refund(&self, amount: i64, key: Option<&str>) -> Answer {
        self.refund_of(&self.order, amount, key, false).await
    }

    async fn refund_of(&self, order: &str, amount: i64, key: Option<&str>, restock: bool) -> Answer {
        let body = json!({"orderId": order, "amount": amount, "reason": "a scratch", "restock": restock});
        let headers: Vec<(&str, &str)> = key.map(|key| ("idempotency-key", key)).into_iter().collect();
        self.fay.send(Method::POST, "/api/admin/refunds", Some(&body), &headers).await
    }

    /// As the customer sees them.
    async fn refunds(&self) -> Vec<Value> {
        self.ada.get(&format!("/api/refunds?orderId={}", self.order)).await.body.as_array().unwrap().clone()
    }

    async fn closed(&self, refund: &Answer) -> Value {
        assert_eq!(refund.status, StatusCode::CREATED, "{refund:?}");
        self.ada.wait_for("refunds", refund.body["id"].as_str().unwrap(), &["closed"]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_given_back_in_parts_until_nothing_is_left() {
    let shop = Shop::open().await;
    let version = shop.ada.get(&format!("/api/orders/{}", shop.order)).await.body["version"].as_u64().unwrap();
    let first = shop.closed(&shop.refund(2_000, None).await).await;
    assert_eq!(path_of(&first), ["requested", "refunding", "refunded", "restocking", "closed"]);
    let data = &first["data"];
    assert_eq!((&data["amount"], &data["reason"], &data["orderId"]), (&json!(2_000), &json!("a scratch"), &json!(shop.order)));
    assert!(data["refund_id"].as_str().unwrap().starts_with("re_"), "{first:#}");
    let bought = shop.ada.get(&format!("/api/orders/{}", shop.order)).await.body;
    assert_eq!((&bought["version"], &data["userId"]), (&json!(version + 1), &bought["data"]["userId"]), "it belongs to the customer");

    let much = shop.refund(13_000, None).await;
    assert_eq!(
        (much.status, &much.body["code"], &much.body["left"]),
        (StatusCode::CONFLICT, &json!("more_than_is_left"), &json!(12_999)),
        "{much:?}"
    );
    shop.closed(&shop.refund(12_999, None).await).await;
    let nothing = shop.refund(1, None).await;
    assert_eq!((nothing.status, &nothing.body["left"], &nothing.body["drawn"]), (StatusCode::CONFLICT, &json!(0), &json!(14_999)));
    let amounts: Vec<i64> = shop.refunds().await.iter().map(|one| one["data"]["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [12_999, 2_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_give_all_of_it_back_at_once_one_does() {
    let shop = Shop::open().await;
    let answers = join_all((0..20).map(|_| shop.refund(14_999, None))).await;
    let statuses = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((statuses(StatusCode::CREATED), statuses(StatusCode::CONFLICT)), (1, 19), "{answers:#?}");
    // Parts of it at once: whatever was given back, it is no more than was taken.
    let order = shop.ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await["id"].as_str().unwrap().to_owned();
    let parts = join_all((0..20).map(|_| shop.refund_of(&order, 4_000, None, false))).await;
    let made = parts.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert!((1..=3).contains(&made), "{parts:#?}");
    while shop.refund_of(&order, 4_000, None, false).await.status == StatusCode::CREATED {}
    let all = shop.fay.get(&format!("/api/admin/refunds?orderId={order}")).await.body;
    assert_eq!(all["items"].as_array().unwrap().len(), 3, "{all:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_asked_for_again_with_its_key_is_the_same() {
    let shop = Shop::open().await;
    let answers = join_all((0..10).map(|_| shop.refund(9_000, Some("once")))).await;
    let ids: Vec<&str> = answers.iter().map(|answer| answer.body["id"].as_str().unwrap_or_else(|| panic!("{answer:?}"))).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let other = shop.refund(9_001, Some("once")).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{other:?}");
    assert_eq!(shop.refunds().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_that_came_back_are_sold_again_and_only_once() {
    let shop = Shop::open().await;
    let left = shop.ada.stock("prod-001").await;
    shop.closed(&shop.refund(100, None).await).await;
    assert_eq!(shop.ada.stock("prod-001").await, left, "nothing came back");
    shop.closed(&shop.refund_of(&shop.order, 100, None, true).await).await;
    assert_eq!(shop.ada.stock("prod-001").await, left + 1);
    let again = shop.refund_of(&shop.order, 100, None, true).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{again:?}");
    assert!(again.body["detail"].as_str().unwrap().contains("has `restock`"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_paid_is_given_back_and_only_by_who_may() {
    let shop = Shop::open().await;
    let declined = shop.ada.order_until("prod-002", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let unpaid = shop.refund_of(declined["id"].as_str().unwrap(), 1, None, false).await;
    assert_eq!(unpaid.status, StatusCode::CONFLICT, "{unpaid:?}");
    assert!(unpaid.body["detail"].as_str().unwrap().contains("is in state 'payment_failed'"), "{unpaid:?}");
    for (body, pointer) in [
        (json!({"orderId": "none", "amount": 1, "reason": "r"}), "/orderId"),
        (json!({"orderId": shop.order, "amount": 0, "reason": "r"}), "/amount"),
        (json!({"orderId": shop.order, "amount": 1.5, "reason": "r"}), "/amount"),
        (json!({"orderId": shop.order, "amount": 1, "reason": ""}), "/reason"),
        (json!({"orderId": shop.order, "amount": 1, "reason": "r", "transaction_id": "mine"}), ""),
    ] {
        let refused = shop.fay.post("/api/admin/refunds", &body).await;
        assert_eq!(
            (refused.status, &refused.body["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)),
            "{refused:?}"
        );
    }
    let refund = shop.closed(&shop.refund(1, None).await).await["id"].as_str().unwrap().to_owned();
    let bob = shop.app.client.customer("bob").await;
    let support = staff(&shop.app, "sue", &["support"]).await;
    let body = json!({"orderId": shop.order, "amount": 1, "reason": "r"});
    for client in [&shop.ada, &bob, &support] {
        assert_eq!(client.post("/api/admin/refunds", &body).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(bob.get(&format!("/api/refunds?orderId={}", shop.order)).await.body, json!([]));
    assert_eq!(bob.get(&format!("/api/refunds/{refund}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(support.get(&format!("/api/admin/refunds/{refund}")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_which_all_is_given_back_before_it_is_sent_is_not_sent_any_more() {
    let app = TestApp::start("configs/monolith.yaml", &[("SHIPPING_RETRY_AFTER", "20m"), ("OPERATOR_WRITES", "true")]).await;
    let ada = app.client.customer("ada").await;
    let fay = staff(&app, "fay", &["finance"]).await;
    let left = ada.stock("prod-001").await;
    let mut body = order("prod-001", 2, "tok_visa");
    // The carrier is down for this one.
    body["shipping"]["zip"] = json!("99999");
    let placed = ada.post("/api/orders", &body).await;
    let id = placed.body["id"].as_str().unwrap();
    ada.wait_for("orders", id, &["ship_failed"]).await;
    let refund = async |amount: i64, restock: bool| {
        let body = json!({"orderId": id, "amount": amount, "reason": "the carrier is down", "restock": restock});
        fay.post("/api/admin/refunds", &body).await
    };
    let early = refund(1_000, true).await;
    assert_eq!(early.status, StatusCode::CONFLICT, "{early:?}");
    assert!(early.body["detail"].as_str().unwrap().contains("`restock` is possible once"), "the goods have not left: {early:?}");
    assert_eq!(refund(1_000, false).await.status, StatusCode::CREATED);
    assert_eq!(ada.get(&format!("/api/orders/{id}")).await.body["state"], "ship_failed", "a part of it changes nothing");

    let rest = refund(28_998, false).await;
    assert_eq!(rest.status, StatusCode::CREATED, "{rest:?}");
    let ended = ada.get(&format!("/api/orders/{id}")).await.body;
    assert_eq!((&ended["state"], &ended["final"]), (&json!("cancelled"), &json!(true)), "in the same commit: {ended:#}");
    ada.wait_for("refunds", rest.body["id"].as_str().unwrap(), &["closed"]).await;
    let deadline = Instant::now() + PATIENCE;
    while ada.stock("prod-001").await != left {
        assert!(Instant::now() < deadline, "the goods are not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(refund(1, false).await.body["code"], "more_than_is_left");
}
