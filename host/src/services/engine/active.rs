//! How many instances each workflow has, unfinished and by state, kept in memory so that asking costs nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use millrace_workflow::Definition;

/// Counts by workflow.
pub struct Active {
    workflows: ArcSwap<HashMap<String, Counts>>,
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
        Self { workflows: ArcSwap::from_pointee(workflows) }
    }

    /// Counts the instances of these definitions too. What is counted already goes on to be.
    pub fn add<'a>(&self, definitions: impl Iterator<Item = &'a Definition>) {
        let mut workflows = HashMap::clone(&self.workflows.load());
        definitions.for_each(|definition| count(&mut workflows, definition));
        self.workflows.store(Arc::new(workflows));
    }

    /// Counts what the store has, by workflow and state, where others write it too. What begins or ends while it is asked is counted the next time.
    pub(super) fn count_anew(&self, found: &[(String, String, u64)]) {
        let workflows = self.workflows.load();
        for (workflow, counts) in workflows.iter() {
            let of = |state: Option<&str>| {
                let those = found.iter().filter(|(name, at, _)| name == workflow && state.is_none_or(|state| state == at));
                those.map(|(_, _, count)| i64::try_from(*count).unwrap_or(i64::MAX)).fold(0, i64::saturating_add)
            };
            counts.unfinished.store(of(None), Ordering::Relaxed);
            for (state, count) in counts.states.iter().filter(|(state, _)| !counts.finals.contains(*state)) {
                count.store(of(Some(state)), Ordering::Relaxed);
            }
        }
    }

    /// One more, unless there are `most` already. It is counted before it is written, so that many at once cannot become too many.
    #[must_use]
    pub fn begin<'a>(&'a self, workflow: &'a str, most: Option<u64>) -> Option<Place<'a>> {
        let most = most.and_then(|most| i64::try_from(most).ok()).unwrap_or(i64::MAX);
        let one_more = |count: i64| (count < most).then(|| count.saturating_add(1));
        if let Some(counts) = self.workflows.load().get(workflow) {
            counts.unfinished.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        }
        Some(Place { active: self, workflow, is_kept: false })
    }

    /// One less.
    pub fn finished(&self, workflow: &str) {
        if let Some(counts) = self.workflows.load().get(workflow) {
            counts.unfinished.fetch_sub(1, Ordering::Relaxed);
        }
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

/// Two commits that follow each other may be counted the other way round, so for a moment there can be less than none.
fn now(count: &AtomicI64) -> u64 {
    u64::try_from(count.load(Ordering::Relaxed)).unwrap_or(0)
}
