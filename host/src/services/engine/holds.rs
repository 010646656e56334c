//! Which instances somebody has paused, as this process knows it beside its store: a run that a commit makes for one of them is left in the
//! store instead of being claimed in that commit, and an event that would move one waits until it is let go on.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::store::{AuditEntry, Hold, Instances, StoreError, WaitingEvent};

/// Events that may wait for one instance: whoever reaches the broker fills no disk by them.
pub const MAX_WAITING: usize = 1_000;

/// Kind and id of an instance.
pub(super) type Name = (String, String);

/// The instances that are held, and those for which events wait, by kind and id.
#[derive(Default)]
pub struct Holds {
    known: RwLock<Known>,
    /// As many as there are of both, so that nobody looks where there are none.
    count: AtomicUsize,
    /// Grows with every change that this process begins or makes: what the store said before is not the last word then.
    changes: AtomicUsize,
    /// Changes that are known here and not in the store yet.
    begun: AtomicUsize,
}

#[derive(Default)]
struct Known {
    held: HashSet<Name>,
    /// Events that wait, or are about to.
    waiting: HashMap<Name, usize>,
    /// Those whose first event could not be taken the last time, and why.
    put_off: HashMap<Name, PutOff>,
    /// Those of `waiting` that are neither held nor put off.
    due: HashSet<Name>,
}

impl Known {
    /// Puts a name among those that are due, or takes it away.
    fn judge(&mut self, name: Name) {
        if self.waiting.contains_key(&name) && !self.held.contains(&name) && !self.put_off.contains_key(&name) {
            self.due.insert(name);
        } else {
            self.due.remove(&name);
        }
    }
}

/// Why an event waits on though nobody holds its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutOff {
    /// It may fit once a run of the instance has ended.
    UntilRun,
    /// The machine of the instance is not to be had.
    Unusable,
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

