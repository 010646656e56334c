//! A bank in a process of its own that charges and stays silent.
//!
//! The bank runs in the process of the test, which is never killed; the program is, again and again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::long;
use super::test_env::until;
use crate::client::{Client, order};
use crate::process::Home;
use crate::test_app::{built, from_anywhere, repository};

/// Beyond both attempts and the questions that follow them.
const MUCH_TOO_LATE: Duration = Duration::from_secs(4);
/// What the one product that is ordered costs.
const CENTS: u64 = 999;

/// What the bank has in its books under one key.
#[derive(Debug, Clone, Default)]
struct Entry {
    manner: Option<Manner>,
    charged: Option<u64>,
    voided: bool,
    /// Charges that were asked for, and how often it was asked about it or to void it.
    asked: u32,
    about: u32,
    voids: u32,
}

/// How the bank treats a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Prompt,
    Declines,
    /// Charges at once, and does not answer as long as anybody listens.
    ChargesAndIsLate,
    /// Charges long after nobody listens any more.
    ChargesLate,
    /// Never charges, never answers.
    Silent,
    /// Charges nobody for now, and says so: it is in maintenance.
    Refuses,
    /// Is not there: a firewall answers in its place, or somebody else at a wrong address.
    Walled,
}

/// A bank that keeps to its contract: one key is charged once, and never after it was voided.
#[derive(Clone, Default)]
struct Bank {
    books: Arc<Mutex<HashMap<String, Entry>>>,
    /// What it was asked to do, in sequence: `charge <key>` and `void <key>`.
    asked: Arc<Mutex<Vec<String>>>,
    /// Whatever a key says, every charge is treated like this.
    always: Arc<Mutex<Option<Manner>>>,
    /// It answers nothing but charges.
    deaf: Arc<Mutex<bool>>,
    /// What it has given back, by key.
    refunds: Arc<Mutex<HashMap<String, Refund>>>,
}

/// What the bank has in its books of a refund.
#[derive(Debug, Clone, Default)]
struct Refund {
    charge: String,
    amount: u64,
    asked: u32,
}

impl Bank {
    /// A bank that listens, and its URL.
    async fn open() -> (Self, String) {
        let bank = Self::default();
        let router = axum::Router::new()
            .route("/charges", post(charge))
            .route("/charges/{key}", get(status))
            .route("/charges/{key}/void", post(void))
            .route("/refunds", post(refund))
            .route("/refunds/{key}", get(refund_status))
            .with_state(bank.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (bank, url)
    }

    fn always(&self, manner: Manner) {
        *self.always.lock() = Some(manner);
    }

    fn set_deaf(&self, deaf: bool) {
        *self.deaf.lock() = deaf;
    }

    /// 0 to 99, from the key alone; a bank that treats all charges alike has no moods.
    fn luck(&self, what: &str, key: &str) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        if self.always.lock().is_some() {
            return 99;
        }
        let mut hash = DefaultHasher::new();
        (what, key).hash(&mut hash);
        hash.finish() % 100
    }

    /// Few enough charges without an answer that the component's circuit breaker stays closed: it is not what this is about.
    fn manner(&self, key: &str) -> Manner {
        let mut books = self.books.lock();
        let number = books.len();
        let always = *self.always.lock();
        *books.entry(key.to_owned()).or_default().manner.get_or_insert(always.unwrap_or(match number % 20 {
            2 | 9 => Manner::ChargesAndIsLate,
            5 | 14 => Manner::ChargesLate,
            17 => Manner::Silent,
            11 => Manner::Declines,
            _ => Manner::Prompt,
        }))
    }

    /// Charges the key unless it was voided; once.
    fn take(&self, key: &str, amount: u64) -> (StatusCode, Json<Value>) {
        let mut books = self.books.lock();
        let entry = books.entry(key.to_owned()).or_default();
        if entry.voided {
            return (StatusCode::CONFLICT, Json(json!({"detail": "voided"})));
        }
        assert_eq!(*entry.charged.get_or_insert(amount), amount, "one key, two amounts: {key}");
        (StatusCode::OK, charged(key))
    }

    /// What it holds of an order, by visit.
    fn captured(&self, order: &str) -> Vec<u64> {
        let books = self.books.lock();
        let of_order = books.iter().filter(|(key, entry)| key.starts_with(&format!("{order}:")) && !entry.voided);
        of_order.filter_map(|(_, entry)| entry.charged).collect()
    }

