//! What a component's answer means for its run and its instance.

use std::sync::Arc;
use std::time::Duration;

use millrace_workflow::{Effect, Input, RetryPolicy, RunKind, StepOutcome};

use super::breaker::{Change, Evidence};
use super::commit_plan::{self, Context, Decision, Origin};
use super::pipeline::{Pipeline, stand_in};
use super::workflows::LookupError;
use crate::runtime::{Report, Verdict};
use crate::store::{Conflict, Object, Resource, RunStatus, Settled, StepRun, StoreError};
use crate::telemetry::metrics::ComponentRun;
use crate::telemetry::traces::{self, Span};

/// First and longest wait when the store cannot write an answer.
const STORE_BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What is lost if a run is no longer held by the time that something of it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) enum Lost {
    /// What a component has said.
    Answer,
    /// Nothing: it was put back without an attempt, and who has it by now goes on with it. Two who ask for the same at once come here.
    Nothing,
}

impl Pipeline {
    /// Makes an answer durable. It is decided anew as long as the instance moves, tried again as long as the store cannot
    /// write, and dropped when the run is no longer ours: then somebody else has its answer or will.
    pub(in crate::services) async fn settle(&self, run: &StepRun, resource: Arc<Resource>, report: &Report) {
        self.record(run, &resource, report);
        let mut current = Some(resource);
        self.make_durable(run, || {
            let known = current.take();
            async move {
                let resource = match known {
                    Some(resource) => resource,
                    None => match self.parts().store.resource(&run.resource_kind, &run.resource_id).await? {
                        Some(resource) => Arc::new(resource),
                        // Nobody is left to whom the answer could matter.
                        None => Arc::new(stand_in(run, self.parts().clock.now())),
                    },
                };
                self.decide(run, &resource, report).await
            }
        })
        .await;
    }

    /// Commits what `decide` decides, anew each time that it cannot be written.
    pub(in crate::services) async fn make_durable<F, Fut>(&self, run: &StepRun, mut decide: F)
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<Decision, StoreError>>,
    {
        self.until_written(run, Lost::Answer, || {
            let deciding = decide();
            async move { self.commit(deciding.await?).await.map(drop) }
        })
        .await;
    }

    /// Writes what came of a run, again each time that it cannot be written. False if it never will be: by then somebody else has the run, or
    /// the process stops.
    pub(in crate::services) async fn until_written<F, Fut>(&self, run: &StepRun, lost: Lost, mut write: F) -> bool
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<(), StoreError>>,
    {
        let mut wait = STORE_BACKOFF.0;
        loop {
            match write().await {
                Ok(()) => return true,
                Err(StoreError::Conflict(Conflict::Version { .. })) => {}
                Err(StoreError::Conflict(conflict)) => {
                    if lost == Lost::Answer {
                        tracing::warn!(run = run.key, instance = run.resource_id, %conflict, "an answer came too late and was dropped");
                    } else {
                        tracing::debug!(run = run.key, instance = run.resource_id, %conflict, "a run that is put back is somebody else's by now");
                    }
                    return false;
                }
                Err(StoreError::Fatal(error)) => {
                    tracing::error!(
                        run = run.key,
                        instance = run.resource_id,
                        error,
                        "the store failed; the run is made again at the next start"
                    );
                    return false;
                }
                Err(error) => {
                    tracing::warn!(run = run.key, instance = run.resource_id, %error, "an answer waits until the store can write");
                    if !self.wait_unless_stopping(wait).await {
                        return false;
                    }
                    wait = (wait * 2).min(STORE_BACKOFF.1);
                }
            }
        }
    }

