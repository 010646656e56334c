//! Whether the tokens of an account are still believed: asked for every request with a token, and so kept in memory for a moment.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;

use super::CurrentUser;
use crate::services::ServiceError;
use crate::store::{self, Standing, StoreError};

/// Seconds that two clocks may differ.
pub const LEEWAY: i64 = 5;
/// What another process has written into the database, such as a command, is noticed after this time. What this one writes, at once.
const FRESH: Duration = Duration::from_secs(1);
/// Accounts that are kept in memory; those asked for least are forgotten first.
const ACCOUNTS: u64 = 50_000;

/// What this process knows of accounts, be they its own or those that it was told of. Clones share it.
#[derive(Clone)]
pub struct Standings {
    store: Arc<dyn store::Users>,
    known: Cache<String, Option<Standing>>,
    /// Counts what was forgotten, so that nothing is remembered that was read before.
    changes: Arc<Mutex<u64>>,
}

impl Standings {
    /// Of the accounts in `store`, and of those that were heard of there.
    #[must_use]
    pub fn new(store: Arc<dyn store::Users>) -> Self {
        let known = Cache::builder().max_capacity(ACCOUNTS).time_to_live(FRESH).build();
        Self { store, known, changes: Arc::default() }
    }

    /// Whether the account of this token is what it was when the token was made. An account that nothing is known of is.
    pub(super) async fn believes(&self, user: &CurrentUser) -> Result<bool, ServiceError> {
        Ok(match self.of(&user.id).await? {
            None => true,
            Some(Standing::Kept { epoch, disabled }) => !disabled && user.epoch == epoch,
            Some(Standing::Heard { epoch, at }) => user.epoch >= epoch || user.issued > at + LEEWAY,
        })
    }

    async fn of(&self, id: &str) -> Result<Option<Standing>, StoreError> {
        if let Some(known) = self.known.get(id) {
            return Ok(known);
        }
        let before = *self.changes.lock();
        let standing = self.store.standing(id).await?;
        let changes = self.changes.lock();
        if *changes == before {
            self.known.insert(id.to_owned(), standing);
        }
        Ok(standing)
    }

    /// Remembers what the process that keeps an account has told.
    pub(super) async fn hear(&self, id: &str, epoch: u64, at: i64) -> Result<(), StoreError> {
        self.store.hear_epoch(id, epoch, at).await?;
        self.forget(id);
        Ok(())
    }

    /// What is in the store is read anew.
    pub(super) fn forget(&self, id: &str) {
        let mut changes = self.changes.lock();
        *changes += 1;
        self.known.invalidate(id);
    }
}
