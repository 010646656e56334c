//! How many instances each workflow has, unfinished and by state, kept in memory so that asking costs nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use millrace_workflow::Definition;

/// Counts by workflow.
pub struct Active {
    workflows: ArcSwap<HashMap<String, Counts>>,
    /// Grows with each instance that is begun or finished.
    changes: AtomicU64,
    /// Instances that are counted and not written yet.
    begun: AtomicU64,
}

/// What was counted before the store was asked, see [`Active::before`].
pub(super) struct Before {
    changes: u64,
    begun: u64,
    /// Unfinished ones, and those in each state, by workflow.
    counts: HashMap<String, (i64, HashMap<String, i64>)>,
}

#[derive(Clone, Default)]
struct Counts {
    unfinished: Arc<AtomicI64>,
    /// The states of the definitions that were current in the life of this process, and no others.
    states: HashMap<String, Arc<AtomicI64>>,
    /// Those of them that are final.
    finals: HashSet<String>,
}

/// An instance that is counted and not written yet. It is no longer counted when this is dropped, unless it was kept.
#[must_use]
pub struct Place<'a> {
    active: &'a Active,
    workflow: &'a str,
    is_kept: bool,
}

impl Place<'_> {
    /// The instance is written.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.active.finished(self.workflow);
        }
        self.active.begun.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What there is of a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowCounts {
    /// Its name.
    pub workflow: String,
    /// Instances that have not reached a final state.
    pub unfinished: u64,
    /// Instances by state; in final states only those that were reached in the life of this process.
    pub states: Vec<(String, u64)>,
}