    fn entries(&self, order: &str) -> HashMap<String, Entry> {
        self.books.lock().iter().filter(|(key, _)| key.starts_with(&format!("{order}:"))).map(|(k, e)| (k.clone(), e.clone())).collect()
    }
}

/// Says nothing until whoever has asked hangs up, which ends this too.
async fn as_long_as_anybody_listens<T>() -> T {
    std::future::pending().await
}

fn charged(key: &str) -> Json<Value> {
    Json(json!({"status": "charged", "id": format!("ch_{key}"), "last4": "4242"}))
}

async fn charge(State(bank): State<Bank>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let (key, amount) = (body["key"].as_str().unwrap().to_owned(), body["amount"].as_u64().unwrap());
    let manner = bank.manner(&key);
    bank.books.lock().entry(key.clone()).or_default().asked += 1;
    bank.asked.lock().push(format!("charge {key}"));
    // In a task of its own: the bank does what it was asked for, whoever hangs up.
    let doing = tokio::spawn(async move {
        match manner {
            Manner::Prompt => Some(bank.take(&key, amount)),
            Manner::Declines => {
                Some((StatusCode::PAYMENT_REQUIRED, Json(json!({"code": "insufficient_funds", "reason": "Not enough money."}))))
            }
            Manner::ChargesAndIsLate => {
                let _ = bank.take(&key, amount);
                None
            }
            Manner::ChargesLate => {
                tokio::time::sleep(MUCH_TOO_LATE).await;
                let _ = bank.take(&key, amount);
                None
            }
            Manner::Silent => None,
            Manner::Walled => Some((StatusCode::NOT_FOUND, Json(json!({"detail": "there is nothing here"})))),
            Manner::Refuses => Some((StatusCode::SERVICE_UNAVAILABLE, Json(json!({"detail": "maintenance"})))),
        }
    });
    match doing.await.unwrap() {
        Some(answer) => answer,
        None => as_long_as_anybody_listens().await,
    }
}

async fn status(State(bank): State<Bank>, Path(key): Path<String>) -> (StatusCode, Json<Value>) {
    bank.books.lock().entry(key.clone()).or_default().about += 1;
    let deaf = *bank.deaf.lock();
    if deaf || bank.luck("status", &key) < 15 {
        return as_long_as_anybody_listens().await;
    }
    match bank.books.lock().get(&key) {
        Some(Entry { voided: true, .. }) => (StatusCode::OK, Json(json!({"status": "voided"}))),
        Some(Entry { charged: Some(_), .. }) => (StatusCode::OK, charged(&key)),
        _ => (StatusCode::NOT_FOUND, Json(json!({}))),
    }
}

/// Gives back at once, and tells of every third refund only when it is asked again, of every fourth only when it is asked about.
async fn refund(State(bank): State<Bank>, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let (key, amount) = (body["key"].as_str().unwrap().to_owned(), body["amount"].as_u64().unwrap());
    let (number, asked) = {
        let mut refunds = bank.refunds.lock();
        let number = refunds.len();
        let refund = refunds.entry(key.clone()).or_default();
        assert!(refund.asked == 0 || refund.amount == amount, "one key, two amounts: {key}");
        (refund.charge, refund.amount) = (body["charge"].as_str().unwrap().to_owned(), amount);
        refund.asked += 1;
        (number, refund.asked)
    };
    if (number % 3 == 1 && asked == 1) || number % 4 == 2 {
        return as_long_as_anybody_listens().await;
    }
    (StatusCode::OK, given_back(&key))
}

fn given_back(key: &str) -> Json<Value> {
    Json(json!({"status": "refunded", "id": format!("re_{key}")}))
}

async fn refund_status(State(bank): State<Bank>, Path(key): Path<String>) -> (StatusCode, Json<Value>) {
    if bank.refunds.lock().contains_key(&key) { (StatusCode::OK, given_back(&key)) } else { (StatusCode::NOT_FOUND, Json(json!({}))) }
}

async fn void(State(bank): State<Bank>, Path(key): Path<String>) -> (StatusCode, Json<Value>) {
    bank.asked.lock().push(format!("void {key}"));
    let deaf = *bank.deaf.lock();
    if deaf {
        bank.books.lock().entry(key.clone()).or_default().voids += 1;
        return as_long_as_anybody_listens().await;
    }
    let first = {
        let mut books = bank.books.lock();
        let entry = books.entry(key.clone()).or_default();
        entry.voids += 1;
        entry.voids == 1
    };
    match bank.luck("void", &key) {
        0..20 if first => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({}))),
        20..35 if first => {
            bank.books.lock().entry(key).or_default().voided = true;
            as_long_as_anybody_listens().await
        }
        _ => {
            bank.books.lock().entry(key).or_default().voided = true;
            (StatusCode::OK, Json(json!({})))
        }
    }
}

