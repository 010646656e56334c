//! Slows guessing of one account's password, from however many addresses it comes.
//!
//! After a few failures each further attempt at that account has to wait its turn, and the turns get longer. Accounts
//! that do not exist are treated alike. Nothing is locked: the owner waits at most as long as a guess does.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::future::Cache;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::services::ServiceError;

/// Failures in a row that cost nothing, and attempts at one account at once: a burst of guesses must not all be free.
const FREE: u32 = 5;
/// Time between attempts after the first failure that costs; doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// Longest that a request is held; beyond, it is sent away with the time to come back.
const LONGEST_HOLD: SignedDuration = SignedDuration::from_secs(4);
/// Failures are forgotten after this time without another.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Accounts remembered; the least recently tried are forgotten first.
const ACCOUNTS: u64 = 50_000;

pub(super) struct Attempts {
    accounts: Cache<String, Arc<Account>>,
    clock: Clock,
}

struct Account {
    at_once: Arc<Semaphore>,
    failures: Mutex<Failures>,
}

#[derive(Default)]
struct Failures {
    in_a_row: u32,
    next_turn: Option<Timestamp>,
}

impl Default for Account {
    fn default() -> Self {
        Self { at_once: Arc::new(Semaphore::new(FREE as usize)), failures: Mutex::default() }
    }
}

/// One try at an account.
#[must_use = "tell whether it succeeded"]
pub(super) struct Attempt {
    account: Arc<Account>,
    _one_of_few: Option<OwnedSemaphorePermit>,
}

impl Attempts {
    pub(super) fn new(clock: Clock) -> Self {
        Self { accounts: Cache::builder().max_capacity(ACCOUNTS).time_to_idle(MEMORY).build(), clock }
    }

    /// Waits for this attempt's turn.
    pub(super) async fn begin(&self, account: &str) -> Result<Attempt, ServiceError> {
        let account = self.accounts.get_with(bounded(account), async { Arc::default() }).await;
        let one_of_few = Arc::clone(&account.at_once).acquire_owned().await.ok();
        let turn = account.failures.lock().take_turn(self.clock.steady())?;
        if let Some(turn) = turn {
            self.clock.sleep_until(turn).await;
        }
        Ok(Attempt { account, _one_of_few: one_of_few })
    }
}

impl Failures {
    fn take_turn(&mut self, now: Timestamp) -> Result<Option<Timestamp>, ServiceError> {
        let Some(costly) = self.in_a_row.checked_sub(FREE) else { return Ok(None) };
        let turn = self.next_turn.unwrap_or(now).max(now);
        let wait = turn.duration_since(now);
        if wait > LONGEST_HOLD {
            let retry_after = Duration::try_from(wait).unwrap_or(LONGEST_DELAY);
            return Err(ServiceError::TooMany { detail: "too many failed logins for this account".into(), retry_after });
        }
        let delay = FIRST_DELAY.saturating_mul(1 << costly.min(10)).min(LONGEST_DELAY);
        self.next_turn = turn.checked_add(delay).ok();
        Ok(Some(turn))
    }
}

impl Attempt {
    /// The password was right: everything is forgotten.
    pub(super) fn succeeded(self) {
        *self.account.failures.lock() = Failures::default();
    }

    /// It was wrong.
    pub(super) fn failed(self) {
        let mut failures = self.account.failures.lock();
        failures.in_a_row = failures.in_a_row.saturating_add(1);
    }
}

/// Keys have a bounded size whatever the client sends.
fn bounded(account: &str) -> String {
    account.chars().take(254).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fail(attempts: &Attempts, times: u32) {
        for _ in 0..times {
            attempts.begin("ada@example.com").await.unwrap().failed();
        }
    }

    #[tokio::test]
    async fn guessing_gets_slower_until_guesses_are_sent_away() {
        let clock = Clock::system();
        let attempts = Attempts::new(clock.clone());
        fail(&attempts, FREE + 1).await;
        let account = attempts.accounts.get("ada@example.com").await.unwrap();
        let waits: Vec<_> = (0..6).map(|_| account.failures.lock().take_turn(clock.steady()).is_ok()).collect();
        assert!(waits[0] && !waits[5], "{waits:?}");
    }

    #[tokio::test]
    async fn the_owner_gets_in_after_the_wait_and_starts_afresh() {
        let clock = Clock::system();
        let attempts = Attempts::new(clock.clone());
        fail(&attempts, FREE).await;
        clock.advance(SignedDuration::from_secs(60));
        attempts.begin("ada@example.com").await.unwrap().succeeded();
        fail(&attempts, FREE).await;
    }

    #[tokio::test]
    async fn other_accounts_are_not_slowed() {
        let attempts = Attempts::new(Clock::system());
        fail(&attempts, FREE + 1).await;
        let other = attempts.accounts.get_with("bob@example.com".into(), async { Arc::default() }).await;
        let turn = other.failures.lock().take_turn(Clock::system().steady()).unwrap();
        assert_eq!(turn, None);
    }
}
