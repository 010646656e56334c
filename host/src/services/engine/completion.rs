//! What a component's answer means for its run and its instance.

use std::sync::Arc;

use millrace_workflow::{Effect, Input, RetryPolicy, RunKind};

use super::alongside::Rows;
use super::answers;
use super::breaker::{Breakers, Change, Changes, Evidence};
use super::commit_plan::{self, CommitPlan, Context, Origin, again, end, settled};
use super::dead_ends::DeadEnds;
use super::events::Events;
use super::undo::Undo;
use super::waker::RunWaker;
use super::workflows::{LookupError, Workflows};
use crate::clock::Clock;
use crate::runtime::{Limit, Report, Verdict};
use crate::store::{Resource, RunStatus, StepRun, StoreError};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{ComponentRun, RunOutcome, SandboxLimit};
use crate::telemetry::traces::{self, Span};

/// Plans what follows from answers, and counts them.
pub(super) struct Completion {
    pub(super) workflows: Arc<Workflows>,
    pub(super) events: Arc<Events>,
    pub(super) undo: Arc<Undo>,
    pub(super) breakers: Arc<Breakers>,
    pub(super) dead_ends: Arc<DeadEnds>,
    pub(super) waker: RunWaker,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

impl Completion {
    /// What an answer means for its run and its instance.
    pub(super) async fn plan(&self, run: &StepRun, resource: &Arc<Resource>, report: &Report) -> Result<CommitPlan, StoreError> {
        match run.kind {
            RunKind::Step => self.plan_step(run, resource, report).await,
            // An undo has no such report, see `undo`.
            RunKind::Task | RunKind::Undo => {
                let mut plan = self.plan_task(run, resource, report);
                self.rows(run, resource, report).add_to(&mut plan.commit);
                Ok(plan)
            }
        }
    }

    async fn plan_step(&self, run: &StepRun, resource: &Arc<Resource>, report: &Report) -> Result<CommitPlan, StoreError> {
        let Some(progress) = &resource.workflow else { return Ok(end(run, resource, RunStatus::Done, None)) };
        let pinned = match self.workflows.pinned(&progress.workflow, &progress.machine).await {
            Ok(pinned) => pinned,
            Err(LookupError::Store(error)) => return Err(error),
            Err(error @ LookupError::Unusable { .. }) => return Ok(end(run, resource, RunStatus::Quarantined, Some(error.to_string()))),
        };
        let input = Input::StepFinished {
            step: run.name.clone(),
            visit: run.visit,
            attempt: run.attempt,
            outcome: answers::outcome(report),
            jitter: rand::random(),
        };
        let (now, steady) = (self.clock.now(), self.clock.steady());
        Ok(match pinned.machine.advance(&progress.instance, &input) {
            Err(refusal) => {
                let may_be_done = !matches!(report.verdict, Verdict::Rejected { .. });
                return self.undo.unwanted(run, resource, &pinned, (may_be_done, refusal.to_string())).await;
            }
            Ok((instance, effects)) => match effects.as_slice() {
                [Effect::Retry { attempt, delay, .. }] => {
                    again(run, resource, *attempt, commit_plan::later(steady, *delay), answers::failure_text(&report.verdict))
                }
                effects => {
                    if let Some(asking) = self.undo.ask_first(run, resource, report) {
                        return Ok(asking);
                    }
                    let context = Context { events: &self.events, pinned: &pinned, now, steady };
                    commit_plan::proceed(context, resource, instance, effects, self.origin(run, resource, report))
                }
            },
        })
    }

