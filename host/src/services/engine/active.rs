//! How many instances each workflow has, unfinished and by state, kept in memory so that asking costs nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use millrace_workflow::Definition;

/// Counts by workflow.
pub struct Active {
    workflows: HashMap<String, Counts>,
}

#[derive(Default)]
struct Counts {
    unfinished: AtomicI64,
    /// The states of the definition, and no others.
    states: HashMap<String, AtomicI64>,
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
pub struct WorkflowCounts<'a> {
    /// Its name.
    pub workflow: &'a str,
    /// Instances that have not reached a final state.
    pub unfinished: u64,
    /// Instances by state; in final states only those that were reached in the life of this process.
    pub states: Vec<(&'a str, u64)>,
}

impl Active {
    /// Begins at what the store had at start, by workflow and state.
    #[must_use]
    pub fn new<'a>(definitions: impl Iterator<Item = &'a Definition>, at_start: &[(String, String, u64)]) -> Self {
        let workflows: HashMap<String, Counts> = definitions
            .map(|definition| {
                let states = definition.states.keys().map(|state| (state.clone(), AtomicI64::new(0))).collect();
                (definition.name.clone(), Counts { unfinished: AtomicI64::new(0), states })
            })
            .collect();
        for (workflow, state, count) in at_start {
            let Some(counts) = workflows.get(workflow) else { continue };
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            counts.unfinished.fetch_add(count, Ordering::Relaxed);
            if let Some(in_state) = counts.states.get(state) {
                in_state.fetch_add(count, Ordering::Relaxed);
            }
        }
        Self { workflows }
    }

    /// One more, unless there are `most` already. It is counted before it is written, so that many at once cannot become too many.
    #[must_use]
    pub fn begin<'a>(&'a self, workflow: &'a str, most: Option<u64>) -> Option<Place<'a>> {
        let most = most.and_then(|most| i64::try_from(most).ok()).unwrap_or(i64::MAX);
        let one_more = |count: i64| (count < most).then(|| count.saturating_add(1));
        if let Some(counts) = self.workflows.get(workflow) {
            counts.unfinished.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        }
        Some(Place { active: self, workflow, is_kept: false })
    }

    /// One less.
    pub fn finished(&self, workflow: &str) {
        if let Some(counts) = self.workflows.get(workflow) {
            counts.unfinished.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The counter of a state, to be changed when an instance enters or leaves it.
    #[must_use]
    pub fn state(&self, workflow: &str, state: &str) -> Option<&AtomicI64> {
        self.workflows.get(workflow)?.states.get(state)
    }

    /// All counts.
    pub fn counts(&self) -> impl Iterator<Item = WorkflowCounts<'_>> {
        self.workflows.iter().map(|(workflow, counts)| WorkflowCounts {
            workflow,
            unfinished: now(&counts.unfinished),
            states: counts.states.iter().map(|(state, count)| (state.as_str(), now(count))).collect(),
        })
    }
}

/// Two commits that follow each other may be counted the other way round, so for a moment there can be less than none.
fn now(count: &AtomicI64) -> u64 {
    u64::try_from(count.load(Ordering::Relaxed)).unwrap_or(0)
}
