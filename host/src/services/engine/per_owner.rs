//! How many instances each owner has in the states that a limit is about, kept in memory so that asking costs nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use parking_lot::Mutex;

use crate::plan::{self, ResourceHandler};
use crate::store::{Instances, StoreError};

/// The limits of a process, by kind of resource.
pub struct PerOwner {
    limits: HashMap<String, Limit>,
}

struct Limit {
    most: u64,
    states: BTreeSet<String>,
    counts: Mutex<Counts>,
}

#[derive(Clone, Default)]
struct Counts {
    /// By owner. Two commits that follow each other may be counted the other way round, so for a moment there can be less than none.
    of: HashMap<String, i64>,
    /// Grows with whatever is counted.
    changes: u64,
    /// Instances that are counted and not written yet.
    begun: u64,
}

/// What the store was found to have, and what was counted before it was asked, by kind of resource.
pub(super) struct Asked(HashMap<String, (Counts, Vec<(String, u64)>)>);

/// An instance that is counted and not written yet. It is no longer counted when this is dropped, unless it was kept.
#[must_use]
pub struct Share<'a> {
    limit: &'a Limit,
    owner: &'a str,
    is_kept: bool,
}

impl PerOwner {
    /// Begins at what the store has at start.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: &dyn Instances, handlers: &[ResourceHandler]) -> Result<Self, StoreError> {
        let mut limits = HashMap::new();
        for handler in handlers {
            let Some(plan::PerOwner { max_instances, states }) = &handler.per_owner else { continue };
            limits.insert(handler.kind.clone(), Limit { most: *max_instances, states: states.clone(), counts: Mutex::default() });
        }
        let counted = Self { limits };
        counted.count_anew(&counted.ask(store).await?);
        Ok(counted)
    }

    /// What the store has, for [`Self::count_anew`].
    pub(super) async fn ask(&self, store: &dyn Instances) -> Result<Asked, StoreError> {
        let mut asked = HashMap::new();
        for (kind, limit) in &self.limits {
            let before = limit.counts.lock().clone();
            let listed: Vec<String> = limit.states.iter().cloned().collect();
            asked.insert(kind.clone(), (before, store.unfinished_by_owner(kind, &listed).await?));
        }
        Ok(Asked(asked))
    }

    /// Counts what the store was found to have, where others write it too. What has moved since it was asked stands beside it: only what was wrong
    /// before is put right. Whether the counts are exact: where something moved nobody knows whether the store had it already, and it has to be
    /// asked again.
    pub(super) fn count_anew(&self, Asked(asked): &Asked) -> bool {
        let mut is_exact = true;
        for (kind, limit) in &self.limits {
            let Some((before, found)) = asked.get(kind) else { continue };
            is_exact &= limit.put_right(before, found);
        }
        is_exact
    }

    /// One more of `owner`; nothing to keep where there is no limit. It is counted before it is written, so that many at once cannot become too many.
    ///
    /// # Errors
    /// The owner has as many as one may have.
    pub fn begin<'a>(&'a self, kind: &str, owner: Option<&'a str>) -> Result<Option<Share<'a>>, Full> {
        let (Some(limit), Some(owner)) = (self.limits.get(kind), owner) else { return Ok(None) };
        let mut counts = limit.counts.lock();
        let count = counts.of.get(owner).copied().unwrap_or_default();
        if u64::try_from(count).is_ok_and(|count| count >= limit.most) {
            return Err(Full);
        }
        counts.add(owner, 1);
        counts.begun += 1;
        Ok(Some(Share { limit, owner, is_kept: false }))
    }

    /// Whether the instances of a kind are counted.
    #[must_use]
    pub fn counts(&self, kind: &str) -> bool {
        self.limits.contains_key(kind)
    }

    /// An instance that was there before went from one state to another.
    pub fn moved(&self, kind: &str, owner: Option<&str>, from: &str, to: &str) {
        let (Some(limit), Some(owner)) = (self.limits.get(kind), owner) else { return };
        match (limit.states.contains(from), limit.states.contains(to)) {
            (true, false) => limit.add(owner, -1),
            (false, true) => limit.add(owner, 1),
            (true, true) | (false, false) => {}
        }
    }
}

/// The owner has as many as one may have.
#[derive(Debug)]
pub struct Full;

impl Share<'_> {
    /// The instance is written, and in `state`.
    pub fn keep(mut self, state: &str) {
        self.is_kept = self.limit.states.contains(state);
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut counts = self.limit.counts.lock();
        counts.begun -= 1;
        if !self.is_kept {
            counts.add(self.owner, -1);
        }
    }
}

