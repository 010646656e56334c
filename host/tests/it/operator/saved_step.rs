//! The step that the editor adds by one gesture, saved into a shop that takes orders all the while.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::killed_saves::{administrator, ids};
use super::saving::{operator_of, save};
use crate::client::{Answer, Client, PATIENCE, order, path_of};
use crate::conditions::long;
use crate::process::{Home, Process};
use crate::swaps::seed_with_plenty;
use crate::test_app::{built, changed_monolith, repository};

/// Orders a second, and for how many seconds before a save and after it: a busy machine without optimisation holds the first, a free one the second.
const LOADS: [(u32, u32); 2] = [(15, 4), (200, 15)];
/// Orders that are asked for and not answered yet, at most: a machine that falls behind would have clients give up. The long form has no bound.
const UNANSWERED: [usize; 2] = [40, usize::MAX];
const CUSTOMERS: usize = 8;
/// Of ten orders one whose payment the third attempt gets through: it is under way for a while.
const TOKENS: [&str; 10] =
    ["tok_visa", "tok_visa", "tok_visa", "tok_visa", "tok_gatewayTimeout", "tok_visa", "tok_visa", "tok_visa", "tok_visa", "tok_visa"];
/// States passed without the step, and with it.
const PLAIN: [&str; 8] = ["new", "validating", "validated", "paying", "paid", "shipping", "shipped", "delivered"];
const CHECKED: [&str; 9] = ["new", "validating", "validated", "cleared", "paying", "paid", "shipping", "shipped", "delivered"];
/// States of one that is under way when the step is added, as its payment waits for the customer until then.
const OVER: [&str; 10] =
    ["new", "validating", "validated", "paying", "payment_failed", "paying", "paid", "shipping", "shipped", "delivered"];
/// Units of a product that costs 1.25: more than the check lets pass.
const TOO_MANY: u64 = 5_000;
/// Until the last order is delivered, on a machine that others use too.
const TIDY: Duration = Duration::from_secs(180);

/// The text after the changes of a unified diff, each of which fits in one place.
fn patched(text: &str, diff: &str) -> String {
    diff.split("\n@@ ").skip(1).fold(text.to_owned(), |text, hunk| {
        let (_, lines) = hunk.split_once('\n').unwrap();
        let without = |sign: char| -> String {
            let kept = lines.lines().filter(|line| !line.starts_with(sign));
            kept.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect()
        };
        let (before, after) = (without('+'), without('-'));
        assert_eq!(text.matches(&before).count(), 1, "this is no longer in one place of the config:\n{before}");
        text.replacen(&before, &after, 1)
    })
}

/// The monolith's config in `folder`, and its text with the step.
fn config(folder: &Path) -> (std::path::PathBuf, String) {
    std::fs::create_dir(folder).unwrap();
    let file = changed_monolith(folder, &[]);
    let gesture = std::fs::read_to_string(repository().join("host/tests/it/configs/fraud-checker.diff")).unwrap();
    let with_step = patched(&std::fs::read_to_string(&file).unwrap(), &gesture);
    (file, with_step)
}

/// One order that was asked for once, under a key of its own.
struct Placed {
    customer: usize,
    sent: Instant,
    answered: Instant,
    answer: reqwest::Result<Answer>,
}

impl Placed {
    fn id(&self) -> &str {
        let answer = self.answer.as_ref().unwrap_or_else(|error| panic!("no request is lost: {error}"));
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.body["id"].as_str().unwrap()
    }

    fn took(&self) -> Duration {
        self.answered.duration_since(self.sent)
    }
}

/// Customers who order at a steady rate, whether or not what they have asked for is answered, unless too much of it is not.
struct Load {
    answered: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
    placing: JoinHandle<Vec<Placed>>,
}

impl Load {
    fn begin(customers: Vec<Client>, rate: (u32, usize)) -> Self {
        let (answered, done) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let placing = tokio::spawn(Self::place(customers, rate, Arc::clone(&answered), Arc::clone(&done)));
        Self { answered, done, placing }
    }

