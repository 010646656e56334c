//! What is committed with an answer beside what it changes: the component's state, and its business events.

use jiff::Timestamp;

use super::events::Events;
use crate::runtime::{self, Alongside, Published};
use crate::store::{Commit, KvOp, KvOwner, KvRow, OutboxRow, Resource, StepRun};
use crate::telemetry::traces;

/// The same as rows for the store.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// What becomes of the state of components.
    pub kv: Vec<KvRow>,
    /// Events to publish.
    pub outbox: Vec<OutboxRow>,
}

impl Rows {
    /// Of what a run has said about a resource as it was then.
    pub(super) fn of(events: &Events, (run, resource): (&StepRun, &Resource), alongside: &Alongside, now: Timestamp) -> Self {
        let kv = kv(run, alongside);
        Self { kv, outbox: outbox(events, (run, resource), &alongside.events, now) }
    }

    /// Adds them to a commit, the events before those that it has: what a step tells comes before what follows from its answer.
    pub(in crate::services) fn add_to(self, commit: &mut Commit) {
        commit.kv.extend(self.kv);
        drop(commit.outbox.splice(0..0, self.outbox));
    }
}

/// What becomes of the state of a run's component.
pub(super) fn kv(run: &StepRun, alongside: &Alongside) -> Vec<KvRow> {
    let instance = || Some((run.resource_kind.clone(), run.resource_id.clone()));
    let row = |change: &runtime::KvChange| KvRow {
        owner: KvOwner { component: run.component.clone(), instance: change.of_instance.then(instance).flatten() },
        key: change.key.clone(),
        op: match &change.op {
            runtime::KvOp::Set(value) => KvOp::Set(value.clone()),
            runtime::KvOp::Delete => KvOp::Delete,
            runtime::KvOp::Add(by) => KvOp::Add(*by),
        },
    };
    alongside.kv.iter().map(row).collect()
}

/// The events that a run's component publishes.
pub(super) fn outbox(events: &Events, (run, resource): (&StepRun, &Resource), published: &[Published], now: Timestamp) -> Vec<OutboxRow> {
    let traceparent = || traces::current().or_else(|| resource.workflow.as_ref()?.traceparent.as_deref().map(str::to_owned));
    published.iter().map(|event| events.published_row(event, (run, resource), now, traceparent())).collect()
}