    /// A task stands for an obligation: it is tried until it is done, and a person is told when it never can be.
    fn plan_task(&self, run: &StepRun, resource: &Arc<Resource>, report: &Report) -> CommitPlan {
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
                    "a task can never be done and is quarantined"
                );
                end(run, resource, RunStatus::Quarantined, Some(reason.clone()))
            }
            Verdict::Transient(reason) => {
                let delay = RetryPolicy::TASK.delay_after(run.attempt, rand::random()).unwrap_or(RetryPolicy::DEFAULT_MAX_DELAY);
                let due = commit_plan::later(self.clock.steady(), delay);
                again(run, resource, run.attempt.saturating_add(1), due, Some(reason.clone()))
            }
        }
    }

    fn origin(&self, run: &StepRun, resource: &Resource, report: &Report) -> Origin {
        Origin {
            component: Some(run.component.clone()),
            digest: Some(report.digest.clone()),
            attempt: Some(run.attempt),
            reason: answers::reason_for_people(&report.verdict, report.limit),
            merge: Some(answers::results(&self.events, run, &report.verdict, report.limit)),
            settled: Some(settled(run, RunStatus::Done, run.attempt, answers::failure_text(&report.verdict))),
            traceparent: traces::current(),
            alongside: self.rows(run, resource, report),
            ..Origin::default()
        }
    }

    /// What is committed with an answer beside what it changes.
    pub(super) fn rows(&self, run: &StepRun, resource: &Resource, report: &Report) -> Rows {
        Rows::of(&self.events, (run, resource), &report.alongside, self.clock.now())
    }

    /// Counts for the component's own sake, and for its breaker: a business that says no is no failure.
    fn record_component(&self, run: &StepRun, resource: &Resource, report: &Report) {
        let (component, digest) = (run.component.as_str(), report.digest.as_str());
        let ended = outcome(report);
        self.metrics.component_run(ComponentRun { component, digest, outcome: ended, wall: report.wall, overhead: report.overhead });
        Span::current().set("millrace.outcome", || ended.as_str()).set("millrace.component.digest", || digest.to_owned());
        if let Some(limit) = report.limit.and_then(sandbox_limit) {
            self.metrics.sandbox_limit(component, limit);
        }
        if report.lines_dropped {
            self.metrics.sandbox_limit(component, SandboxLimit::Log);
        }
        self.tell_breaker(run, resource.owner.as_deref(), report, ended);
    }

    /// Those that wait are told when they may begin earlier than at the time that they were given.
    fn tell_breaker(&self, run: &StepRun, owner: Option<&str>, report: &Report, ended: RunOutcome) {
        let (component, digest) = (run.component.as_str(), report.digest.as_str());
        if let (RunOutcome::Transient | RunOutcome::Timeout, Verdict::Transient(reason)) = (ended, &report.verdict) {
            self.breakers.set_reason(component, reason);
        }
        let Changes { of_all, of_owner } =
            self.breakers.record(component, digest, owner, evidence(run, report, ended), self.clock.steady());
        match of_all {
            Some(Change::Opened) => {
                tracing::warn!(component, digest, "a component has failed too often: no run of it is begun for a while");
            }
            Some(Change::Closed) => tracing::info!(component, digest, "a component works again"),
            Some(Change::Undecided) | None => {}
        }
        match of_owner {
            Some(Change::Opened) => {
                tracing::warn!(
                    component,
                    digest,
                    owner,
                    "a component has failed too often for one owner: no run of theirs is begun for a while"
                );
            }
            Some(Change::Closed) => tracing::info!(component, digest, owner, "a component works again for an owner"),
            Some(Change::Undecided) | None => {}
        }
        if [of_all, of_owner].iter().flatten().any(|change| matches!(change, Change::Closed | Change::Undecided)) {
            self.waker.wake(component);
        }
    }

    /// Counts an attempt that was made, and tells its breaker.
    pub(super) fn record(&self, run: &StepRun, resource: &Resource, report: &Report) {
        let status = match &report.verdict {
            Verdict::Accepted(_) => "accepted",
            Verdict::Rejected { .. } => "rejected",
            Verdict::Transient(_) => "transient",
            Verdict::Permanent(_) => "permanent",
        };
        self.record_component(run, resource, report);
        self.dead_ends.record((run, resource.owner.as_deref()), &report.verdict, (self.clock.now(), self.clock.steady()));
        let metrics = &self.metrics;
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
                limit = report.limit.map(Limit::as_str),
                reason,
                "an attempt failed"
            );
        }
    }
}

/// That a service behind a component does not answer is learnt once from each run: one instance for which it never works, whatever is
/// special about it, must not close a component for all others by being tried again. To be silent for the whole time-out is the same: who
/// waits has computed nothing wrong. A trap is the component's own fault, which the first visit has told.
fn evidence(run: &StepRun, report: &Report, outcome: RunOutcome) -> Evidence {
    let hung = report.limit == Some(Limit::Wall);
    let unserved = outcome == RunOutcome::Transient || hung;
    match outcome {
        RunOutcome::Transient | RunOutcome::Timeout | RunOutcome::Trap if run.kind == RunKind::Step && run.visit > 1 => {
            Evidence::UnservedAgain
        }
        _ if unserved && run.is_again() => Evidence::UnservedAgain,
        _ if hung => Evidence::Hung(report.wall),
        _ if unserved => Evidence::Unserved,
        RunOutcome::Trap | RunOutcome::Timeout if run.is_again() => Evidence::FailedAgain,
        RunOutcome::Trap | RunOutcome::Timeout => Evidence::Failed,
        _ => Evidence::Worked,
    }
}

/// How a run ended.
fn outcome(report: &Report) -> RunOutcome {
    match (&report.verdict, report.limit) {
        (Verdict::Accepted(_), _) => RunOutcome::Accepted,
        (Verdict::Rejected { .. }, _) => RunOutcome::Rejected,
        (Verdict::Permanent(_), _) => RunOutcome::Permanent,
        (Verdict::Transient(_), Some(Limit::Wall | Limit::Cpu)) => RunOutcome::Timeout,
        (Verdict::Transient(_), Some(_)) => RunOutcome::Trap,
        (Verdict::Transient(_), None) if report.digest.is_empty() => RunOutcome::Denied,
        (Verdict::Transient(_), None) => RunOutcome::Transient,
    }
}

/// The limit that is counted; a trap is none.
fn sandbox_limit(limit: Limit) -> Option<SandboxLimit> {
    match limit {
        Limit::Cpu => Some(SandboxLimit::Cpu),
        Limit::Wall => Some(SandboxLimit::Wall),
        Limit::Memory => Some(SandboxLimit::Memory),
        Limit::Table => Some(SandboxLimit::Table),
        Limit::HostCalls => Some(SandboxLimit::HostCalls),
        Limit::Output => Some(SandboxLimit::Output),
        Limit::Trap => None,
    }
}
