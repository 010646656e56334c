//! One attempt at a run: a place in the runtime, the reasons not to make it now, and what the component answered.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use millrace_workflow::RunKind;

use super::breaker::{Breakers, LeftAlone};
use super::canary::{Canaries, Canary};
use super::commit_plan;
use super::crash_suspects::CrashSuspects;
use super::credentials::{Credentials, Wait};
use super::in_hand::Held;
use super::jobs::Jobs;
use super::recordings::Recordings;
use super::waker::RunWaker;
use super::workflows::{StepConfig, Workflows};
use crate::clock::Clock;
use crate::crash_point;
use crate::faults::planted;
use crate::runtime::{Place, Report, Steps, Verdict};
use crate::shutdown::Stop;
use crate::store::{Resource, StepRun};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::RunOutcome;
use crate::telemetry::traces::Span;

/// Wait of a run whose component has no version at all.
const WITHOUT_VERSION: Duration = Duration::from_secs(10);

/// What came of an attempt.
pub(in crate::services) enum Attempt {
    /// It was made.
    Made(Report),
    /// It was not made, or does not count as an attempt.
    Denied {
        /// When to ask again.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// It was made and failed while the whole process was stopped. It says nothing about the component and is made again.
    Excused,
    /// It was made on the candidate of a canary, which broke. It is made again on the version that serves, and counts as none of the run's.
    Broken(Report),
    /// It was not: it waited for a place for so long that a deadline of its instance has passed.
    Overdue,
    /// It was not, and the caller must not try again: the run was taken back, or the process is stopping.
    NotMade,
}

/// Makes attempts.
pub(super) struct Attempts {
    pub(super) steps: Arc<dyn Steps>,
    pub(super) workflows: Arc<Workflows>,
    pub(super) jobs: Jobs,
    pub(super) breakers: Arc<Breakers>,
    pub(super) canaries: Arc<Canaries>,
    pub(super) recordings: Arc<Recordings>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) crash_suspects: CrashSuspects,
    pub(super) waker: RunWaker,
    pub(super) clock: Clock,
    pub(super) stop: Stop,
    pub(super) metrics: Metrics,
}

impl Attempts {
    /// Makes one attempt: runs the component, unless no version of it serves, its circuit breaker is open, or a service that it calls
    /// refuses the credentials of this process. It waits for a place until `overdue`, which is asked for only if there is none at once.
    pub(super) async fn attempt(&self, run: &StepRun, resource: &Resource, held: &Held, overdue: impl Future<Output = ()>) -> Attempt {
        let _waits = planted("waiting-counted-as-suspect").then(|| self.crash_suspects.enter(&run.key));
        let place = tokio::select! {
            biased;
            place = self.steps.place(&run.component, run.is_again()) => place,
            // Nothing has begun: the next process finds it where it is.
            () = self.stop.requested() => return Attempt::NotMade,
            () = overdue => return Attempt::Overdue,
        };
        // With the place: what is exchanged from now on is not for this attempt.
        let given = (place, self.workflows.step_config(&run.workflow, &run.name));
        let serving = self.steps.digest(&run.component);
        let canary = self.canaries.choose(run, serving.as_deref(), || self.is_closed(run));
        if let Some((until, reason)) = self.denial(run, resource, canary.is_none()) {
            return self.denied(run, until, reason);
        }
        if !held.enter() {
            return Attempt::NotMade;
        }
        let paused = self.clock.paused();
        let mut report = self.make_attempt(run, resource, given, canary.as_deref()).await;
        if let Some(recording) = report.recording.take() {
            self.recordings.keep(run, *recording, (report.wall, self.clock.now()));
        }
        if matches!(report.verdict, Verdict::Transient(_)) && self.clock.paused() > paused {
            return Attempt::Excused;
        }
        let credentials = &self.credentials;
        match (&report.verdict, &report.refused) {
            // Nothing that the component could know or change.
            (Verdict::Transient(_) | Verdict::Permanent(_), Some(reason)) if canary.is_none() => {
                let Wait { until, reason } = credentials.refused(&run.component, reason, self.clock.steady());
                self.denied(run, until, reason)
            }
            (Verdict::Accepted(_) | Verdict::Rejected { .. }, None) if canary.is_none() => {
                if credentials.accepted(&run.component) {
                    self.waker.wake(&run.component);
                }
                self.made(run, canary.as_deref(), report, false)
            }
            _ => {
                let is_last = canary.is_some() && self.is_last(run, resource).await;
                self.made(run, canary.as_deref(), report, is_last)
            }
        }
    }

    fn made(&self, run: &StepRun, canary: Option<&Canary>, report: Report, is_last: bool) -> Attempt {
        if self.canaries.record(run, canary, &report, is_last) { Attempt::Broken(report) } else { Attempt::Made(report) }
    }

    /// Whether the visit has no attempt left after this one.
    async fn is_last(&self, run: &StepRun, resource: &Resource) -> bool {
        let Some(progress) = resource.workflow.as_ref().filter(|_| run.kind == RunKind::Step) else { return false };
        let pinned = self.workflows.pinned(&progress.workflow, &progress.machine).await;
        pinned.is_ok_and(|pinned| pinned.machine.step(&run.name).is_some_and(|step| step.retry.delay_after(run.attempt, 1.0).is_none()))
    }

    /// Whether the version that serves is left alone for nobody.
    fn is_closed(&self, run: &StepRun) -> bool {
        let digest = self.steps.digest(&run.component);
        digest.is_some_and(|digest| self.breakers.level(&run.component, &digest, self.clock.steady()) == 0)
    }

    /// Why a component is not run now, and when to ask again. A version that arrives, or a success, makes what waits due at once.
    /// A candidate has a rule of its own in the place of a breaker.
    fn denial(&self, run: &StepRun, resource: &Resource, has_breaker: bool) -> Option<(Timestamp, String)> {
        let (now, component) = (self.clock.steady(), run.component.as_str());
        if let Some(reason) = self.steps.unserved(component) {
            return Some((commit_plan::later(now, WITHOUT_VERSION), reason));
        }
        if let Err(Wait { until, reason }) = self.credentials.admit(component, now) {
            return Some((until, reason));
        }
        let digest = self.steps.digest(component).filter(|_| has_breaker)?;
        let owner = resource.owner.as_deref();
        let LeftAlone { until, only_owner } = self.breakers.admit(component, &digest, owner, run.is_again(), now).err()?;
        let whom = if only_owner { " for this owner" } else { "" };
        Some((until, format!("component '{component}' has failed too often{whom}: its circuit breaker is open")))
    }

    fn denied(&self, run: &StepRun, until: Timestamp, reason: String) -> Attempt {
        self.metrics.component_denied(&run.component);
        Span::current().set("millrace.outcome", || RunOutcome::Denied.as_str());
        Attempt::Denied { until, reason }
    }

    async fn make_attempt(
        &self,
        run: &StepRun,
        resource: &Resource,
        (place, config): (Place, StepConfig),
        canary: Option<&Canary>,
    ) -> Report {
        let job = self.jobs.job(run, resource).await;
        // Not before there is a place: who only waits for one kills nobody.
        let slot = self.crash_suspects.enter(&run.key);
        let candidate = canary.map(Canary::candidate);
        crash_point!("before-the-component");
        let report = self.steps.run_in(place, &run.component, job, config.as_deref(), candidate).await;
        crash_point!("after-the-effect");
        drop(slot);
        report
    }
}
