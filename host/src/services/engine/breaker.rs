//! A circuit breaker for each component: a version that fails again and again is left alone for a while.
//!
//! While it is open no run is begun. A run that would be stays in the store with the attempt it has, and becomes due when the breaker lets
//! one through to try: nothing counts as an attempt, so nothing is compensated only because the breaker is open. A new version begins with
//! a closed breaker, because the state belongs to a digest.
//!
//! It says something of a component, not of somebody who asks for what it cannot do. So each owner has a circuit of their own besides the one
//! of all, and few of one owner's failures count for all: who fails alone is left alone. Where there is one owner only, that is the same as
//! leaving the component alone; what belongs to nobody counts for all.
//!
//! The state is a type of its own rather than a layer of a library: a layer answers a denied call with an error, and here the answer is a
//! time to come back that goes into the store; it would measure time by itself, and here tests and the scheduler share the program's clock.
//!
//! Knows digests, times and whose a run is, nothing of what runs.

mod circuit;
mod row;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;

use super::by_component::ByComponent;
use crate::faults::planted;
use circuit::{Circuit, WINDOW};
use row::Row;

/// Seconds of results that are kept to see how others fared beside a run that hung.
const REMEMBERED: usize = 64;
/// Owners of whom a circuit is kept, those of the latest runs.
const MAX_OWNERS: usize = 1024;
/// Failures of one owner, among the last results of theirs, that count for all.
const MAX_OF_ONE: u32 = 2;

/// What the end of a run says of its component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It works.
    Worked,
    /// It does not.
    Failed,
    /// It does not in a run in which that was known.
    FailedAgain,
    /// It works, but what it needs for this run does not answer: the fault of a service behind it, or of what was asked for.
    Unserved,
    /// The same once more in a run in which that was known: it may well be that run's own fault.
    UnservedAgain,
    /// It did not answer for so long, until its time was up. That is [`Evidence::Unserved`] unless most of the runs that ended meanwhile have
    /// worked: many that hang are told of at once after a pause, however few of all they are.
    Hung(Duration),
}

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No run is begun from now on.
    Opened,
    /// Runs are begun again.
    Closed,
    /// The trial has decided nothing: another run may be one at once.
    Undecided,
}

/// What a result has changed, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// For the runs of everybody.
    pub of_all: Option<Change>,
    /// For the runs of the owner whose run it was.
    pub of_owner: Option<Change>,
}

/// A run may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftAlone {
    /// When to ask again.
    pub until: Timestamp,
    /// Runs of other owners may begin.
    pub only_owner: bool,
}

/// The breaker of one component.
#[derive(Debug, Clone)]
pub struct Breaker {
    /// The version that its results are of.
    digest: String,
    of_all: Circuit,
    owners: LruCache<String, Circuit>,
    /// Whose the last results were, the newest last.
    latest: VecDeque<Option<String>>,
    /// Who was not served, one after the other.
    row: Row,
    /// By second, the newest last: runs that have worked, and first attempts that have not.
    seconds: VecDeque<Second>,
}

#[derive(Debug, Clone, Copy)]
struct Second {
    at: i64,
    worked: u64,
    failed: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            digest: String::new(),
            of_all: Circuit::default(),
            owners: LruCache::new(NonZeroUsize::new(MAX_OWNERS).unwrap_or(NonZeroUsize::MIN)),
            latest: VecDeque::new(),
            row: Row::default(),
            seconds: VecDeque::new(),
        }
    }
}

impl Breaker {
    /// Whether a run of version `digest` that belongs to `owner` may begin now; `again` if it was attempted before. Such a run is a trial only
    /// if no other one comes, as one is of an owner for whom something has failed: what it shows may well be its own fault.
    ///
    /// # Errors
    /// It may not.
    pub fn admit(&mut self, digest: &str, owner: Option<&str>, again: bool, now: Timestamp) -> Result<(), LeftAlone> {
        if self.digest != digest {
            *self = Self { digest: digest.to_owned(), ..Self::default() };
        }
        // Who asks is not forgotten for others, admitted or not.
        if let Some(owner) = owner {
            self.owners.promote(owner);
        }
        if let Some(left_alone) = self.left_alone(digest, owner, again, now) {
            return Err(left_alone);
        }
        self.of_all.begin(now);
        if let Some(own) = owner.and_then(|owner| self.owners.get_mut(owner)) {
            own.begin(now);
        }
        Ok(())
    }

    /// A run of version `digest` that belongs to `owner` has ended. Results of other versions, and of runs that began before it opened, say
    /// nothing any more.
    pub fn record(&mut self, digest: &str, owner: Option<&str>, evidence: Evidence, now: Timestamp) -> Changes {
        if self.digest != digest {
            return Changes::default();
        }
        let excused = matches!(evidence, Evidence::Hung(lasted) if self.others_worked(lasted, now));
        self.note(owner, evidence, now);
        if !excused {
            self.row.record(evidence, now);
        }
        let mut own = owner.map(|owner| self.owners.get_or_insert_mut_ref(owner, Circuit::default));
        let mut changes = Changes::default();
        if let Some(own) = &mut own
            && !(excused && own.is_closed())
        {
            changes.of_owner = own.record(evidence, now);
        }
        let counts = evidence == Evidence::Worked || own.is_none_or(|own| own.failures() <= MAX_OF_ONE);
        // A trial is one, whosever it is.
        if !self.of_all.is_closed() || (counts && !excused) {
            changes.of_all = self.of_all.record(evidence, now);
        }
        changes
    }

