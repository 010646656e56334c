//! Saves of a config that are cut off anywhere, while orders come in and are under way: the file is the old config or the new one, and each
//! order comes to its end once.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::saving::operator_of;
use crate::client::{Answer, Client, PATIENCE, order};
use crate::conditions::long;
use crate::crashes::check_history;
use crate::process::{Home, Process};
use crate::test_app::{built, changed_monolith};

/// A product of which there is enough for all orders.
const PRODUCT: (&str, u64) = ("prod-008", 999);
/// A payment that is approved at once, one that the third attempt gets through, and one that is declined until the order is given up.
const TOKENS: [&str; 3] = ["tok_visa", "tok_gatewayTimeout", "tok_chargeDeclined"];
/// Orders that are placed while a config is saved.
const ORDERS: usize = 4;
/// A declined payment is made again after that long: these orders are under way over several saves.
const VARIABLES: [(&str, &str); 2] = [("PAYMENT_RETRY_AFTER", "1s"), ("OPERATOR_WRITES", "true")];
/// A password counts for five minutes.
const SURE_FOR: Duration = Duration::from_secs(120);

/// What the config says in this round.
#[derive(Debug, Clone, PartialEq)]
struct Shape {
    has_stock_route: bool,
    is_checked: bool,
    payments: &'static str,
    per_minute: u32,
    timeout: u32,
    retries: u32,
    cpu: u32,
    description: u32,
    read_timeout: u32,
}

const SHAPE: Shape = Shape {
    has_stock_route: true,
    is_checked: false,
    payments: "payment-processor",
    per_minute: 1_000_000,
    timeout: 30,
    retries: 2,
    cpu: 2_000,
    description: 0,
    read_timeout: 15,
};

/// The config before and after a check was put between validation and payment.
struct Texts {
    plain: String,
    checked: String,
}

impl Texts {
    fn of(home: &Home, folder: &Path) -> Self {
        let copy = changed_monolith(folder, &[]);
        let plain = std::fs::read_to_string(&copy).unwrap();
        let component = built("shipping.wasm");
        home.operate(&copy, &["add", "fraud-check", component.to_str().unwrap(), "--between", "validated,paying"]).unwrap();
        let checked = std::fs::read_to_string(&copy).unwrap();
        std::fs::remove_file(copy).unwrap();
        Self { plain, checked }
    }

    fn text(&self, shape: &Shape) -> String {
        let mut text = if shape.is_checked { self.checked.clone() } else { self.plain.clone() };
        if !shape.has_stock_route {
            text = super::saving::without_stock(&text);
        }
        let step = text.split_off(text.find("- name: step-payment").unwrap());
        let mut replace = |from: &str, to: String| {
            assert!(text.contains(from), "'{from}' is no longer in the config");
            text = text.replacen(from, &to, 1);
        };
        replace("requestsPerMinute: ${RATE_LIMIT_PER_MINUTE:-300}", format!("requestsPerMinute: {}", shape.per_minute));
        replace("readTimeout: 15s", format!("readTimeout: {}s", shape.read_timeout));
        let charges = "description: Charges the customer through the payment gateway";
        replace(charges, format!("{charges}\n      limits: {{cpuMs: {}}}", shape.cpu));
        let step = step
            .replacen("maxRetries: 2", &format!("maxRetries: {}", shape.retries), 1)
            .replacen("timeoutSeconds: 30", &format!("timeoutSeconds: {}", shape.timeout), 1)
            .replacen("Payment declined, may retry", &format!("Declined, may be tried again ({})", shape.description), 1);
        format!("{text}{step}").replace("payment-processor", shape.payments)
    }
}

impl Shape {
    /// With another route, limit, step, machine, component or name, or what takes a restart, in turns.
    fn changed(&self, round: usize) -> Self {
        let mut new = self.clone();
        match round % 8 {
            0 => new.has_stock_route = !self.has_stock_route,
            1 => new.is_checked = !self.is_checked,
            2 => new.timeout = 20 + (self.timeout + rand::random_range(1..20)) % 20,
            3 => new.payments = if self.payments == "payments" { "payment-processor" } else { "payments" },
            4 => new.cpu = 2_000 + (self.cpu + rand::random_range(1..500)) % 500,
            5 => new.description = self.description + 1,
            6 => (new.per_minute, new.retries) = (self.per_minute + 1, 2 + self.retries % 2),
            _ => new.read_timeout = 10 + (self.read_timeout + rand::random_range(1..10)) % 10,
        }
        new
    }
}

