//! The payment provider: a process of its own that is never killed and writes down every effect before it answers.
//!
//! It keeps to the contract of `components/payment/src/bank.rs`: one key is charged once, and never after it was voided. It is often slow to
//! answer: some charges are made and not told of, some never made, some made long after nobody listens. `PUT /well` ends that.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::journal::now;

/// Beyond all attempts and the questions that follow them.
const MUCH_TOO_LATE: Duration = Duration::from_secs(4);
/// A card without money.
pub const DECLINED: &str = "tok_chargeDeclined";

/// A line of its books.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Posting {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The idempotency key of the visit.
    pub key: String,
    /// What has happened.
    pub what: Movement,
    /// In cents; 0 of a void.
    pub amount: u64,
}

/// What happens at a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// It was asked to charge, which need not come to anything.
    Asked,
    /// Money was taken.
    Charged,
    /// The key was charged before: nothing has happened.
    Again,
    /// Money was given back, or will never be taken.
    Voided,
}

/// How it treats a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Prompt,
    ChargesAndIsSilent,
    ChargesLate,
    Silent,
}

#[derive(Debug, Default)]
struct Account {
    manner: Option<Manner>,
    charged: Option<u64>,
    voided: bool,
}

struct Bank {
    accounts: Mutex<HashMap<String, Account>>,
    books: Mutex<File>,
    /// It answers everything at once from now on.
    is_well: AtomicBool,
}

/// Serves until it is killed. Its address is the one line that it writes into the file `address`.
pub async fn serve(books: &FilePath, address: &FilePath) -> anyhow::Result<()> {
    let books = OpenOptions::new().create(true).append(true).open(books).context("the books cannot be opened")?;
    let bank = Arc::new(Bank { accounts: Mutex::default(), books: Mutex::new(books), is_well: AtomicBool::new(false) });
    let router = axum::Router::new()
        .route("/charges", post(charge))
        .route("/charges/{key}", get(status))
        .route("/charges/{key}/void", post(void))
        .route("/well", put(async |State(bank): State<Arc<Bank>>| bank.is_well.store(true, Ordering::Relaxed)))
        .with_state(bank);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let unfinished: PathBuf = address.with_extension("unfinished");
    std::fs::write(&unfinished, listener.local_addr()?.to_string())?;
    std::fs::rename(unfinished, address)?;
    axum::serve(listener, router).await?;
    Ok(())
}

impl Bank {
    /// Writes it down; on the disk when this returns.
    fn post(&self, key: &str, what: Movement, amount: u64) {
        let posting = Posting { at: now(), key: key.to_owned(), what, amount };
        let mut line = serde_json::to_vec(&posting).unwrap_or_default();
        line.push(b'\n');
        let mut books = self.books.lock();
        if books.write_all(&line).and_then(|()| books.sync_data()).is_err() {
            // A bank without books is none.
            std::process::exit(1);
        }
    }

    /// Few enough without an answer that the component's circuit breaker stays closed: it is not what this is about.
    fn manner(&self, key: &str) -> Manner {
        if self.is_well.load(Ordering::Relaxed) {
            return Manner::Prompt;
        }
        let mut accounts = self.accounts.lock();
        let number = accounts.len();
        *accounts.entry(key.to_owned()).or_default().manner.get_or_insert(match number % 40 {
            6 | 21 => Manner::ChargesAndIsSilent,
            13 => Manner::ChargesLate,
            33 => Manner::Silent,
            _ => Manner::Prompt,
        })
    }

    fn take(&self, key: &str, amount: u64) -> (StatusCode, Json<Value>) {
        let mut accounts = self.accounts.lock();
        let account = accounts.entry(key.to_owned()).or_default();
        if account.voided {
            return (StatusCode::CONFLICT, Json(json!({"detail": "voided"})));
        }
        let is_new = account.charged.is_none();
        account.charged.get_or_insert(amount);
        self.post(key, if is_new { Movement::Charged } else { Movement::Again }, amount);
        (StatusCode::OK, charged(key))
    }
}

fn charged(key: &str) -> Json<Value> {
    Json(json!({"status": "charged", "id": format!("ch_{key}"), "last4": "4242"}))
}

/// Says nothing until whoever has asked hangs up, which ends this too.
async fn as_long_as_anybody_listens<T>() -> T {
    std::future::pending().await
}

#[derive(Deserialize)]
struct Charge {
    key: String,
    amount: u64,
    token: String,
}

async fn charge(State(bank): State<Arc<Bank>>, Json(Charge { key, amount, token }): Json<Charge>) -> (StatusCode, Json<Value>) {
    bank.post(&key, Movement::Asked, amount);
    if token == DECLINED {
        return (StatusCode::PAYMENT_REQUIRED, Json(json!({"code": "insufficient_funds", "reason": "Not enough money."})));
    }
    let manner = bank.manner(&key);
    // In a task of its own: the bank does what it was asked for, whoever hangs up.
    let doing = tokio::spawn(async move {
        match manner {
            Manner::Prompt => return Some(bank.take(&key, amount)),
            Manner::ChargesAndIsSilent => drop(bank.take(&key, amount)),
            Manner::ChargesLate => {
                tokio::time::sleep(MUCH_TOO_LATE).await;
                drop(bank.take(&key, amount));
            }
            Manner::Silent => {}
        }
        None
    });
    match doing.await {
        Ok(Some(answer)) => answer,
        _ => as_long_as_anybody_listens().await,
    }
}

async fn status(State(bank): State<Arc<Bank>>, Path(key): Path<String>) -> (StatusCode, Json<Value>) {
    match bank.accounts.lock().get(&key) {
        Some(Account { voided: true, .. }) => (StatusCode::OK, Json(json!({"status": "voided"}))),
        Some(Account { charged: Some(_), .. }) => (StatusCode::OK, charged(&key)),
        _ => (StatusCode::NOT_FOUND, Json(json!({}))),
    }
}

async fn void(State(bank): State<Arc<Bank>>, Path(key): Path<String>) -> (StatusCode, Json<Value>) {
    let mut accounts = bank.accounts.lock();
    let account = accounts.entry(key.clone()).or_default();
    if !std::mem::replace(&mut account.voided, true) {
        bank.post(&key, Movement::Voided, 0);
    }
    (StatusCode::OK, Json(json!({})))
}
