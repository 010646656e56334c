//! What a customer meets at the one address of three processes, each of which may be gone for a while.

use std::collections::HashSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::shop::{ENDS, HAPPY, INTERNAL_SECRET, Shop};
use crate::client::{Client, PATIENCE, order, path_of};
use crate::process::Home;

/// Events of an open stream, as they come.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn of(customer: &Client, id: &str) -> Self {
        let response = customer.open(&format!("/api/orders/{id}/events")).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// States entered, up to `state`, or to the end of the stream.
    async fn states_until(&mut self, state: &str) -> Vec<String> {
        let mut states = Vec::new();
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let data =
                    event.lines().find_map(|line| line.strip_prefix("data: ")).map(|data| serde_json::from_str::<Value>(data).unwrap());
                self.text = rest.to_owned();
                states.extend(data.map(|data| data["state"].as_str().unwrap().to_owned()));
                if states.last().is_some_and(|last| last == state) {
                    return states;
                }
            }
            let piece = tokio::time::timeout(PATIENCE, self.response.chunk()).await.unwrap().unwrap();
            let Some(piece) = piece else { return states };
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_of_a_customer_goes_through_the_gateway_and_ends_within_a_second() {
    let shop = Shop::open(&[]).await;
    let visitor = shop.client();
    let registered = visitor.customer("ada").await;
    let login = visitor.post("/api/auth/login", &json!({"email": "ada@example.com", "password": "password123"})).await;
    assert_eq!(login.status, StatusCode::OK);
    assert_eq!(registered.get("/api/auth/profile").await.body["email"], "ada@example.com");
    let products = visitor.get("/api/products").await.body;
    assert_eq!((products.as_array().unwrap().len(), &products[0]["data"]["price"]), (8, &json!(149.99)));
    let customer = visitor.with_token(login.body["token"].as_str().unwrap());

    let began = Instant::now();
    let mut body = order("prod-001", 2, "tok_visa");
    (body["items"][0]["price"], body["total"]) = (json!(0.01), json!(0.02));
    let placed = customer.post("/api/orders", &body).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    assert!(placed.headers["location"].to_str().unwrap().starts_with("/api/orders/order-"), "{placed:?}");
    let delivered = customer.wait_for("orders", placed.body["id"].as_str().unwrap(), &ENDS).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(path_of(&delivered), HAPPY);
    assert_eq!(delivered["data"]["total"], json!(299.98), "prices are those of the catalogue");
    crate::shop::wait_for_stock(&customer, "prod-001", 48).await;

    body["expectedTotal"] = json!(299.97);
    let changed = customer.post("/api/orders", &body).await;
    assert_eq!((changed.status, &changed.body["code"]), (StatusCode::CONFLICT, &json!("price_changed")), "{changed:?}");
    assert_eq!((&changed.body["total"], &changed.body["lines"][0]["price"]), (&json!(299.98), &json!(149.99)));

    let page = visitor.send(Method::GET, "/anything", None, &[("accept", "text/html")]).await;
    assert_eq!((page.status, &page.body), (StatusCode::OK, &json!("<title>the shop</title>")));
    assert_eq!(visitor.get("/api/anything").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_the_id_of_a_product_is_the_customers_mistake() {
    let shop = Shop::open(&[]).await;
    let customer = shop.client().customer("zoe").await;
    for id in ["a/b", ".", "..", "prod-001/..", "a\\b", "%2e%2e", "prod-001?x", "prod-001\t", "\rprod-001", "prod\n-001", "\0", "prod-999"]
    {
        let answer = customer.order(id, 1, "tok_visa").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{id}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_through_the_gateway_while_they_happen() {
    let shop = Shop::open(&[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = shop.client().customer("bea").await;
    let id = customer.order("prod-002", 1, "tok_chargeDeclined").await.body["id"].as_str().unwrap().to_owned();
    let mut events = Events::of(&customer, &id).await;
    assert_eq!(events.states_until("payment_failed").await.last().unwrap(), "payment_failed");
    let retried = customer.post(&format!("/api/orders/{id}/retry"), &json!({"payment": {"token": "tok_visa"}})).await;
    assert_eq!(retried.status, StatusCode::OK, "{retried:?}");
    assert_eq!(events.states_until("the end").await, ["paying", "paid", "shipping", "shipped", "delivered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_orders_the_rest_works_and_when_it_is_back_nothing_is_lost() {
    let mut shop = Shop::open(&[]).await;
    let customer = shop.client().customer("cleo").await;
    let mut placed = HashSet::new();
    for _ in 0..20 {
        placed.insert(customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned());
    }
    shop.orders.kill();

    assert_eq!(customer.get("/api/products/prod-001").await.status, StatusCode::OK);
    let login = customer.post("/api/auth/login", &json!({"email": "cleo@example.com", "password": "password123"})).await;
    assert_eq!(login.status, StatusCode::OK);
    let refused = customer.order("prod-008", 1, "tok_visa").await;
    assert_eq!(refused.status, StatusCode::BAD_GATEWAY);
    assert_eq!(refused.body, json!({"error": "backend unavailable", "backend": "orders", "path": "/api/orders"}));
    let deadline = Instant::now() + PATIENCE;
    let health = loop {
        let health = shop.client().get("/healthz").await;
        if health.body["status"] == "degraded" {
            break health;
        }
        assert!(Instant::now() < deadline, "{health:?}");
    };
    assert_eq!(
        (health.status, &health.body["checks"]["api-proxy"]["message"]),
        (StatusCode::OK, &json!("orders and refunds accepts no connection"))
    );

    shop.start_orders().await;
    let deadline = Instant::now() + PATIENCE;
    while shop.client().get("/healthz").await.body["status"] != "healthy" {
        assert!(Instant::now() < deadline, "{}", shop.client().get("/healthz").await.body);
    }
    assert_eq!(customer.get("/api/orders?limit=100").await.body.as_array().unwrap().len(), placed.len());
    for id in &placed {
        let ended = customer.wait_for("orders", id, &ENDS).await;
        assert_eq!(ended["state"], "delivered", "{ended:#}");
    }
    crate::shop::wait_for_stock(&customer, "prod-008", 999 - 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_catalogue_no_order_is_taken_and_those_under_way_wait_with_the_right_stock() {
    let mut shop = Shop::open(&[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = shop.client().customer("dora").await;
    let paid_later = customer.order_until("prod-001", 3, "tok_chargeDeclined", &["payment_failed"]).await;
    let given_up = customer.order_until("prod-002", 4, "tok_chargeDeclined", &["payment_failed"]).await;
    let (waiting, bought) = ordered_without_the_catalogue(&mut shop, &customer, "prod-002").await;

    let before = orders_of(&customer).await;
    assert_eq!(before, 2 + bought);
    let refused = customer.order("prod-004", 1, "tok_visa").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    assert_eq!(orders_of(&customer).await, before, "nothing was stored");
    assert_eq!(customer.get("/api/products").await.status, StatusCode::BAD_GATEWAY);

    let id = |order: &Value| order["id"].as_str().unwrap().to_owned();
    let retried = customer.post(&format!("/api/orders/{}/retry", id(&paid_later)), &json!({"payment": {"token": "tok_visa"}})).await;
    assert_eq!(retried.status, StatusCode::OK, "{retried:?}");
    assert_eq!(customer.wait_for("orders", &id(&paid_later), &ENDS).await["state"], "delivered");
    let cancelled = customer.post(&format!("/api/orders/{}/cancel", id(&given_up)), &json!({})).await;
    assert_eq!(cancelled.body["state"], "cancelled", "{cancelled:?}");

    shop.start_users_products().await;
    assert_eq!(customer.wait_for("orders", &id(&waiting), &ENDS).await["state"], "delivered");
    crate::shop::wait_for_stock(&customer, "prod-001", 47).await;
    crate::shop::wait_for_stock(&customer, "prod-002", 120 - bought as u64).await;
    assert_eq!(customer.order_until("prod-004", 1, "tok_visa", &ENDS).await["state"], "delivered");
}

async fn orders_of(customer: &Client) -> usize {
    customer.get("/api/orders").await.body.as_array().unwrap().len()
}

/// Orders something that was priced a moment ago, with the catalogue gone since: it is taken, and its stock cannot be reserved yet. Answers
/// that order, and how many were placed to get there: where the moment has passed meanwhile, the catalogue comes back and goes once more.
async fn ordered_without_the_catalogue(shop: &mut Shop, customer: &Client, product: &str) -> (Value, usize) {
    for attempt in 1..=10 {
        let priced = customer.order(product, 1, "tok_visa").await;
        assert_eq!(priced.status, StatusCode::CREATED, "{priced:?}");
        shop.users_products.kill();
        let waiting = customer.order(product, 1, "tok_visa").await;
        if waiting.status == StatusCode::CREATED {
            return (waiting.body, attempt + 1);
        }
        assert_eq!(waiting.status, StatusCode::SERVICE_UNAVAILABLE, "{waiting:?}");
        shop.start_users_products().await;
    }
    panic!("a price was never known for long enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_its_owners_orders_only() {
    let shop = Shop::open(&[]).await;
    let (ada, eve) = (shop.client().customer("ada").await, shop.client().customer("eve").await);
    let mine = ada.order_until("prod-003", 1, "tok_visa", &ENDS).await;
    let path = format!("/api/orders/{}", mine["id"].as_str().unwrap());
    for (method, path) in [(Method::GET, path.clone()), (Method::POST, format!("{path}/cancel")), (Method::GET, format!("{path}/events"))] {
        assert_eq!(eve.send(method, &path, None, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(eve.get("/api/orders").await.body, json!([]));
    let header = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ3b3JrZmxvdy1zdG9yZSIsInN1YiI6ImFkYSIsImV4cCI6NDEwMjQ0NDgwMH0.";
    for token in ["", "nonsense", header] {
        assert_eq!(shop.client().with_token(token).get(&path).await.status, StatusCode::UNAUTHORIZED, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_is_reserved_by_those_only_who_know_the_secret() {
    let shop = Shop::open(&[]).await;
    let reserve = json!({"lines": [{"sku": "prod-001", "quantity": 50}]});
    let path = "/internal/reservations/forged";
    let forge = |client: &Client, secret: Option<&'static str>| {
        let (client, reserve) = (client.clone(), reserve.clone());
        let headers: Vec<_> = secret.map(|secret| ("x-internal-secret", secret)).into_iter().collect();
        async move { client.send(Method::PUT, path, Some(&reserve), &headers).await.status }
    };
    let inside = shop.users_products.client();
    assert_eq!(forge(inside, None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(forge(inside, Some("what these three processes share and nobody elsf")).await, StatusCode::FORBIDDEN);
    for outside in [shop.client(), shop.orders.client()] {
        assert_eq!(forge(outside, Some(INTERNAL_SECRET)).await, StatusCode::NOT_FOUND);
    }
    assert_eq!(inside.stock("prod-001").await, 50);
    assert_eq!(forge(inside, Some(INTERNAL_SECRET)).await, StatusCode::OK);
    assert_eq!(shop.client().stock("prod-001").await, 0);
    let monolith = Home::new();
    let monolith = monolith.start(&[("INTERNAL_SECRET", INTERNAL_SECRET)]).await;
    assert_eq!(forge(&monolith.client, Some(INTERNAL_SECRET)).await, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_asks_its_process_whether_it_is_ready() {
    let shop = Shop::open(&[]).await;
    let probe = |url: String| std::process::Command::new(env!("CARGO_BIN_EXE_millrace")).arg("probe").arg(url).output().unwrap();
    for service in [&shop.gateway, &shop.users_products, &shop.orders] {
        let output = probe(format!("http://{}/readyz", service.address));
        assert!(output.status.success(), "{output:?}");
    }
    let output = probe(format!("http://{}/api/nothing", shop.gateway.address));
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("404"), "{output:?}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(!probe(format!("http://{nobody}/readyz")).status.success());
}
