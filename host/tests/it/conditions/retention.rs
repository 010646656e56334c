//! What a database keeps and for how long, and the copies of it that an operator makes and puts back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::long;
use super::test_env::{Condition, until};
use crate::client::{Client, PATIENCE, order};
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::repository;

const DATABASE: &str = "data/ecommerce.db";
const ARCHIVE: &str = "data/archive";
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

/// Orders that are placed at once, and as many that may be under way before more are placed.
const AT_ONCE: usize = 100;

/// Has `count` orders of `product` delivered, and answers their ids. Nobody follows them one by one: to ask about an order costs more than
/// the order does.
async fn deliver(customer: &Client, database: &Path, product: &str, count: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let under_way = async |most: usize| {
        let few = || async { (asked(database, "SELECT count(*) FROM resources WHERE finished = 0") <= most as i64).then_some(()) };
        until("orders get on", few).await;
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
    deliver(&customer, &database, "prod-001", count).await;
    until("what is of no more use is forgotten", rest).await;
    let before = used(&database);
    deliver(&customer, &database, "prod-001", count).await;
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
    let customer = process.client.login("ada").await;
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

/// The lines of the archive, in the sequence in which they were written.
fn archived(home: &Home) -> Vec<Value> {
    let Ok(folder) = std::fs::read_dir(home.path().join(ARCHIVE)) else { return Vec::new() };
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // What follows is being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn ids(archived: &[Value]) -> BTreeSet<String> {
    archived.iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

/// Bytes of the archive's files.
fn archived_bytes(home: &Home) -> u64 {
    let Ok(folder) = std::fs::read_dir(home.path().join(ARCHIVE)) else { return 0 };
    folder.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// Waits until the archive has more than `bytes`; whether all of `placed` are in it.
async fn until_more_or_all(home: &Home, bytes: u64, placed: &BTreeSet<String>) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while archived_bytes(home) <= bytes {
        if bytes > 0 && asked(&home.path().join(DATABASE), "SELECT count(*) FROM resources WHERE kind = 'orders'") == 0 {
            return true;
        }
        assert!(Instant::now() < deadline, "nothing of {} orders is archived", placed.len());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_orders_that_are_old_are_in_the_archive_and_nowhere_else() {
    let home = Home::new();
    let process = home.start(&[("RETAIN_INSTANCES", "0s"), ("PAYMENT_RETRY_AFTER", "10m")]).await;
    let customer = process.client.customer("ada").await;
    let waiting = customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let (key, placed) = ([("idempotency-key", "one")], order("prod-008", 2, "tok_visa"));
    let place = async |body: Value| customer.send(Method::POST, "/api/orders", Some(&body), &key).await;
    let first = place(placed.clone()).await;
    let id = first.body["id"].as_str().unwrap();
    until("the order is archived", || async { ids(&archived(&home)).contains(id).then_some(()) }).await;
    until("the order is gone", || async { (customer.get(&format!("/api/orders/{id}")).await.status == 404).then_some(()) }).await;

    let lines = archived(&home);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&line["kind"], &line["state"], &line["workflow"]), (&json!("orders"), &json!("delivered"), &json!("order-processing")));
    assert_eq!(line["data"]["items"][0]["productId"], "prod-008");
    let entered: Vec<_> = line["history"].as_array().unwrap().iter().map(|row| row["to"].as_str().unwrap()).collect();
    assert_eq!(entered, ["validating", "validated", "paying", "paid", "shipping", "shipped", "delivered"]);

    let repeated = place(placed).await;
    assert_eq!(repeated.status, 409, "{repeated:?}");
    assert!(repeated.body["detail"].as_str().unwrap().contains(id), "{repeated:?}");
    assert_eq!(place(order("prod-008", 3, "tok_visa")).await.status, 422, "another request with that key");
    let listed = customer.get("/api/orders").await.body;
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|order| &order["id"]).collect();
    assert_eq!(listed, [&waiting["id"]], "what goes on stays, and nothing was made again");
    let database = home.path().join(DATABASE);
    let left = format!(
        "SELECT (SELECT count(*) FROM resources WHERE id = '{id}') + (SELECT count(*) FROM step_runs WHERE resource_id = '{id}')
              + (SELECT count(*) FROM reservations WHERE key = '{id}') + (SELECT count(DISTINCT resource) FROM history) - 1"
    );
    assert_eq!(asked(&database, &left), 0);
    assert_eq!(customer.stock("prod-008").await, 997);
    until("it is counted", || async {
        let scraped = Scraped::of(&process.client).await;
        (scraped.value("ecommerce_pruned_rows_total", &[("kind", "instances")]) == Some(1.0)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_it_archives_loses_no_order() {
    let home = Home::new();
    let process = home.start(&[]).await;
    let customer = process.client.customer("ada").await;
    let database = home.path().join(DATABASE);
    let placed = deliver(&customer, &database, "prod-008", 250).await;
    drop(process);

    const KILLS: usize = 3;
    for kill in 0..KILLS {
        let before = archived_bytes(&home);
        let process = home.start(&[("RETAIN_INSTANCES", "0s")]).await;
        if until_more_or_all(&home, before, &placed).await {
            break;
        }
        // At another moment each time, while lines are written or rows are removed.
        tokio::time::sleep(Duration::from_millis(2 * kill as u64)).await;
        process.kill();
    }
    let _process = home.start(&[("RETAIN_INSTANCES", "0s")]).await;
    let gone = || async { (asked(&database, "SELECT count(*) FROM resources WHERE kind = 'orders'") == 0).then_some(()) };
    until("every order is archived", gone).await;
    let lines = archived(&home);
    assert_eq!(ids(&lines), placed);
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    lines.iter().for_each(|line| *times.entry(line["id"].as_str().unwrap()).or_default() += 1);
    assert!(times.values().all(|times| *times <= KILLS + 1), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_without_room_keeps_the_orders_in_the_database_and_says_so() {
    let home = Home::new();
    let archive = home.path().join(ARCHIVE);
    std::fs::create_dir_all(&archive).unwrap();
    let now = millrace::clock::Clock::system().now();
    // Files of which the system says that their disk is full; today's, and tomorrow's in case the day ends meanwhile.
    let files = [0, 24].map(|hours| {
        let day = (now + jiff::SignedDuration::from_hours(hours)).to_zoned(jiff::tz::TimeZone::UTC).date();
        archive.join(format!("instances-{day}.jsonl"))
    });
    files.iter().for_each(|file| std::os::unix::fs::symlink("/dev/full", file).unwrap());
    let process = home.start(&[("RETAIN_INSTANCES", "0s")]).await;
    let customer = process.client.customer("ada").await;
    let placed = join_all((0..2).map(|_| customer.order_until("prod-008", 1, "tok_visa", &["delivered"]))).await;
    let placed: BTreeSet<String> = placed.iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect();
    let told = until("it is told that the archive has no room", || async {
        let health = process.client.get("/healthz").await.body;
        (health["checks"]["archive"]["status"] == "degraded").then_some(health)
    });
    let message = told.await["checks"]["archive"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("No space left") && message.contains("data/archive/instances-"), "{message}");
    let scraped = Scraped::of(&process.client).await;
    assert!(scraped.value("ecommerce_archive_failures_total", &[]) >= Some(1.0), "{}", scraped.text);
    assert_eq!(scraped.value("ecommerce_pruned_rows_total", &[("kind", "instances")]), Some(0.0));
    for id in &placed {
        assert_eq!(customer.get(&format!("/api/orders/{id}")).await.body["state"], "delivered");
    }

    files.iter().for_each(|file| std::fs::remove_file(file).unwrap());
    until("all are archived once there is room", || async { (ids(&archived(&home)) == placed).then_some(()) }).await;
    until("the archive is well again", || async {
        (process.client.get("/healthz").await.body["checks"]["archive"]["status"] == "up").then_some(())
    })
    .await;
}
