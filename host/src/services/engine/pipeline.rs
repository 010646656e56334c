//! What moves instances: the pure core decides on every input, every decision is planned as one commit, and every commit is
//! followed by what it asks for. Nobody else changes a workflow's state.
//!
//! A run whose commit finds room in this process is claimed in that same commit and starts at once; the others wait in the
//! store for the `scheduler`. An answer counts only while its run is still held (the fence) and is
//! planned again when the instance has moved meanwhile (compare-and-set on the version).

mod ending;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use jiff::Timestamp;
use millrace_workflow::{Cause, Input, Machine, Refusal, RunKind};
use tokio::sync::Notify;

use super::alongside::Rows;
use super::attempts::{Attempt, Attempts};
use super::commit_plan::{self, CommitPlan, Context, Origin, settled, stand_in};
use super::commits::Commits;
use super::completion::Completion;
use super::dependencies::Dependencies;
use super::events::Events;
use super::holds::{Holds, Waits};
use super::in_hand::{Held, InHand};
use super::jobs::{Jobs, span_of};
use super::undo::{self, Undo};
use super::waker::RunWaker;
use super::withdrawal::Withdrawals;
use super::workflows::{LookupError, Pinned, Workflows};
use crate::clock::Clock;
use crate::runtime::{Report, Steps};
use crate::shutdown::Stop;
use crate::store::{Conflict, Group, Instances, Line, Resource, RunStatus, Settled, StepRun, StoreError, WaitingEvent};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// Wait before a run that could not be started is claimed again.
const PUT_BACK: Duration = Duration::from_secs(1);
/// Longest wait before a run is attempted again in which the host itself failed.
const MAX_WAIT_AFTER_PANIC: Duration = Duration::from_secs(60);
/// Why an attempt is excused.
pub(in crate::services) const STOPPED: &str = "the whole process was stopped for a while during the attempt";
/// Why an attempt that a candidate broke is made again.
pub(in crate::services) const BROKEN: &str = "a version on trial broke in the attempt: it is made again on the version that serves";
/// First and longest wait when the store cannot write an answer.
const STORE_BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Times that a commit is planned again because the instance has moved meanwhile.
const MAX_PLANS: usize = 64;

/// Moves instances. Clones share everything.
#[derive(Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Instances>,
    group: Arc<dyn Group>,
    steps: Arc<dyn Steps>,
    workflows: Arc<Workflows>,
    events: Arc<Events>,
    commits: Commits,
    attempts: Attempts,
    completion: Completion,
    undo: Arc<Undo>,
    withdrawals: Withdrawals,
    hand: InHand,
    waker: RunWaker,
    outbox_grew: Arc<Notify>,
    clock: Clock,
    tasks: Tasks,
    stop: Stop,
    metrics: Metrics,
}

/// What is lost if a run is no longer held by the time that something of it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) enum Lost {
    /// What a component has said.
    Answer,
    /// Nothing: it was put back without an attempt, and who has it by now goes on with it. Two who ask for the same at once come here.
    Nothing,
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
    /// The instance was moved by others each time a commit was planned.
    #[error("the instance changes too fast")]
    Contended,
    /// Its machine is not to be had.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Decides on an input from what the resource is now.
pub type Choose<'a> = &'a (dyn Fn(&Resource, &Machine) -> Result<(Input, Origin), Refusal> + Send + Sync);

