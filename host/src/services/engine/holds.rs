//! Which instances somebody has paused, as this process knows it beside its store: a run that a commit makes for one of them is left in the
//! store instead of being claimed in that commit.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::store::{AuditEntry, Hold, Instances, StoreError};

/// The instances that are held, by kind and id.
#[derive(Default)]
pub struct Holds {
    names: RwLock<HashSet<(String, String)>>,
    /// As many, so that nobody looks where there are none.
    count: AtomicUsize,
}

impl Holds {
    /// Those that `store` has.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: &dyn Instances) -> Result<Self, StoreError> {
        let names: HashSet<_> = store.holds().await?.into_iter().collect();
        Ok(Self { count: AtomicUsize::new(names.len()), names: RwLock::new(names) })
    }

    /// Whether an instance is held.
    #[must_use]
    pub fn has(&self, kind: &str, id: &str) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.names.read().contains(&(kind.to_owned(), id.to_owned()))
    }

    /// Holds an unfinished instance in `store`, and writes `audit` of it; false if there is none.
    ///
    /// # Errors
    /// The store did not do it.
    pub async fn hold(&self, store: &dyn Instances, (kind, id): (&str, &str), hold: Hold, audit: AuditEntry) -> Result<bool, StoreError> {
        let was_held = self.has(kind, id);
        // Known before it is written: no run is claimed in between.
        self.note(kind, id, true);
        let held = store.hold(kind, id, hold, Some(audit)).await;
        if !was_held && !matches!(held, Ok(true)) {
            self.note(kind, id, false);
        }
        held
    }

    /// Lets an instance go on, and writes `audit` of it; false if it was not held.
    ///
    /// # Errors
    /// The store did not do it.
    pub async fn let_go(&self, store: &dyn Instances, (kind, id): (&str, &str), audit: AuditEntry) -> Result<bool, StoreError> {
        let was_held = store.let_go(kind, id, Some(audit)).await?;
        self.note(kind, id, false);
        Ok(was_held)
    }

    /// An instance has ended, and its hold with it.
    pub(super) fn ended(&self, kind: &str, id: &str) {
        if self.has(kind, id) {
            self.note(kind, id, false);
        }
    }

    fn note(&self, kind: &str, id: &str, is_held: bool) {
        let (name, mut names) = ((kind.to_owned(), id.to_owned()), self.names.write());
        if is_held {
            names.insert(name);
        } else {
            names.remove(&name);
        }
        self.count.store(names.len(), Ordering::Release);
    }
}
