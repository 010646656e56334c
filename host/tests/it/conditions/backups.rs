//! The copies of a database that an operator makes and puts back.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use rusqlite::Connection;
use serde_json::json;

use super::long;
use super::retention::{ALL, DATABASE, PLENTY, asked, with_plenty};
use super::test_env::{Condition, until};
use crate::client::{Client, order};
use crate::process::Home;
use crate::test_app::repository;

fn operate(home: &Home, arguments: &[&str]) -> Result<String, String> {
    home.operate(&repository().join("configs/monolith.yaml"), arguments)
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

/// Customers who order one thing after the other.
const CUSTOMERS: usize = 8;
/// Longest time between two copies, in milliseconds.
const BETWEEN: u64 = 2_000;

/// A copy, and the orders that were acknowledged before it was begun.
struct Copy {
    path: PathBuf,
    acknowledged: Vec<String>,
}

/// Copies at random moments while `customer` orders as fast as it is answered.
async fn copies_under_load(home: &Home, customer: &Client, count: usize) -> Vec<Copy> {
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let load: Vec<_> = (0..CUSTOMERS)
        .map(|_| {
            let (customer, acknowledged) = (customer.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                loop {
                    let answer = customer.post("/api/orders", &order(PLENTY, 1, "tok_visa")).await;
                    assert_eq!(answer.status, 201, "{answer:?}");
                    acknowledged.lock().push(answer.body["id"].as_str().unwrap().to_owned());
                }
            })
        })
        .collect();
    let mut copies = Vec::new();
    for number in 0..count {
        let wait = RandomState::new().hash_one(number) % BETWEEN;
        eprintln!("copy {number} is made after {wait} ms");
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let copy = Copy { path: home.path().join(format!("copy-{number}.db")), acknowledged: acknowledged.lock().clone() };
        let said = tokio::task::block_in_place(|| operate(home, &["backup", "--to", copy.path.to_str().unwrap()])).unwrap();
        assert!(said.contains("instances under way"), "{said}");
        copies.push(copy);
    }
    assert!(load.iter().all(|customer| !customer.is_finished()), "orders were placed all the time");
    load.iter().for_each(tokio::task::JoinHandle::abort);
    copies
}

/// What SQLite finds wrong with a database, the content of its indexes included.
fn faults(database: &Path) -> Vec<String> {
    let connection = Connection::open(database).unwrap();
    let mut check = connection.prepare("PRAGMA integrity_check").unwrap();
    let mut said: Vec<String> = check.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    said.retain(|line| line != "ok");
    let foreign = asked(database, "SELECT count(*) FROM pragma_foreign_key_check()");
    said.extend((foreign > 0).then(|| format!("{foreign} rows belong to nothing")));
    said
}

fn orders(database: &Path) -> BTreeSet<String> {
    let connection = Connection::open(database).unwrap();
    let mut ids = connection.prepare("SELECT id FROM resources WHERE kind = 'orders'").unwrap();
    ids.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_copy_made_under_load_is_whole_and_has_each_order_that_was_acknowledged_before_it() {
    let home = Home::new();
    let (process, customer) = with_plenty(&home, &[]).await;
    let copies = copies_under_load(&home, &customer, if long() { 10 } else { 2 }).await;
    process.kill();
    for copy in copies {
        let elsewhere = Home::new();
        std::fs::create_dir(elsewhere.path().join("data")).unwrap();
        operate(&elsewhere, &["restore", "--from", copy.path.to_str().unwrap()]).unwrap();
        let database = elsewhere.path().join(DATABASE);
        assert_eq!(faults(&database), [""; 0], "{}", copy.path.display());
        let there = orders(&database);
        let lost: Vec<&String> = copy.acknowledged.iter().filter(|id| !there.contains(*id)).collect();
        assert!(lost.is_empty(), "{} has {} orders, and not {lost:?}", copy.path.display(), there.len());

        let under_way = asked(&database, "SELECT count(*) FROM resources WHERE finished = 0");
        let process = elsewhere.start(&[]).await;
        let over = || async { (asked(&database, "SELECT count(*) FROM resources WHERE finished = 0") == 0).then_some(()) };
        until("every order that was under way goes on", over).await;
        let delivered = asked(&database, "SELECT count(*) FROM resources WHERE kind = 'orders' AND state = 'delivered'");
        assert_eq!(usize::try_from(delivered), Ok(there.len()));
        assert_eq!(process.client.stock(PLENTY).await, ALL - there.len() as u64, "units and orders agree");
        until("each order is through", || async {
            (asked(&database, "SELECT count(*) FROM step_runs WHERE status <> 'done'") == 0).then_some(())
        })
        .await;
        process.kill();
        assert_eq!(faults(&database), [""; 0]);
        eprintln!("{}: {} orders, {under_way} of them under way", copy.path.display(), there.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_made_from_a_dump_is_refused_with_the_one_thing_that_it_lacks() {
    let home = Home::new();
    drop(home.start_under(Condition::default()).await);
    let copy = home.path().join("copy.db");
    operate(&home, &["backup", "--to", copy.to_str().unwrap()]).unwrap();
    // A dump has the tables and their rows, and not this number.
    let version = |change: Option<i64>| {
        let connection = Connection::open(&copy).unwrap();
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        change.into_iter().for_each(|version| connection.pragma_update(None, "user_version", version).unwrap());
        connection.pragma_update(None, "journal_mode", "DELETE").unwrap();
        version
    };
    let right = version(Some(0));
    let refused = operate(&home, &["restore", "--from", copy.to_str().unwrap()]).unwrap_err();
    for part in ["copy.db", "PRAGMA user_version", ".dump", &right.to_string(), "Nothing was changed"] {
        assert!(refused.contains(part), "no '{part}' in {refused}");
    }
    version(Some(right));
    operate(&home, &["restore", "--from", copy.to_str().unwrap()]).unwrap();
    home.start_under(Condition::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goods_that_nobody_asks_for_any_more_are_found_and_given_back_by_command() {
    let home = Home::new();
    let process = home.start_under(Condition { variables: &[("PAYMENT_RETRY_AFTER", "1h")], ..Condition::default() }).await;
    let customer = process.client.customer("ada").await;
    let order = customer.order_until("prod-001", 5, "tok_chargeDeclined", &["payment_failed"]).await;
    let key = order["id"].as_str().unwrap();
    assert_eq!(customer.stock("prod-001").await, 45);
    let listed = operate(&home, &["reservations", "list"]).unwrap();
    assert!(listed.contains(&format!("{key} prod-001=5")) && listed.contains("1 reservations of 5 units"), "{listed}");
    until("the metrics show it", || async {
        let metrics = process.client.get("/metrics").await.body;
        metrics.as_str().unwrap().contains(r#"ecommerce_reservations_held{age="any"} 5"#).then_some(())
    })
    .await;
    assert_eq!(process.client.get("/healthz").await.body["checks"]["stock"]["status"], "up");

    let unknown = operate(&home, &["reservations", "release", key, "nobody"]).unwrap_err();
    assert!(unknown.contains("under the key nobody") && unknown.contains("Nothing was changed"), "{unknown}");
    operate(&home, &["reservations", "release", key]).unwrap();
    assert!(operate(&home, &["reservations", "list"]).unwrap().contains("0 reservations"));
    until("they are for sale again", || async { (customer.stock("prod-001").await == 50).then_some(()) }).await;
}