    /// Notes what ended in this second, and whose it was.
    fn note(&mut self, owner: Option<&str>, evidence: Evidence, now: Timestamp) {
        if self.latest.len() == WINDOW.0 as usize {
            self.latest.pop_front();
        }
        self.latest.push_back(owner.map(str::to_owned));
        let (worked, failed) = match evidence {
            Evidence::Worked => (1, 0),
            Evidence::Failed | Evidence::Unserved | Evidence::Hung(_) => (0, 1),
            Evidence::FailedAgain | Evidence::UnservedAgain => return,
        };
        match self.seconds.back_mut() {
            // A clock that was set back adds to what is there.
            Some(last) if last.at >= now.as_second() => (last.worked, last.failed) = (last.worked + worked, last.failed + failed),
            _ => {
                if self.seconds.len() == REMEMBERED {
                    self.seconds.pop_front();
                }
                self.seconds.push_back(Second { at: now.as_second(), worked, failed });
            }
        }
    }

    /// Whether most of the runs that ended in the last `lasted` have worked.
    fn others_worked(&self, lasted: Duration, now: Timestamp) -> bool {
        let since = now.as_second().saturating_sub_unsigned(lasted.as_secs());
        let meanwhile = self.seconds.iter().filter(|second| second.at >= since);
        let (worked, failed) = meanwhile.fold((0, 0), |(worked, failed), second| (worked + second.worked, failed + second.failed));
        worked > failed
    }

    /// Why a run of version `digest` that belongs to `owner` would not begin now, if it would not. Asking begins nothing.
    #[must_use]
    pub fn left_alone(&self, digest: &str, owner: Option<&str>, again: bool, now: Timestamp) -> Option<LeftAlone> {
        if self.digest != digest {
            return None;
        }
        let own = owner.and_then(|owner| self.owners.peek(owner));
        if let Some(until) = own.and_then(|own| own.until(again, now)) {
            return Some(LeftAlone { until, only_owner: true });
        }
        let suspect = again || own.is_some_and(|own| own.failures() > 0);
        let last = suspect && !planted("trial-from-suspects");
        self.of_all.until(last, now).map(|until| LeftAlone { until, only_owner: false })
    }

    /// How many runs of version `digest`, of as many instances, were not served one after the other until a moment ago.
    #[must_use]
    pub fn unserved(&self, digest: &str, now: Timestamp) -> u32 {
        if self.digest == digest { self.row.length(now) } else { 0 }
    }

    /// As metrics show it: 0 closed, 1 half open, 2 open; for all, or for each of those whose runs ended last. Of a version other than
    /// `digest` it is closed.
    #[must_use]
    pub fn level(&self, digest: &str, now: Timestamp) -> i64 {
        if self.digest != digest {
            return 0;
        }
        let of = |owner: &Option<String>| owner.as_ref().and_then(|owner| self.owners.peek(owner)).map_or(0, |own| own.level(now));
        self.of_all.level(now).max(self.latest.iter().map(of).min().unwrap_or_default())
    }
}

/// The breakers of the components of a process.
pub struct Breakers {
    by_component: ByComponent<Mutex<Breaker>>,
}

impl Breakers {
    /// All closed.
    #[must_use]
    pub fn new(components: impl Iterator<Item = String>) -> Self {
        Self { by_component: ByComponent::new(components) }
    }

    /// One for each of these components that has none, closed.
    pub fn add(&self, components: impl Iterator<Item = String>) {
        self.by_component.add(components);
    }

    /// See [`Breaker::admit`].
    ///
    /// # Errors
    /// As there.
    pub fn admit(&self, component: &str, digest: &str, owner: Option<&str>, again: bool, now: Timestamp) -> Result<(), LeftAlone> {
        self.by_component.of(component).map_or(Ok(()), |breaker| breaker.lock().admit(digest, owner, again, now))
    }

    /// See [`Breaker::left_alone`].
    #[must_use]
    pub fn left_alone(&self, component: &str, digest: &str, owner: Option<&str>, again: bool, now: Timestamp) -> Option<LeftAlone> {
        self.by_component.of(component)?.lock().left_alone(digest, owner, again, now)
    }

    /// See [`Breaker::record`].
    pub fn record(&self, component: &str, digest: &str, owner: Option<&str>, evidence: Evidence, now: Timestamp) -> Changes {
        self.by_component.of(component).map_or_else(Changes::default, |breaker| breaker.lock().record(digest, owner, evidence, now))
    }

    /// See [`Breaker::unserved`].
    #[must_use]
    pub fn unserved(&self, component: &str, digest: &str, now: Timestamp) -> u32 {
        self.by_component.of(component).map_or(0, |breaker| breaker.lock().unserved(digest, now))
    }

    /// What a run of a component that was not served says of it, see [`Breakers::unserved`].
    pub fn set_reason(&self, component: &str, reason: &str) {
        if let Some(breaker) = self.by_component.of(component) {
            breaker.lock().row.set_reason(reason);
        }
    }

    /// What the last run of a component that was not served has said of it.
    #[must_use]
    pub fn reason(&self, component: &str) -> String {
        self.by_component.of(component).map(|breaker| breaker.lock().row.reason().to_owned()).unwrap_or_default()
    }

    /// See [`Breaker::level`].
    #[must_use]
    pub fn level(&self, component: &str, digest: &str, now: Timestamp) -> i64 {
        self.by_component.of(component).map_or(0, |breaker| breaker.lock().level(digest, now))
    }
}
