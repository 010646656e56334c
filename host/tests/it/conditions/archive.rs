//! Finished orders that are old: in the archive, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::retention::{DATABASE, asked, deliver};
use super::test_env::until;
use crate::client::{PATIENCE, order};
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::repository;

const ARCHIVE: &str = "data/archive";

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

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_whose_disk_is_not_mounted_takes_nothing_until_it_is() {
    let home = Home::new();
    let (archive, note) = (home.path().join(ARCHIVE), home.path().join("data/ecommerce.db.archive"));
    // What a process leaves whose archive is on a disk of its own; the folder is what lies beneath that.
    std::fs::create_dir_all(&archive).unwrap();
    std::fs::write(&note, format!("the archive of this shop\n{}\n", archive.display())).unwrap();
    let process = home.start(&[("RETAIN_INSTANCES", "0s")]).await;
    let customer = process.client.customer("ada").await;
    let order = customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    let told = until("it is told that the archive is another one", || async {
        let check = process.client.get("/healthz").await.body["checks"]["archive"].clone();
        (check["status"] == "degraded").then_some(check)
    })
    .await;
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("is its disk mounted?") && message.contains("ecommerce.db.archive"), "{message}");
    assert_eq!(std::fs::read_dir(&archive).unwrap().count(), 0, "nothing is written beneath");
    let path = format!("/api/orders/{}", order["id"].as_str().unwrap());
    assert_eq!(customer.get(&path).await.body["state"], "delivered", "and nothing is removed");

    std::fs::write(archive.join(".archive-id"), "the archive of this shop").unwrap();
    until("the order is archived once the disk is there", || async {
        (customer.get(&path).await.status == StatusCode::NOT_FOUND).then_some(())
    })
    .await;
    let check = process.client.get("/healthz").await.body["checks"]["archive"].clone();
    assert_eq!(check["status"], "up", "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_stays_as_long_as_a_refund_of_it_goes_on() {
    let home = Home::new();
    let variables = [("RETAIN_INSTANCES", "0s"), ("SHIPPING_RETRY_AFTER", "20m"), ("REFUND_RETRY_AFTER", "1h")];
    let process = home.start(&variables).await;
    let customer = process.client.customer("ada").await;
    process.client.customer("fay").await;
    for role in ["finance", "support"] {
        home.operate(&repository().join("configs/monolith.yaml"), &["users", "grant", "fay@example.com", role]).unwrap();
    }
    let fay = process.client.login("fay").await;
    let mut body = order("prod-008", 1, "tok_refundDown");
    body["shipping"]["zip"] = json!("99999");
    let waiting = customer.post("/api/orders", &body).await;
    let id = waiting.body["id"].as_str().unwrap();
    customer.wait_for("orders", id, &["ship_failed"]).await;
    let refund = fay.post("/api/admin/refunds", &json!({"orderId": id, "amount": 100, "reason": "late"})).await;
    assert_eq!(refund.status, StatusCode::CREATED, "{refund:?}");
    customer.wait_for("refunds", refund.body["id"].as_str().unwrap(), &["refund_failed"]).await;
    let ended = fay.post(&format!("/api/admin/orders/{id}/abandon_shipping"), &json!({"reason": "no carrier goes there"})).await;
    assert_eq!((ended.status, &ended.body["state"]), (StatusCode::OK, &json!("cancelled")), "{ended:?}");
    for _ in 0..2 {
        let later = customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned();
        until("an order that ended later is archived", || async { ids(&archived(&home)).contains(&later).then_some(()) }).await;
    }
    assert!(!ids(&archived(&home)).contains(id), "its refund may come to nothing yet");
    assert_eq!(customer.get(&format!("/api/orders/{id}")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_of_an_order_is_known_for_as_long_as_the_order() {
    let home = Home::new();
    let process = home.start(&[("RETAIN_INSTANCES", "0s"), ("SHIPPING_RETRY_AFTER", "20m")]).await;
    let customer = process.client.customer("ada").await;
    process.client.customer("fay").await;
    home.operate(&repository().join("configs/monolith.yaml"), &["users", "grant", "fay@example.com", "finance"]).unwrap();
    let fay = process.client.login("fay").await;
    let mut body = order("prod-008", 1, "tok_visa");
    body["shipping"]["zip"] = json!("99999");
    let waiting = customer.post("/api/orders", &body).await;
    let id = waiting.body["id"].as_str().unwrap();
    let total = customer.wait_for("orders", id, &["ship_failed"]).await["data"]["total"].as_f64().unwrap();
    let most = (total * 100.0).round() as i64 - 1;
    let refund = async || fay.post("/api/admin/refunds", &json!({"orderId": id, "amount": most, "reason": "late"})).await;
    let first = refund().await;
    assert_eq!(first.status, StatusCode::CREATED, "{first:?}");
    customer.wait_for("refunds", first.body["id"].as_str().unwrap(), &["closed"]).await;
    // What ended after it is in the archive: so was looked whether the refund may go as well.
    let later = customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned();
    until("an order that ended later is archived", || async { ids(&archived(&home)).contains(&later).then_some(()) }).await;
    let later = customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned();
    until("another one is archived", || async { ids(&archived(&home)).contains(&later).then_some(()) }).await;
    let again = refund().await;
    assert_eq!((again.status, &again.body["code"]), (StatusCode::CONFLICT, &json!("more_than_is_left")), "{again:?}");
    assert!(!ids(&archived(&home)).contains(first.body["id"].as_str().unwrap()));
}
