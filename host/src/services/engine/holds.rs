//! Which instances somebody has paused, as this process knows it beside its store: a run that a commit makes for one of them is left in the
//! store instead of being claimed in that commit, and an event that would move one waits until it is let go on.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::store::{AuditEntry, Hold, Instances, StoreError, WaitingEvent};

/// Events that may wait for one instance: whoever reaches the broker fills no disk by them.
pub const MAX_WAITING: usize = 1_000;

/// Kind and id of an instance.
type Name = (String, String);

/// The instances that are held, and those for which events wait, by kind and id.
#[derive(Default)]
pub struct Holds {
    known: RwLock<Known>,
    /// As many as there are of both, so that nobody looks where there are none.
    count: AtomicUsize,
}

#[derive(Default)]
struct Known {
    held: HashSet<Name>,
    /// Events that wait, or are about to.
    waiting: HashMap<Name, usize>,
}

/// What becomes of an event for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Nobody holds the instance: it moves it now.
    No,
    /// It waits, durably.
    Yes,
    /// [`MAX_WAITING`] wait already.
    TooMany,
}

impl Holds {
    /// Those that `store` has.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: &dyn Instances) -> Result<Self, StoreError> {
        let held = store.holds().await?.into_iter().collect();
        let counted = |(kind, id, count)| ((kind, id), usize::try_from(count).unwrap_or(usize::MAX));
        let waiting = store.waiting_counts().await?.into_iter().map(counted).collect();
        let holds = Self::default();
        holds.change(|known| *known = Known { held, waiting });
        Ok(holds)
    }

    /// Whether an instance is held.
    #[must_use]
    pub fn has(&self, kind: &str, id: &str) -> bool {
        !self.are_none() && self.known.read().held.contains(&(kind.to_owned(), id.to_owned()))
    }

    /// Whether nothing is held, and no event waits.
    pub(super) fn are_none(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Whether any event waits.
    pub(super) fn are_waited_for(&self) -> bool {
        !self.are_none() && !self.known.read().waiting.is_empty()
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

    /// Lets an instance go on, and writes `audit` of it; false if it was not held. The events that wait for it are for the scheduler.
    ///
    /// # Errors
    /// The store did not do it.
    pub async fn let_go(&self, store: &dyn Instances, (kind, id): (&str, &str), audit: AuditEntry) -> Result<bool, StoreError> {
        let was_held = store.let_go(kind, id, Some(audit)).await?;
        self.note(kind, id, false);
        Ok(was_held)
    }

    /// Has an event wait if somebody holds its instance, or if others wait for it that came before.
    ///
    /// # Errors
    /// The store did not do it, or the event was handled or waits already.
    pub(super) async fn let_wait(&self, store: &dyn Instances, event: WaitingEvent) -> Result<Waits, StoreError> {
        let name = (event.kind.clone(), event.id.clone());
        let waiting = {
            let known = self.known.read();
            let waiting = known.waiting.get(&name).copied();
            if waiting.is_none() && !known.held.contains(&name) {
                return Ok(Waits::No);
            }
            waiting.unwrap_or(0)
        };
        if waiting >= MAX_WAITING {
            return Ok(Waits::TooMany);
        }
        // Known before it is written: nothing that comes later overtakes it.
        self.change(|known| *known.waiting.entry(name.clone()).or_default() += 1);
        let waits = store.let_wait(event).await;
        if !matches!(waits, Ok(true)) {
            self.waits_no_longer(&name.0, &name.1);
        }
        Ok(if waits? { Waits::Yes } else { Waits::No })
    }

    /// An event of an instance waits no longer.
    pub(super) fn waits_no_longer(&self, kind: &str, id: &str) {
        let name = (kind.to_owned(), id.to_owned());
        self.change(|known| {
            let Some(count) = known.waiting.get_mut(&name) else { return };
            *count -= 1;
            if *count == 0 {
                known.waiting.remove(&name);
            }
        });
    }

    /// An instance has ended, and its hold with it.
    pub(super) fn ended(&self, kind: &str, id: &str) {
        if self.has(kind, id) {
            self.note(kind, id, false);
        }
    }

    fn note(&self, kind: &str, id: &str, is_held: bool) {
        let name = (kind.to_owned(), id.to_owned());
        self.change(|known| {
            if is_held {
                known.held.insert(name);
            } else {
                known.held.remove(&name);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.write();
        change(&mut known);
        self.count.store(known.held.len() + known.waiting.len(), Ordering::Release);
    }
}
