//! How many unfinished instances each workflow has, kept in memory so that asking costs nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::telemetry::Metrics;

/// Counts by workflow.
pub struct Active {
    counts: HashMap<String, AtomicI64>,
    metrics: Metrics,
}

impl Active {
    /// Begins at what the store had at start.
    #[must_use]
    pub fn new<'a>(workflows: impl Iterator<Item = &'a str>, at_start: &[(String, u64)], metrics: Metrics) -> Self {
        let counts = workflows
            .map(|name| {
                let count = at_start.iter().find(|(workflow, _)| workflow == name).map_or(0, |(_, count)| *count);
                metrics.set_active_workflows(name, count);
                (name.to_owned(), AtomicI64::new(i64::try_from(count).unwrap_or(i64::MAX)))
            })
            .collect();
        Self { counts, metrics }
    }

    /// One more.
    pub fn began(&self, workflow: &str) {
        self.add(workflow, 1);
    }

    /// One less.
    pub fn finished(&self, workflow: &str) {
        self.add(workflow, -1);
    }

    /// Unfinished instances of `workflow`.
    #[must_use]
    pub fn count(&self, workflow: &str) -> u64 {
        let count = self.counts.get(workflow).map_or(0, |count| count.load(Ordering::Relaxed));
        u64::try_from(count).unwrap_or(0)
    }

    fn add(&self, workflow: &str, change: i64) {
        if let Some(count) = self.counts.get(workflow) {
            let now = count.fetch_add(change, Ordering::Relaxed) + change;
            self.metrics.set_active_workflows(workflow, u64::try_from(now).unwrap_or(0));
        }
    }
}
