//! What a run is to its component, and in traces.

use std::sync::Arc;
use std::time::Duration;

use millrace_workflow::RunKind;

use super::workflows::Workflows;
use crate::faults::planted;
use crate::runtime::Job;
use crate::store::{Resource, StepRun};
use crate::telemetry::traces::{self, Kind, Span};

/// Wall time of one attempt at a task.
const TASK_TIMEOUT: Duration = Duration::from_secs(30);
/// What the key of an undo's run has after the key that it is about.
pub(super) const UNDO_SUFFIX: &str = ":undo";

/// Makes jobs of runs.
#[derive(Clone)]
pub(super) struct Jobs {
    pub(super) workflows: Arc<Workflows>,
}

impl Jobs {
    /// What a component is told about a run.
    pub(super) async fn job(&self, run: &StepRun, resource: &Resource) -> Job {
        let data = match run.input.as_ref().filter(|_| run.kind == RunKind::Task) {
            Some(input) => input.to_string(),
            None => serde_json::to_string(&*resource.data).unwrap_or_default(),
        };
        Job {
            workflow: run.workflow.clone(),
            kind: run.resource_kind.clone(),
            instance_id: run.resource_id.clone(),
            step: run.name.clone(),
            transition: run.transition.clone(),
            from_state: run.from_state.clone(),
            to_state: run.to_state.clone(),
            attempt: run.attempt,
            visit: run.visit,
            idempotency_key: if planted("new-key-per-retry") { format!("{}.{}", key_of(run), run.attempt) } else { key_of(run).to_owned() },
            timeout: self.timeout(run, resource).await,
            traceparent: traces::current().or_else(|| caused_by(run, resource).map(str::to_owned)),
            data,
        }
    }

    async fn timeout(&self, run: &StepRun, resource: &Resource) -> Duration {
        let Some(progress) = resource.workflow.as_ref().filter(|_| run.kind != RunKind::Task) else { return TASK_TIMEOUT };
        let pinned = self.workflows.pinned(&progress.workflow, &progress.machine).await;
        pinned.ok().and_then(|pinned| pinned.machine.step(&run.name).map(|step| step.timeout)).unwrap_or(TASK_TIMEOUT)
    }
}

/// The idempotency key that a run is about.
pub(super) fn key_of(run: &StepRun) -> &str {
    match run.kind {
        RunKind::Undo => run.key.strip_suffix(UNDO_SUFFIX).unwrap_or(&run.key),
        RunKind::Step | RunKind::Task => &run.key,
    }
}

/// Whether a key is that of an undo's run.
pub(super) fn is_undo(key: &str) -> bool {
    key.ends_with(UNDO_SUFFIX)
}

/// Trace context of what a run was caused by.
fn caused_by<'a>(run: &'a StepRun, resource: &'a Resource) -> Option<&'a str> {
    let began = || resource.workflow.as_ref()?.traceparent.as_deref();
    run.traceparent.as_deref().or_else(began)
}

/// An attempt, from its beginning until its answer is durable.
pub(in crate::services) fn span_of(run: &StepRun, resource: &Resource) -> Span {
    let Some(cause) = caused_by(run, resource) else { return Span::default() };
    let span = Span::begin(Kind::Internal, Some(cause), || run.name.clone());
    span.set("millrace.component", || run.component.clone())
        .set("millrace.workflow", || run.workflow.clone())
        .set("millrace.instance.id", || run.resource_id.clone())
        .set("millrace.run.key", || run.key.clone())
        .set("millrace.attempt", || i64::from(run.attempt));
    span
}