    /// Places so many a second, while fewer than `most` are unanswered.
    async fn place(
        customers: Vec<Client>,
        (per_second, most): (u32, usize),
        answered: Arc<AtomicUsize>,
        done: Arc<AtomicBool>,
    ) -> Vec<Placed> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
        let mut posting = JoinSet::new();
        loop {
            // One that was missed is made up for: nobody waits for an answer before the next one orders.
            ticks.tick().await;
            if done.load(Ordering::Acquire) {
                break;
            }
            // None is taken out before the end, so this is how many were asked for.
            let number = posting.len();
            if number - answered.load(Ordering::Acquire) >= most {
                continue;
            }
            let (customer, answered) = (number % customers.len(), Arc::clone(&answered));
            let client = customers[customer].clone();
            posting.spawn(async move {
                let (key, body) = (format!("order-{number}"), order("plenty", 1, TOKENS[number % TOKENS.len()]));
                let sent = Instant::now();
                let answer = client.try_send(Method::POST, "/api/orders", Some(&body), &[("idempotency-key", &key)]).await;
                answered.fetch_add(1, Ordering::AcqRel);
                Placed { customer, sent, answered: Instant::now(), answer }
            });
        }
        posting.join_all().await
    }

    /// Waits until so many more are answered.
    async fn until_answered(&self, more: u32) {
        let wanted = self.answered.load(Ordering::Acquire) + more as usize;
        let deadline = Instant::now() + PATIENCE * 4;
        while self.answered.load(Ordering::Acquire) < wanted {
            assert!(Instant::now() < deadline, "{} of {wanted} are answered", self.answered.load(Ordering::Acquire));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) -> Vec<Placed> {
        self.done.store(true, Ordering::Release);
        self.placing.await.unwrap()
    }
}