/// See [`Holds::begin`].
struct Begun<'a>(&'a AtomicUsize);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Holds {
    /// Those that `store` has.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: &dyn Instances) -> Result<Self, StoreError> {
        let held = store.holds().await?.into_iter().collect();
        let counted = |(kind, id, count)| ((kind, id), usize::try_from(count).unwrap_or(usize::MAX));
        let waiting: HashMap<Name, usize> = store.waiting_counts().await?.into_iter().map(counted).collect();
        let holds = Self::default();
        holds.change(|known| {
            let names: Vec<Name> = waiting.keys().cloned().collect();
            *known = Known { held, waiting, ..Known::default() };
            names.into_iter().for_each(|name| known.judge(name));
        });
        Ok(holds)
    }

    /// Learns what other processes have changed in `store`. What this process changes meanwhile stands, and the others' is learned the next time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn learn(&self, store: &dyn Instances) -> Result<(), StoreError> {
        let before = self.changes.load(Ordering::Acquire);
        if self.begun.load(Ordering::Acquire) > 0 {
            return Ok(());
        }
        let fresh = Self::open(store).await?;
        let mut fresh = fresh.known.into_inner();
        let mut known = self.known.write();
        if self.begun.load(Ordering::Acquire) > 0 || self.changes.load(Ordering::Acquire) != before {
            return Ok(());
        }
        fresh.put_off = std::mem::take(&mut known.put_off);
        fresh.put_off.retain(|name, _| fresh.waiting.contains_key(name));
        fresh.due.retain(|name| !fresh.put_off.contains_key(name));
        *known = fresh;
        self.count.store(known.held.len() + known.waiting.len(), Ordering::Release);
        Ok(())
    }

    /// A change that is known before it is written, until this is dropped.
    fn begin(&self) -> Begun<'_> {
        self.begun.fetch_add(1, Ordering::AcqRel);
        Begun(&self.begun)
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

    /// Up to `limit` instances for which events wait that may move them now: nobody holds them, and nothing is put off.
    pub(super) fn due(&self, limit: usize) -> Vec<Name> {
        if self.are_none() { Vec::new() } else { self.known.read().due.iter().take(limit).cloned().collect() }
    }

    /// Instances that nobody holds and whose events wait for a run to end: that keeps no deadline from ending the wait for that run.
    pub(super) fn put_off_until_run(&self) -> Vec<Name> {
        if self.are_none() {
            return Vec::new();
        }
        let known = self.known.read();
        let until_run = known.put_off.iter().filter(|(name, why)| **why == PutOff::UntilRun && !known.held.contains(*name));
        until_run.map(|(name, _)| name.clone()).collect()
    }

    /// The events of an instance wait on, until [`Self::look_again`] or [`Self::look_again_at_all`].
    pub(super) fn put_off(&self, (kind, id): (&str, &str), why: PutOff) {
        let name = (kind.to_owned(), id.to_owned());
        self.change(|known| {
            if known.waiting.contains_key(&name) {
                known.put_off.insert(name.clone(), why);
                known.judge(name);
            }
        });
    }

    /// The events of an instance may fit now. Whether they were put off.
    pub(super) fn look_again(&self, kind: &str, id: &str) -> bool {
        if self.are_none() || self.known.read().put_off.is_empty() {
            return false;
        }
        let (name, mut was_put_off) = ((kind.to_owned(), id.to_owned()), false);
        self.change(|known| {
            was_put_off = known.put_off.remove(&name).is_some();
            known.judge(name);
        });
        was_put_off
    }

    /// Nothing is put off any more.
    pub(super) fn look_again_at_all(&self) {
        if self.are_none() || self.known.read().put_off.is_empty() {
            return;
        }
        self.change(|known| std::mem::take(&mut known.put_off).into_keys().for_each(|name| known.judge(name)));
    }

    /// Holds an unfinished instance in `store`, and writes `audit` of it; false if there is none.
    ///
    /// # Errors
    /// The store did not do it.
    pub async fn hold(&self, store: &dyn Instances, (kind, id): (&str, &str), hold: Hold, audit: AuditEntry) -> Result<bool, StoreError> {
        let was_held = self.has(kind, id);
        let _begun = self.begin();
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
        let _begun = self.begin();
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
        let _begun = self.begin();
        // Known before it is written: nothing that comes later overtakes it.
        self.change(|known| {
            *known.waiting.entry(name.clone()).or_default() += 1;
            known.judge(name.clone());
        });
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
                known.put_off.remove(&name);
                known.judge(name);
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
                known.held.insert(name.clone());
            } else {
                known.held.remove(&name);
                known.put_off.remove(&name);
            }
            known.judge(name);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.write();
        self.changes.fetch_add(1, Ordering::AcqRel);
        change(&mut known);
        self.count.store(known.held.len() + known.waiting.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds as they are with one event that waits for an instance that is held.
    fn held() -> Holds {
        let holds = Holds::default();
        holds.note("things", "a", true);
        holds.change(|known| {
            known.waiting.insert(("things".into(), "a".into()), 1);
            known.judge(("things".into(), "a".into()));
        });
        holds
    }

    #[test]
    fn events_are_due_only_for_an_instance_that_nobody_holds() {
        let holds = held();
        assert!(holds.due(10).is_empty(), "it is held");
        holds.note("things", "a", false);
        assert_eq!(holds.due(10), [("things".to_owned(), "a".to_owned())]);
        holds.note("things", "a", true);
        assert!(holds.due(10).is_empty(), "it is held again");
        holds.note("things", "a", false);
        holds.waits_no_longer("things", "a");
        assert!(holds.due(10).is_empty() && holds.are_none());
    }

    #[test]
    fn what_is_put_off_is_due_again_when_it_is_looked_at_again() {
        let holds = held();
        holds.note("things", "a", false);
        holds.put_off(("things", "a"), PutOff::UntilRun);
        assert!(holds.due(10).is_empty());
        assert_eq!(holds.put_off_until_run().len(), 1);
        assert!(holds.look_again("things", "a") && !holds.look_again("things", "a"));
        assert_eq!(holds.due(10).len(), 1);

        holds.put_off(("things", "a"), PutOff::Unusable);
        assert!(holds.due(10).is_empty() && holds.put_off_until_run().is_empty(), "no run is waited for");
        holds.look_again_at_all();
        assert_eq!(holds.due(10).len(), 1);
    }
}