/// When the process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After a random part of the time that a save takes.
    Sometime,
    /// The history has the new text.
    Kept,
    /// The new text is being written beside the file.
    Writing,
    /// The file is the new one.
    Written,
    /// The save was answered.
    Answered,
}

const MOMENTS: [Moment; 7] =
    [Moment::Sometime, Moment::Kept, Moment::Writing, Moment::Sometime, Moment::Written, Moment::Answered, Moment::Sometime];

/// The files that a save writes.
struct Files {
    config: PathBuf,
    history: PathBuf,
}

impl Files {
    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn newest(&self) -> Option<String> {
        Self::names(&self.history).into_iter().filter(|name| name.ends_with(".json")).max()
    }

    fn parts(&self) -> Vec<String> {
        let names = Self::names(self.config.parent().unwrap());
        names.into_iter().filter(|name| name.ends_with(".part")).collect()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.config).unwrap()
    }

    /// Comes back at that moment of a save of `new`, or when the save was `answered`.
    fn wait(&self, moment: Moment, new: &str, newest: Option<&String>, answered: &AtomicBool) {
        let deadline = Instant::now() + PATIENCE;
        while !answered.load(Ordering::Acquire) {
            let is_now = match moment {
                Moment::Sometime => true,
                Moment::Kept => self.newest().as_ref() != newest,
                Moment::Writing => !self.parts().is_empty(),
                Moment::Written => self.text() == new,
                Moment::Answered => false,
            };
            if is_now {
                return;
            }
            assert!(Instant::now() < deadline, "a save has not come to '{moment:?}', nor to an answer, after {PATIENCE:?}");
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// Those who buy, whatever becomes of the process: each order has a key, and is asked for until it is answered.
struct Shoppers {
    process: watch::Sender<Option<Client>>,
    /// Orders that may be placed.
    quota: Arc<Semaphore>,
    /// Payments of the next orders take their time.
    is_slow: Arc<AtomicBool>,
    placing: Vec<JoinHandle<Vec<(String, &'static str)>>>,
}

impl Shoppers {
    fn begin(tokens: &[String]) -> Self {
        let (process, _) = watch::channel(None);
        let (quota, is_slow) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(true)));
        let buy = |token: &String| {
            let (mut process, quota, is_slow, token) = (process.subscribe(), Arc::clone(&quota), Arc::clone(&is_slow), token.clone());
            tokio::spawn(async move {
                let mut placed = Vec::new();
                while let Ok(permit) = quota.acquire().await {
                    permit.forget();
                    let kinds = if is_slow.load(Ordering::Acquire) { TOKENS.len() } else { 1 };
                    let payment = TOKENS[placed.len() % kinds];
                    let id = place(&mut process, &token, &format!("order-{}", placed.len()), payment).await;
                    placed.push((id, payment));
                }
                placed
            })
        };
        let placing = tokens.iter().map(buy).collect();
        Self { process, quota, is_slow, placing }
    }

    async fn end(self) -> Vec<Vec<(String, &'static str)>> {
        self.quota.close();
        let mut all = Vec::new();
        for one in self.placing {
            all.push(one.await.unwrap());
        }
        all
    }
}

async fn place(process: &mut watch::Receiver<Option<Client>>, token: &str, key: &str, payment: &str) -> String {
    let body = order(PRODUCT.0, 1, payment);
    loop {
        let there = tokio::time::timeout(PATIENCE * 4, process.wait_for(Option::is_some)).await;
        let client = there.expect("there is a process again").unwrap().clone().unwrap().with_token(token);
        match client.try_send(Method::POST, "/api/orders", Some(&body), &[("idempotency-key", key)]).await {
            Ok(answer) => {
                assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
                return answer.body["id"].as_str().unwrap().to_owned();
            }
            // It was killed: the same order is asked for again. What listened there may still be known for a moment.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Who may save, as of now.
pub(super) async fn administrator(process: &Process) -> Client {
    let token = process.client.login("ann").await;
    let sure = token.post("/api/auth/sudo", &json!({"password": "password123"})).await;
    operator_of(process).with_token(sure.body["token"].as_str().unwrap_or_else(|| panic!("{sure:?}")))
}

/// What became of the saves.
#[derive(Debug, Default)]
struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn of(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or_default()
    }
}

/// A save that is under way, and whether it was answered.
fn begin_save(operator: Client, new: String, digest: &str) -> (JoinHandle<reqwest::Result<Answer>>, Arc<AtomicBool>) {
    let answered = Arc::new(AtomicBool::new(false));
    let (noted, tag) = (Arc::clone(&answered), format!("\"{digest}\""));
    let saving = tokio::spawn(async move {
        let body = json!({"text": new, "reason": "a test"});
        let answer = operator.try_send(Method::PUT, "/operator/config", Some(&body), &[("if-match", &tag)]).await;
        noted.store(true, Ordering::Release);
        answer
    });
    (saving, answered)
}

/// A running shop with customers, whose tokens these are, and Ann, who may save.
async fn opened(home: &Home, config: &Path) -> (Process, Vec<String>) {
    let process = home.start_config(config, &VARIABLES).await;
    let mut tokens = Vec::new();
    for name in ["ada", "bob"] {
        tokens.push(process.client.customer(name).await.token().to_owned());
    }
    process.client.customer("ann").await;
    home.operate(config, &["users", "grant", "ann@example.com", "admin"]).unwrap();
    (process, tokens)
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_a_save_is_cut_off_the_config_is_whole_and_each_order_ends_once() {
    let rounds = if long() { 200 } else { 12 };
    let home = Home::new();
    let folder = home.path().join("config");
    std::fs::create_dir(&folder).unwrap();
    let files = Files { config: folder.join("shop.yaml"), history: home.path().join("data/ecommerce.configs") };
    let (texts, mut shape) = (Texts::of(&home, &folder), SHAPE);
    std::fs::write(&files.config, texts.text(&shape)).unwrap();
    let (mut process, tokens) = opened(&home, &files.config).await;
    let mut admin = (administrator(&process).await.token().to_owned(), Instant::now());
    let shoppers = Shoppers::begin(&tokens);
    let (mut tally, mut longest) = (Tally::default(), Duration::from_millis(400));
    for round in 0..rounds {
        if admin.1.elapsed() > SURE_FOR {
            admin = (administrator(&process).await.token().to_owned(), Instant::now());
        }
        let operator = operator_of(&process).with_token(&admin.0);
        // For some rounds nobody's payment takes long, so that names that nobody needs any more can go.
        shoppers.is_slow.store(round % 12 < 6, Ordering::Release);
        shoppers.process.send_replace(Some(process.client.clone()));
        shoppers.quota.add_permits(ORDERS);

        let (old, wanted) = (files.text(), shape.changed(round));
        let (new, newest) = (texts.text(&wanted), files.newest());
        let before = operator.get("/operator/config").await.body;
        assert_eq!((&before["runs"], before["text"] == json!(old)), (&json!(true), true), "round {round}: what is in the file runs");
        let (saving, answered) = begin_save(operator, new.clone(), before["digest"].as_str().unwrap());
        let moment = MOMENTS[round % MOMENTS.len()];
        if matches!(moment, Moment::Sometime) {
            tokio::time::sleep(rand::random_range(Duration::ZERO..longest)).await;
        }
        tokio::task::block_in_place(|| files.wait(moment, &new, newest.as_ref(), &answered));
        shoppers.process.send_replace(None);
        process.kill();

        let found = files.text();
        assert!(found == old || found == new, "round {round}, {moment:?}: the config is the old or the new one: {found}");
        let is_new = found == new;
        tally.count(told(saving.await.unwrap(), is_new, &files, newest.as_ref()));
        if matches!(moment, Moment::Sometime) {
            // The next kill is to be as often before as after the file is another.
            longest = longest.mul_f64(if is_new { 0.8 } else { 1.25 }).min(PATIENCE);
        }
        if is_new {
            shape = wanted;
        }
        process = home.start_config(&files.config, &VARIABLES).await;
        let health = process.client.get("/healthz").await.body;
        assert!(health["checks"]["order-processing"].is_null(), "round {round}: the config strands no order: {health:#}");
    }
    assert!(tally.of("refused") < rounds && tally.of("in place, not answered") + tally.of("answered") > 0, "{tally:?}");

    shoppers.process.send_replace(Some(process.client.clone()));
    let placed = shoppers.end().await;
    assert_eq!(placed.iter().map(Vec::len).sum::<usize>(), rounds * ORDERS);
    let ends = each_ended_once(&process, &tokens, &placed).await;
    eprintln!("{rounds} saves cut off: {:?}; orders: {ends:?}", tally.0);
    last_save(&process, &files).await;
}

/// Waits for the end of each order, looks whether it is the one that its payment leads to, and counts these.
async fn each_ended_once(process: &Process, tokens: &[String], placed: &[Vec<(String, &'static str)>]) -> BTreeMap<String, usize> {
    let mut ends = BTreeMap::<String, usize>::new();
    let mut transactions = HashSet::new();
    for (token, orders) in tokens.iter().zip(placed) {
        let customer = process.client.with_token(token);
        for (id, payment) in orders {
            let ended = customer.wait_for("orders", id, &["delivered", "cancelled", "failed"]).await;
            let state = ended["state"].as_str().unwrap();
            *ends.entry(state.to_owned()).or_default() += 1;
            match *payment {
                "tok_visa" => assert_eq!(state, "delivered", "{ended:#}"),
                "tok_chargeDeclined" => assert_eq!(state, "cancelled", "{ended:#}"),
                // It may have been declined where the process ended at the last attempt, and is tried again then.
                _ => assert!(["delivered", "cancelled"].contains(&state), "{ended:#}"),
            }
            if state == "delivered" {
                check_history(&ended);
                let transaction = ended["data"]["transaction_id"].as_str().unwrap().to_owned();
                assert!(transactions.insert(transaction), "no charge is of two orders: {ended:#}");
            }
        }
        assert_eq!(ids(&customer).await, orders.iter().map(|(id, _)| id.clone()).collect(), "one order for each key, and no other");
    }
    let delivered = u64::try_from(ends["delivered"]).unwrap();
    crate::shop::wait_for_stock(&process.client.with_token(&tokens[0]), PRODUCT.0, PRODUCT.1 - delivered).await;
    ends
}

/// A save that nobody cuts off.
async fn last_save(process: &Process, files: &Files) {
    let operator = administrator(process).await;
    let digest = operator.get("/operator/config").await.body["digest"].as_str().unwrap().to_owned();
    let last = super::saving::save(&operator, &format!("{}# the last\n", files.text()), &digest).await;
    assert_eq!((last.status, &last.body["runs"]), (StatusCode::OK, &json!(true)), "{last:?}");
    assert_eq!(files.parts(), Vec::<String>::new(), "what was left half written goes with the next save");
}

/// How far a save had come when the process ended. What was answered has to be so.
fn told(answer: reqwest::Result<Answer>, is_new: bool, files: &Files, newest: Option<&String>) -> &'static str {
    match answer {
        Ok(answer) if answer.status == StatusCode::OK => {
            assert!(is_new, "what was answered is in the file: {answer:?}");
            "answered"
        }
        Ok(answer) => {
            assert_eq!((answer.status, &answer.body["code"]), (StatusCode::CONFLICT, &json!("would_strand")), "{answer:?}");
            let stranded = answer.body["stranded"].as_array().unwrap();
            assert!(!stranded.is_empty() && stranded.iter().all(|one| one["instances"].as_u64().unwrap() > 0), "{answer:?}");
            assert!(!is_new, "what was refused is not in the file: {answer:?}");
            "refused"
        }
        Err(_) if is_new => "in place, not answered",
        Err(_) if !files.parts().is_empty() => "half written",
        Err(_) if files.newest().as_ref() != newest => "in the history",
        Err(_) => "nothing written",
    }
}

/// All orders of a customer.
pub(super) async fn ids(customer: &Client) -> HashSet<String> {
    let (mut ids, mut path) = (HashSet::new(), "/api/orders?limit=200".to_owned());
    loop {
        let page = customer.get(&path).await;
        ids.extend(page.body.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        let Some(link) = page.headers.get("link").and_then(|link| link.to_str().ok()) else { return ids };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
}
