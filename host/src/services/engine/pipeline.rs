//! What moves instances: every input becomes a decision of the pure core, every decision one commit, and every commit is
//! followed by what it asks for. Nobody else changes a workflow's state.
//!
//! A run whose commit finds room in this process is claimed in that same commit and starts at once; the others wait in the
//! store for the [`scheduler`](super::scheduler). An answer counts only while its run is still held (the fence) and is
//! decided again when the instance has moved meanwhile (compare-and-set on the version).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use jiff::Timestamp;
use millrace_workflow::{Input, Machine, Refusal, RunKind};
use tokio::sync::Notify;

use super::active::Active;
use super::backpressure::Watermark;
use super::breaker::Breakers;
use super::change_notifier::Hub;
use super::commit_plan::{self, Context, Decision, Origin};
use super::crash_suspects::InFlight;
use super::credentials::{Credentials, Wait};
use super::events::Events;
use super::in_hand::{Held, InHand};
use super::per_owner::PerOwner;
use super::completion::{self, Lost};
use super::undo;
use super::workflows::{LookupError, Workflows};
use crate::clock::{self, Clock};
use crate::runtime::{Job, Place, Report, Runtime, Verdict};
use crate::shutdown::Stop;
use crate::store::{Commit, Conflict, Guard, Line, Resource, RunStatus, Settled, StepRun, Store, StoreError};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use crate::telemetry::traces::{self, Kind, Span};

/// Wall time of one attempt at a task.
const TASK_TIMEOUT: Duration = Duration::from_secs(30);
/// Wait before a run that could not be started is claimed again.
const PUT_BACK: Duration = Duration::from_secs(1);
/// Wait of a run whose component has no version at all.
const WITHOUT_VERSION: Duration = Duration::from_secs(10);
/// Longest wait before a run is attempted again in which the host itself failed.
const LONGEST_AFTER_PANIC: Duration = Duration::from_secs(60);
/// Why an attempt is excused.
pub(in crate::services) const STOPPED: &str = "the whole process was stopped for a while during the attempt";
/// Times that a decision is made again because the instance has moved meanwhile.
const MAX_DECISIONS: usize = 64;

/// What the pipeline works with.
pub struct Parts {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The sandbox.
    pub runtime: Arc<Runtime>,
    /// The machines.
    pub workflows: Arc<Workflows>,
    /// Topics and handlers.
    pub events: Arc<Events>,
    /// Time.
    pub clock: Clock,
    /// Who watches.
    pub hub: Hub,
    /// Where work is spawned.
    pub tasks: Tasks,
    /// No run is begun after it was asked for.
    pub stop: Stop,
    /// Unfinished instances.
    pub active: Active,
    /// Instances of each owner, where there is a limit to them.
    pub per_owner: PerOwner,
    /// Which components are left alone for a while.
    pub breakers: Breakers,
    /// What other processes know this one by.
    pub credentials: Credentials,
    /// How many events may wait.
    pub watermark: Watermark,
    /// What is counted.
    pub metrics: Metrics,
    /// What the next process must know.
    pub in_flight: InFlight,
}

/// Moves instances. Clones share everything.
#[derive(Clone)]
pub struct Pipeline {
    parts: Arc<Parts>,
    hand: InHand,
    schedule_changed: Arc<Notify>,
    outbox_grew: Arc<Notify>,
}

/// Why an instance was not moved.
#[derive(Debug, thiserror::Error)]
pub enum FireError {
    /// There is no such resource, or no workflow moves it.
    #[error("there is no such instance")]
    Gone,
    /// The machine refuses it; nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The instance was moved by others each time a decision was made.
    #[error("the instance changes too fast")]
    Contended,
    /// Its machine is not to be had.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of an attempt.
pub(in crate::services) enum Attempt {
    /// It was made.
    Made(Report),
    /// It was not, or it does not count as one.
    Denied {
        /// When to ask again.
        until: Timestamp,
        /// Why.
        reason: String,
    },
    /// It was, but the whole process was stopped meanwhile and it came to nothing: that says nothing of the component.
    Excused,
    /// It was not, and never will be by who has asked: the run was taken back, or the process is stopping.
    Given,
}

/// Decides on an input from what the resource is now.
pub type Choose<'a> = &'a (dyn Fn(&Resource, &Machine) -> Result<(Input, Origin), Refusal> + Send + Sync);

impl Pipeline {
    /// A pipeline that holds nothing yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let schedule_changed: Arc<Notify> = Arc::default();
        let hand = InHand::new(parts.runtime.most_again(), Arc::clone(&schedule_changed));
        Self { parts: Arc::new(parts), hand, schedule_changed, outbox_grew: Arc::default() }
    }