impl Limit {
    fn add(&self, owner: &str, change: i64) {
        self.counts.lock().add(owner, change);
    }

    /// Adds to each owner's count what was missing in it `before`, when the store had `found`. Whether nothing had moved since.
    fn put_right(&self, before: &Counts, found: &[(String, u64)]) -> bool {
        let found: HashMap<&str, i64> =
            found.iter().map(|(owner, count)| (owner.as_str(), i64::try_from(*count).unwrap_or(i64::MAX))).collect();
        let owners: HashSet<&str> = before.of.keys().map(String::as_str).chain(found.keys().copied()).collect();
        let mut counts = self.counts.lock();
        let is_exact = before.begun == 0 && before.changes == counts.changes;
        for owner in owners {
            let had = before.of.get(owner).copied().unwrap_or_default();
            let missing = found.get(owner).copied().unwrap_or_default().saturating_sub(had);
            if missing != 0 {
                counts.add(owner, missing);
            }
        }
        is_exact
    }
}

impl Counts {
    /// Who has none is forgotten.
    fn add(&mut self, owner: &str, change: i64) {
        self.changes += 1;
        let count = self.of.get(owner).copied().unwrap_or_default().saturating_add(change);
        if count == 0 {
            self.of.remove(owner);
        } else {
            self.of.insert(owner.to_owned(), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_two() -> PerOwner {
        let states = ["waiting", "trying"].map(str::to_owned).into();
        PerOwner { limits: [("things".to_owned(), Limit { most: 2, states, counts: Mutex::default() })].into() }
    }

    fn has_room(limits: &PerOwner, owner: &str) -> bool {
        limits.begin("things", Some(owner)).is_ok()
    }

    #[test]
    fn what_is_begun_counts_before_it_is_written_and_no_longer_if_it_never_is() {
        let limits = of_two();
        let (one, two) = (limits.begin("things", Some("ada")).unwrap(), limits.begin("things", Some("ada")).unwrap());
        assert!(!has_room(&limits, "ada") && has_room(&limits, "bob"));
        drop(one);
        assert!(has_room(&limits, "ada"));
        two.unwrap().keep("done");
        assert!(limits.limits["things"].counts.lock().of.is_empty(), "who has none is forgotten");
        assert!(limits.begin("others", Some("ada")).unwrap().is_none() && limits.begin("things", None).unwrap().is_none());
    }

    #[test]
    fn an_instance_counts_as_long_as_it_is_in_one_of_the_states() {
        let limits = of_two();
        for _ in 0..2 {
            limits.begin("things", Some("ada")).unwrap().unwrap().keep("waiting");
        }
        limits.moved("things", Some("ada"), "waiting", "trying");
        assert!(!has_room(&limits, "ada"));
        limits.moved("things", Some("ada"), "trying", "done");
        assert!(has_room(&limits, "ada"));
        limits.moved("things", Some("ada"), "undone", "waiting");
        assert!(!has_room(&limits, "ada"));
    }

    #[test]
    fn the_end_may_be_told_before_the_beginning() {
        let limits = of_two();
        limits.moved("things", Some("ada"), "waiting", "done");
        limits.moved("things", Some("ada"), "undone", "waiting");
        assert!(limits.limits["things"].counts.lock().of.is_empty());
    }

    /// The store has those of ada, and of nobody else, and was asked now.
    fn asked(limits: &PerOwner, of_ada: u64) -> Asked {
        let before = limits.limits["things"].counts.lock().clone();
        Asked([("things".to_owned(), (before, vec![("ada".to_owned(), of_ada)]))].into())
    }

    #[test]
    fn what_moves_while_the_store_is_asked_is_not_lost() {
        let limits = of_two();
        let count = |owner: &str| limits.limits["things"].counts.lock().of.get(owner).copied();
        limits.moved("things", Some("bob"), "undone", "waiting");
        let before = asked(&limits, 5);
        let share = limits.begin("things", Some("ada")).unwrap().unwrap();
        limits.moved("things", Some("ada"), "undone", "waiting");
        assert!(!limits.count_anew(&before), "nobody knows whether the store had them");
        assert_eq!((count("ada"), count("bob")), (Some(7), None));
        assert!(!limits.count_anew(&asked(&limits, 6)), "one is not written yet");
        share.keep("waiting");
        assert!(limits.count_anew(&asked(&limits, 7)));
        assert_eq!(count("ada"), Some(7));
    }
}
