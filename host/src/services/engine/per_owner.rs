//! How many instances each owner has in the states that a limit is about, kept in memory so that asking costs nothing.

use std::collections::{BTreeSet, HashMap};

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
    /// By owner. Two commits that follow each other may be counted the other way round, so for a moment there can be less than none.
    counts: Mutex<HashMap<String, i64>>,
}

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
        counted.count_anew(store).await?;
        Ok(counted)
    }

    /// Counts what the store has. Where others write it too, what begins or ends meanwhile is counted the next time.
    pub(super) async fn count_anew(&self, store: &dyn Instances) -> Result<(), StoreError> {
        for (kind, limit) in &self.limits {
            let listed: Vec<String> = limit.states.iter().cloned().collect();
            let found = store.unfinished_by_owner(kind, &listed).await?;
            *limit.counts.lock() = found.into_iter().map(|(owner, count)| (owner, i64::try_from(count).unwrap_or(i64::MAX))).collect();
        }
        Ok(())
    }

    /// One more of `owner`; nothing to keep where there is no limit. It is counted before it is written, so that many at once cannot become too many.
    ///
    /// # Errors
    /// The owner has as many as one may have.
    pub fn begin<'a>(&'a self, kind: &str, owner: Option<&'a str>) -> Result<Option<Share<'a>>, Full> {
        let (Some(limit), Some(owner)) = (self.limits.get(kind), owner) else { return Ok(None) };
        let mut counts = limit.counts.lock();
        let count = counts.get(owner).copied().unwrap_or_default();
        if u64::try_from(count).is_ok_and(|count| count >= limit.most) {
            return Err(Full);
        }
        counts.insert(owner.to_owned(), count + 1);
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
        if !self.is_kept {
            self.limit.add(self.owner, -1);
        }
    }
}

impl Limit {
    /// Who has none is forgotten.
    fn add(&self, owner: &str, change: i64) {
        let mut counts = self.counts.lock();
        let count = counts.get(owner).copied().unwrap_or_default().saturating_add(change);
        if count == 0 {
            counts.remove(owner);
        } else {
            counts.insert(owner.to_owned(), count);
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
        assert!(limits.limits["things"].counts.lock().is_empty(), "who has none is forgotten");
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
        assert!(limits.limits["things"].counts.lock().is_empty());
    }
}
