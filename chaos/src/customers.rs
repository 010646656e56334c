//! Who buys. Each customer takes one decision after the other from a seed of their own, and writes down whatever they are told.
//!
//! An order that was not acknowledged is asked for again under the same key until it is: that is what the key is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::bank::DECLINED;
use crate::client::{Answer, Client};
use crate::journal::{Entry, Journal};

/// How long somebody insists before an operation counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long somebody watches one order.
const WATCHES: Duration = Duration::from_secs(3);
const PASSWORD: &str = "password123";

/// What all customers of a run share.
pub struct Market {
    /// What they were told.
    pub journal: Arc<Journal>,
    /// Somebody has just been answered 201.
    pub answered: Notify,
    /// Nobody begins anything new.
    pub closed: AtomicBool,
    /// Operations that were begun, and those of them that came to what they should.
    pub begun: AtomicU64,
    /// See `begun`.
    pub succeeded: AtomicU64,
}

impl Market {
    /// An open one.
    pub fn new(journal: Arc<Journal>) -> Self {
        Self { journal, answered: Notify::new(), closed: AtomicBool::new(false), begun: AtomicU64::new(0), succeeded: AtomicU64::new(0) }
    }

    fn broken(&self, invariant: &str, order: Option<&str>, why: String) {
        self.journal.write(Entry::Broken { invariant: invariant.to_owned(), order: order.map(ToOwned::to_owned), why });
    }
}

/// One customer.
pub struct Customer {
    name: String,
    account: String,
    client: Client,
    market: Arc<Market>,
    random: StdRng,
    orders: Vec<String>,
    /// Keys that were used, and what they were used for.
    used: Vec<(String, Value)>,
    /// An order of somebody else.
    foreign: Arc<parking_lot::Mutex<Option<(String, String)>>>,
}

impl Customer {
    /// Registers the customer of that number in the shop.
    pub async fn register(
        number: u64,
        seed: u64,
        base: &str,
        market: Arc<Market>,
        foreign: Arc<parking_lot::Mutex<Option<(String, String)>>>,
    ) -> anyhow::Result<Self> {
        let (client, name) = (Client::new(base)?, format!("customer{number}"));
        let body = json!({"name": name, "email": format!("{name}@example.com"), "password": PASSWORD});
        let answer = client.send(Method::POST, "/api/auth/register", Some(&body), None).await?;
        ensure!(answer.status == StatusCode::CREATED, "no account: {answer:?}");
        let account = answer.body["user"]["id"].as_str().context("an account without an id")?.to_owned();
        let client = client.with_token(answer.body["token"].as_str().context("an account without a token")?);
        market.journal.write(Entry::Registered { customer: name.clone(), account: account.clone() });
        let random = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
        Ok(Self { name, account, client, market, random, orders: Vec::new(), used: Vec::new(), foreign })
    }

    /// Buys until the market closes.
    pub async fn buy(mut self) {
        while !self.market.closed.load(Ordering::Relaxed) {
            self.market.begun.fetch_add(1, Ordering::Relaxed);
            match self.once().await {
                Ok(()) => {
                    self.market.succeeded.fetch_add(1, Ordering::Relaxed);
                }
                // What the shop must never do is written down where it is seen; what is left are answers that did not come.
                Err(problem) => eprintln!("{}: {problem:#}", self.name),
            }
            sleep(Duration::from_millis(self.random.random_range(5..60))).await;
        }
    }

    /// Asks for so many orders one after the other without a pause, whether the market is open or not.
    pub async fn stock_up(mut self, orders: u64) {
        for _ in 0..orders {
            self.market.begun.fetch_add(1, Ordering::Relaxed);
            match self.order().await {
                Ok(()) => {
                    self.market.succeeded.fetch_add(1, Ordering::Relaxed);
                }
                Err(problem) => eprintln!("{}: {problem:#}", self.name),
            }
        }
    }

    async fn once(&mut self) -> anyhow::Result<()> {
        let known = self.orders.choose(&mut self.random).cloned();
        match (self.random.random_range(0..100), known) {
            (60..66, _) => self.twins().await,
            (66..69, Some(_)) => self.another_under_the_same_key().await,
            (69..78, Some(order)) => self.act(&order, "cancel").await,
            (78..83, Some(order)) => self.act(&order, "retry").await,
            (83..92, Some(order)) => self.look(&order).await,
            (92..97, Some(order)) => self.watch(&order).await,
            (97..100, Some(_)) => self.pry().await,
            _ => self.order().await,
        }
    }