/// A shop whose payments go to a bank: an attempt may take a second, and there is one retry.
struct Shop {
    home: Home,
    config: PathBuf,
}

impl Shop {
    fn new(bank: &str) -> Self {
        Self::with(bank, &[])
    }

    /// One whose config says something else instead of some of what it says.
    fn with(bank: &str, instead: &[(&str, &str)]) -> Self {
        let home = Home::new();
        std::fs::copy(built("payment-bank.wasm"), home.component("payment.wasm")).unwrap();
        let mut config = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
        for (before, after) in [
            (
                "      description: Charges the customer through the payment gateway\n",
                format!("      description: Charges the customer\n      capabilities: {{http: [{{service: bank, url: \"{bank}\"}}]}}\n"),
            ),
            ("            maxAttempts: 3\n", "            maxAttempts: 1\n".into()),
            (
                "      maxRetries: 2\n      retryBackoffMs: 1000\n      timeoutSeconds: 30\n",
                "      maxRetries: 1\n      retryBackoffMs: 50\n      timeoutSeconds: 1\n".into(),
            ),
            (
                "      maxRetries: 3\n      retryBackoffMs: 1000\n      timeoutSeconds: 30\n",
                "      maxRetries: 1\n      retryBackoffMs: 50\n      timeoutSeconds: 1\n".into(),
            ),
        ] {
            // The step of refunds has the same settings as that of payments.
            assert!(config.contains(before), "{before}");
            config = config.replace(before, &after);
        }
        config = from_anywhere(&config);
        for (before, after) in instead {
            assert!(config.contains(before), "{before}");
            config = config.replace(before, after);
        }
        let path = home.path().join("shop.yaml");
        std::fs::write(&path, config).unwrap();
        Self { home, config: path }
    }

    async fn start(&self) -> crate::process::Process {
        self.home.start_config(&self.config, &[("REFUND_RETRY_AFTER", "200ms")]).await
    }
}

/// Places an order, whoever is killed meanwhile; the id if it was acknowledged.
async fn place(customer: &Client) -> Option<String> {
    let answer = customer.try_send(reqwest::Method::POST, "/api/orders", Some(&order("prod-008", 1, "tok_visa")), &[]).await.ok()?;
    (answer.status == reqwest::StatusCode::CREATED).then(|| answer.body["id"].as_str().unwrap().to_owned())
}

