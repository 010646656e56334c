//! What becomes of an account in users-products is heard by orders, over a real Kafka.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::shop::Shop;
use crate::client::{Client, PATIENCE};

async fn until_refused(client: &Client) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get("/api/orders").await;
        if answer.status == StatusCode::UNAUTHORIZED {
            let detail = answer.body["detail"].as_str().unwrap_or_default().to_owned();
            assert!(detail.contains("its account has changed"), "{detail}");
            return;
        }
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert!(Instant::now() < deadline, "orders still believes the token");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_ends_the_tokens_of_before_in_orders_too_and_for_good() {
    let mut shop = Shop::open(&[]).await;
    let (before, eve) = (shop.client().customer("ada").await, shop.client().customer("eve").await);
    assert_eq!(before.get("/api/orders").await.status, StatusCode::OK);
    let change = json!({"currentPassword": "password123", "newPassword": "password456"});
    let changed = before.send(Method::PUT, "/api/auth/password", Some(&change), &[]).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    let after = shop.client().with_token(changed.body["token"].as_str().unwrap());
    until_refused(&before).await;
    for client in [&after, &eve] {
        assert_eq!(client.get("/api/orders").await.status, StatusCode::OK, "nobody else's tokens end");
    }
    shop.orders.kill();
    shop.start_orders().await;
    until_refused(&before).await;
    assert_eq!(after.get("/api/orders").await.status, StatusCode::OK);
}

/// The outcomes of the component that sends messages, as orders counts them.
async fn sent(orders: &Client) -> f64 {
    let metrics = orders.get("/metrics").await.body;
    let counted = |line: &&str| {
        line.starts_with("ecommerce_orders_component_runs_total{") && line.contains("notification-sender") && line.contains("accepted")
    };
    let lines = metrics.as_str().unwrap_or_default().lines().filter(counted);
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_for_another_password_is_sent_by_orders_where_the_messages_are() {
    let shop = Shop::open(&[]).await;
    shop.client().customer("ada").await;
    assert!(sent(shop.orders.client()).await.abs() < 0.5, "nothing was sent yet");
    let asked = shop.client().post("/api/auth/password/forgotten", &json!({"email": "ada@example.com"})).await;
    assert_eq!((asked.status, &asked.body), (StatusCode::ACCEPTED, &json!("")), "{asked:?}");
    let deadline = Instant::now() + PATIENCE;
    while sent(shop.orders.client()).await < 0.5 {
        assert!(Instant::now() < deadline, "no message was sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