    fn basket(&mut self) -> Value {
        let random = &mut self.random;
        let product = *["cable", "keyboard", "licence", "cable", "scarce"].choose(random).unwrap_or(&"cable");
        let mut items = vec![json!({"productId": product, "quantity": random.random_range(1..4)})];
        if random.random_bool(0.3) && product != "licence" {
            items.push(json!({"productId": "licence", "quantity": random.random_range(1..1_000)}));
        }
        let token = if random.random_bool(0.12) { DECLINED } else { "tok_visa" };
        // Reserved ones of the carrier: one fails at the first attempt, one throughout the first visit.
        let zip = if random.random_bool(0.05) {
            "99997"
        } else if random.random_bool(0.1) {
            "99998"
        } else {
            "97201"
        };
        json!({
            "items": items,
            "shipping": {"address": "123 Main St", "city": "Portland", "state": "OR", "zip": zip},
            "payment": {"token": token},
        })
    }

    fn key(&mut self) -> String {
        format!("{}-{}", self.name, self.used.len())
    }

    async fn order(&mut self) -> anyhow::Result<()> {
        let (key, body) = (self.key(), self.basket());
        self.market.journal.write(Entry::Asked { account: self.account.clone(), key: key.clone() });
        self.used.push((key.clone(), body.clone()));
        let order = self.insist(&key, &body).await?;
        *self.foreign.lock() = Some((self.account.clone(), order.clone()));
        self.orders.push(order);
        Ok(())
    }

    /// Asks for an order under a key until it is acknowledged.
    async fn insist(&mut self, key: &str, body: &Value) -> anyhow::Result<String> {
        let answer = self.answer(Method::POST, "/api/orders", Some(body), Some(key)).await?;
        if answer.status != StatusCode::CREATED {
            bail!("an order was answered {} {}", answer.status, answer.body);
        }
        self.created(key, &answer)
    }

    fn created(&self, key: &str, answer: &Answer) -> anyhow::Result<String> {
        let order = answer.body["id"].as_str().context("an order without an id")?.to_owned();
        let data = &answer.body["data"];
        self.market.journal.write(Entry::Created {
            account: self.account.clone(),
            key: key.to_owned(),
            order: order.clone(),
            items: data["items"].clone(),
            total: data["total"].clone(),
        });
        self.market.answered.notify_waiters();
        Ok(order)
    }

    /// The same order asked for several times at once.
    async fn twins(&mut self) -> anyhow::Result<()> {
        let (key, body) = (self.key(), self.basket());
        self.market.journal.write(Entry::Asked { account: self.account.clone(), key: key.clone() });
        self.used.push((key.clone(), body.clone()));
        let one = || self.client.send(Method::POST, "/api/orders", Some(&body), Some(&key));
        let (first, second, third) = tokio::join!(one(), one(), one());
        for answer in [first, second, third].into_iter().flatten() {
            if answer.status == StatusCode::CREATED {
                self.created(&key, &answer)?;
            }
        }
        let order = self.insist(&key, &body).await?;
        self.orders.push(order);
        Ok(())
    }

    async fn another_under_the_same_key(&mut self) -> anyhow::Result<()> {
        let Some((key, mut body)) = self.used.choose(&mut self.random).cloned() else { return Ok(()) };
        body["items"][0]["quantity"] = json!(7);
        let answer = self.answer(Method::POST, "/api/orders", Some(&body), Some(&key)).await?;
        if answer.status.is_success() {
            self.market.broken("I2", None, format!("the key {key} was taken for another order: {}", answer.body));
        }
        ensure!(answer.status == StatusCode::UNPROCESSABLE_ENTITY, "a key that was used was answered {}", answer.status);
        Ok(())
    }

