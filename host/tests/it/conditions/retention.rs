//! What a database keeps and for how long: how much room an order takes in it, and that the room has an end.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::long;
use super::test_env::until;
use crate::client::{Client, order};
use crate::observability::scraped::Scraped;
use crate::process::{Home, Process};

/// The database of a monolith, in its home.
pub const DATABASE: &str = "data/ecommerce.db";
const NOTHING: [(&str, &str); 3] = [("RETAIN_EVENTS", "0s"), ("RETAIN_RUNS", "0s"), ("RETAIN_IDEMPOTENCY_KEYS", "0s")];

/// A product of which there is always more, and how much there is at first.
pub const PLENTY: &str = "prod-001";
pub const ALL: u64 = 10_000_000;

/// One number that the database answers.
pub fn asked(database: &Path, sql: &str) -> i64 {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Bytes of the pages that this expression over pragmas comes to, all at one moment: free pages are given back meanwhile.
fn pages(database: &Path, expression: &str) -> i64 {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let moment = connection.unchecked_transaction().unwrap();
    moment.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).unwrap();
    moment.query_row(&format!("SELECT ({expression}) * (SELECT * FROM pragma_page_size())"), [], |row| row.get(0)).unwrap()
}

/// Bytes that are in use, in the file or its log.
fn used(database: &Path) -> i64 {
    pages(database, "(SELECT * FROM pragma_page_count()) - (SELECT * FROM pragma_freelist_count())")
}

/// Bytes of the file, once its log is copied into it.
fn whole(database: &Path) -> i64 {
    pages(database, "SELECT * FROM pragma_page_count()")
}

/// Bytes of the file and of its log, after all that is in the log was copied.
fn on_the_disk(database: &Path) -> u64 {
    let connection = Connection::open(database).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let length = |suffix: &str| std::fs::metadata(format!("{}{suffix}", database.display())).map_or(0, |file| file.len());
    length("") + length("-wal")
}

/// Rows that are of no more use once every order is delivered. The newest of what was received says since when it is known.
const REST: &str = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox WHERE sequence < (SELECT max(sequence) FROM inbox))
                           + (SELECT count(*) FROM step_runs) + (SELECT count(*) FROM idempotency)";

/// Orders that are placed at once, and as many that may be under way before more are placed.
const AT_ONCE: usize = 100;
/// Events that may wait: whoever places orders faster than a machine can tell of them sees what waits, not what stays.
const WAITING: usize = 2_000;

/// Has `count` orders of `product` delivered, and answers their ids. Nobody follows them one by one: to ask about an order costs more than
/// the order does.
pub async fn deliver(customer: &Client, database: &Path, product: &str, count: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let under_way = async |most: usize| {
        let few = |table: &str, most: usize| asked(database, &format!("SELECT count(*) FROM {table}")) <= most as i64;
        until("orders get on", || async { (few("resources WHERE finished = 0", most) && few("unpublished", WAITING)).then_some(()) }).await;
    };
    for first in (0..count).step_by(AT_ONCE) {
        let placed = join_all((first..count.min(first + AT_ONCE)).map(|_| customer.order(product, 1, "tok_visa"))).await;
        assert!(placed.iter().all(|answer| answer.status == 201), "{placed:?}");
        ids.extend(placed.iter().map(|answer| answer.body["id"].as_str().unwrap().to_owned()));
        under_way(AT_ONCE).await;
    }
    under_way(0).await;
    assert_eq!(asked(database, "SELECT count(*) FROM resources WHERE kind = 'orders' AND state <> 'delivered'"), 0);
    ids
}

/// A monolith that has [`PLENTY`], and its customer.
pub async fn with_plenty(home: &Home, variables: &[(&str, &str)]) -> (Process, Client) {
    let seed = home.path().join("products.json");
    let product = json!([{ "id": PLENTY, "state": "active", "data": { "name": "Keyboard", "price": 1.5, "stock": ALL } }]);
    std::fs::write(&seed, product.to_string()).unwrap();
    let process = home.start(&[variables, &[("PRODUCTS_SEED", seed.to_str().unwrap())]].concat()).await;
    let customer = process.client.customer("ada").await;
    (process, customer)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_needs_any_more_is_forgotten_and_an_order_takes_three_kilobytes() {
    let home = Home::new();
    let (process, customer) = with_plenty(&home, &NOTHING).await;
    let database = home.path().join(DATABASE);
    let rest = || async { (asked(&database, REST) == 0).then_some(()) };

    const FIRST: usize = 200;
    deliver(&customer, &database, PLENTY, FIRST).await;
    until("what is of no more use is forgotten", rest).await;
    let before = used(&database);
    let count = if long() { 100_000 } else { 600 };
    deliver(&customer, &database, PLENTY, count).await;
    until("what is of no more use is forgotten", rest).await;
    let each = (used(&database) - before) / i64::try_from(count).unwrap();
    eprintln!("{count} orders: {each} bytes in use an order");
    assert!(each <= 3_072, "{each} bytes an order");
    assert_eq!(customer.get("/api/orders?limit=1").await.body[0]["state"], "delivered", "orders stay");
    let scraped = Scraped::of(&process.client).await;
    assert!(scraped.value("ecommerce_pruned_rows_total", &[("kind", "events")]) > Some(5.0 * count as f64), "{}", scraped.text);
    assert!(scraped.value("ecommerce_sqlite_file_bytes", &[]) > Some(0.0), "{}", scraped.text);
    if long() {
        let given_back = || async { (on_the_disk(&database) <= 3_072 * count as u64).then_some(()) };
        until("what is free is given back", given_back).await;
        let file = on_the_disk(&database) / (count + FIRST) as u64;
        eprintln!("{count} orders: {each} bytes in use an order, {file} bytes of the file and its log an order");
    }
}

/// The names under which the configs read how long something is kept.
const KEPT: [&str; 4] = ["RETAIN_EVENTS", "RETAIN_RUNS", "RETAIN_IDEMPOTENCY_KEYS", "RETAIN_INSTANCES"];

#[tokio::test(flavor = "multi_thread")]
async fn at_a_constant_rate_of_orders_the_database_stops_growing() {
    // So often old rows go before its size is looked at again: in the long form as often as there are rows of all ages.
    let (kept, passes, pause) = if long() { ("60s", 10, 50) } else { ("1s", 3, 100) };
    let home = Home::new();
    let (process, customer) = with_plenty(&home, &KEPT.map(|name| (name, kept))).await;
    let database = home.path().join(DATABASE);
    let orders = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(pause));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answer = customer.post("/api/orders", &order(PLENTY, 1, "tok_visa")).await;
            assert_eq!(answer.status, 201, "{answer:?}");
        }
    });
    let archived = async || Scraped::of(&process.client).await.value("ecommerce_pruned_rows_total", &[("kind", "instances")]);
    // What grows by as much each time has grown by a sixth the sixth time.
    let (mut sizes, mut orders_so_far) = (vec![whole(&database)], archived().await);
    while sizes.len() < 7 {
        for _ in 0..passes {
            until("old orders go", || async { (archived().await > orders_so_far).then_some(()) }).await;
            orders_so_far = archived().await;
        }
        let (before, now) = (sizes[sizes.len() - 1], whole(&database));
        sizes.push(now);
        if now <= before + before / 10 {
            break;
        }
    }
    assert!(!orders.is_finished(), "orders were placed all the time");
    orders.abort();
    eprintln!("bytes of the file, {passes} passes between two: {sizes:?}; {orders_so_far:?} orders were archived meanwhile");
    assert!(sizes.len() < 7, "it grows on: {sizes:?}");
}
