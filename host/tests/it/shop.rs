//! The shop's orders, from POST to their end.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, order, path_of};
use crate::test_app::{TestApp, monolith_of_any_component, repository};

const HAPPY: [&str; 8] = ["new", "validating", "validated", "paying", "paid", "shipping", "shipped", "delivered"];

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_delivered_within_a_second_and_carries_what_the_steps_said() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("ada").await;
    let began = Instant::now();
    let delivered = customer.order_until("prod-001", 2, "tok_visa", &["delivered", "failed", "cancelled"]).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(path_of(&delivered), HAPPY);
    let data = &delivered["data"];
    assert_eq!(data["total"], json!(299.98));
    assert_eq!(data["items"][0], json!({"productId": "prod-001", "name": "Mechanical Keyboard", "quantity": 2, "price": 149.99}));
    assert_eq!(data["carrier"], "USPS");
    assert_eq!(data["last4"], "4242");
    assert_eq!(data["state"], "delivered");
    for field in
        ["available", "checked_items", "reserved_until", "transaction_id", "status", "tracking_number", "estimated_delivery", "userId"]
    {
        assert!(!data[field].is_null(), "{field} is missing: {data:#}");
    }
    assert!(data["payment"].is_null(), "a payment token is never shown");
    assert_eq!(customer.stock("prod-001").await, 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_is_tried_three_times_more_then_cancelled_and_the_stock_given_back() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("bob").await;
    let order = customer.order_until("prod-002", 5, "tok_chargeDeclined", &["cancelled", "delivered", "failed"]).await;
    assert_eq!(order["state"], "cancelled");
    let declined = order["history"].as_array().unwrap().iter().filter(|row| row["transition"] == "payment_declined").count();
    assert_eq!(declined, 4, "{:#}", order["history"]);
    assert_eq!(order["history"].as_array().unwrap().last().unwrap()["transition"], "abandon_payment");
    assert!(order["data"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    assert!(order["data"]["transaction_id"].is_null());
    wait_for_stock(&customer, "prod-002", 120).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_timeout_is_retried_with_one_idempotency_key_and_delivered() {
    let app = TestApp::start("configs/monolith.yaml", &[]).await;
    let customer = app.client.customer("cleo").await;
    let order = customer.order_until("prod-003", 1, "tok_gatewayTimeout", &["delivered", "failed", "cancelled"]).await;
    assert_eq!(path_of(&order), HAPPY);
    let paid = order["history"].as_array().unwrap().iter().find(|row| row["transition"] == "payment_approved").unwrap();
    assert_eq!(paid["attempt"], 3);
    let runs = app.store.instances.runs("orders", order["id"].as_str().unwrap()).await.unwrap();
    let keys: Vec<_> = runs.iter().filter(|run| run.name == "step-payment").map(|run| run.key.as_str()).collect();
    assert_eq!(keys, [format!("{}:step-payment:1", order["id"].as_str().unwrap())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quantity_above_the_stock_fails_and_takes_nothing() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("dora").await;
    let order = customer.order_until("prod-001", 51, "tok_visa", &["failed", "delivered", "cancelled"]).await;
    assert_eq!(order["state"], "failed");
    assert_eq!(path_of(&order), ["new", "validating", "failed"]);
    assert!(order["data"]["reason"].as_str().unwrap().contains("50"), "{}", order["data"]["reason"]);
    assert_eq!(customer.stock("prod-001").await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_pays_with_another_card_after_a_decline() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = app.client.customer("eve").await;
    let declined = customer.order_until("prod-004", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let id = declined["id"].as_str().unwrap();
    let refused = customer.post(&format!("/api/orders/{id}/retry"), &json!({"payment": {"token": "tok_visa"}, "total": 1})).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let retried = customer.post(&format!("/api/orders/{id}/retry"), &json!({"payment": {"token": "tok_visa"}})).await;
    assert_eq!(retried.status, StatusCode::OK, "{retried:?}");
    let delivered = customer.wait_for("orders", id, &["delivered", "cancelled"]).await;
    assert_eq!(delivered["state"], "delivered");
    assert!(delivered["data"]["reason"].is_null(), "the reason of the decline is over");
    let again = customer.post(&format!("/api/orders/{id}/retry"), &json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.body["detail"].as_str().unwrap().contains("delivered"), "{}", again.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_gives_up_after_a_decline() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = app.client.customer("finn").await;
    let declined = customer.order_until("prod-005", 3, "tok_chargeDeclined", &["payment_failed"]).await;
    let cancelled = customer.post(&format!("/api/orders/{}/cancel", declined["id"].as_str().unwrap()), &json!({})).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (StatusCode::OK, &json!("cancelled")));
    wait_for_stock(&customer, "prod-005", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_that_fails_is_asked_again_until_it_works() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("gus").await;
    let mut body = order("prod-006", 1, "tok_visa");
    body["shipping"]["zip"] = json!("99997");
    let answer = customer.post("/api/orders", &body).await;
    let delivered = customer.wait_for("orders", answer.body["id"].as_str().unwrap(), &["delivered", "failed", "cancelled"]).await;
    assert!(path_of(&delivered).contains(&"ship_failed".to_owned()));
    assert_eq!(delivered["state"], "delivered");

    body["shipping"]["zip"] = json!("99998");
    let answer = customer.post("/api/orders", &body).await;
    let delivered = customer.wait_for("orders", answer.body["id"].as_str().unwrap(), &["delivered", "failed", "cancelled"]).await;
    assert_eq!(delivered["state"], "delivered");
    assert!(!path_of(&delivered).contains(&"ship_failed".to_owned()), "it fails once only, and that is tried again at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_with_a_reason_and_prices_come_from_the_catalogue() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("hugo").await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = order("prod-001", 1, "tok_visa");
        change(&mut body);
        body
    };
    let nonsense = [
        json!(null),
        json!([]),
        json!({}),
        json!("order"),
        with(&|body| body["items"] = json!([])),
        with(&|body| body["items"][0]["quantity"] = json!(-1)),
        with(&|body| body["items"][0]["quantity"] = json!(0)),
        with(&|body| body["items"][0]["quantity"] = json!(1.5)),
        with(&|body| body["items"][0]["quantity"] = json!("1")),
        with(&|body| body["items"][0]["quantity"] = json!(2_147_483_648_u64)),
        with(&|body| body["items"][0]["productId"] = json!("prod-999")),
        with(&|body| body["items"] = json!([body["items"][0], body["items"][0]])),
        with(&|body| body["userId"] = json!("somebody else")),
        with(&|body| body["state"] = json!("delivered")),
        with(&|body| body["shipping"] = json!(null)),
        with(&|body| body["shipping"]["zip"] = json!("abc")),
        with(&|body| body["shipping"]["zip"] = json!("97201-12")),
        with(&|body| body["payment"] = json!({"token": 1})),
        with(&|body| body["a/b"] = json!(1)),
    ];
    for body in nonsense {
        let answer = customer.post("/api/orders", &body).await;
        assert!(answer.status.is_client_error(), "{body} was answered {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{body}");
        assert_eq!(answer.body["error"], answer.body["detail"]);
        assert!(answer.body["detail"].as_str().is_some_and(|detail| detail.len() > 5), "{answer:?}");
    }
    let mut cheap = order("prod-001", 1, "tok_visa");
    cheap["items"][0]["price"] = json!(0.01);
    cheap["total"] = json!(0.01);
    assert_eq!(customer.post("/api/orders", &cheap).await.body["data"]["total"], json!(149.99));

    let mut whole = order("prod-003", 1, "tok_visa");
    whole["items"][0]["quantity"] = json!(2.0);
    assert_eq!(customer.post("/api/orders", &whole).await.body["data"]["items"][0]["quantity"], json!(2), "2.0 is a whole number");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_who_expects_another_total_is_told_what_it_is_now_and_nothing_is_ordered() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("jo").await;
    let expecting = |total: Value| {
        let mut body = order("prod-001", 2, "tok_visa");
        body["expectedTotal"] = total;
        body
    };
    let send = |body: Value, key: &'static str| {
        let customer = customer.clone();
        async move { customer.send(Method::POST, "/api/orders", Some(&body), &[("idempotency-key", key)]).await }
    };
    let changed = send(expecting(json!(279.98)), "one").await;
    assert_eq!(changed.status, StatusCode::CONFLICT, "{changed:?}");
    assert_eq!(changed.headers["content-type"], "application/problem+json");
    let problem = &changed.body;
    assert_eq!((&problem["code"], &problem["total"], &problem["status"]), (&json!("price_changed"), &json!(299.98), &json!(409)));
    let line = json!({"productId": "prod-001", "name": "Mechanical Keyboard", "quantity": 2, "price": 149.99});
    assert_eq!(problem["lines"], json!([line]));
    assert!(problem["error"] == problem["detail"] && problem["title"].is_string() && problem["type"].is_string(), "{problem:#}");
    assert_eq!(customer.get("/api/orders").await.body, json!([]), "nothing was stored");
    for nonsense in [json!("299.98"), json!(-1), json!(null), json!({})] {
        let answer = send(expecting(nonsense.clone()), "nonsense").await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{nonsense}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], "/expectedTotal");
    }

    for no_sum in [json!(1.999), json!(1e300)] {
        assert_eq!(send(expecting(no_sum), "no-sum").await.status, StatusCode::CONFLICT);
    }

    // A refusal is no answer to remember: the key is free for the request that the customer makes after it.
    assert_eq!(send(expecting(json!(279.98)), "one").await.status, StatusCode::CONFLICT);
    let placed = send(expecting(json!(299.98)), "one").await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    assert_eq!(placed.body["data"]["total"], json!(299.98));
    assert!(placed.body["data"]["expectedTotal"].is_null(), "{placed:?}");
    let again = send(expecting(json!(299.98)), "one").await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::CREATED, &placed.body["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_from_any_keyboard_is_delivered_to_and_a_wrong_one_is_told_the_rule() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("ida").await;
    let mut body = order("prod-008", 1, "tok_visa");
    body["shipping"] =
        json!({"address": "\u{7530}".repeat(200), "city": "Ko\u{308}ln", "state": "\u{1F600}", "zip": "\u{FF19}7201\u{2013}1234"});
    let answer = customer.post("/api/orders", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let delivered = customer.wait_for("orders", answer.body["id"].as_str().unwrap(), &["delivered", "failed", "cancelled"]).await;
    assert_eq!(delivered["state"], "delivered");
    let shipping = &delivered["data"]["shipping"];
    assert_eq!((&shipping["city"], &shipping["zip"]), (&json!("K\u{F6}ln"), &json!("97201-1234")));

    body["shipping"]["zip"] = json!("972");
    let answer = customer.post("/api/orders", &body).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let said = json!([{"pointer": "/shipping/zip", "detail": "a ZIP code has five digits, or nine as 97201-1234, and not \"972\""}]);
    assert_eq!(answer.body["errors"], said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_adds_to_an_order_and_changes_nothing_that_its_customer_or_the_host_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("forging.yaml");
    let text = std::fs::read_to_string(monolith_of_any_component(folder.path())).unwrap();
    let honest = "/payment.wasm\n      description: Charges the customer through the payment gateway\n";
    assert!(text.contains(honest));
    // It answers what its config says, when the city says so.
    let forging = "/hostile.wasm\n      config: {id: forged, userId: mallory, state: cancelled, version: 99, total: 0.01, items: [], \
                   shipping: {city: elsewhere}, payment: {token: tok_forged}, receipt: R-1}\n";
    std::fs::write(&config, text.replace(honest, forging)).unwrap();
    let seed = repository().join("seed/products.json").display().to_string();
    let app = TestApp::start(&config.display().to_string(), &[("PRODUCTS_SEED", &seed)]).await;
    let customer = app.client.customer("ivo").await;
    let mut body = order("prod-001", 2, "tok_visa");
    body["shipping"]["city"] = json!("config");
    let placed = customer.post("/api/orders", &body).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    let id = placed.body["id"].as_str().unwrap();
    let delivered = customer.wait_for("orders", id, &["delivered", "failed", "cancelled"]).await;
    assert_eq!(path_of(&delivered), HAPPY);
    assert_eq!((&delivered["id"], &delivered["version"]), (&json!(id), &json!(4)));
    let data = &delivered["data"];
    for field in ["userId", "total", "items", "shipping"] {
        assert!(!data[field].is_null() && data[field] == placed.body["data"][field], "{field}: {delivered:#}");
    }
    assert_eq!((&data["state"], &data["receipt"]), (&json!("delivered"), &json!("R-1")), "what is new is kept");
    let stored = app.store.resources.resource("orders", id).await.unwrap().unwrap();
    assert_eq!(stored.data["payment"], json!({"token": "tok_visa"}));
    let unknown: Vec<&String> = stored.data.keys().filter(|name| ["id", "state", "userId", "version"].contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "what the host keeps beside the data is in it: {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_only_their_own_orders() {
    let app = TestApp::monolith().await;
    let (one, other) = (app.client.customer("ines").await, app.client.customer("jan").await);
    let order = one.order_until("prod-007", 1, "tok_visa", &["delivered"]).await;
    let id = order["id"].as_str().unwrap();
    for path in [format!("/api/orders/{id}"), format!("/api/orders/{id}/events")] {
        assert_eq!(other.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(app.client.get(&path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(other.post(&format!("/api/orders/{id}/cancel"), &json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(other.get("/api/orders").await.body, json!([]));
    assert_eq!(one.get("/api/orders").await.body[0]["id"], order["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_orders_have_no_gap_and_no_repetition() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("kim").await;
    let mut placed = Vec::new();
    for _ in 0..7 {
        placed.push(customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned());
    }
    placed.reverse();
    let (mut path, mut seen) = ("/api/orders?limit=3".to_owned(), Vec::new());
    loop {
        let answer = customer.get(&path).await;
        seen.extend(answer.body.as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()));
        let Some(link) = answer.headers.get("link").and_then(|link| link.to_str().ok()) else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(seen, placed);
    assert_eq!(customer.get("/api/orders?cursor=nonsense").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(customer.get("/api/orders?limit=0").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_requests_with_one_idempotency_key_are_one_order() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("lea").await;
    let body = order("prod-008", 1, "tok_visa");
    let send = |body: Value| {
        let customer = customer.clone();
        async move { customer.send(Method::POST, "/api/orders", Some(&body), &[("idempotency-key", "once")]).await }
    };
    let answers = futures::future::join_all((0..50).map(|_| send(body.clone()))).await;
    for answer in &answers {
        assert!(answer.status.is_success(), "{answer:?}");
        assert_eq!(answer.body["id"], answers[0].body["id"]);
    }
    let Value::Object(fields) = body else { panic!("an order is an object") };
    let turned_round = Value::Object(fields.into_iter().rev().collect());
    assert_eq!(send(turned_round).await.body["id"], answers[0].body["id"], "the same request, its keys in another sequence");
    let other = send(order("prod-008", 2, "tok_visa")).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(customer.get("/api/orders").await.body.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_tells_every_transition_once_and_ends() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("mia").await;
    let order = customer.order("prod-001", 1, "tok_visa").await;
    let path = format!("/api/orders/{}/events", order.body["id"].as_str().unwrap());
    let Value::String(text) = customer.get(&path).await.body else { panic!("not a stream") };
    let changes: Vec<Value> =
        text.lines().filter_map(|line| line.strip_prefix("data:")).map(|data| serde_json::from_str(data).unwrap()).collect();
    let states: Vec<&Value> = changes.iter().map(|change| &change["state"]).collect();
    assert_eq!(states, HAPPY[1..]);
    let ends: Vec<bool> = changes.iter().map(|change| change["final"].as_bool().unwrap()).collect();
    assert_eq!(ends, [false, false, false, false, false, false, true], "only the last state is one that nothing follows from");
    assert_eq!(changes[6]["actions"], json!([]));
    let resumed = customer.send(Method::GET, &path, None, &[("last-event-id", "5")]).await;
    let Value::String(text) = resumed.body else { panic!("not a stream") };
    assert_eq!(text.lines().filter(|line| line.starts_with("id:")).collect::<Vec<_>>(), ["id: 6", "id: 7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_says_what_may_be_asked_for_in_the_state_that_was_entered() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "20m")]).await;
    let customer = app.client.customer("olga").await;
    let declined = customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let path = format!("/api/orders/{}", declined["id"].as_str().unwrap());
    let mut stream = customer.open(&format!("{path}/events")).await;
    let mut text = String::new();
    // The event whole: its data is one line.
    while !text.lines().any(|line| line.contains("\"state\":\"payment_failed\"") && text.contains(&format!("{line}\n"))) {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("it goes on")).unwrap());
    }
    assert_eq!(customer.post(&format!("{path}/cancel"), &json!({})).await.status, StatusCode::OK);
    while let Some(more) = stream.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&more).unwrap());
    }
    let changes: Vec<Value> =
        text.lines().filter_map(|line| line.strip_prefix("data:")).map(|data| serde_json::from_str(data).unwrap()).collect();
    let said: Vec<_> = changes.iter().rev().take(3).map(|change| (&change["state"], &change["final"], &change["actions"])).collect();
    assert_eq!(
        said,
        [
            (&json!("cancelled"), &json!(true), &json!([])),
            (&json!("payment_failed"), &json!(false), &json!(["cancel", "retry"])),
            (&json!("paying"), &json!(false), &json!([])),
        ],
        "the payment was left long ago"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_notification_component_runs_for_every_event_and_leaves_no_dead_letter() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("nora").await;
    let order = customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let id = order["id"].as_str().unwrap();
    let deadline = Instant::now() + crate::client::PATIENCE;
    loop {
        let runs = app.store.instances.runs("orders", id).await.unwrap();
        let done = runs.iter().filter(|run| run.name == "notification-handler" && run.status == millrace::store::RunStatus::Done).count();
        // created, validated, paid, shipped, delivered
        if done == 5 {
            break;
        }
        assert!(Instant::now() < deadline, "{done} notifications: {runs:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let backlog = app.store.operations.backlog().await.unwrap();
    assert_eq!((backlog.dead_letters, backlog.parked), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_product_is_not_taken_for_fresh_once_its_stock_has_changed() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("olga").await;
    let tag = |answer: &crate::client::Answer| answer.headers["etag"].to_str().unwrap().to_owned();
    let before = tag(&customer.get("/api/products/prod-001").await);
    let known = [("if-none-match", before.as_str())];
    let ask = || customer.send(Method::GET, "/api/products/prod-001", None, &known);
    assert_eq!(ask().await.status, StatusCode::NOT_MODIFIED);
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let after = ask().await;
    assert_eq!((after.status, after.body["data"]["stock"].as_u64()), (StatusCode::OK, Some(49)));
}

pub async fn wait_for_stock(client: &Client, product: &str, units: u64) {
    let deadline = Instant::now() + crate::client::PATIENCE;
    loop {
        let now = client.stock(product).await;
        if now == units {
            return;
        }
        assert!(Instant::now() < deadline, "stock of {product} is {now}, expected {units}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
