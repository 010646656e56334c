//! What a database keeps and for how long, and the copies of it that an operator makes and puts back.

use std::path::Path;

use futures::future::join_all;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::bed::{Condition, until};
use super::long;
use crate::client::{Client, order};
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::repository;

const DATABASE: &str = "data/ecommerce.db";
const NOTHING: [(&str, &str); 3] = [("RETAIN_EVENTS", "0s"), ("RETAIN_RUNS", "0s"), ("RETAIN_IDEMPOTENCY_KEYS", "0s")];

fn operate(home: &Home, arguments: &[&str]) -> Result<String, String> {
    home.operate(&repository().join("configs/monolith.yaml"), arguments)
}

/// One number that the database answers.
fn asked(database: &Path, sql: &str) -> i64 {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Bytes that are in use, in the file or its log.
fn used(database: &Path) -> i64 {
    let pages = |name| asked(database, &format!("SELECT * FROM pragma_{name}()"));
    (pages("page_count") - pages("freelist_count")) * pages("page_size")
}

/// Rows that are of no more use once every order is delivered.
const REST: &str = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox) + (SELECT count(*) FROM step_runs)
                           + (SELECT count(*) FROM idempotency)";

/// Has `count` orders delivered, some at once.
async fn deliver(customer: &Client, count: usize) {
    for _ in 0..count.div_ceil(50) {
        join_all((0..count.min(50)).map(|_| customer.order_until("prod-001", 1, "tok_visa", &["delivered"]))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_needs_any_more_is_forgotten_and_an_order_takes_three_kilobytes() {
    let home = Home::new();
    let seed = home.path().join("products.json");
    let product = json!([{ "id": "prod-001", "state": "active", "data": { "name": "Keyboard", "price": 1.5, "stock": 10_000_000 } }]);
    std::fs::write(&seed, product.to_string()).unwrap();
    let variables = [&NOTHING[..], &[("PRODUCTS_SEED", seed.to_str().unwrap())]].concat();
    let process = home.start(&variables).await;
    let customer = process.client.customer("ada").await;
    let database = home.path().join(DATABASE);
    let rest = || async { (asked(&database, REST) == 0).then_some(()) };

    let count = if long() { 50_000 } else { 200 };
    deliver(&customer, count).await;
    until("what is of no more use is forgotten", rest).await;
    let before = used(&database);
    deliver(&customer, count).await;
    until("what is of no more use is forgotten", rest).await;
    let each = (used(&database) - before) / i64::try_from(count).unwrap();
    assert!(each <= 3_072, "{each} bytes an order");
    assert_eq!(customer.get("/api/orders?limit=1").await.body[0]["state"], "delivered", "orders stay");
    let scraped = Scraped::of(&process.client).await;
    assert!(scraped.value("ecommerce_pruned_rows_total", &[("kind", "events")]) > Some(5.0 * count as f64), "{}", scraped.text);
    assert!(scraped.value("ecommerce_sqlite_file_bytes", &[]) > Some(0.0), "{}", scraped.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_under_load_is_put_back_and_every_order_in_it_goes_on() {
    let home = Home::new();
    let process = home.start_under(Condition::default()).await;
    let customer = process.client.customer("ada").await;
    let copy = home.path().join("copy.db");
    let load = tokio::spawn({
        let customer = customer.clone();
        async move { join_all((0..40).map(|_| async { customer.post("/api/orders", &order("prod-008", 1, "tok_visa")).await })).await }
    });
    let delivered = customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    let said = operate(&home, &["backup", "--to", copy.to_str().unwrap()]).unwrap();
    assert!(said.contains("copy.db") && said.contains("instances under way"), "{said}");
    let placed = load.await.unwrap();
    assert!(placed.iter().all(|answer| answer.status == 201), "{placed:?}");
    let again = operate(&home, &["backup", "--to", copy.to_str().unwrap()]).unwrap_err();
    assert!(again.contains("copy.db"), "{again}");

    let refused = operate(&home, &["restore", "--from", copy.to_str().unwrap()]).unwrap_err();
    assert!(refused.contains("in use by another process"), "{refused}");
    drop(process);
    let restored = operate(&home, &["restore", "--from", copy.to_str().unwrap()]).unwrap();
    assert!(restored.contains("is kept as"), "{restored}");

    let process = home.start_under(Condition::default()).await;
    let login = json!({"email": "ada@example.com", "password": "password123"});
    let token = process.client.post("/api/auth/login", &login).await.body["token"].as_str().unwrap().to_owned();
    let customer = process.client.with_token(&token);
    assert_eq!(customer.wait_for("orders", delivered["id"].as_str().unwrap(), &["delivered"]).await["state"], "delivered");
    let orders = customer.get("/api/orders?limit=100").await.body;
    let orders = orders.as_array().unwrap();
    assert!((1..=41).contains(&orders.len()));
    for order in orders {
        customer.wait_for("orders", order["id"].as_str().unwrap(), &["delivered"]).await;
    }
    assert_eq!(customer.stock("prod-008").await, 999 - orders.len() as u64, "units and orders agree");
    customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_copy_is_refused_and_the_database_stays() {
    let home = Home::new();
    let process = home.start_under(Condition::default()).await;
    process.client.customer("ada").await.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    let copy = home.path().join("copy.db");
    operate(&home, &["backup", "--to", copy.to_str().unwrap()]).unwrap();
    drop(process);

    let whole = std::fs::read(&copy).unwrap();
    let mut overwritten = whole.clone();
    let middle = overwritten.len() / 2;
    overwritten[middle..middle + 4_096].fill(0xab);
    let bad = home.path().join("bad.db");
    let cases: [(&[u8], &str); 4] =
        [(b"nonsense that is no database at all", "bad.db"), (b"", "bad.db"), (&whole[..middle], "bad.db"), (&overwritten, "is damaged")];
    for (content, says) in cases {
        std::fs::write(&bad, content).unwrap();
        let refused = operate(&home, &["restore", "--from", bad.to_str().unwrap()]).unwrap_err();
        assert!(refused.contains("bad.db") && refused.contains(says), "{refused}");
    }
    let missing = operate(&home, &["restore", "--from", "nowhere.db"]).unwrap_err();
    assert!(missing.contains("nowhere.db"), "{missing}");
    let process = home.start_under(Condition::default()).await;
    assert_eq!(process.client.stock("prod-008").await, 998);
}
