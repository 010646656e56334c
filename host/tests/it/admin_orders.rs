//! The orders of everybody, as staff find them.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;
use crate::test_app::TestApp;

/// Somebody who works for the shop.
pub async fn staff(app: &TestApp, name: &str, roles: &[&str]) -> Client {
    let client = app.client.customer(name).await;
    let id = client.get("/api/auth/profile").await.body["id"].as_str().unwrap().to_owned();
    let roles: BTreeSet<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    app.store.users.set_roles(&id, &roles, None).await.unwrap().unwrap();
    let credentials = json!({"email": format!("{name}@example.com"), "password": "password123"});
    let session = app.client.post("/api/auth/login", &credentials).await;
    app.client.with_token(session.body["token"].as_str().unwrap())
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(|one| one["id"].as_str().unwrap()).collect()
}

/// What is asked for wrongly is told by its name.
async fn refuses_what_is_no_filter(support: &Client) {
    let long = format!("state={}", "a".repeat(201));
    for (query, says) in [
        ("minTotal=1.5", "minTotal: expected a whole number, got '1.5'"),
        ("from=yesterday", "from: expected a date such as 2026-01-31"),
        ("attention=perhaps", "attention: expected true or false, got 'perhaps'"),
        (
            "colour=red",
            "colour: there is no such filter; accepted are limit, cursor, state, from, to, attention, product, minTotal, maxTotal, search",
        ),
        (long.as_str(), "state: expected 200 characters at most"),
        ("limit=201", "limit"),
    ] {
        let refused = support.get(&format!("/api/admin/orders?{query}")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}: {refused:?}");
        assert!(refused.body["detail"].as_str().unwrap().contains(says), "{query}: {}", refused.body);
    }
    assert_eq!(support.get("/api/admin/orders?state=a&state=b").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_find_the_orders_of_everybody_and_customers_their_own() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "20m")]).await;
    let (ada, bob) = (app.client.customer("ada").await, app.client.customer("bob").await);
    let support = staff(&app, "sue", &["support"]).await;
    let keyboard = ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let mouse = bob.order_until("prod-002", 2, "tok_visa", &["delivered"]).await;
    let declined = bob.order_until("prod-001", 2, "tok_chargeDeclined", &["payment_failed"]).await;
    let [keyboard_id, mouse_id, declined_id] = [&keyboard, &mouse, &declined].map(|order| order["id"].as_str().unwrap());

    let list = async |query: &str| support.get(&format!("/api/admin/orders?{query}")).await.body;
    assert_eq!(ids(&list("").await), [declined_id, mouse_id, keyboard_id]);
    let today = keyboard["createdAt"].as_str().unwrap()[..10].to_owned();
    let transaction = mouse["data"]["transaction_id"].as_str().unwrap();
    let tracking = keyboard["data"]["tracking_number"].as_str().unwrap();
    let owner = keyboard["data"]["userId"].as_str().unwrap();
    let bare = mouse_id.trim_start_matches("order-");
    for (query, expected) in [
        ("state=payment_failed".to_owned(), vec![declined_id]),
        ("state=delivered&product=prod-002".to_owned(), vec![mouse_id]),
        ("product=prod-001".to_owned(), vec![declined_id, keyboard_id]),
        ("minTotal=14999&maxTotal=14999".to_owned(), vec![keyboard_id]),
        ("minTotal=15000".to_owned(), vec![declined_id]),
        ("maxTotal=9998".to_owned(), vec![mouse_id]),
        (format!("from={today}&to={today}&state=&attention=false"), vec![declined_id, mouse_id, keyboard_id]),
        ("to=2020-01-01".to_owned(), vec![]),
        ("attention=true".to_owned(), vec![]),
        (format!("search={transaction}"), vec![mouse_id]),
        (format!("search={tracking}"), vec![keyboard_id]),
        (format!("search={owner}"), vec![keyboard_id]),
        (format!("search=%20{keyboard_id}"), vec![keyboard_id]),
        (format!("search={bare}"), vec![mouse_id]),
        (format!("search=%23{}", mouse_id[mouse_id.len() - 8..].to_uppercase()), vec![mouse_id]),
        (format!("search={}", &keyboard_id[keyboard_id.len() - 8..]), vec![keyboard_id]),
        ("search=BOB@example.com".to_owned(), vec![declined_id, mouse_id]),
        ("search=bob@example.com&state=delivered".to_owned(), vec![mouse_id]),
        ("search=nobody@example.com".to_owned(), vec![]),
    ] {
        assert_eq!(ids(&list(&query).await), expected, "{query}");
    }
    let first = list("limit=2").await;
    assert_eq!(ids(&first), [declined_id, mouse_id]);
    let next = first["nextCursor"].as_str().unwrap();
    let second = list(&format!("limit=2&cursor={next}")).await;
    assert_eq!((ids(&second), second.get("nextCursor")), (vec![keyboard_id], None));

    refuses_what_is_no_filter(&support).await;

    // A customer's own list can be narrowed as well, and reaches no further.
    let own = ada.get("/api/orders?product=prod-001").await;
    assert_eq!(own.body.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), [keyboard_id]);
    assert_eq!(ada.get("/api/orders?search=bob@example.com").await.body, json!([]));
    let page = bob.get("/api/orders?limit=1&product=prod-001&state=payment_failed").await;
    assert_eq!(page.body[0]["id"], declined_id);
    assert_eq!(ada.get("/api/admin/orders").await.status, StatusCode::FORBIDDEN);

    let one = support.get(&format!("/api/admin/orders/{declined_id}")).await.body;
    assert_eq!(one["actions"], json!(["cancel", "retry"]), "{one}");
    for without in [json!({"reason": " "}), json!({})] {
        let wrong = support.post(&format!("/api/admin/orders/{declined_id}/cancel"), &without).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
        assert_eq!(wrong.body["errors"][0]["pointer"], "/reason", "{wrong:?}");
    }
    let own = bob.post(&format!("/api/orders/{declined_id}/cancel"), &json!({"reason": "mine"})).await;
    assert_eq!(own.status, StatusCode::UNPROCESSABLE_ENTITY, "{own:?}");
    let cancelled = support.post(&format!("/api/admin/orders/{declined_id}/cancel"), &json!({"reason": "asked for by phone"})).await;
    assert_eq!((cancelled.status, &cancelled.body["state"]), (StatusCode::OK, &json!("cancelled")));
    let admin = staff(&app, "adam", &["admin"]).await;
    let deeds = admin.get("/api/admin/audit?action=orders.cancel").await.body;
    assert!(deeds.to_string().contains("asked for by phone"), "{deeds:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_are_for_staff_and_an_export_has_every_order_once() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "20m")]).await;
    let ada = app.client.customer("ada").await;
    let support = staff(&app, "sue", &["support"]).await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(ada.order("prod-008", 1, "tok_chargeDeclined").await.body["id"].as_str().unwrap().to_owned());
    }
    for id in &placed {
        ada.wait_for("orders", id, &["payment_failed"]).await;
    }
    let path = format!("/api/admin/orders/{}/notes", placed[0]);
    for text in ["first", "second", "third"] {
        let noted = support.post(&path, &json!({"text": format!("  {text} ")})).await;
        assert_eq!((noted.status, &noted.body["text"]), (StatusCode::CREATED, &json!(text)), "{noted:?}");
    }
    let sent = json!({"text": "once"});
    let [one, again] = [(), ()].map(|()| support.send(Method::POST, &path, Some(&sent), &[("idempotency-key", "note-1")]));
    let (one, again) = (one.await, again.await);
    assert_eq!((one.status, again.status, &one.body), (StatusCode::CREATED, StatusCode::CREATED, &again.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = support.send(Method::POST, &path, Some(&json!({"text": "other"})), &[("idempotency-key", "note-1")]).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{other:?}");
    let texts = |body: &Value| body["items"].as_array().unwrap().iter().map(|note| note["text"].clone()).collect::<Vec<_>>();
    let first = support.get(&format!("{path}?limit=2")).await.body;
    assert_eq!(texts(&first), ["once", "third"]);
    let second = support.get(&format!("{path}?limit=2&cursor={}", first["nextCursor"].as_str().unwrap())).await.body;
    assert_eq!((texts(&second), second.get("nextCursor")), (vec![json!("second"), json!("first")], None));
    let wrong = support.post(&path, &json!({"text": "x".repeat(2_001)})).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    assert_eq!(ada.get(&path).await.status, StatusCode::FORBIDDEN);
    let own = ada.get(&format!("/api/orders/{}", placed[0])).await.body;
    assert!(!own.to_string().contains("second"), "{own:#}");

    let export = support.get("/api/admin/orders/export?state=payment_failed").await;
    assert_eq!((export.status, export.headers["content-type"].to_str().unwrap()), (StatusCode::OK, "text/csv; charset=utf-8"));
    let lines: Vec<&str> = export.body.as_str().unwrap().lines().collect();
    assert_eq!(lines[0], "id,createdAt,lastUpdate,state,owner,attention,items.productId,total,transaction_id,tracking_number");
    let ids: BTreeSet<&str> = lines[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!((lines.len(), ids), (6, placed.iter().map(String::as_str).collect()), "{export:?}");
    assert!(lines[1].contains(",payment_failed,") && lines[1].ends_with(",prod-008,9.99,,"), "{}", lines[1]);
    assert_eq!(ada.get("/api/admin/orders/export").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_counted_as_it_happens_and_are_for_staff() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "20m")]).await;
    let ada = app.client.customer("ada").await;
    let support = staff(&app, "sue", &["support"]).await;
    let paid = ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    ada.order_until("prod-001", 2, "tok_chargeDeclined", &["payment_failed"]).await;
    let total = (paid["data"]["total"].as_f64().unwrap() * 100.0).round();
    for query in ["", "?bucket=hour", &format!("?from={}", &paid["createdAt"].as_str().unwrap()[..10])] {
        let figures = support.get(&format!("/api/admin/orders/figures{query}")).await;
        let all = &figures.body["total"];
        let seen = [&all["created"], &all["reached"], &all["left"]].map(|number| number.as_u64().unwrap());
        assert_eq!((figures.status, seen, all["amount"].as_f64()), (StatusCode::OK, [2, 1, 0], Some(total)), "{query}: {}", figures.body);
        let items = figures.body["items"].as_array().unwrap();
        assert_eq!(items.iter().map(|one| one["created"].as_u64().unwrap()).sum::<u64>(), 2, "{query}");
    }
    assert_eq!(support.get("/api/admin/orders/figures").await.body["items"].as_array().unwrap().len(), 60);
    let wrong = support.get("/api/admin/orders/figures?bucket=year").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    assert_eq!(ada.get("/api/admin/orders/figures").await.status, StatusCode::FORBIDDEN);
}