    async fn act(&mut self, order: &str, action: &str) -> anyhow::Result<()> {
        let answer = self.answer(Method::POST, &format!("/api/orders/{order}/{action}"), Some(&json!({})), None).await?;
        self.must_be_there(order, &answer);
        match answer.status {
            StatusCode::OK => {
                let state = answer.body["state"].as_str().unwrap_or_default().to_owned();
                self.market.journal.write(Entry::Acted { order: order.to_owned(), action: action.to_owned(), state });
                self.seen(order, &answer.body);
                Ok(())
            }
            StatusCode::CONFLICT => Ok(()),
            status => bail!("{action} was answered {status} {}", answer.body),
        }
    }

    async fn look(&mut self, order: &str) -> anyhow::Result<()> {
        let answer = self.answer(Method::GET, &format!("/api/orders/{order}"), None, None).await?;
        self.must_be_there(order, &answer);
        ensure!(answer.status == StatusCode::OK, "an order was answered {}", answer.status);
        self.seen(order, &answer.body);
        Ok(())
    }

    /// Writes down what an answer tells of an order's history.
    fn seen(&self, order: &str, body: &Value) {
        let last = body["history"].as_array().and_then(|history| history.last());
        if let Some((seq, state)) = last.and_then(|row| Some((row["seq"].as_u64()?, row["to"].as_str()?))) {
            self.market.journal.write(Entry::Seen { order: order.to_owned(), seq, state: state.to_owned() });
        }
    }

    fn must_be_there(&self, order: &str, answer: &Answer) {
        if answer.status == StatusCode::NOT_FOUND {
            self.market.broken("I1", Some(order), format!("it was acknowledged, and is not there: {}", answer.body));
        }
    }

    /// Follows the events of an order for a while.
    async fn watch(&mut self, order: &str) -> anyhow::Result<()> {
        let Ok(mut stream) = self.client.open(Method::GET, &format!("/api/orders/{order}/events"), None, None).await else { return Ok(()) };
        if stream.status() != StatusCode::OK {
            return Ok(());
        }
        let mut text = String::new();
        let _ = timeout(WATCHES, async {
            while let Ok(Some(more)) = stream.chunk().await {
                text.push_str(&String::from_utf8_lossy(&more));
            }
        })
        .await;
        // What was cut off in the middle says nothing.
        let whole = text.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        for event in whole.split("\n\n") {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let state = field("data:").and_then(|data| serde_json::from_str::<Value>(data).ok()).map(|data| data["state"].clone());
            let (Some(seq), Some(Value::String(state))) = (field("id:").and_then(|id| id.parse().ok()), state) else { continue };
            self.market.journal.write(Entry::Seen { order: order.to_owned(), seq, state });
        }
        Ok(())
    }

    /// Tries to see what belongs to somebody else.
    async fn pry(&mut self) -> anyhow::Result<()> {
        let foreign = self.foreign.lock().clone();
        let Some((_, order)) = foreign.filter(|(account, _)| *account != self.account) else { return Ok(()) };
        let answer = self.answer(Method::GET, &format!("/api/orders/{order}"), None, None).await?;
        if answer.status.is_success() {
            self.market.broken("I22", Some(&order), format!("{} was shown it", self.name));
        }
        ensure!(answer.status == StatusCode::NOT_FOUND, "somebody else's order was answered {}", answer.status);
        Ok(())
    }

    /// The answer to a request that may be sent again: whatever else comes is waited out. Logs in again where the token has ended.
    async fn answer(&mut self, method: Method, path: &str, body: Option<&Value>, key: Option<&str>) -> anyhow::Result<Answer> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = match self.client.send(method.clone(), path, body, key).await {
                Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                    self.log_in().await;
                    format!("{} {}", answer.status, answer.body)
                }
                Ok(answer) if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS => {
                    format!("{} {}", answer.status, answer.body)
                }
                Ok(answer) => return Ok(answer),
                Err(problem) => format!("{:#}", anyhow::Error::new(problem)),
            };
            ensure!(Instant::now() < deadline, "{method} {path} has no answer: {last}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn log_in(&mut self) {
        let body = json!({"email": format!("{}@example.com", self.name), "password": PASSWORD});
        let answer = self.client.send(Method::POST, "/api/auth/login", Some(&body), None).await;
        if let Some(token) = answer.ok().and_then(|answer| answer.body["token"].as_str().map(ToOwned::to_owned)) {
            self.client = self.client.with_token(&token);
        }
    }
}