    /// What it works with.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Waits until something may be due earlier than before.
    pub async fn schedule_changed(&self) {
        self.schedule_changed.notified().await;
    }

    /// Notified when the outbox has grown.
    #[must_use]
    pub fn outbox_grew(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_grew)
    }

    /// Wakes the scheduler: something in the store may be due.
    pub fn look_again(&self) {
        self.schedule_changed.notify_one();
    }

    /// Runs of a line for which there is room now.
    pub(in crate::services) fn room(&self, line: &Line) -> usize {
        self.hand.room(line)
    }

    /// What this process has in hand.
    pub(in crate::services) fn hand(&self) -> &InHand {
        &self.hand
    }

    /// Makes a decision durable and starts what follows from it.
    ///
    /// # Errors
    /// The store did not do it; then nothing has happened.
    pub async fn commit(&self, mut decision: Decision) -> Result<Arc<Resource>, StoreError> {
        let claimed = self.claim(&mut decision.commit.runs);
        let commit = decision.commit;
        let waits = commit.runs.len() > claimed.len()
            || !commit.timers.is_empty()
            || commit.settled.as_ref().is_some_and(|settled| settled.status == RunStatus::Ready);
        let (moved, events) = (!commit.history.is_empty(), commit.outbox.len());
        let resource = decision.resource;
        let (left, entered) = self.states(&commit, &resource);
        let from = self.left_of_owner(&commit, &resource);
        commit_span(&resource).around(self.parts.store.commit(commit)).await?;

        for (count, change) in left.map(|count| (count, -1)).into_iter().chain(entered.map(|count| (count, 1))) {
            count.fetch_add(change, Ordering::Relaxed);
        }
        if let Some(from) = from {
            self.parts.per_owner.moved(&resource.kind, resource.owner.as_deref(), &from, &resource.state);
        }
        for (run, held) in claimed {
            self.start(run, Arc::clone(&resource), held);
        }
        if waits {
            self.schedule_changed.notify_one();
        }
        if events > 0 {
            self.parts.watermark.add(events);
            self.outbox_grew.notify_one();
        }
        if moved {
            self.parts.hub.changed(&resource.kind, &resource.id);
        }
        if let Some(is_error) = decision.finished {
            self.count_finished(&resource, is_error);
        }
        Ok(resource)
    }

    /// The counters of the state that a commit leaves, and of the one it enters.
    fn states(&self, commit: &Commit, resource: &Resource) -> (Option<&AtomicI64>, Option<&AtomicI64>) {
        let (Some((guard, _)), Some(progress)) = (&commit.change, &resource.workflow) else { return (None, None) };
        let active = &self.parts.active;
        let left = commit.history.first().filter(|_| *guard != Guard::Absent);
        let moved = *guard == Guard::Absent || left.is_some();
        let entered = moved.then(|| active.state(&progress.workflow, &resource.state));
        (left.and_then(|row| active.state(&progress.workflow, &row.from)), entered.flatten())
    }

    /// The state that a commit leaves, where the instances of its owner are counted. Who creates one counts it before.
    fn left_of_owner(&self, commit: &Commit, resource: &Resource) -> Option<String> {
        let (guard, _) = commit.change.as_ref()?;
        let row = commit.history.first().filter(|_| *guard != Guard::Absent)?;
        self.parts.per_owner.counts(&resource.kind).then(|| row.from.clone())
    }

    /// Writes a decision whose run is claimed already, or should wait.
    ///
    /// # Errors
    /// The store did not do it; then nothing has happened.
    pub(in crate::services) async fn commit_as_is(&self, decision: Decision) -> Result<(), StoreError> {
        let waits = decision.commit.runs.iter().any(|run| run.status == RunStatus::Ready);
        self.parts.store.commit(decision.commit).await?;
        if waits {
            self.schedule_changed.notify_one();
        }
        Ok(())
    }

    /// Moves an instance by whatever `choose` makes of it; decides again when the instance has moved meanwhile.
    ///
    /// # Errors
    /// See [`FireError`]; then nothing has happened.
    pub async fn fire(&self, kind: &str, id: &str, choose: Choose<'_>) -> Result<Arc<Resource>, FireError> {
        for _ in 0..MAX_DECISIONS {
            let resource = self.parts.store.resource(kind, id).await?.ok_or(FireError::Gone)?;
            let progress = resource.workflow.as_ref().ok_or(FireError::Gone)?;
            let pinned = self.parts.workflows.pinned(&progress.workflow, &progress.machine).await?;
            let (input, origin) = choose(&resource, &pinned.machine)?;
            let (instance, effects) = pinned.machine.advance(&progress.instance, &input)?;
            let context =
                Context { events: &self.parts.events, pinned: &pinned, now: self.parts.clock.now(), steady: self.parts.clock.steady() };
            let decision = commit_plan::proceed(context, &resource, instance, &effects, origin);
            match self.commit(decision).await {
                Err(StoreError::Conflict(Conflict::Version { .. })) => {}
                result => return Ok(result?),
            }
        }
        Err(FireError::Contended)
    }

    /// Starts a run that was claimed from the store. It is in hand when this returns.
    pub(in crate::services) fn start_claimed(&self, run: StepRun) {
        let held = self.hand.take_claimed(&run);
        if run.input.is_some() && run.kind == RunKind::Task {
            let resource = Arc::new(stand_in(&run, self.parts.clock.now()));
            return self.start(run, resource, held);
        }
        let pipeline = self.clone();
        let work: BoxFuture<'static, ()> = Box::pin(async move {
            match pipeline.parts.store.resource(&run.resource_kind, &run.resource_id).await {
                Ok(Some(resource)) => pipeline.carry(run, Arc::new(resource), held).await,
                Ok(None) => pipeline.give_up(&run).await,
                Err(error) => {
                    tracing::warn!(run = run.key, instance = run.resource_id, %error, "cannot read the resource of a run; it is claimed again in a moment");
                    pipeline.put_back(&run, &held, commit_plan::later(pipeline.parts.clock.steady(), PUT_BACK), None).await;
                }
            }
        });
        self.parts.tasks.spawn(work);
    }

    /// Sets a run aside whose resource is gone: it can never be done.
    async fn give_up(&self, run: &StepRun) {
        tracing::error!(run = run.key, instance = run.resource_id, "the resource of a run is gone; the run is parked");
        let resource = Arc::new(stand_in(run, self.parts.clock.now()));
        let settled = completion::settled(run, RunStatus::Parked, run.attempt, Some("its resource is gone".into()));
        self.make_durable(run, || std::future::ready(Ok(commit_plan::settle_only(Arc::clone(&resource), settled.clone())))).await;
    }

    /// Lets go of a run that cannot be started now, so that it is claimed again at `due_at`. It was no attempt.
    pub(in crate::services) async fn put_back(&self, run: &StepRun, held: &Held, due_at: Timestamp, reason: Option<String>) {
        held.waits();
        self.ready_again(run, run.attempt, due_at, reason).await;
    }

    async fn ready_again(&self, run: &StepRun, attempt: u32, due_at: Timestamp, reason: Option<String>) {
        let resource = Arc::new(stand_in(run, self.parts.clock.now()));
        let settled = Settled { due_at, ..completion::settled(run, RunStatus::Ready, attempt, reason) };
        let put_back = || self.commit(commit_plan::settle_only(Arc::clone(&resource), settled.clone())).map_ok(drop);
        self.until_written(run, Lost::Nothing, put_back).await;
    }

    /// Makes the runs ready again that the store knows as claimed by this process and that it does not have in hand: they were lost on the
    /// way, whatever the reason, and nobody else will ever look at them. Not beside a claim whose runs are not in hand yet.
    pub(in crate::services) async fn sweep(&self) -> Result<(), StoreError> {
        for run in self.parts.store.claimed().await? {
            if self.hand.holds(&run.key) {
                continue;
            }
            let resource = Arc::new(stand_in(&run, self.parts.clock.now()));
            let settled = completion::settled(&run, RunStatus::Ready, run.attempt, None);
            match self.commit(commit_plan::settle_only(resource, settled)).await {
                Ok(_) => {
                    self.parts.metrics.run_recovered(&run.component);
                    tracing::warn!(run = run.key, instance = run.resource_id, "a run was claimed and in nobody's hand; it is ready again");
                }
                // It has ended between the two looks.
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Marks the new runs for which there is room as claimed by this process.
    fn claim(&self, runs: &mut [StepRun]) -> Vec<(StepRun, Held)> {
        runs.iter_mut().filter_map(|run| self.try_claim(run).map(|held| (run.clone(), held))).collect()
    }

    /// Marks a new run as claimed by this process, if there is room for it and the process is not stopping.
    pub(in crate::services) fn try_claim(&self, run: &mut StepRun) -> Option<Held> {
        if self.parts.stop.is_requested() {
            return None;
        }
        let held = self.hand.take_new(run)?;
        run.status = RunStatus::Running;
        run.owner = Some(self.parts.store.epoch());
        run.fence = 1;
        Some(held)
    }

    fn start(&self, run: StepRun, resource: Arc<Resource>, held: Held) {
        self.parts.tasks.spawn(self.clone().carry(run, resource, held));
    }

    /// Attempts a run and makes the answer durable. Boxed because an attempt's commit starts further attempts: the future would contain
    /// itself.
    fn carry(self, run: StepRun, resource: Arc<Resource>, held: Held) -> BoxFuture<'static, ()> {
        let span = span_of(&run, &resource);
        let work = async move {
            self.shielded(&run, self.carry_out(&run, resource, &held)).await;
            drop(held);
        };
        Box::pin(span.around(work))
    }

    /// Does what a run needs; a panic in it is the host's fault, and costs the run an attempt, not its life.
    pub(in crate::services) async fn shielded(&self, run: &StepRun, work: impl Future<Output = ()> + Send) {
        let Err(panic) = AssertUnwindSafe(work).catch_unwind().await else { return };
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
        self.panicked(run, &text.unwrap_or_else(|| "a panic without words".into())).await;
    }

    /// Frees a run in which the host has panicked; if its answer was made durable by then, that stands.
    pub(in crate::services) async fn panicked(&self, run: &StepRun, panic: &str) {
        self.parts.metrics.component_panicked(&run.component);
        let attempt = run.attempt.saturating_add(1);
        tracing::error!(
            run = run.key,
            instance = run.resource_id,
            component = run.component,
            attempt = run.attempt,
            panic,
            "the host panicked in a run, which is a fault of this program; the run is attempted again"
        );
        let wait = PUT_BACK.saturating_mul(1 << run.attempt.min(6)).min(LONGEST_AFTER_PANIC);
        self.ready_again(run, attempt, commit_plan::later(self.parts.clock.steady(), wait), Some(format!("the host panicked: {panic}")))
            .await;
    }

    /// Does what a claimed run asks for, until what came of it is durable.
    async fn carry_out(&self, run: &StepRun, resource: Arc<Resource>, held: &Held) {
        if let Some(lack) = self.lack_of(run) {
            return self.strand(run, &lack).await;
        }
        if run.kind == RunKind::Undo {
            return if held.enter() {
                self.undo(run, resource).await
            };
        }
        if self.abandon(run, &resource).await || self.expire(run, &resource).await {
            return;
        }
        match self.attempt(run, &resource, held).await {
            Attempt::Made(report) => self.settle(run, resource, &report).await,
            Attempt::Denied { until, reason } => self.put_back(run, held, until, Some(reason)).await,
            Attempt::Excused => self.make_again(run, held).await,
            Attempt::Given => {}
        }
    }

    /// Has an attempt that was excused made again, at once and with the same number.
    pub(in crate::services) async fn make_again(&self, run: &StepRun, held: &Held) {
        tracing::warn!(run = run.key, instance = run.resource_id, attempt = run.attempt, "{STOPPED}: the attempt is made again");
        self.put_back(run, held, self.parts.clock.steady(), Some(STOPPED.into())).await;
    }

    /// Has the run's component do it, unless no version of it serves yet, its breaker is open, or what it calls does not accept what this
    /// process is known by.
    pub(in crate::services) async fn attempt(&self, run: &StepRun, resource: &Resource, held: &Held) -> Attempt {
        let place = tokio::select! {
            biased;
            place = self.parts.runtime.place(&run.component, run.is_again()) => place,
            // Nothing has begun: the next process finds it where it is.
            () = self.parts.stop.requested() => return Attempt::Given,
        };
        if let Some((until, reason)) = self.denial(run) {
            return self.denied(run, until, reason);
        }
        if !held.enter() {
            return Attempt::Given;
        }
        let paused = clock::paused();
        let report = self.make_attempt(run, resource, place).await;
        if matches!(report.verdict, Verdict::Transient(_)) && clock::paused() > paused {
            return Attempt::Excused;
        }
        let credentials = &self.parts.credentials;
        match (&report.verdict, &report.refused) {
            // Nothing that the component could know or change.
            (Verdict::Transient(_) | Verdict::Permanent(_), Some(reason)) => {
                let Wait { until, reason } = credentials.refused(&run.component, reason, self.parts.clock.steady());
                self.denied(run, until, reason)
            }
            (Verdict::Accepted(_) | Verdict::Rejected { .. }, None) => {
                if credentials.accepted(&run.component) {
                    self.hasten(&run.component);
                }
                Attempt::Made(report)
            }
            _ => Attempt::Made(report),
        }
    }

    /// Why a component is not run now, and when to ask again. A version that arrives, or a success, makes what waits due at once.
    fn denial(&self, run: &StepRun) -> Option<(Timestamp, String)> {
        let (now, component) = (self.parts.clock.steady(), run.component.as_str());
        if let Some(reason) = self.parts.runtime.unserved(component) {
            return Some((commit_plan::later(now, WITHOUT_VERSION), reason));
        }
        if let Err(Wait { until, reason }) = self.parts.credentials.admit(component, now) {
            return Some((until, reason));
        }
        let digest = self.parts.runtime.digest(component)?;
        let until = self.parts.breakers.admit(component, &digest, run.is_again(), now).err()?;
        Some((until, format!("component '{component}' has failed too often: its circuit breaker is open")))
    }

    fn denied(&self, run: &StepRun, until: Timestamp, reason: String) -> Attempt {
        self.parts.metrics.component_denied(&run.component);
        Span::current().set("millrace.outcome", || "denied");
        Attempt::Denied { until, reason }
    }

    /// What a component is told about a run.
    pub(in crate::services) async fn job(&self, run: &StepRun, resource: &Resource) -> Job {
        let data = match run.input.as_ref().filter(|_| run.kind == RunKind::Task) {
            Some(input) => input.to_string(),
            None => serde_json::to_string(&*resource.data).unwrap_or_default(),
        };
        Job {
            workflow: run.workflow.clone(),
            instance_id: run.resource_id.clone(),
            step: run.name.clone(),
            transition: run.transition.clone(),
            from_state: run.from_state.clone(),
            to_state: run.to_state.clone(),
            attempt: run.attempt,
            visit: run.visit,
            idempotency_key: undo::key_of(run).to_owned(),
            timeout: self.timeout(run, resource).await,
            traceparent: traces::current().or_else(|| caused_by(run, resource).map(str::to_owned)),
            data,
        }
    }

    async fn make_attempt(&self, run: &StepRun, resource: &Resource, place: Place) -> Report {
        let job = self.job(run, resource).await;
        // Not before there is a place: who only waits for one kills nobody.
        let slot = self.parts.in_flight.enter(&run.key);
        let report =
            self.parts.runtime.run_in(place, &run.component, job, self.parts.workflows.step_config(&run.workflow, &run.name)).await;
        drop(slot);
        report
    }

    async fn timeout(&self, run: &StepRun, resource: &Resource) -> Duration {
        let Some(progress) = resource.workflow.as_ref().filter(|_| run.kind != RunKind::Task) else { return TASK_TIMEOUT };
        let pinned = self.parts.workflows.pinned(&progress.workflow, &progress.machine).await;
        pinned.ok().and_then(|pinned| pinned.machine.step(&run.name).map(|step| step.timeout)).unwrap_or(TASK_TIMEOUT)
    }

    fn count_finished(&self, resource: &Resource, is_error: bool) {
        let Some(progress) = &resource.workflow else { return };
        self.parts.active.finished(&progress.workflow);
        let Some(pinned) = self.parts.workflows.current(&progress.workflow) else { return };
        let action = pinned.machine.definition().initial_transition.as_deref().unwrap_or("create");
        let took = elapsed(resource.created_at, resource.updated_at);
        self.parts.metrics.workflow_execution(&progress.workflow, action, if is_error { "failure" } else { "success" });
        self.parts.metrics.workflow_duration(&progress.workflow, action, took);
    }
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

fn commit_span(resource: &Resource) -> Span {
    let span = Span::child(Kind::Internal, || "commit");
    span.set("millrace.instance.id", || resource.id.clone()).set("millrace.state", || resource.state.clone());
    span
}

/// What stands for the resource of a run that brings its own input: this process may not have the resource at all.
pub(in crate::services) fn stand_in(run: &StepRun, now: Timestamp) -> Resource {
    Resource {
        kind: run.resource_kind.clone(),
        id: run.resource_id.clone(),
        owner: None,
        state: run.to_state.clone(),
        version: 0,
        data: Arc::default(),
        workflow: None,
        created_at: now,
        updated_at: now,
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