async fn is_final(customer: &Client, id: &str) -> Option<Value> {
    let answer = customer.try_send(reqwest::Method::GET, &format!("/api/orders/{id}"), None, &[]).await.ok()?.body;
    ["delivered", "cancelled", "failed"].contains(&answer["state"].as_str()?).then_some(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_charges_and_stays_silent_holds_the_total_or_nothing_whoever_is_killed() {
    let (orders, kills) = if long() { (500, 40) } else { (24, 3) };
    let (bank, url) = Bank::open().await;
    let shop = Shop::new(&url);
    let mut process = shop.start().await;
    process.client.customer("ada").await;
    let mut placed = Vec::new();
    for round in 0..=kills {
        let customer = process.client.login("ada").await;
        let due = orders * (round + 1) / (kills + 1);
        while placed.len() < due {
            placed.extend(place(&customer).await);
        }
        if round < kills {
            // At another moment of the payments each time.
            tokio::time::sleep(Duration::from_millis(150 * (round as u64 % 9))).await;
            process.kill();
            process = shop.start().await;
        }
    }

    // A run in which the process died three times waits for a person: that was nobody's fault here.
    shop.home.operate(&shop.config, &["quarantined", "release", "--all"]).unwrap();
    let customer = process.client.login("ada").await;
    let deadline = Instant::now() + Duration::from_secs(if long() { 600 } else { 120 });
    let mut ends: HashMap<&str, u32> = HashMap::new();
    for id in &placed {
        let ended = loop {
            if let Some(ended) = is_final(&customer, id).await {
                break ended;
            }
            assert!(Instant::now() < deadline, "{:#} {:#?}", customer.get(&format!("/api/orders/{id}")).await.body, bank.entries(id));
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let expected = if ended["state"] == "delivered" { vec![CENTS] } else { vec![] };
        assert_eq!(bank.captured(id), expected, "{ended:#} {:#?}", bank.entries(id));
        *ends.entry(if ended["state"] == "delivered" { "delivered" } else { "cancelled" }).or_default() += 1;
    }
    // What the bank still does late changes nothing.
    tokio::time::sleep(MUCH_TOO_LATE).await;
    for id in &placed {
        let state = customer.get(&format!("/api/orders/{id}")).await.body["state"].clone();
        assert_eq!(bank.captured(id), if state == "delivered" { vec![CENTS] } else { vec![] }, "{id}: {:#?}", bank.entries(id));
    }
    let all: Vec<Entry> = bank.books.lock().values().cloned().collect();
    let unanswered = all.iter().filter(|entry| entry.about > 0).count();
    eprintln!("{} orders, {kills} kills: {ends:?}; {} keys, {unanswered} asked about", placed.len(), all.len());
    assert!(unanswered > 0 && ends.contains_key("delivered"), "the bank was never silent: {ends:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_given_back_once_whoever_is_killed_and_whatever_the_bank_does_not_answer() {
    let (orders, kills) = if long() { (100, 30) } else { (12, 3) };
    let (bank, url) = Bank::open().await;
    bank.always(Manner::Prompt);
    let shop = Shop::new(&url);
    let mut process = shop.start().await;
    let customer = process.client.customer("ada").await;
    process.client.customer("fay").await;
    shop.home.operate(&shop.config, &["users", "grant", "fay@example.com", "finance"]).unwrap();
    let mut delivered = Vec::new();
    for _ in 0..orders {
        let id = place(&customer).await.unwrap();
        customer.wait_for("orders", &id, &["delivered"]).await;
        delivered.push(id);
    }

    let mut asked: HashMap<String, String> = HashMap::new();
    for round in 0..=kills {
        let finance = process.client.login("fay").await;
        for id in &delivered[..orders * (round + 1) / (kills + 1)] {
            let body = json!({"orderId": id, "amount": CENTS, "reason": "all of it"});
            let headers = [("idempotency-key", id.as_str())];
            let answer = finance.try_send(reqwest::Method::POST, "/api/admin/refunds", Some(&body), &headers).await.unwrap();
            assert_eq!(answer.status, reqwest::StatusCode::CREATED, "{answer:?}");
            let refund = answer.body["id"].as_str().unwrap().to_owned();
            assert_eq!(*asked.entry(id.clone()).or_insert_with(|| refund.clone()), refund, "one key, one refund");
        }
        if round < kills {
            // At another moment of the refunds each time.
            tokio::time::sleep(Duration::from_millis(70 * (round as u64 % 9))).await;
            process.kill();
            process = shop.start().await;
        }
    }
    shop.home.operate(&shop.config, &["quarantined", "release", "--all"]).unwrap();
    let customer = process.client.login("ada").await;
    for (id, refund) in &asked {
        let closed = until("the refund is closed", || async {
            let answer = customer.try_send(reqwest::Method::GET, &format!("/api/refunds/{refund}"), None, &[]).await.ok()?.body;
            (answer["state"] == "closed").then_some(answer)
        })
        .await;
        assert_eq!(closed["data"]["refund_id"], format!("re_{refund}"), "{closed:#}");
        let of_order: Vec<(String, u64)> = {
            let refunds = bank.refunds.lock();
            let of = refunds.iter().filter(|(_, refund)| refund.charge.starts_with(&format!("ch_{id}:")));
            of.map(|(key, refund)| (key.clone(), refund.amount)).collect()
        };
        assert_eq!(of_order, [(refund.clone(), CENTS)], "given back once");
    }
    assert_eq!(bank.refunds.lock().len(), orders);
    let again = bank.refunds.lock().values().filter(|refund| refund.asked > 1).count();
    assert!(again > 0, "the bank was never silent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_without_an_answer_is_found_and_kept_rather_than_made_again() {
    let (bank, url) = Bank::open().await;
    let shop = Shop::new(&url);
    let process = shop.start().await;
    let customer = process.client.customer("ada").await;
    bank.always(Manner::ChargesAndIsLate);
    let id = place(&customer).await.unwrap();
    let ended = until("the order ends", || is_final(&customer, &id)).await;
    let entries = bank.entries(&id);
    let (key, first) = entries.iter().find(|(key, _)| key.ends_with(":1")).unwrap();
    assert_eq!(ended["state"], "delivered", "{ended:#}");
    assert_eq!((entries.len(), first.charged, first.asked), (1, Some(CENTS), 2), "one visit, one retry: {entries:#?}");
    assert_eq!(ended["data"]["transaction_id"], format!("ch_{key}"));
    let row = ended["history"].as_array().unwrap().iter().find(|row| row["transition"] == "payment_approved").unwrap();
    assert_eq!((&row["component"], &row["cause"]), (&json!("payment-processor"), &json!("accepted")), "{row:#}");
    assert!(row["digest"].as_str().is_some_and(|digest| digest.len() == 64), "{row:#}");
    let metrics = process.client.get("/metrics").await.body;
    let counted = r#"ecommerce_module_operations_total{module="step-payment",operation="status",status="done"}"#;
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_charge_is_voided_before_the_next_visit_begins_and_before_the_order_is_cancelled() {
    let (bank, url) = Bank::open().await;
    let soon = [("after: ${RESERVATION_MINUTES:-30}m", "after: 15s"), ("after: ${PAYMENT_RETRY_AFTER:-10s}", "after: 1s")];
    let shop = Shop::with(&url, &soon);
    let process = shop.start().await;
    let customer = process.client.customer("ada").await;
    bank.always(Manner::ChargesLate);
    let id = place(&customer).await.unwrap();
    let ended = until("the order ends", || is_final(&customer, &id)).await;
    let entries = bank.entries(&id);
    assert_eq!(ended["state"], "cancelled", "{ended:#} {entries:#?}");
    assert!(entries.len() >= 2 && entries.values().all(|entry| entry.voided), "visits: {entries:#?}");
    let asked = bank.asked.lock().clone();
    let first = |what: &str, visit: u32| asked.iter().position(|line| *line == format!("{what} {id}:step-payment:{visit}")).unwrap();
    assert!(first("void", 1) < first("charge", 2), "{asked:#?}");
    tokio::time::sleep(MUCH_TOO_LATE).await;
    assert_eq!(bank.captured(&id), [0; 0], "{:#?}", bank.entries(&id));
    for row in ended["history"].as_array().unwrap().iter().filter(|row| row["transition"] == "payment_declined") {
        // Whose time is up first, that of the call or that of the step, is a matter of milliseconds.
        let reason = row["reason"].as_str().unwrap().strip_suffix("; whatever it did was undone");
        let told = ["the service behind this step gave no usable answer", "the service behind this step did not answer in time"];
        assert!(reason.is_some_and(|reason| told.contains(&reason)), "{row:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_in_maintenance_costs_no_order_and_is_told_of() {
    without_a_bank_no_order_is_lost(Manner::Refuses, "503").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firewall_or_a_wrong_address_in_place_of_the_bank_costs_no_order_and_is_told_of() {
    without_a_bank_no_order_is_lost(Manner::Walled, "404").await;
}

async fn without_a_bank_no_order_is_lost(manner: Manner, says: &str) {
    let (bank, url) = Bank::open().await;
    let shop = Shop::with(&url, &[("after: ${PAYMENT_RETRY_AFTER:-10s}", "after: 100ms")]);
    let process = shop.start().await;
    bank.always(manner);
    let mut orders = Vec::new();
    for name in ["ada", "bea", "cleo"] {
        let customer = process.client.customer(name).await;
        let id = place(&customer).await.unwrap();
        orders.push((customer, id));
    }
    for (customer, id) in &orders {
        until("it was tried more often than a declined payment is", || async {
            let order = customer.get(&format!("/api/orders/{id}")).await.body;
            let rows = order["history"].as_array().unwrap();
            let unserved = rows.iter().filter(|row| row["transition"] == "payment_declined").collect::<Vec<_>>();
            for row in &unserved {
                // Whose time is up first, that of the call or that of the step, is a matter of milliseconds.
                let reason = row["reason"].as_str().unwrap().strip_suffix("; whatever it did was undone");
                let told = ["the service behind this step gave no usable answer", "the service behind this step did not answer in time"];
                assert!(reason.is_some_and(|reason| told.contains(&reason)), "{row:#}");
            }
            assert_ne!(order["state"], "cancelled", "{order:#}");
            (unserved.len() > 3).then_some(())
        })
        .await;
    }
    let check = || async { process.client.get("/healthz").await.body["checks"]["payment-processor"].clone() };
    let told = check().await;
    assert_eq!(told["status"], "degraded", "{told:#}");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("the last 3") && message.contains("were not served") && message.contains(says), "{message}");
    let metrics = process.client.get("/metrics").await.body;
    let counted = r#"ecommerce_component_unserved_in_a_row{component="payment-processor"} 3"#;
    assert!(metrics.as_str().unwrap().contains(counted), "{metrics}");

    bank.always(Manner::Prompt);
    for (customer, id) in &orders {
        let ended = until("the order ends", || is_final(customer, id)).await;
        assert_eq!((&ended["state"], bank.captured(id)), (&json!("delivered"), vec![CENTS]), "{ended:#}");
    }
    until("all is well", || async { (check().await["status"] == "up").then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_cancelled_while_its_payment_is_under_way_gets_its_money_back() {
    let (bank, url) = Bank::open().await;
    let abandon = "          abandon_payment:\n            fromState: payment_failed\n            toState: cancelled\n";
    let leave = format!("{abandon}          leave_payment:\n            fromState: paying\n            toState: cancelled\n");
    let (actions, more) = ("cancel_validated, abandon_payment]", "cancel_validated, abandon_payment, leave_payment]");
    let shop = Shop::with(&url, &[(abandon, &leave), (actions, more)]);
    let process = shop.start().await;
    let customer = process.client.customer("ada").await;
    bank.always(Manner::ChargesAndIsLate);
    let mut cancelled = Vec::new();
    for _ in 0..3 {
        let id = place(&customer).await.unwrap();
        until("the bank charges", || async { (!bank.captured(&id).is_empty()).then_some(()) }).await;
        let answer = customer.post(&format!("/api/orders/{id}/cancel"), &json!({})).await;
        assert_eq!((answer.status, &answer.body["state"]), (reqwest::StatusCode::OK, &json!("cancelled")), "{answer:?}");
        cancelled.push(id);
    }
    process.kill();
    let process = shop.start().await;
    for id in &cancelled {
        until("the money is back", || async { bank.captured(id).is_empty().then_some(()) }).await;
        assert_eq!(bank.entries(id).len(), 1, "nothing more was charged: {:#?}", bank.entries(id));
    }
    process.kill();
}

/// An order that the bank has charged, and it answers no question about that.
async fn charged_and_not_told(bank: &Bank, customer: &Client) -> String {
    bank.always(Manner::ChargesAndIsLate);
    bank.set_deaf(true);
    let id = place(customer).await.unwrap();
    until("the bank is asked about the charge", || async { bank.entries(&id).values().any(|entry| entry.voids > 0).then_some(()) }).await;
    id
}

/// A component that calls itself payment and cannot say what it has done.
fn one_without_settlement() -> Vec<u8> {
    let mut file = std::fs::read(built("hostile.wasm")).unwrap();
    let (own, other) = (b"hostile", b"payment");
    let places: Vec<usize> = file.windows(own.len()).enumerate().filter(|(_, bytes)| bytes == own).map(|(at, _)| at).collect();
    places.into_iter().for_each(|at| file[at..at + own.len()].copy_from_slice(other));
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_say_what_was_charged_decides_nothing_and_the_next_that_can_is_asked() {
    let (bank, url) = Bank::open().await;
    let shop = Shop::new(&url);
    let process = shop.start().await;
    let customer = process.client.customer("ada").await;
    let id = charged_and_not_told(&bank, &customer).await;
    let put = |bytes: Vec<u8>| {
        let beside = shop.home.component("beside");
        std::fs::write(&beside, bytes).unwrap();
        std::fs::rename(beside, shop.home.component("payment.wasm")).unwrap();
    };
    put(one_without_settlement());
    let told = |words: &str| process.log().lock().iter().any(|line| line.contains(words) && line.contains(&id));
    until("the version is said not to know", || async { told("does not export").then_some(()) }).await;
    let waiting = customer.get(&format!("/api/orders/{id}")).await.body;
    assert_eq!((&waiting["state"], bank.entries(&id).len()), (&json!("paying"), 1), "nothing is decided: {waiting:#}");

    bank.set_deaf(false);
    bank.always(Manner::Prompt);
    put(std::fs::read(built("payment-bank.wasm")).unwrap());
    let ended = until("the order goes on", || is_final(&customer, &id)).await;
    assert_eq!(ended["state"], "delivered", "{ended:#}");
    assert_eq!(bank.captured(&id), [CENTS], "{:#?}", bank.entries(&id));
}

/// Orders whose goods are held for a moment, and whose payment waits for a minute between two attempts.
const LONG_BETWEEN: [(&str, &str); 2] = [
    ("after: ${RESERVATION_MINUTES:-30}m", "after: 2s"),
    ("retryBackoffMs: 50\n      timeoutSeconds: 1\n", "retryBackoffMs: 60000\n      timeoutSeconds: 1\n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_charged_is_found_out_before_an_order_whose_time_is_up_is_given_up() {
    let (bank, url) = Bank::open().await;
    let shop = Shop::with(&url, &LONG_BETWEEN);
    let process = shop.start().await;
    let customer = process.client.customer("ada").await;
    bank.set_deaf(true);
    bank.always(Manner::ChargesAndIsLate);
    let charged = place(&customer).await.unwrap();
    until("it is charged", || async { (!bank.captured(&charged).is_empty()).then_some(()) }).await;
    bank.always(Manner::Silent);
    let silent = place(&customer).await.unwrap();
    for id in [&charged, &silent] {
        let asked = || async { bank.entries(id).values().any(|entry| entry.voids > 0).then_some(()) };
        until("the bank is asked what became of it", asked).await;
        let waiting = customer.get(&format!("/api/orders/{id}")).await.body;
        assert_eq!((&waiting["state"], &waiting["actions"]), (&json!("paying"), &json!([])), "nobody knows: {waiting:#}");
    }
    bank.set_deaf(false);
    let (charged, silent) =
        (until("it ends", || is_final(&customer, &charged)).await, until("it ends", || is_final(&customer, &silent)).await);
    let of = |order: &Value| order["id"].as_str().unwrap().to_owned();
    assert_eq!((&charged["state"], bank.captured(&of(&charged))), (&json!("delivered"), vec![CENTS]), "{charged:#}");
    assert_eq!((&silent["state"], bank.captured(&of(&silent))), (&json!("cancelled"), vec![]), "{silent:#}");
    let last = silent["history"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["transition"], &last["cause"]), (&json!("abandon_payment"), &json!("timer")), "{silent:#}");
    for order in [&charged, &silent] {
        let entries = bank.entries(&of(order));
        assert!(entries.len() == 1 && entries.values().all(|entry| entry.asked == 1), "no further attempt: {entries:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_waits_in_paying_as_long_as_nobody_can_say_what_was_charged_and_a_person_is_told() {
    let (bank, url) = Bank::open().await;
    let shop = Shop::new(&url);
    let process = shop.start().await;
    let customer = process.client.customer("ada").await;
    let id = charged_and_not_told(&bank, &customer).await;
    let refused = customer.post(&format!("/api/orders/{id}/cancel"), &json!({})).await;
    assert_eq!(refused.status, reqwest::StatusCode::CONFLICT, "{refused:?}");
    let text = refused.body["detail"].as_str().unwrap().to_owned();
    assert!(text.contains("'paying'") && text.contains("may have had its effect; ask again"), "{text}");

    until("a person is told", || async {
        let health = process.client.get("/healthz").await.body;
        let check = &health["checks"]["persistence"];
        (check["status"] == "degraded" && check["message"].as_str().unwrap().contains("1 instances")).then_some(())
    })
    .await;
    let told = || process.log().lock().iter().any(|line| line.contains("ask the provider behind it") && line.contains(&id));
    until("the log names the order and the key", || async { told().then_some(()) }).await;
    let waiting = customer.get(&format!("/api/orders/{id}")).await.body;
    assert_eq!((&waiting["state"], bank.entries(&id).len()), (&json!("paying"), 1), "no other visit begins: {waiting:#}");

    process.kill();
    bank.set_deaf(false);
    bank.always(Manner::Prompt);
    let process = shop.start().await;
    let customer = process.client.login("ada").await;
    let ended = until("the order goes on", || is_final(&customer, &id)).await;
    assert_eq!(ended["state"], "delivered", "{ended:#}");
    assert_eq!(bank.captured(&id), [CENTS], "{:#?}", bank.entries(&id));
    until("nobody has to look any more", || async {
        let health = process.client.get("/healthz").await.body;
        (health["checks"]["persistence"]["status"] == "up").then_some(())
    })
    .await;
}
