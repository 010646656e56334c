//! Money that is given back: parts of it, all of it, never more than was taken, once.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::admin_orders::staff;
use crate::client::{Answer, Client, PATIENCE, order, path_of};
use crate::conditions::test_env::until;
use crate::process::Home;
use crate::test_app::{TestApp, repository};

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
async fn much_money_is_given_back_once_the_password_was_shown_again() {
    let app = TestApp::start("configs/monolith.yaml", &[("REFUND_SUDO_ABOVE", "5000")]).await;
    let ada = app.client.customer("ada").await;
    let fay = staff(&app, "fay", &["finance"]).await;
    let order = ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await["id"].as_str().unwrap().to_owned();
    let refund = |amount: i64| json!({"orderId": order, "amount": amount, "reason": "a scratch"});
    let much = fay.post("/api/admin/refunds", &refund(5_001)).await;
    assert_eq!((much.status, &much.body["code"]), (StatusCode::FORBIDDEN, &json!("sudo-required")), "{much:?}");
    assert_eq!(fay.post("/api/admin/refunds", &refund(5_000)).await.status, StatusCode::CREATED);
    let sure = fay.post("/api/auth/sudo", &json!({"password": "password123"})).await;
    let fay = fay.with_token(sure.body["token"].as_str().unwrap());
    let given = fay.post("/api/admin/refunds", &refund(5_001)).await;
    assert_eq!(given.status, StatusCode::CREATED, "{given:?}");
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

/// An order of two keyboards that no carrier takes.
async fn unshipped(customer: &Client) -> Value {
    let mut body = order("prod-001", 2, "tok_visa");
    body["shipping"]["zip"] = json!("99997");
    let placed = customer.post("/api/orders", &body).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    customer.wait_for("orders", placed.body["id"].as_str().unwrap(), &["ship_failed"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_ships_is_given_up_and_what_is_left_of_its_money_goes_back_with_it() {
    let app = TestApp::start("configs/monolith.yaml", &[("SHIPPING_RETRY_AFTER", "20m")]).await;
    let (ada, sue) = (app.client.customer("ada").await, staff(&app, "sue", &["support"]).await);
    let (fay, adam) = (staff(&app, "fay", &["finance"]).await, staff(&app, "adam", &["admin"]).await);
    let stock = ada.stock("prod-001").await;
    let bought = unshipped(&ada).await;
    let id = bought["id"].as_str().unwrap();
    let path = format!("/api/admin/orders/{id}/abandon_shipping");
    assert_eq!(bought["actions"], json!(["retry"]), "no customer gives it up: {bought:#}");
    for nobody in [&ada, &fay] {
        assert_eq!(nobody.post(&path, &json!({"reason": "r"})).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(sue.post(&path, &json!({})).await.body["errors"][0]["pointer"], "/reason");
    let part = fay.post("/api/admin/refunds", &json!({"orderId": id, "amount": 9_998, "reason": "a scratch"})).await;
    assert_eq!(part.status, StatusCode::CREATED, "{part:?}");

    let answers = join_all((0..8).map(|_| async { sue.post(&path, &json!({"reason": "no carrier takes it"})).await.status })).await;
    assert_eq!(answers.iter().filter(|status| **status == StatusCode::OK).count(), 1, "{answers:?}");
    let ended = ada.get(&format!("/api/orders/{id}")).await.body;
    assert_eq!((&ended["state"], &ended["final"]), (&json!("cancelled"), &json!(true)));
    let refunds = ada.get(&format!("/api/refunds?orderId={id}")).await.body.as_array().unwrap().clone();
    let amounts: Vec<i64> = refunds.iter().map(|one| one["data"]["amount"].as_i64().unwrap()).collect();
    assert_eq!(amounts, [20_000, 9_998], "{refunds:#?}");
    assert_eq!(refunds[0]["data"]["reason"], "The order could not be shipped");
    let closed = ada.wait_for("refunds", refunds[0]["id"].as_str().unwrap(), &["closed"]).await;
    assert_eq!(path_of(&closed), ["requested", "refunding", "refunded", "restocking", "closed"]);
    until("the goods are back", || async { (ada.stock("prod-001").await == stock).then_some(()) }).await;

    let deeds = adam.get(&format!("/api/admin/audit?subject=orders/{id}")).await.body;
    assert_eq!(
        (&deeds["items"][0]["action"], &deeds["items"][0]["reason"]),
        (&json!("orders.abandon_shipping"), &json!("no carrier takes it"))
    );
    let made = adam.get(&format!("/api/admin/audit?subject=refunds/{}", closed["id"].as_str().unwrap())).await.body;
    assert_eq!((&made["items"][0]["action"], &made["items"][0]["versionAfter"]), (&json!("refunds.create"), &json!(1)), "{made:#}");
    assert_eq!(fay.post("/api/admin/refunds", &json!({"orderId": id, "amount": 1, "reason": "r"})).await.status, StatusCode::CONFLICT);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_before_an_order_is_given_up_is_not_given_back_again() {
    let app = TestApp::start("configs/monolith.yaml", &[("SHIPPING_RETRY_AFTER", "20m")]).await;
    let (ada, adam) = (app.client.customer("ada").await, staff(&app, "adam", &["admin", "finance"]).await);
    let id = unshipped(&ada).await["id"].as_str().unwrap().to_owned();
    // At once: whichever is first, together they are no more than was paid.
    let refund = json!({"orderId": id, "amount": 29_998, "reason": "asked for"});
    let path = format!("/api/admin/orders/{id}/abandon_shipping");
    let why = json!({"reason": "no carrier takes it"});
    let (refunded, abandoned) = tokio::join!(adam.post("/api/admin/refunds", &refund), adam.post(&path, &why));
    // The refund of all of it ends the order as well.
    assert_ne!(refunded.status == StatusCode::CREATED, abandoned.status == StatusCode::OK, "{refunded:?} {abandoned:?}");
    let refunds = ada.get(&format!("/api/refunds?orderId={id}")).await.body.as_array().unwrap().clone();
    assert_eq!((refunds.len(), &refunds[0]["data"]["amount"]), (1, &json!(29_998)), "{refunds:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_a_process_is_killed_an_order_is_given_up_with_one_refund_or_not_at_all() {
    let home = Home::new();
    let variables = [("SHIPPING_RETRY_AFTER", "20m")];
    let mut process = home.start(&variables).await;
    let ada = process.client.customer("ada").await;
    process.client.customer("sue").await;
    home.operate(&repository().join("configs/monolith.yaml"), &["users", "grant", "sue@example.com", "support"]).unwrap();
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(unshipped(&ada).await["id"].as_str().unwrap().to_owned());
    }
    for (round, id) in ids.iter().enumerate() {
        let sue = process.client.login("sue").await;
        let (path, why) = (format!("/api/admin/orders/{id}/abandon_shipping"), json!({"reason": "no carrier takes it"}));
        let asking = tokio::spawn(async move { sue.try_send(Method::POST, &path, Some(&why), &[]).await });
        tokio::time::sleep(Duration::from_millis(2 * u64::try_from(round).unwrap())).await;
        process.kill();
        let _ = asking.await.unwrap();
        process = home.start(&variables).await;
    }
    let ada = process.client.login("ada").await;
    for id in &ids {
        let ended = ada.get(&format!("/api/orders/{id}")).await.body["state"] == "cancelled";
        let refunds = ada.get(&format!("/api/refunds?orderId={id}")).await.body.as_array().unwrap().clone();
        assert_eq!(refunds.len(), usize::from(ended), "{refunds:#?}");
        for refund in &refunds {
            assert_eq!(refund["data"]["amount"], 29_998);
            ada.wait_for("refunds", refund["id"].as_str().unwrap(), &["closed"]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_counts_as_long_as_its_order_is_here_whatever_is_archived_and_killed() {
    let home = Home::new();
    let variables = [("SHIPPING_RETRY_AFTER", "20m"), ("RETAIN_INSTANCES", "0s")];
    let process = home.start(&variables).await;
    let ada = process.client.customer("ada").await;
    process.client.customer("fay").await;
    home.operate(&repository().join("configs/monolith.yaml"), &["users", "grant", "fay@example.com", "finance"]).unwrap();
    let fay = process.client.login("fay").await;
    let id = unshipped(&ada).await["id"].as_str().unwrap().to_owned();
    let refund = |amount: i64| json!({"orderId": id, "amount": amount, "reason": "a scratch"});
    let made = fay.post("/api/admin/refunds", &refund(20_000)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    ada.wait_for("refunds", made.body["id"].as_str().unwrap(), &["closed"]).await;
    // Of two orders that end after it the second goes to the archive when a whole pass has been made.
    for _ in 0..2 {
        let other = ada.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned();
        let path = format!("/api/orders/{other}");
        until("it is archived", || async { (ada.get(&path).await.status == StatusCode::NOT_FOUND).then_some(()) }).await;
    }
    let much = fay.post("/api/admin/refunds", &refund(9_999)).await;
    assert_eq!((much.status, &much.body["left"]), (StatusCode::CONFLICT, &json!(9_998)), "{much:?}");

    process.kill();
    let process = home.start(&variables).await;
    let fay = process.client.login("fay").await;
    let much = fay.post("/api/admin/refunds", &refund(9_999)).await;
    assert_eq!((much.status, &much.body["left"]), (StatusCode::CONFLICT, &json!(9_998)), "{much:?}");
    assert_eq!(fay.post("/api/admin/refunds", &refund(9_998)).await.status, StatusCode::CREATED);
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
