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
    /// Those of which a change is known here and not in the store yet, and how many.
    begun: HashMap<Name, usize>,
    /// While the store is asked what others have changed: those that this process changes meanwhile, of which it is not the last word then.
    changed: Option<HashSet<Name>>,
}

/// What a store has: those that are held, and how many events wait for whom.
type Found = (HashSet<Name>, HashMap<Name, usize>);

async fn found(store: &dyn Instances) -> Result<Found, StoreError> {
    let held = store.holds().await?.into_iter().collect();
    let counted = |(kind, id, count)| ((kind, id), usize::try_from(count).unwrap_or(usize::MAX));
    Ok((held, store.waiting_counts().await?.into_iter().map(counted).collect()))
}

impl Known {
    /// Notes that a name is changed here, in case the store is just being asked.
    fn note_changed(&mut self, name: &Name) {
        if let Some(changed) = &mut self.changed {
            changed.insert(name.clone());
        }
    }

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
struct Begun<'a> {
    holds: &'a Holds,
    name: Name,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut known = self.holds.known.write();
        if let Some(count) = known.begun.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                known.begun.remove(&self.name);
            }
        }
    }
}

impl Holds {
    /// Those that `store` has.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: &dyn Instances) -> Result<Self, StoreError> {
        let holds = Self::default();
        holds.merge(found(store).await?);
        Ok(holds)
    }

    /// Learns what other processes have changed in `store`. Of the instances that this process changes meanwhile it learns nothing, and answers
    /// false: what others have changed of them is learned the next time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn learn(&self, store: &dyn Instances) -> Result<bool, StoreError> {
        self.begin_to_learn();
        Ok(self.merge(found(store).await?))
    }

    fn begin_to_learn(&self) {
        self.change(|known| known.changed = Some(known.begun.keys().cloned().collect()));
    }

    /// Takes what a store has for what there is, but for what was changed here since it was asked. Whether there was no such thing.
    fn merge(&self, (mut held, mut waiting): Found) -> bool {
        let mut is_all = true;
        self.change(|known| {
            let changed = known.changed.take().unwrap_or_default();
            is_all = changed.is_empty();
            held.retain(|name| !changed.contains(name));
            held.extend(changed.iter().filter(|name| known.held.contains(*name)).cloned());
            waiting.retain(|name, _| !changed.contains(name));
            waiting.extend(changed.iter().filter_map(|name| Some((name.clone(), *known.waiting.get(name)?))));
            let names: Vec<Name> = waiting.keys().cloned().collect();
            known.put_off.retain(|name, _| waiting.contains_key(name));
            (known.held, known.waiting) = (held, waiting);
            known.due.clear();
            names.into_iter().for_each(|name| known.judge(name));
        });
        is_all
    }

    /// A change that is known before it is written, until this is dropped.
    fn begin(&self, name: &Name) -> Begun<'_> {
        self.change(|known| {
            *known.begun.entry(name.clone()).or_default() += 1;
            known.note_changed(name);
        });
        Begun { holds: self, name: name.clone() }
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
        let _begun = self.begin(&(kind.to_owned(), id.to_owned()));
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
        let _begun = self.begin(&(kind.to_owned(), id.to_owned()));
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
        let _begun = self.begin(&name);
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
            known.note_changed(&name);
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
            known.note_changed(&name);
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
    fn name(id: &str) -> Name {
        ("things".to_owned(), id.to_owned())
    }

    #[test]
    fn what_changes_while_the_store_is_asked_keeps_nobody_from_learning_the_rest() {
        let holds = held();
        holds.note("things", "gone", true);
        let begun = holds.begin(&name("begun"));
        holds.note("things", "begun", true);
        holds.begin_to_learn();
        holds.note("things", "mine", true);
        holds.waits_no_longer("things", "a");
        let found = || (HashSet::from([name("a"), name("theirs")]), HashMap::from([(name("a"), 1), (name("waits"), 2)]));
        assert!(!holds.merge(found()), "of some nothing was learned");
        for (id, is_held) in [("a", true), ("theirs", true), ("mine", true), ("begun", true), ("gone", false)] {
            assert_eq!(holds.has("things", id), is_held, "{id}");
        }
        assert_eq!(holds.due(10), [name("waits")], "none waits for the first any more");

        drop(begun);
        holds.begin_to_learn();
        assert!(holds.merge(found()));
        assert!(holds.has("things", "theirs") && !holds.has("things", "mine") && !holds.has("things", "begun"));
    }
}