impl Active {
    /// Begins at what the store had at start, by workflow and state.
    #[must_use]
    pub fn new<'a>(definitions: impl Iterator<Item = &'a Definition>, at_start: &[(String, String, u64)]) -> Self {
        let mut workflows = HashMap::new();
        definitions.for_each(|definition| count(&mut workflows, definition));
        for (workflow, state, count) in at_start {
            let Some(counts) = workflows.get(workflow) else { continue };
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            counts.unfinished.fetch_add(count, Ordering::Relaxed);
            if let Some(in_state) = counts.states.get(state) {
                in_state.fetch_add(count, Ordering::Relaxed);
            }
        }
        Self { workflows: ArcSwap::from_pointee(workflows), changes: AtomicU64::new(0), begun: AtomicU64::new(0) }
    }

    /// Counts the instances of these definitions too. What is counted already goes on to be.
    pub fn add<'a>(&self, definitions: impl Iterator<Item = &'a Definition>) {
        let mut workflows = HashMap::clone(&self.workflows.load());
        definitions.for_each(|definition| count(&mut workflows, definition));
        self.workflows.store(Arc::new(workflows));
    }

    /// What is counted now. To be taken before the store is asked, see [`Self::count_anew`].
    pub(super) fn before(&self) -> Before {
        let (changes, begun) = (self.changes.load(Ordering::Acquire), self.begun.load(Ordering::Acquire));
        let of = |counts: &Counts| {
            let states = counts.states.iter().map(|(state, count)| (state.clone(), count.load(Ordering::Relaxed)));
            (counts.unfinished.load(Ordering::Relaxed), states.collect::<HashMap<_, _>>())
        };
        let counts = self.workflows.load().iter().map(|(workflow, counts)| (workflow.clone(), of(counts))).collect();
        Before { changes, begun, counts }
    }

    /// Counts what the store has `found`, by workflow and state, where others write it too. What has moved since `before` stands beside it: only
    /// what was wrong then is put right. Whether the counts are exact: where something moved nobody knows whether the store had it already, and it
    /// has to be asked again.
    pub(super) fn count_anew(&self, before: &Before, found: &[(String, String, u64)]) -> bool {
        let mut is_exact = before.begun == 0 && before.changes == self.changes.load(Ordering::Acquire);
        let workflows = self.workflows.load();
        for (workflow, counts) in workflows.iter() {
            // It came with another config meanwhile.
            let Some((unfinished, states)) = before.counts.get(workflow) else {
                is_exact = false;
                continue;
            };
            let of = |state: Option<&str>| {
                let those = found.iter().filter(|(name, at, _)| name == workflow && state.is_none_or(|state| state == at));
                those.map(|(_, _, count)| i64::try_from(*count).unwrap_or(i64::MAX)).fold(0, i64::saturating_add)
            };
            is_exact &= put_right(&counts.unfinished, *unfinished, of(None));
            for (state, count) in counts.states.iter().filter(|(state, _)| !counts.finals.contains(*state)) {
                match states.get(state) {
                    Some(before) => is_exact &= put_right(count, *before, of(Some(state))),
                    None => is_exact = false,
                }
            }
        }
        is_exact
    }

    /// One more, unless there are `most` already. It is counted before it is written, so that many at once cannot become too many.
    #[must_use]
    pub fn begin<'a>(&'a self, workflow: &'a str, most: Option<u64>) -> Option<Place<'a>> {
        let most = most.and_then(|most| i64::try_from(most).ok()).unwrap_or(i64::MAX);
        let one_more = |count: i64| (count < most).then(|| count.saturating_add(1));
        if let Some(counts) = self.workflows.load().get(workflow) {
            counts.unfinished.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        }
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.changes.fetch_add(1, Ordering::AcqRel);
        Some(Place { active: self, workflow, is_kept: false })
    }

    /// One less.
    pub fn finished(&self, workflow: &str) {
        if let Some(counts) = self.workflows.load().get(workflow) {
            counts.unfinished.fetch_sub(1, Ordering::Relaxed);
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// The counter of a state, to be changed when an instance enters or leaves it.
    #[must_use]
    pub fn state(&self, workflow: &str, state: &str) -> Option<Arc<AtomicI64>> {
        self.workflows.load().get(workflow)?.states.get(state).cloned()
    }

    /// All counts.
    #[must_use]
    pub fn counts(&self) -> Vec<WorkflowCounts> {
        let counted = |(workflow, counts): (&String, &Counts)| WorkflowCounts {
            workflow: workflow.clone(),
            unfinished: now(&counts.unfinished),
            states: counts.states.iter().map(|(state, count)| (state.clone(), now(count))).collect(),
        };
        self.workflows.load().iter().map(counted).collect()
    }
}

fn count(workflows: &mut HashMap<String, Counts>, definition: &Definition) {
    let counts = workflows.entry(definition.name.clone()).or_default();
    for (name, state) in &definition.states {
        counts.states.entry(name.clone()).or_default();
        if state.is_final {
            counts.finals.insert(name.clone());
        }
    }
}

/// Adds to a count what was missing in it `before`, when the store had `found`. Whether it had not moved since.
fn put_right(count: &AtomicI64, before: i64, found: i64) -> bool {
    count.fetch_add(found.saturating_sub(before), Ordering::Relaxed) == before
}

/// Two commits that follow each other may be counted the other way round, so for a moment there can be less than none.
fn now(count: &AtomicI64) -> u64 {
    u64::try_from(count.load(Ordering::Relaxed)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of one workflow with one state, in which there are so many.
    fn counted(count: u64) -> Active {
        let counts = Counts { states: [("paying".to_owned(), Arc::default())].into(), ..Counts::default() };
        let active = Active {
            workflows: ArcSwap::from_pointee([("returns".to_owned(), counts)].into()),
            changes: AtomicU64::new(0),
            begun: AtomicU64::new(0),
        };
        assert!(active.count_anew(&active.before(), &found(count)));
        active
    }

    fn found(count: u64) -> Vec<(String, String, u64)> {
        vec![("returns".into(), "paying".into(), count)]
    }

    fn unfinished(active: &Active) -> u64 {
        active.counts()[0].unfinished
    }

    #[test]
    fn what_moves_while_the_store_is_asked_is_not_lost() {
        let active = counted(3);
        let before = active.before();
        active.begin("returns", None).unwrap().keep();
        active.finished("returns");
        active.finished("returns");
        assert!(!active.count_anew(&before, &found(7)), "nobody knows whether the store had them");
        assert_eq!(unfinished(&active), 6);
        assert!(active.count_anew(&active.before(), &found(5)));
        assert_eq!((unfinished(&active), active.counts()[0].states[0].1), (5, 5));
    }

    #[test]
    fn what_is_begun_and_not_written_yet_makes_a_count_inexact() {
        let active = counted(3);
        let place = active.begin("returns", None).unwrap();
        let before = active.before();
        assert!(!active.count_anew(&before, &found(3)));
        drop(place);
        assert!(active.count_anew(&active.before(), &found(3)));
        assert_eq!(unfinished(&active), 3);
    }
}
