//! Products and their stock, for who looks after them: what customers see of it, two who change one thing, tables, the ledger.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use millrace::plan::access::Role;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::conditions::test_env::until;
use crate::test_app::TestApp;

const PRODUCTS: &str = "/api/admin/products";
const MOVES: &str = "/api/admin/stock/prod-001/moves";

async fn put(clerk: &Client, id: &str, product: &Value, tag: Option<&str>) -> Answer {
    let headers: Vec<_> = tag.map(|tag| ("if-match", tag)).into_iter().collect();
    clerk.send(Method::PUT, &format!("{PRODUCTS}/{id}"), Some(product), &headers).await
}

/// A product as it is shown, changed.
async fn changed(clerk: &Client, id: &str, field: &str, to: Value) -> (Value, String) {
    let shown = clerk.get(&format!("{PRODUCTS}/{id}")).await;
    let mut data = shown.body["data"].clone();
    data[field] = to;
    (data, shown.headers["etag"].to_str().unwrap().to_owned())
}

async fn ids(client: &Client, path: &str) -> BTreeSet<String> {
    let answer = client.get(path).await;
    let items = if answer.body.is_array() { &answer.body } else { &answer.body["items"] };
    items.as_array().unwrap_or_else(|| panic!("{path}: {answer:?}")).iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_see_and_buy_what_is_active() {
    let app = TestApp::monolith().await;
    let (clerk, customer) = (app.staff("carol", &[Role::Catalogue]).await, app.client.customer("ada").await);
    let draft = json!({"id": "prod-900", "name": "Foot Rest", "price": 39.5, "stock": 4, "status": "draft"});
    let created = clerk.post(PRODUCTS, &draft).await;
    assert_eq!((created.status, &created.body["id"]), (StatusCode::CREATED, &"prod-900".into()), "{created:?}");
    assert_eq!(clerk.post(PRODUCTS, &draft).await.status, StatusCode::CONFLICT);

    let hidden = async |id: &str| {
        assert_eq!(customer.get(&format!("/api/products/{id}")).await.status, StatusCode::NOT_FOUND, "{id}");
        assert!(!ids(&customer, "/api/products").await.contains(id) && ids(&clerk, PRODUCTS).await.contains(id), "{id}");
        assert_eq!(customer.order(id, 1, "tok_visa").await.status, StatusCode::UNPROCESSABLE_ENTITY, "{id}");
    };
    hidden("prod-900").await;
    let (offered, _) = changed(&clerk, "prod-900", "status", "active".into()).await;
    assert_eq!(put(&clerk, "prod-900", &offered, None).await.status, StatusCode::OK);
    let order = customer.order_until("prod-900", 1, "tok_visa", &["delivered"]).await;
    assert_eq!(order["data"]["items"][0]["name"], "Foot Rest");

    // What was sold stays: retired, it keeps its place in what customers have.
    let removed = clerk.send(Method::DELETE, &format!("{PRODUCTS}/prod-900"), None, &[]).await;
    assert!(removed.status == StatusCode::CONFLICT && removed.body["detail"].as_str().unwrap().contains("retired"), "{removed:?}");
    let (retired, _) = changed(&clerk, "prod-900", "status", "retired".into()).await;
    assert_eq!(put(&clerk, "prod-900", &retired, None).await.status, StatusCode::OK);
    hidden("prod-900").await;
    let again = customer.get(&format!("/api/orders/{}", order["id"].as_str().unwrap())).await;
    assert_eq!(again.body["data"]["items"], order["data"]["items"]);
    let unsold = clerk.post(PRODUCTS, &json!({"id": "prod-901", "name": "Never", "price": 1, "status": "draft"})).await;
    assert_eq!(unsold.status, StatusCode::CREATED, "{unsold:?}");
    assert_eq!(clerk.send(Method::DELETE, &format!("{PRODUCTS}/prod-901"), None, &[]).await.status, StatusCode::NO_CONTENT);
    let wrong = clerk.post(PRODUCTS, &json!({"id": "a/b", "name": "x", "price": 1})).await;
    assert_eq!(wrong.body["errors"][0]["pointer"], "/id", "{wrong:?}");
    let wrong = clerk.post(PRODUCTS, &json!({"price": -1, "status": "gone"})).await;
    let pointers: BTreeSet<&str> = wrong.body["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/name", "/price", "/status"].into(), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_change_one_product_the_second_gets_what_the_first_has_made_of_it() {
    let app = TestApp::monolith().await;
    app.staff("auditor", &[Role::Admin]).await;
    let (ada, bob) = (app.staff("ada", &[Role::Catalogue]).await, app.staff("bob", &[Role::Catalogue]).await);
    let (cheaper, tag) = changed(&ada, "prod-001", "price", 139.99.into()).await;
    let (renamed, same) = changed(&bob, "prod-001", "name", "Keyboard".into()).await;
    assert_eq!(tag, same);
    let won = put(&ada, "prod-001", &cheaper, Some(&tag)).await;
    assert_eq!(won.status, StatusCode::OK, "{won:?}");
    let lost = put(&bob, "prod-001", &renamed, Some(&tag)).await;
    assert_eq!((lost.status, &lost.body["code"]), (StatusCode::PRECONDITION_FAILED, &"changed".into()), "{lost:?}");
    let current = &lost.body["current"];
    assert_eq!((&current["version"], &current["data"]["price"]), (&won.body["version"], &139.99.into()), "{lost:?}");

    let prices = ada.get(&format!("{PRODUCTS}/prod-001/prices")).await.body["items"].clone();
    let told: Vec<_> =
        prices.as_array().unwrap().iter().map(|one| (one["price"].as_f64().unwrap(), one["version"].as_u64().unwrap())).collect();
    assert_eq!(told, [(139.99, 2), (149.99, 1)]);
    let by = ada.get("/api/auth/profile").await.body["id"].clone();
    assert_eq!((&prices[0]["actor"], &prices[1]["actor"]), (&by, &Value::Null));
    let audit = app.client.login("auditor").await.get("/api/admin/audit?subject=products/prod-001").await.body["items"].clone();
    assert_eq!(audit.as_array().unwrap().len(), 1, "what was refused is not written as done: {audit}");
    let row = &audit[0];
    assert_eq!(
        (&row["action"], &row["actor"], &row["versionBefore"], &row["versionAfter"]),
        (&"products.update".into(), &by, &1.into(), &2.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_found_by_name_identifier_and_status_page_by_page() {
    let app = TestApp::monolith().await;
    let clerk = app.staff("carol", &[Role::Catalogue]).await;
    for (id, status) in [("prod-910", "draft"), ("prod-911", "retired")] {
        let made = clerk.post(PRODUCTS, &json!({"id": id, "name": "Desk Lamp", "price": 20, "status": status})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    }
    let found = async |query: &str| ids(&clerk, &format!("{PRODUCTS}?{query}")).await.into_iter().collect::<Vec<_>>();
    assert_eq!(found("search=desk%20L").await, ["prod-910", "prod-911"]);
    assert_eq!(found("search=DESK&status=active").await, ["prod-005"]);
    assert_eq!(found("status=retired").await, ["prod-911"]);
    assert_eq!(found("search=PROD-00").await.len(), 8);
    let mut seen = Vec::new();
    let mut path = format!("{PRODUCTS}?limit=3");
    loop {
        let page = clerk.get(&path).await.body;
        seen.extend(page["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        path = format!("{PRODUCTS}?limit=3&cursor={next}");
    }
    assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (10, 10), "{seen:?}");
    for wrong in ["status=gone", "limit=0", "limit=201", "cursor=x"] {
        assert_eq!(clerk.get(&format!("{PRODUCTS}?{wrong}")).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
}

async fn import(clerk: &Client, query: &str, table: &str) -> Answer {
    clerk.send_text(Method::POST, &format!("{PRODUCTS}/import{query}"), "text/csv", table).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_previewed_and_then_done_as_a_whole_or_not_at_all() {
    let app = TestApp::monolith().await;
    let clerk = app.staff("carol", &[Role::Catalogue]).await;
    let bad = "sku,name,price\nprod-001,,139.99\nprod-902,,cheap\nprod-903,,5\n";
    let preview = import(&clerk, "", bad).await;
    let rows: Vec<_> = preview.body["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["line"].as_u64().unwrap(), row["action"].as_str().unwrap(), row["field"].clone()))
        .collect();
    assert_eq!(rows, [(2, "update", Value::Null), (3, "error", "price".into()), (4, "error", "name".into())], "{preview:?}");
    let digest = preview.body["digest"].as_str().unwrap();
    let refused = import(&clerk, &format!("?dryRun=false&digest={digest}"), bad).await;
    let pointers: Vec<&str> = refused.body["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
    assert_eq!((refused.status, pointers), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/3/price", "/4/name"]), "{refused:?}");
    assert_eq!(import(&clerk, "?dryRun=false", bad).await.status, StatusCode::UNPROCESSABLE_ENTITY, "without a digest nothing is done");

    let good = "\u{feff}sku,name,price,stock,status\r\nprod-001,,139.99,,\r\nprod-002,,,,\r\nprod-902,\"Lamp, small\",19.5,7,draft\r\n";
    let preview = import(&clerk, "?dryRun=true", good).await;
    let rows = &preview.body["rows"];
    assert_eq!([&rows[0]["action"], &rows[1]["action"], &rows[2]["action"]], ["update", "none", "create"], "{preview:?}");
    assert_eq!(rows[0]["changes"], json!([{"field": "price", "from": 149.99, "to": 139.99}]));
    assert_eq!((clerk.get(&format!("{PRODUCTS}/prod-902")).await.status, &preview.body["applied"]), (StatusCode::NOT_FOUND, &false.into()));
    let digest = preview.body["digest"].as_str().unwrap().to_owned();
    // Somebody changes one of them meanwhile.
    let (renamed, tag) = changed(&clerk, "prod-002", "category", "Mice".into()).await;
    assert_eq!(put(&clerk, "prod-002", &renamed, Some(&tag)).await.status, StatusCode::OK);
    let stale = import(&clerk, &format!("?dryRun=false&digest={digest}"), good).await;
    assert_eq!((stale.status, &stale.body["code"]), (StatusCode::CONFLICT, &"preview_stale".into()), "{stale:?}");
    assert_eq!(clerk.get(&format!("{PRODUCTS}/prod-902")).await.status, StatusCode::NOT_FOUND);
    let digest = import(&clerk, "", good).await.body["digest"].as_str().unwrap().to_owned();
    let done = import(&clerk, &format!("?digest={digest}"), good).await;
    assert_eq!((done.status, &done.body["applied"]), (StatusCode::OK, &true.into()), "{done:?}");
    let made = clerk.get(&format!("{PRODUCTS}/prod-902")).await.body;
    assert_eq!((&made["data"]["name"], &made["data"]["price"], &made["data"]["stock"]), (&"Lamp, small".into(), &19.5.into(), &7.into()));
    assert_eq!(app.client.get("/api/products/prod-001").await.body["data"]["price"], 139.99);
    let again = import(&clerk, "", good).await.body["rows"].clone();
    assert!(again.as_array().unwrap().iter().all(|row| row["action"] == "none"), "what is done is done: {again}");
}

async fn level(clerk: &Client) -> (u64, u64) {
    let all = clerk.get("/api/admin/stock").await.body["items"].clone();
    let one = all.as_array().unwrap().iter().find(|level| level["sku"] == "prod-001").unwrap();
    (one["onHand"].as_u64().unwrap(), one["reserved"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_moves_of_a_product_are_its_stock() {
    let app = TestApp::monolith().await;
    app.staff("auditor", &[Role::Admin]).await;
    let (clerk, customer) = (app.staff("carol", &[Role::Catalogue]).await, app.client.customer("ada").await);
    customer.order_until("prod-001", 2, "tok_visa", &["delivered"]).await;
    until("what was sold has left", || async { (level(&clerk).await == (48, 0)).then_some(()) }).await;
    let moved = clerk.post(MOVES, &json!({"delta": 12, "reason": "received", "note": "a pallet"})).await;
    assert_eq!((moved.status, &moved.body["onHand"]), (StatusCode::CREATED, &60.into()), "{moved:?}");
    assert_eq!(customer.stock("prod-001").await, 60, "customers see it at once");
    let counted = json!({"counted": 59, "expected": 60, "reason": "counted"});
    let key = [("idempotency-key", "count-1")];
    let first = clerk.send(Method::POST, MOVES, Some(&counted), &key).await;
    let again = clerk.send(Method::POST, MOVES, Some(&counted), &key).await;
    assert_eq!((first.status, &first.body), (StatusCode::CREATED, &again.body), "{again:?}");
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let other = clerk.send(Method::POST, MOVES, Some(&json!({"delta": 1, "reason": "correction"})), &key).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{other:?}");
    let stale = clerk.post(MOVES, &counted).await;
    assert_eq!(
        (stale.status, &stale.body["code"], &stale.body["onHand"]),
        (StatusCode::CONFLICT, &"count_stale".into(), &59.into()),
        "{stale:?}"
    );
    let below = clerk.post(MOVES, &json!({"delta": -60, "reason": "damaged"})).await;
    assert_eq!((below.status, &below.body["code"]), (StatusCode::CONFLICT, &"below_reserved".into()), "{below:?}");

    let ledger = clerk.get(MOVES).await.body["items"].clone();
    let told: Vec<_> =
        ledger.as_array().unwrap().iter().map(|row| (row["reason"].as_str().unwrap(), row["delta"].as_i64().unwrap())).collect();
    assert_eq!(told, [("counted", -1), ("received", 12), ("sold", -2), ("received", 50)]);
    assert_eq!(level(&clerk).await, (59, 0));
    let audit = app.client.login("auditor").await.get("/api/admin/audit?action=stock.move").await.body["items"].clone();
    assert_eq!(audit.as_array().unwrap().len(), 2, "{audit}");
    assert_eq!(audit[1]["reason"], "received: a pallet");
    assert_eq!(clerk.post("/api/admin/stock/none/moves", &json!({"delta": 1, "reason": "received"})).await.status, StatusCode::NOT_FOUND);
    let found = clerk.get("/api/admin/stock?search=KEYBOARD").await.body["items"].clone();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["name"]), (1, &"Mechanical Keyboard".into()), "{found}");
    let page = clerk.get(&format!("{MOVES}?limit=3")).await.body;
    let rest = clerk.get(&format!("{MOVES}?limit=3&cursor={}", page["nextCursor"].as_str().unwrap())).await.body;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["nextCursor"]), (1, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_moves_at_once_sum_up_beside_sales() {
    let app = TestApp::monolith().await;
    let (clerk, customer) = (app.staff("carol", &[Role::Catalogue]).await, app.client.customer("ada").await);
    let moves = (0..1_000_i64).map(|n| {
        let (clerk, delta) = (clerk.clone(), if n % 2 == 0 { 3 } else { -1 });
        async move { clerk.post(MOVES, &json!({"delta": delta, "reason": "correction"})).await }
    });
    let moves = stream::iter(moves).buffer_unordered(100).collect::<Vec<Answer>>();
    let sales = (0..5).map(|_| customer.order_until("prod-001", 1, "tok_visa", &["delivered"]));
    let (moved, _) = futures::join!(moves, join_all(sales));
    let made: Vec<&Answer> = moved.iter().filter(|answer| answer.status == StatusCode::CREATED).collect();
    assert!(moved.iter().all(|answer| [StatusCode::CREATED, StatusCode::CONFLICT].contains(&answer.status)), "{moved:?}");
    let sum: i64 = made.iter().map(|answer| answer.body["delta"].as_i64().unwrap()).sum();
    until("what was sold has left", || async { (level(&clerk).await.1 == 0).then_some(()) }).await;
    assert_eq!(level(&clerk).await.0.cast_signed(), 50 - 5 + sum, "{} moves were made", made.len());
    let mut ledger = 0;
    let mut path = format!("{MOVES}?limit=200");
    loop {
        let page = clerk.get(&path).await.body;
        ledger += page["items"].as_array().unwrap().iter().map(|row| row["delta"].as_i64().unwrap()).sum::<i64>();
        let Some(next) = page["nextCursor"].as_str() else { break };
        path = format!("{MOVES}?limit=200&cursor={next}");
    }
    assert_eq!(ledger, 50 - 5 + sum);
}