    async fn wait_unless_stopping(&self, wait: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.parts().stop.requested() => false,
        }
    }

    async fn decide(&self, run: &StepRun, resource: &Arc<Resource>, report: &Report) -> Result<Decision, StoreError> {
        match run.kind {
            RunKind::Step => self.decide_step(run, resource, report).await,
            // An undo has no such report, see `undo`.
            RunKind::Task | RunKind::Undo => Ok(self.decide_task(run, resource, report)),
        }
    }

    async fn decide_step(&self, run: &StepRun, resource: &Arc<Resource>, report: &Report) -> Result<Decision, StoreError> {
        let Some(progress) = &resource.workflow else { return Ok(end(run, resource, RunStatus::Done, None)) };
        let pinned = match self.parts().workflows.pinned(&progress.workflow, &progress.machine).await {
            Ok(pinned) => pinned,
            Err(LookupError::Store(error)) => return Err(error),
            Err(error @ LookupError::Unusable { .. }) => return Ok(end(run, resource, RunStatus::Parked, Some(error.to_string()))),
        };
        let input = Input::StepFinished {
            step: run.name.clone(),
            visit: run.visit,
            attempt: run.attempt,
            outcome: outcome(&report.verdict),
            jitter: rand::random(),
        };
        let (now, steady) = (self.parts().clock.now(), self.parts().clock.steady());
        Ok(match pinned.machine.advance(&progress.instance, &input) {
            Err(refusal) => {
                let may_be_done = !matches!(report.verdict, Verdict::Rejected { .. });
                return self.unwanted(run, resource, &pinned, (may_be_done, refusal.to_string())).await;
            }
            Ok((instance, effects)) => match effects.as_slice() {
                [Effect::Retry { attempt, delay, .. }] => {
                    again(run, resource, *attempt, commit_plan::later(steady, *delay), failure_text(&report.verdict))
                }
                effects => {
                    if let Some(asking) = self.ask_first(run, resource, report) {
                        return Ok(asking);
                    }
                    let context = Context { events: &self.parts().events, pinned: &pinned, now, steady };
                    commit_plan::proceed(context, resource, instance, effects, self.origin(run, report))
                }
            },
        })
    }

    /// A task stands for an obligation: it is tried until it is done, and a person is told when it never can be.
    fn decide_task(&self, run: &StepRun, resource: &Arc<Resource>, report: &Report) -> Decision {
        match &report.verdict {
            Verdict::Accepted(_) => end(run, resource, RunStatus::Done, None),
            Verdict::Rejected { code, reason, .. } => {
                tracing::warn!(
                    run = run.key,
                    instance = run.resource_id,
                    component = run.component,
                    digest = report.digest,
                    code,
                    reason,
                    "a task was rejected"
                );
                end(run, resource, RunStatus::Done, Some(reason.clone()))
            }
            Verdict::Permanent(reason) => {
                tracing::error!(
                    run = run.key,
                    instance = run.resource_id,
                    component = run.component,
                    digest = report.digest,
                    reason,
                    "a task can never be done and is parked"
                );
                end(run, resource, RunStatus::Parked, Some(reason.clone()))
            }
            Verdict::Transient(reason) => {
                let delay = RetryPolicy::TASK.delay_after(run.attempt, rand::random()).unwrap_or(RetryPolicy::DEFAULT_MAX_DELAY);
                let due = commit_plan::later(self.parts().clock.steady(), delay);
                again(run, resource, run.attempt.saturating_add(1), due, Some(reason.clone()))
            }
        }
    }

    fn origin(&self, run: &StepRun, report: &Report) -> Origin {
        Origin {
            component: Some(run.component.clone()),
            digest: Some(report.digest.clone()),
            attempt: Some(run.attempt),
            reason: reason_for_people(&report.verdict),
            merge: Some(self.results(run, &report.verdict)),
            settled: Some(settled(run, RunStatus::Done, run.attempt, failure_text(&report.verdict))),
            traceparent: traces::current(),
            ..Origin::default()
        }
    }

    /// What the answer adds to the data: never a field that the creator of the resource wrote.
    pub(in crate::services) fn results(&self, run: &StepRun, verdict: &Verdict) -> Object {
        let mut fields = match verdict {
            Verdict::Accepted(fields) => fields.clone(),
            Verdict::Rejected { details, .. } => details.clone(),
            Verdict::Transient(_) | Verdict::Permanent(_) => Object::new(),
        };
        let protected = self.parts().events.protected_fields(&run.resource_kind);
        fields.retain(|name, _| {
            let allowed = !protected.contains(name);
            if !allowed {
                tracing::warn!(
                    run = run.key,
                    instance = run.resource_id,
                    component = run.component,
                    field = name,
                    "a component may not change this field; ignored"
                );
            }
            allowed
        });
        if let Some(reason) = reason_for_people(verdict) {
            fields.insert("reason".into(), reason.into());
        }
        fields
    }

    /// Counts for the component's own sake, and for its breaker: a business that says no is no failure.
    fn record_component(&self, run: &StepRun, report: &Report) {
        let parts = self.parts();
        let (component, digest) = (run.component.as_str(), report.digest.as_str());
        let outcome = outcome_name(report);
        parts.metrics.component_run(ComponentRun { component, digest, outcome, wall: report.wall, overhead: report.overhead });
        Span::current().set("millrace.outcome", || outcome).set("millrace.component.digest", || digest.to_owned());
        if let Some(limit) = limit_name(report) {
            parts.metrics.sandbox_limit(component, limit);
        }
        if report.lines_dropped {
            parts.metrics.sandbox_limit(component, "log");
        }
        match parts.breakers.record(component, digest, evidence(run, report, outcome), parts.clock.steady()) {
            None => {}
            Some(Change::Opened) => {
                tracing::warn!(component, digest, "a component has failed too often: no run of it is begun for a while");
            }
            Some(Change::Closed) => {
                tracing::info!(component, digest, "a component works again");
                self.hasten(component);
            }
            // Those that wait sleep until the trial before should have ended at the latest.
            Some(Change::Undecided) => self.hasten(component),
        }
    }

    /// Makes the runs that wait for a component due at once.
    pub fn hasten(&self, component: &str) {
        let (pipeline, component) = (self.clone(), component.to_owned());
        self.parts().tasks.spawn(async move {
            match pipeline.parts().store.hasten(&component).await {
                Ok(0) => {}
                Ok(runs) => {
                    tracing::info!(component, runs, "runs that waited for a component are due");
                    pipeline.look_again();
                }
                Err(error) => tracing::warn!(component, %error, "runs that wait for a component could not be made due sooner"),
            }
        });
    }

    pub(in crate::services) fn record(&self, run: &StepRun, resource: &Resource, report: &Report) {
        let status = match &report.verdict {
            Verdict::Accepted(_) => "accepted",
            Verdict::Rejected { .. } => "rejected",
            Verdict::Transient(_) => "transient",
            Verdict::Permanent(_) => "permanent",
        };
        self.record_component(run, report);
        let metrics = &self.parts().metrics;
        metrics.module_operation(&run.name, "process", status, report.wall);
        if let Some(progress) = &resource.workflow {
            metrics.workflow_execution(&progress.workflow, &run.name, if status == "accepted" { "success" } else { "failure" });
            metrics.workflow_duration(&progress.workflow, &run.name, report.wall);
        }
        if let Verdict::Transient(reason) | Verdict::Permanent(reason) = &report.verdict {
            Span::current().fail(reason.clone());
            tracing::warn!(
                run = run.key,
                instance = run.resource_id,
                step = run.name,
                component = run.component,
                digest = report.digest,
                attempt = run.attempt,
                limit = report.limit,
                reason,
                "an attempt failed"
            );
        }
    }
}