/// A running shop with customers, and Ann, who may save.
async fn opened(home: &Home, file: &Path) -> (Process, Vec<Client>, Client) {
    let seed = home.path().join("products.json");
    std::fs::copy(seed_with_plenty(), &seed).unwrap();
    let variables = [("PRODUCTS_SEED", seed.to_str().unwrap()), ("PAYMENT_RETRY_AFTER", "1h"), ("OPERATOR_WRITES", "true")];
    let process = home.start_config(file, &variables).await;
    let mut customers = Vec::new();
    for number in 0..CUSTOMERS {
        customers.push(process.client.customer(&format!("customer-{number}")).await);
    }
    process.client.customer("ann").await;
    home.operate(file, &["users", "grant", "ann@example.com", "admin"]).unwrap();
    let admin = administrator(&process).await;
    (process, customers, admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_saved_under_orders_new_ones_pass_it_and_the_others_end_on_the_machine_that_they_began_with() {
    let ((per_second, seconds), most) = (LOADS[usize::from(long())], UNANSWERED[usize::from(long())]);
    let home = Home::new();
    std::fs::copy(built("fraud-checker.wasm"), home.component("fraud_checker.wasm")).unwrap();
    let (file, with_step) = config(&home.path().join("config"));
    let (process, customers, admin) = opened(&home, &file).await;
    let dear = customers[0].order_until("plenty", TOO_MANY, "tok_visa", &["delivered", "failed"]).await;
    assert_eq!(path_of(&dear), PLAIN, "nobody looks at what is dear yet");
    let waiting = customers[0].order_until("plenty", 1, "tok_chargeDeclined", &["payment_failed"]).await;

    let load = Load::begin(customers.clone(), (per_second, most));
    load.until_answered(per_second * seconds).await;
    let planned = admin.post("/operator/config/plan", &json!({"text": with_step})).await;
    assert_eq!((planned.status, &planned.body["valid"]), (StatusCode::OK, &json!(true)), "{planned:?}");
    let (takes, restart, stranded) = (&planned.body["takes"], &planned.body["restart"], &planned.body["stranded"]);
    assert_eq!((takes, restart, stranded), (&json!("live"), &json!([]), &json!([])), "{planned:?}");
    let digest = admin.get("/operator/config").await.body["digest"].as_str().unwrap().to_owned();
    let (sent, sent_at) = (Instant::now(), jiff::Timestamp::now());
    let saved = save(&admin, &with_step, &digest).await;
    let answered = Instant::now();
    assert_eq!((saved.status, &saved.body["runs"]), (StatusCode::OK, &json!(true)), "{saved:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), with_step);
    load.until_answered(per_second * seconds).await;
    let placed = load.end().await;

    let (before, after) = (|one: &Placed| one.answered < sent, |one: &Placed| one.sent > answered);
    let (mut over, mut transactions) = (0, HashSet::new());
    for one in &placed {
        let ended = customers[one.customer].wait_within(TIDY, "orders", one.id(), &["delivered", "failed", "cancelled"]).await;
        let path = path_of(&ended);
        match (before(one), after(one)) {
            (true, _) => assert_eq!(path, PLAIN, "it began before the save: {ended:#}"),
            (_, true) => assert_eq!(path, CHECKED, "it began after the save: {ended:#}"),
            _ => assert!(path == PLAIN || path == CHECKED, "{ended:#}"),
        }
        assert_eq!(ended["data"]["fraud_checked"], if path == CHECKED { json!(true) } else { Value::Null }, "{ended:#}");
        let last: jiff::Timestamp = ended["lastUpdate"].as_str().unwrap().parse().unwrap();
        over += usize::from(before(one) && last > sent_at);
        assert!(transactions.insert(ended["data"]["transaction_id"].as_str().unwrap().to_owned()), "each is charged once: {ended:#}");
    }
    // How many of these were under way is up to the machine: the one that waits for its payment surely was.
    told(&placed, (before, after), (per_second, answered.duration_since(sent), over));
    finished(&process, &customers, &admin, (&placed, &waiting)).await;
}

/// What is there in the end: each order that was asked for, and no other.
async fn finished(process: &Process, customers: &[Client], admin: &Client, (placed, waiting): (&[Placed], &Value)) {
    let id = waiting["id"].as_str().unwrap();
    let unfinished = admin.get("/operator/instances/counts?kind=orders&finished=false").await.body;
    assert_eq!(unfinished["count"], 1, "but for that which waits for its payment: {unfinished}");
    let paid = customers[0].post(&format!("/api/orders/{id}/retry"), &json!({"payment": {"token": "tok_visa"}})).await;
    assert!(paid.status.is_success(), "{paid:?}");
    let late = customers[0].wait_for("orders", id, &["delivered", "failed", "cancelled"]).await;
    assert_eq!(path_of(&late), OVER, "it ends on its own machine: {late:#}");

    let dear = customers[1].order_until("plenty", TOO_MANY, "tok_visa", &["delivered", "failed"]).await;
    assert_eq!(path_of(&dear), ["new", "validating", "validated", "failed"], "{dear:#}");
    assert_eq!(dear["data"]["reason"], "This purchase needs a closer look.");
    for (number, customer) in customers.iter().enumerate() {
        let mut own: HashSet<String> = placed.iter().filter(|one| one.customer == number).map(|one| one.id().to_owned()).collect();
        let count = own.len();
        let found = ids(customer).await;
        own.retain(|id| !found.contains(id));
        let others = [2, 1].get(number).copied().unwrap_or_default();
        assert!(
            own.is_empty() && found.len() == count + others,
            "one order for each key, and no other: {} of {count}, {own:?}",
            found.len()
        );
    }
    let sold = placed.len() as u64 + TOO_MANY + 1;
    crate::shop::wait_for_stock(&customers[0], "plenty", 1_000_000 - sold).await;
    let health = process.client.get("/healthz").await.body;
    assert_eq!((&health["status"], &health["checks"]["fraud-checker"]["status"]), (&json!("healthy"), &json!("up")), "{health:#}");
    assert!(operator_of(process).get("/operator/config").await.body["runs"] == true);
}

/// Prints how many there were, and how long they took.
fn told(
    placed: &[Placed],
    (before, after): (impl Fn(&Placed) -> bool, impl Fn(&Placed) -> bool),
    (rate, save, over): (u32, Duration, usize),
) {
    let times = |which: &dyn Fn(&Placed) -> bool| {
        let mut times: Vec<Duration> = placed.iter().filter(|one| which(one)).map(Placed::took).collect();
        times.sort_unstable();
        let at = |share: usize| times.get(times.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
        format!("{} in p50 {:.1?} p99 {:.1?} at most {:.1?}", times.len(), at(50), at(99), at(100))
    };
    let (first, last) = (times(&before), times(&after));
    let meanwhile = times(&|one| !before(one) && !after(one));
    eprintln!(
        "{rate} orders/s, saved in {save:.1?}; before: {first}, of which {over} ended after it; meanwhile: {meanwhile}; after: {last}"
    );
}