impl Pipeline {
    /// A pipeline that holds nothing yet.
    #[must_use]
    pub fn new(dependencies: &Dependencies) -> Self {
        let Dependencies { store, group, steps, workflows, events, clock, tasks, stop, metrics, .. } = dependencies.clone();
        let Dependencies { breakers, dead_ends, canaries, recordings, credentials, crash_suspects, .. } = dependencies.clone();
        let (waker, outbox_grew) = (RunWaker::new(Arc::clone(&store), tasks.clone()), Arc::<Notify>::default());
        let hand = InHand::new(steps.most_again(), waker.schedule_changed());
        let jobs = Jobs { workflows: Arc::clone(&workflows) };
        let undo = Arc::new(Undo {
            store: Arc::clone(&store),
            steps: Arc::clone(&steps),
            workflows: Arc::clone(&workflows),
            events: Arc::clone(&events),
            jobs: jobs.clone(),
            crash_suspects: crash_suspects.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
        });
        let inner = Inner {
            commits: Commits::new(dependencies, hand.clone(), waker.clone(), Arc::clone(&outbox_grew)),
            attempts: Attempts {
                steps: Arc::clone(&steps),
                workflows: Arc::clone(&workflows),
                jobs,
                breakers: Arc::clone(&breakers),
                canaries,
                recordings,
                credentials,
                crash_suspects,
                waker: waker.clone(),
                clock: clock.clone(),
                stop: stop.clone(),
                metrics: metrics.clone(),
            },
            completion: Completion {
                workflows: Arc::clone(&workflows),
                events: Arc::clone(&events),
                undo: Arc::clone(&undo),
                breakers,
                dead_ends,
                waker: waker.clone(),
                clock: clock.clone(),
                metrics: metrics.clone(),
            },
            withdrawals: Withdrawals {
                store: Arc::clone(&store),
                workflows: Arc::clone(&workflows),
                events: Arc::clone(&events),
                undo: Arc::clone(&undo),
                hand: hand.clone(),
                clock: clock.clone(),
            },
            store,
            group,
            steps,
            workflows,
            events,
            undo,
            hand,
            waker,
            outbox_grew,
            clock,
            tasks,
            stop,
            metrics,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Wakes runs that wait.
    #[must_use]
    pub fn waker(&self) -> &RunWaker {
        &self.inner.waker
    }

    /// Waits until something may be due earlier than before.
    pub(super) async fn schedule_changed(&self) {
        self.inner.waker.changed().await;
    }

    /// Notified when the outbox has grown.
    #[must_use]
    pub fn outbox_grew(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.outbox_grew)
    }

    /// Runs of a line for which there is room now.
    pub(super) fn room(&self, line: &Line) -> usize {
        self.inner.hand.room(line)
    }

    /// What this process has in hand.
    pub(in crate::services) fn hand(&self) -> &InHand {
        &self.inner.hand
    }

    /// Makes a plan durable and starts what follows from it.
    ///
    /// # Errors
    /// The store did not do it; then nothing has happened.
    pub async fn commit(&self, plan: CommitPlan) -> Result<Arc<Resource>, StoreError> {
        let (resource, claimed) = self.inner.commits.commit(plan).await?;
        for (run, held) in claimed {
            self.start(run, Arc::clone(&resource), held);
        }
        Ok(resource)
    }

    /// The same of two plans about two instances: both or neither. Answers the first.
    ///
    /// # Errors
    /// The store did not do it; then nothing has happened.
    pub async fn commit_with(&self, plan: CommitPlan, other: Option<CommitPlan>) -> Result<Arc<Resource>, StoreError> {
        let Some(other) = other else { return self.commit(plan).await };
        let [first, second] = self.inner.commits.commit_both(plan, other).await?;
        let answered = Arc::clone(&first.0);
        for (resource, claimed) in [first, second] {
            for (run, held) in claimed {
                self.start(run, Arc::clone(&resource), held);
            }
        }
        Ok(answered)
    }

    /// Writes a plan whose run is claimed already, or should wait.
    ///
    /// # Errors
    /// The store did not do it; then nothing has happened.
    pub(in crate::services) async fn commit_as_is(&self, plan: CommitPlan) -> Result<(), StoreError> {
        self.inner.commits.commit_as_is(plan).await
    }

    /// Marks a new run as claimed by this process, if there is room for it and the process is not stopping.
    pub(in crate::services) fn try_claim(&self, run: &mut StepRun) -> Option<Held> {
        self.inner.commits.try_claim(run)
    }

    /// Moves an instance by whatever `choose` makes of it; plans again when the instance has moved meanwhile.
    ///
    /// # Errors
    /// See [`FireError`]; then nothing has happened.
    pub async fn fire(&self, kind: &str, id: &str, choose: Choose<'_>) -> Result<Arc<Resource>, FireError> {
        for _ in 0..MAX_PLANS {
            let resource = self.inner.store.resource(kind, id).await?.ok_or(FireError::Gone)?;
            let progress = resource.workflow.as_ref().ok_or(FireError::Gone)?;
            let pinned = self.inner.workflows.pinned(&progress.workflow, &progress.machine).await?;
            let (input, origin) = choose(&resource, &pinned.machine)?;
            let (instance, effects) = pinned.machine.advance(&progress.instance, &input)?;
            let context =
                Context { events: &self.inner.events, pinned: &pinned, now: self.inner.clock.now(), steady: self.inner.clock.steady() };
            let plan = commit_plan::proceed(context, &resource, instance, &effects, origin);
            match self.commit(plan).await {
                Err(StoreError::Conflict(Conflict::Version { .. })) => {}
                result => return Ok(result?),
            }
        }
        Err(FireError::Contended)
    }

    /// Has an event wait if somebody holds its instance, or if others wait for it that came before.
    ///
    /// # Errors
    /// The store did not do it, or the event was handled or waits already.
    pub async fn let_wait(&self, event: impl FnOnce() -> WaitingEvent) -> Result<Waits, StoreError> {
        if self.holds().are_none() {
            return Ok(Waits::No);
        }
        let waits = self.holds().let_wait(self.inner.store.as_ref(), event()).await?;
        if waits == Waits::Yes {
            // Its instance may have been let go on meanwhile.
            self.inner.waker.look_again();
        }
        Ok(waits)
    }

    /// Which instances somebody holds.
    pub(super) fn holds(&self) -> &Holds {
        self.inner.commits.holds()
    }

    /// Whether an instance is beyond a transition that its machine makes by itself and an event asks for as well: then there is nothing to do.
    /// Looks at how far it has come and not at its data. False where that is not known.
    pub async fn has_left_behind(&self, (kind, id): (&str, &str), workflow: &str, transition: &str) -> bool {
        let current = self.inner.workflows.current(workflow);
        let by_itself = |pinned: &Pinned| pinned.machine.definition().transitions.get(transition).is_some_and(|edge| edge.automatic);
        if !current.as_deref().is_some_and(by_itself) {
            return false;
        }
        let Ok(Some(progress)) = self.inner.store.progress(kind, id).await else { return false };
        let Ok(pinned) = self.inner.workflows.pinned(&progress.workflow, &progress.machine).await else { return false };
        let input = Input::Fire { transition: transition.to_owned(), cause: Cause::Event };
        pinned.machine.advance(&progress.instance, &input).is_err()
    }

    /// Starts a run that was claimed from the store. It is in hand when this returns.
    pub(super) fn start_claimed(&self, run: StepRun) {
        let held = self.inner.hand.take_claimed(&run);
        if run.input.is_some() && run.kind == RunKind::Task {
            let resource = Arc::new(stand_in(&run, self.inner.clock.now()));
            return self.start(run, resource, held);
        }
        let pipeline = self.clone();
        let work: BoxFuture<'static, ()> = Box::pin(async move {
            match pipeline.inner.store.resource(&run.resource_kind, &run.resource_id).await {
                Ok(Some(resource)) => pipeline.carry(run, Arc::new(resource), held).await,
                Ok(None) => pipeline.give_up(&run).await,
                Err(error) => {
                    tracing::warn!(run = run.key, instance = run.resource_id, %error, "cannot read the resource of a run; it is claimed again in a moment");
                    let resource = Arc::new(stand_in(&run, pipeline.inner.clock.now()));
                    let due_at = commit_plan::later(pipeline.inner.clock.steady(), PUT_BACK);
                    pipeline.put_back((&run, &resource), &held, due_at, None).await;
                }
            }
        });
        self.inner.tasks.spawn(work);
    }

    /// Sets a run aside whose resource is gone: it can never be done.
    async fn give_up(&self, run: &StepRun) {
        tracing::error!(run = run.key, instance = run.resource_id, "the resource of a run is gone; the run is quarantined");
        let resource = Arc::new(stand_in(run, self.inner.clock.now()));
        let settled = settled(run, RunStatus::Quarantined, run.attempt, Some("its resource is gone".into()));
        self.make_durable(run, || std::future::ready(Ok(commit_plan::settle_only(Arc::clone(&resource), settled.clone())))).await;
    }

    /// Lets go of a run that cannot be started now, so that it is claimed again at `due_at`. It was no attempt.
    pub(in crate::services) async fn put_back(
        &self,
        (run, resource): (&StepRun, &Arc<Resource>),
        held: &Held,
        due_at: Timestamp,
        reason: Option<String>,
    ) {
        held.waits();
        self.ready_again((run, resource), run.attempt, due_at, reason).await;
    }

    async fn ready_again(&self, (run, resource): (&StepRun, &Arc<Resource>), attempt: u32, due_at: Timestamp, reason: Option<String>) {
        let settled = Settled { due_at, ..settled(run, RunStatus::Ready, attempt, reason) };
        let put_back = || self.commit(commit_plan::settle_only(Arc::clone(resource), settled.clone())).map_ok(drop);
        self.until_written(run, Lost::Nothing, put_back).await;
    }

    /// Makes the runs ready again that the store knows as claimed by this process and that it does not have in hand: they were lost on the
    /// way, whatever the reason, and nobody else will ever look at them. Not beside a claim whose runs are not in hand yet.
    pub(super) async fn sweep(&self) -> Result<(), StoreError> {
        for run in self.inner.store.claimed().await? {
            if self.inner.hand.holds(&run.key) {
                continue;
            }
            let resource = Arc::new(stand_in(&run, self.inner.clock.now()));
            let settled = settled(&run, RunStatus::Ready, run.attempt, None);
            match self.commit(commit_plan::settle_only(resource, settled)).await {
                Ok(_) => {
                    self.inner.metrics.run_recovered(&run.component);
                    tracing::warn!(run = run.key, instance = run.resource_id, "a claimed run was lost; it is ready again");
                }
                // It has ended between the two looks.
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn start(&self, run: StepRun, resource: Arc<Resource>, held: Held) {
        self.inner.tasks.spawn(self.clone().carry(run, resource, held));
    }

    /// Attempts a run and makes the answer durable. Boxed because an attempt's commit starts further attempts: the future would contain
    /// itself.
    fn carry(self, run: StepRun, resource: Arc<Resource>, held: Held) -> BoxFuture<'static, ()> {
        let span = span_of(&run, &resource);
        let work = async move {
            self.shielded(&run, async {
                tokio::select! {
                    biased;
                    () = self.carry_out(&run, resource, &held) => {}
                    () = self.taken_for_dead() => {
                        tracing::warn!(run = run.key, instance = run.resource_id, "a run is stopped: another process may have taken it over");
                    }
                }
            })
            .await;
            drop(held);
        };
        Box::pin(span.around(work))
    }

    /// Waits until other processes may take this one for dead. What it is at is stopped then; if none does, it is found later as lost.
    async fn taken_for_dead(&self) {
        match self.inner.group.lease() {
            // An error means that the store is gone, and nothing is written any more.
            Some(mut lease) => drop(lease.wait_for(|is_sure| !is_sure).await),
            None => std::future::pending().await,
        }
    }

    /// Executes what a run needs. A panic is a fault of the host: the run loses one attempt and is attempted again.
    pub(in crate::services) async fn shielded(&self, run: &StepRun, work: impl Future<Output = ()> + Send) {
        let Err(panic) = AssertUnwindSafe(work).catch_unwind().await else { return };
        self.panicked(run, &panic_text(&*panic)).await;
    }

    /// Frees a run in which the host has panicked; if its answer was made durable by then, that stands.
    pub(in crate::services) async fn panicked(&self, run: &StepRun, panic: &str) {
        self.inner.metrics.component_panicked(&run.component);
        let attempt = run.attempt.saturating_add(1);
        tracing::error!(
            run = run.key,
            instance = run.resource_id,
            component = run.component,
            attempt = run.attempt,
            panic,
            "the host panicked in a run, which is a fault of this program; the run is attempted again"
        );
        let wait = PUT_BACK.saturating_mul(1 << run.attempt.min(6)).min(MAX_WAIT_AFTER_PANIC);
        let resource = Arc::new(stand_in(run, self.inner.clock.now()));
        let due_at = commit_plan::later(self.inner.clock.steady(), wait);
        self.ready_again((run, &resource), attempt, due_at, Some(format!("the host panicked: {panic}"))).await;
    }

    /// Does what a claimed run asks for, until what came of it is durable.
    async fn carry_out(&self, run: &StepRun, resource: Arc<Resource>, held: &Held) {
        if let Some(lack) = self.lack_of(run) {
            if !self.expire(run, &resource).await {
                self.strand((run, &resource), held, &lack).await;
            }
            return;
        }
        if run.kind == RunKind::Undo {
            return if held.enter() {
                self.undo(run, resource).await
            };
        }
        if self.abandon(run, &resource).await || self.expire(run, &resource).await {
            return;
        }
        let attempts = &self.inner.attempts;
        let mut attempt = attempts.attempt(run, &resource, held, self.end_of_stay(&resource)).await;
        if matches!(attempt, Attempt::Overdue) {
            if self.expire(run, &resource).await {
                return;
            }
            attempt = attempts.attempt(run, &resource, held, std::future::pending()).await;
        }
        match attempt {
            Attempt::Made(report) => {
                if self.complete(run, resource, &report).await {
                    held.waits_answered();
                }
            }
            Attempt::Denied { until, reason } => self.put_back((run, &resource), held, until, Some(reason)).await,
            Attempt::Excused => self.make_again((run, &resource), held).await,
            Attempt::Broken(report) => self.make_elsewhere((run, &resource), held, &report).await,
            Attempt::Overdue | Attempt::NotMade => {}
        }
    }

    /// Has an attempt that was excused made again, at once and with the same number.
    pub(in crate::services) async fn make_again(&self, (run, resource): (&StepRun, &Arc<Resource>), held: &Held) {
        tracing::warn!(run = run.key, instance = run.resource_id, attempt = run.attempt, "{STOPPED}: the attempt is made again");
        self.put_back((run, resource), held, self.inner.clock.steady(), Some(STOPPED.into())).await;
    }

    /// Has an attempt made again that a candidate broke, on the version that serves, at once and with the same number.
    pub(in crate::services) async fn make_elsewhere(&self, (run, resource): (&StepRun, &Arc<Resource>), held: &Held, report: &Report) {
        self.record(run, resource, report);
        self.put_back((run, resource), held, self.inner.clock.steady(), Some(BROKEN.into())).await;
    }

    /// Makes one attempt: runs the component, unless no version of it serves, its circuit breaker is open, or a service that it calls
    /// refuses the credentials of this process.
    pub(in crate::services) async fn attempt(&self, run: &StepRun, resource: &Resource, held: &Held) -> Attempt {
        self.inner.attempts.attempt(run, resource, held, std::future::pending()).await
    }

    /// Counts an attempt that was made.
    pub(in crate::services) fn record(&self, run: &StepRun, resource: &Resource, report: &Report) {
        self.inner.completion.record(run, resource, report);
    }

    /// What is committed with an answer beside what it changes.
    pub(in crate::services) fn alongside(&self, run: &StepRun, resource: &Resource, report: &Report) -> Rows {
        self.inner.completion.rows(run, resource, report)
    }

    /// Makes an answer durable. It is planned anew as long as the instance moves, tried again as long as the store cannot
    /// write, and dropped when the run is no longer ours: then somebody else has its answer or will. Whether the run waits for another
    /// attempt now.
    pub(in crate::services) async fn complete(&self, run: &StepRun, resource: Arc<Resource>, report: &Report) -> bool {
        self.record(run, &resource, report);
        let mut current = Some(resource);
        self.make_durable(run, || {
            let known = current.take();
            async move {
                let resource = match known {
                    Some(resource) => resource,
                    None => self.resource_of(run).await?,
                };
                self.inner.completion.plan(run, &resource, report).await
            }
        })
        .await
    }

    /// The resource of a run as it is now. If it is gone, nobody is left to whom the answer could matter.
    async fn resource_of(&self, run: &StepRun) -> Result<Arc<Resource>, StoreError> {
        let found = self.inner.store.resource(&run.resource_kind, &run.resource_id).await?;
        Ok(Arc::new(found.unwrap_or_else(|| stand_in(run, self.inner.clock.now()))))
    }

    /// Commits what `plan` plans, anew each time that it cannot be written. Whether the run waits for another attempt by that.
    async fn make_durable<F, Fut>(&self, run: &StepRun, mut plan: F) -> bool
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<CommitPlan, StoreError>>,
    {
        let again = &AtomicBool::new(false);
        let written = self.until_written(run, Lost::Answer, || {
            let planning = plan();
            async move {
                let plan = planning.await?;
                again.store(plan.commit.settled.as_ref().is_some_and(|settled| settled.status == RunStatus::Ready), Ordering::Relaxed);
                self.commit(plan).await.map(drop)
            }
        });
        written.await && again.load(Ordering::Relaxed)
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
            () = self.inner.stop.requested() => false,
        }
    }

    /// A claimed run of a step, unless its instance has gone on without it: then what earlier attempts did is undone, and none is made.
    /// True if it was taken care of.
    async fn abandon(&self, run: &StepRun, resource: &Arc<Resource>) -> bool {
        let undo = &self.inner.undo;
        let Some((pinned, why)) = undo.no_longer_awaited(run, resource).await else { return false };
        let (pinned, why) = (&pinned, &why);
        self.make_durable(run, || async move { undo.unwanted(run, resource, pinned, (undo::began_before(run), why.clone())).await }).await;
        true
    }

    /// One attempt to find out what became of a visit, or to undo it, until what follows is durable.
    async fn undo(&self, run: &StepRun, resource: Arc<Resource>) {
        let undo = &self.inner.undo;
        let found = undo.find_out(run, &resource).await;
        let (found, mut known) = (&found, Some(resource));
        self.make_durable(run, || {
            let known = known.take();
            async move {
                let resource = match known {
                    Some(resource) => resource,
                    None => self.resource_of(run).await?,
                };
                undo.plan(run, &resource, found).await
            }
        })
        .await;
    }

    /// What a run needs and the config does not name.
    fn lack_of(&self, run: &StepRun) -> Option<String> {
        if !self.inner.steps.has(&run.component) {
            return Some(format!("component '{}'", run.component));
        }
        let of_step = matches!(run.kind, RunKind::Step | RunKind::Undo);
        // Nobody would find it, and nobody would know which of its fields are private.
        if of_step && !self.inner.events.keeps(&run.resource_kind) {
            return Some(format!("resource '{}'", run.resource_kind));
        }
        let workflows = &self.inner.workflows;
        (of_step && !workflows.has_step(&run.workflow, &run.name)).then(|| match workflows.current(&run.workflow) {
            Some(_) => format!("step '{}'", run.name),
            None => format!("workflow '{}'", run.workflow),
        })
    }

    /// Sets a run aside that needs what the config does not name. It was no attempt.
    async fn strand(&self, (run, resource): (&StepRun, &Arc<Resource>), held: &Held, what: &str) {
        tracing::warn!(run = run.key, instance = run.resource_id, what, "a run is set aside: the config does not name what it needs");
        let reason = format!("the config names no {what}: start with one that does");
        let settled = settled(run, RunStatus::Stranded, run.attempt, Some(reason));
        held.waits();
        self.make_durable(run, || std::future::ready(Ok(commit_plan::settle_only(Arc::clone(resource), settled.clone())))).await;
    }
}

/// What a panic has said.
pub(in crate::services) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".into())
}

#[cfg(test)]
mod tests;