/// That a service behind a component does not answer is learnt once from each run: one instance for which it never works, whatever is
/// special about it, must not close a component for all others by being tried again. To be silent for the whole time-out is the same: who
/// waits has computed nothing wrong. A trap is the component's own fault, which the first visit has told.
fn evidence(run: &StepRun, report: &Report, outcome: &str) -> Evidence {
    let hung = report.limit == Some("wall");
    let unserved = outcome == "transient" || hung;
    match outcome {
        "transient" | "timeout" | "trap" if run.kind == RunKind::Step && run.visit > 1 => Evidence::UnservedAgain,
        _ if unserved && run.is_again() => Evidence::UnservedAgain,
        _ if hung => Evidence::Hung(report.wall),
        _ if unserved => Evidence::Unserved,
        "trap" | "timeout" if run.is_again() => Evidence::FailedAgain,
        "trap" | "timeout" => Evidence::Failed,
        _ => Evidence::Worked,
    }
}

/// How a run ended, as metrics name it.
fn outcome_name(report: &Report) -> &'static str {
    match (&report.verdict, report.limit) {
        (Verdict::Accepted(_), _) => "accepted",
        (Verdict::Rejected { .. }, _) => "rejected",
        (Verdict::Permanent(_), _) => "permanent",
        (Verdict::Transient(_), Some("wall" | "cpu")) => "timeout",
        (Verdict::Transient(_), Some(_)) => "trap",
        (Verdict::Transient(_), None) if report.digest.is_empty() => "denied",
        (Verdict::Transient(_), None) => "transient",
    }
}

/// The limit of the sandbox that a run has reached; a trap is none.
fn limit_name(report: &Report) -> Option<&'static str> {
    match report.limit {
        Some("trap") => None,
        Some("host_calls") => Some("hostcalls"),
        other => other,
    }
}

fn outcome(verdict: &Verdict) -> StepOutcome {
    match verdict {
        Verdict::Accepted(_) => StepOutcome::Accepted,
        Verdict::Rejected { .. } => StepOutcome::Rejected,
        Verdict::Transient(_) => StepOutcome::Transient,
        Verdict::Permanent(_) => StepOutcome::Permanent,
    }
}

pub(in crate::services) fn failure_text(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Accepted(_) => None,
        Verdict::Rejected { reason, .. } => Some(reason.clone()),
        Verdict::Transient(reason) | Verdict::Permanent(reason) => Some(reason.clone()),
    }
}

/// What the owner of the instance is told. A fault's own text is for the log and the run: it may name what is inside.
pub(in crate::services) fn reason_for_people(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Accepted(_) => None,
        Verdict::Rejected { reason, .. } => Some(reason.clone()),
        Verdict::Transient(_) => Some("the service behind this step did not answer in time".into()),
        Verdict::Permanent(_) => Some("this step cannot be done".into()),
    }
}

/// How `run` ends, or what becomes of it next.
pub(in crate::services) fn settled(run: &StepRun, status: RunStatus, attempt: u32, error: Option<String>) -> Settled {
    Settled { key: run.key.clone(), fence: run.fence, status, attempt, due_at: run.due_at, error }
}

pub(in crate::services) fn end(run: &StepRun, resource: &Arc<Resource>, status: RunStatus, error: Option<String>) -> Decision {
    commit_plan::settle_only(Arc::clone(resource), settled(run, status, run.attempt, error))
}

pub(in crate::services) fn again(
    run: &StepRun,
    resource: &Arc<Resource>,
    attempt: u32,
    due_at: jiff::Timestamp,
    error: Option<String>,
) -> Decision {
    commit_plan::settle_only(Arc::clone(resource), Settled { due_at, ..settled(run, RunStatus::Ready, attempt, error) })
}
