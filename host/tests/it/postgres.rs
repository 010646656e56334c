//! The shop over a database of PostgreSQL, several processes of it: the same promises as of one, whatever ends.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::client::{Client, PATIENCE, order};
use crate::crashes::check_history;
use crate::postgres_server::{Disk, Server};
use crate::process::{Home, Process};
use crate::test_app::changed_monolith;

/// The monolith with its database on a server.
fn config(folder: &Path) -> PathBuf {
    let changes = [
        ("driver: sqlite", "driver: postgres"),
        ("dsn: ${DATA_DIR:-./data}/ecommerce.db", "dsn: \"${DATABASE_URL}\""),
        ("      createIfMissing: ${DATABASE_CREATE:-true}\n", "      maxOpenConns: 8\n"),
    ];
    changed_monolith(folder, &changes)
}

/// Ids of the orders that were confirmed.
type Confirmed = Arc<Mutex<HashSet<String>>>;

/// Customers who order one after the other each, until it is ended.
struct Load {
    stop: Arc<AtomicBool>,
    customers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn on(customer: &Client, confirmed: &Confirmed) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let place = |_| {
            let (customer, confirmed, stop) = (customer.clone(), Arc::clone(confirmed), Arc::clone(&stop));
            tokio::spawn(async move {
                let body = order("prod-008", 1, "tok_visa");
                while !stop.load(Ordering::Relaxed) {
                    // Whoever is told to come later does.
                    if let Ok(answer) = customer.try_send(Method::POST, "/api/orders", Some(&body), &[]).await
                        && answer.status == StatusCode::CREATED
                    {
                        confirmed.lock().insert(answer.body["id"].as_str().unwrap().to_owned());
                    }
                    // So that there is enough of the product for all of them.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            })
        };
        let customers = (0..4).map(place).collect();
        Self { stop, customers }
    }

    /// Ends when every order under way was answered, or refused: none comes after that.
    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for customer in self.customers {
            customer.await.unwrap();
        }
    }
}

async fn end_all(load: [Load; 2]) {
    for load in load {
        load.end().await;
    }
}

async fn until_confirmed(confirmed: &Confirmed, count: usize) {
    let deadline = Instant::now() + PATIENCE * 4;
    while confirmed.lock().len() < count {
        assert!(Instant::now() < deadline, "{} orders were confirmed, {count} were expected", confirmed.lock().len());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each order that was confirmed is delivered once; of the others, whose answer was lost, each that is there is, too.
async fn all_are_delivered_once(customer: &Client, confirmed: &Confirmed) {
    let confirmed = confirmed.lock().clone();
    let mut transactions = HashSet::new();
    let (mut there, mut path) = (HashSet::new(), "/api/orders?limit=200".to_owned());
    loop {
        let page = customer.get(&path).await;
        for row in page.body.as_array().unwrap() {
            let id = row["id"].as_str().unwrap();
            let ended = customer.wait_within(PATIENCE * 4, "orders", id, &["delivered", "failed", "cancelled"]).await;
            assert_eq!(ended["state"], "delivered", "{ended:#}");
            check_history(&ended);
            assert!(transactions.insert(ended["data"]["transaction_id"].as_str().unwrap().to_owned()), "two orders share a transaction");
            there.insert(id.to_owned());
        }
        let Some(link) = page.headers.get("link").and_then(|link| link.to_str().ok()) else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    let lost: Vec<_> = confirmed.difference(&there).collect();
    assert!(lost.is_empty(), "{lost:?}");
    crate::shop::wait_for_stock(customer, "prod-008", 999 - there.len() as u64).await;
}

/// What `millrace owners` says.
fn owners(home: &Home, config: &Path, url: &str) -> Vec<Value> {
    let asked = home.command_of(&["owners", "--output", "json"], config).env("DATABASE_URL", url).output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    serde_json::from_slice(&asked.stdout).unwrap()
}

/// Waits until so many processes share the database, each with its part of the outbox, and answers what is said of them.
async fn until_shared_by(processes: usize, home: &Home, config: &Path, url: &str) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE * 4;
    loop {
        let found = owners(home, config, url);
        if found.len() == processes && found.iter().all(|owner| owner["slots"] == 64 / processes) {
            return found;
        }
        assert!(Instant::now() < deadline, "{processes} were expected: {found:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_a_process_that_is_killed_go_on_in_the_other_one() {
    let server = Server::start(Disk::Synced);
    let url = server.database();
    let home = Home::new();
    let config = config(home.path());
    let variables = [("DATABASE_URL", url.as_str())];
    let confirmed = Confirmed::default();

    let first = home.start_config(&config, &variables).await;
    let token = first.client.customer("ada").await.login("ada").await.token().to_owned();
    let second = home.start_config(&config, &variables).await;
    let listed = until_shared_by(2, &home, &config, &url).await;
    assert_eq!(listed.iter().map(|owner| owner["pid"].as_u64().unwrap()).collect::<Vec<_>>(), [first.id(), second.id()].map(u64::from));

    let (here, there) = (first.client.with_token(&token), second.client.with_token(&token));
    let load = [Load::on(&here, &confirmed), Load::on(&there, &confirmed)];
    until_confirmed(&confirmed, 40).await;
    second.kill();
    let taken = confirmed.lock().clone();
    end_all(load).await;
    for id in &taken {
        here.wait_within(PATIENCE * 4, "orders", id, &["delivered"]).await;
    }
    until_shared_by(1, &home, &config, &url).await;

    // A third one joins under load, and the first leaves.
    let third = home.start_config(&config, &variables).await;
    let there = third.client.with_token(&token);
    let load = [Load::on(&here, &confirmed), Load::on(&there, &confirmed)];
    until_confirmed(&confirmed, taken.len() + 40).await;
    stop(first).await;
    end_all(load).await;
    all_are_delivered_once(&there, &confirmed).await;
    until_shared_by(1, &home, &config, &url).await;
    let deadline = Instant::now() + PATIENCE * 4;
    while server.ask(database_of(&url), "SELECT count(*) FROM unpublished") != "0" {
        assert!(Instant::now() < deadline, "every event is published by somebody");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks a process to end, as an orchestrator does, and waits until it has.
pub async fn stop(mut process: Process) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let log = process.log();
    let deadline = Instant::now() + PATIENCE * 4;
    while !process.has_ended() {
        assert!(Instant::now() < deadline, "it does not end: {:?}", log.lock().last());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Has a process stand still, or go on, as a machine that is suspended does.
fn signal(process: &Process, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_until_it_was_taken_for_dead_writes_nothing_more_and_ends() {
    let server = Server::start(Disk::Fast);
    let url = server.database();
    let home = Home::new();
    let config = config(home.path());
    let variables = [("DATABASE_URL", url.as_str())];
    let confirmed = Confirmed::default();
    let first = home.start_config(&config, &variables).await;
    let token = first.client.customer("ada").await.login("ada").await.token().to_owned();
    let second = home.start_config(&config, &variables).await;
    until_shared_by(2, &home, &config, &url).await;

    let (here, there) = (first.client.with_token(&token), second.client.with_token(&token));
    let load = [Load::on(&here, &confirmed), Load::on(&there, &confirmed)];
    until_confirmed(&confirmed, 40).await;
    // In the middle of whatever it does: of requests, of runs whose answers it has or waits for, of a transaction.
    signal(&second, rustix::process::Signal::STOP);
    until_shared_by(1, &home, &config, &url).await;
    let taken_over = confirmed.lock().len();
    until_confirmed(&confirmed, taken_over + 20).await;
    signal(&second, rustix::process::Signal::CONT);
    let log = second.log();
    let deadline = Instant::now() + PATIENCE * 4;
    while second.client.try_send(Method::GET, "/livez", None, &[]).await.is_ok() {
        assert!(Instant::now() < deadline, "it does not end: {:?}", log.lock().last());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    end_all(load).await;
    let words = "another process has taken over what this one had in the database";
    assert!(log.lock().iter().any(|line| line.contains(words)), "{:#?}", log.lock());
    all_are_delivered_once(&here, &confirmed).await;
}

fn database_of(url: &str) -> &str {
    url.split('?').next().unwrap().rsplit('/').next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_tells_what_another_process_does() {
    let server = Server::start(Disk::Fast);
    let url = server.database();
    let home = Home::new();
    let config = config(home.path());
    let variables = [("DATABASE_URL", url.as_str())];
    let first = home.start_config(&config, &variables).await;
    let customer = first.client.customer("ada").await.login("ada").await;
    let second = home.start_config(&config, &variables).await;
    let elsewhere = second.client.with_token(customer.token());
    let placed = customer.order("prod-008", 1, "tok_visa").await;
    let id = placed.body["id"].as_str().unwrap();
    // It ends by itself, after the transition that enters a final state.
    let stream = elsewhere.open(&format!("/api/orders/{id}/events")).await;
    let told = tokio::time::timeout(PATIENCE * 4, stream.text()).await.expect("the stream ends with the order").unwrap();
    assert!(told.contains("\"delivered\""), "{told}");
}

/// What `millrace store copy` says.
fn copied(from: &str, to: &str) -> Result<Value, String> {
    let arguments = ["store", "copy", "--from", from, "--to", to, "--output", "json"];
    let asked = Command::new(env!("CARGO_BIN_EXE_millrace")).args(arguments).output().unwrap();
    if !asked.status.success() {
        return Err(String::from_utf8(asked.stderr).unwrap());
    }
    Ok(serde_json::from_slice(&asked.stdout).unwrap())
}

/// Orders that are confirmed as fast as they are made, until there are so many: others are under way then.
async fn confirmed_at_once(customer: &Client, count: usize) -> Confirmed {
    let confirmed = Confirmed::default();
    for _ in 0..8 {
        let (customer, confirmed) = (customer.clone(), Arc::clone(&confirmed));
        tokio::spawn(async move {
            let body = order("prod-008", 1, "tok_visa");
            while let Ok(answer) = customer.try_send(Method::POST, "/api/orders", Some(&body), &[]).await {
                if answer.status == StatusCode::CREATED {
                    confirmed.lock().insert(answer.body["id"].as_str().unwrap().to_owned());
                }
            }
        });
    }
    until_confirmed(&confirmed, count).await;
    confirmed
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_under_way_in_a_file_end_on_a_server_after_a_copy_and_are_there_after_one_back() {
    let server = Server::start(Disk::Fast);
    let url = server.database();
    let home = Home::new();
    let config = config(home.path());
    let file = |folder: &str| format!("sqlite:{}", home.path().join(folder).join("ecommerce.db").display());

    let process = home.start(&[]).await;
    let customer = process.client.customer("ada").await.login("ada").await;
    let token = customer.token().to_owned();
    let confirmed = confirmed_at_once(&customer, 40).await;
    let refused = copied(&file("data"), &url).unwrap_err();
    assert!(refused.contains("in use by another process"), "{refused}");
    process.kill();
    let told = copied(&file("data"), &url).unwrap();
    assert!(
        told["tables"].as_array().unwrap().iter().any(|table| table["table"] == "resources" && table["rows"].as_u64() >= Some(40)),
        "{told:#}"
    );
    let under_way = server.ask(database_of(&url), "SELECT count(*) FROM resources WHERE NOT finished");
    assert_ne!(under_way, "0", "what is under way is what this is about");

    let process = home.start_config(&config, &[("DATABASE_URL", url.as_str())]).await;
    let customer = process.client.with_token(&token);
    all_are_delivered_once(&customer, &confirmed).await;
    let refused = copied(&url, &file("back")).unwrap_err();
    assert!(refused.contains("in use by process"), "{refused}");
    stop(process).await;

    copied(&url, &file("back")).unwrap();
    let process = home.start(&[("DATA_DIR", home.path().join("back").to_str().unwrap())]).await;
    all_are_delivered_once(&process.client.with_token(&token), &confirmed).await;
}
