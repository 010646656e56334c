//! Makes plans durable: claims the runs for which there is room, writes one commit, and tells whoever waits for what it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use millrace_workflow::RunKind;
use tokio::sync::Notify;

use super::active::Active;
use super::backpressure::Backpressure;
use super::change_notifier::ChangeNotifier;
use super::commit_plan::CommitPlan;
use super::dependencies::Dependencies;
use super::draws::Draws;
use super::holds::Holds;
use super::in_hand::{Held, InHand};
use super::jobs::is_undo;
use super::per_owner::PerOwner;
use super::waker::RunWaker;
use super::withdrawal;
use super::workflows::{LookupError, Workflows};
use crate::shutdown::Stop;
use crate::store::{Commit, Guard, Instances, Resource, RunStatus, Settled, StepRun, StoreError, Timer};
use crate::telemetry::Metrics;
use crate::telemetry::traces::{Kind, Span};

/// A new run that this process has claimed.
pub(super) type Claimed = (StepRun, Held);

/// The resource after a commit, and the runs that this process has claimed with it and is to start.
pub(super) type Written = (Arc<Resource>, Vec<Claimed>);

/// What follows from a commit once it is written.
struct Following {
    resource: Arc<Resource>,
    claimed: Vec<Claimed>,
    /// What hooks create with it; each with how it ended, if it has already.
    made: Vec<(Arc<Resource>, Option<bool>)>,
    waits: bool,
    moved: bool,
    events: usize,
    /// Counters of the states that are left and entered.
    left: Option<Arc<AtomicI64>>,
    entered: Option<Arc<AtomicI64>>,
    /// The state that is left, where instances are counted by owner.
    from: Option<String>,
    finished: Option<bool>,
}

/// Makes plans durable.
pub(super) struct Commits {
    store: Arc<dyn Instances>,
    hand: InHand,
    waker: RunWaker,
    outbox_grew: Arc<Notify>,
    active: Arc<Active>,
    per_owner: Arc<PerOwner>,
    backpressure: Arc<Backpressure>,
    change_notifier: ChangeNotifier,
    workflows: Arc<Workflows>,
    holds: Arc<Holds>,
    draws: Arc<Draws>,
    stop: Stop,
    metrics: Metrics,
}

impl Commits {
    /// `outbox_grew` is told of new events.
    pub(super) fn new(dependencies: &Dependencies, hand: InHand, waker: RunWaker, outbox_grew: Arc<Notify>) -> Self {
        let Dependencies { store, active, per_owner, backpressure, change_notifier, workflows, holds, draws, stop, metrics, .. } =
            dependencies.clone();
        Self { store, hand, waker, outbox_grew, active, per_owner, backpressure, change_notifier, workflows, holds, draws, stop, metrics }
    }

    /// Makes a plan durable and tells everybody whom it concerns. Answers the resource, and the runs that this process has claimed with it
    /// and is to start.
    ///
    /// # Errors
    /// The store did not do it; then nothing has happened.
    pub(super) async fn commit(&self, plan: CommitPlan) -> Result<Written, StoreError> {
        let (commit, following) = self.prepare(plan).await?;
        commit_span(&following.resource).around(self.store.commit(commit)).await?;
        Ok(self.follow(following))
    }

    /// The same of two plans about two instances, in one commit.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn commit_both(&self, one: CommitPlan, other: CommitPlan) -> Result<[Written; 2], StoreError> {
        let (first, one) = self.prepare(one).await?;
        let (second, other) = self.prepare(other).await?;
        commit_span(&one.resource).around(self.store.commit_all(vec![first, second])).await?;
        Ok([self.follow(one), self.follow(other)])
    }

    /// Claims what there is room for; answers what is to be written, and what follows from it.
    async fn prepare(&self, mut plan: CommitPlan) -> Result<(Commit, Following), StoreError> {
        let claimed = self.claim(&mut plan.commit.runs);
        let deadline = self.deadline(&plan.commit, &plan.resource).await?;
        plan.commit.timers.extend(deadline);
        let made = self.made(&mut plan).await?;
        let (commit, resource) = (plan.commit, plan.resource);
        let (left, entered) = self.states(&commit, &resource);
        let following = Following {
            waits: commit.runs.len() > claimed.len()
                || !commit.timers.is_empty()
                || !made.is_empty()
                || commit.settled.as_ref().is_some_and(|settled| settled.status == RunStatus::Ready),
            moved: !commit.history.is_empty(),
            events: commit.outbox.len() + commit.also.iter().map(|other| other.outbox.len()).sum::<usize>(),
            from: self.left_of_owner(&commit, &resource),
            finished: plan.finished,
            left,
            entered,
            claimed,
            made,
            resource,
        };
        Ok((commit, following))
    }

    /// Tells everybody whom it concerns.
    fn follow(&self, following: Following) -> Written {
        let Following { resource, claimed, left, entered, .. } = following;
        for (count, change) in left.map(|count| (count, -1)).into_iter().chain(entered.map(|count| (count, 1))) {
            count.fetch_add(change, Ordering::Relaxed);
        }
        if let Some(from) = following.from {
            self.per_owner.moved(&resource.kind, resource.owner.as_deref(), &from, &resource.state);
        }
        // An event that has not fitted may do so now.
        let fits = self.holds.look_again(&resource.kind, &resource.id);
        if following.waits || fits {
            self.waker.look_again();
        }
        self.grew(following.events);
        if following.moved {
            self.change_notifier.changed(&resource.kind, &resource.id);
        }
        if let Some(is_error) = following.finished {
            self.holds.ended(&resource.kind, &resource.id);
            self.count_finished(&resource, is_error);
        }
        for (resource, finished) in following.made {
            self.count_made(&resource, finished);
        }
        (resource, claimed)
    }

    /// The outbox has so many more events.
    fn grew(&self, events: usize) {
        if events > 0 {
            self.backpressure.add(events);
            self.outbox_grew.notify_one();
        }
    }

    /// Adds to a plan what its hooks create with it; each with how it ended, if it has already.
    async fn made(&self, plan: &mut CommitPlan) -> Result<Vec<(Arc<Resource>, Option<bool>)>, StoreError> {
        let mut made = Vec::new();
        for mut other in self.draws.asked_for(plan).await? {
            let deadline = self.deadline(&other.commit, &other.resource).await?;
            other.commit.timers.extend(deadline);
            plan.commit.also.push(other.commit);
            made.push((other.resource, other.finished));
        }
        Ok(made)
    }

    /// Counts an instance that a hook has created.
    fn count_made(&self, resource: &Resource, finished: Option<bool>) {
        let Some(progress) = &resource.workflow else { return };
        if let Some(place) = self.active.begin(&progress.workflow, None) {
            place.keep();
        }
        if let Some(count) = self.active.state(&progress.workflow, &resource.state) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(is_error) = finished {
            self.count_finished(resource, is_error);
        }
    }

    /// Where a run of a step is going to wait in the store: the timer of the deadline that ends the stay of its instance all the same, however
    /// long that is. Whoever goes on at once needs none.
    async fn deadline(&self, commit: &Commit, resource: &Resource) -> Result<Option<Timer>, StoreError> {
        let Some(progress) = resource.workflow.as_ref().filter(|progress| !progress.finished && !progress.deadlines.is_empty()) else {
            return Ok(None);
        };
        let waits = |settled: &Settled| matches!(settled.status, RunStatus::Ready | RunStatus::Stranded) && !is_undo(&settled.key);
        if !commit.settled.as_ref().is_some_and(waits)
            && commit.runs.iter().all(|run| run.kind != RunKind::Step || run.status != RunStatus::Ready)
        {
            return Ok(None);
        }
        match self.workflows.pinned(&progress.workflow, &progress.machine).await {
            Ok(pinned) => Ok(withdrawal::deadline(&pinned.machine, resource)),
            Err(LookupError::Store(error)) => Err(error),
            // It goes nowhere, then.
            Err(LookupError::Unusable { .. }) => Ok(None),
        }
    }

    /// The counters of the state that a commit leaves, and of the one it enters.
    fn states(&self, commit: &Commit, resource: &Resource) -> (Option<Arc<AtomicI64>>, Option<Arc<AtomicI64>>) {
        let (Some((guard, _)), Some(progress)) = (&commit.change, &resource.workflow) else { return (None, None) };
        let active = &self.active;
        let left = commit.history.first().filter(|_| *guard != Guard::Absent);
        let moved = *guard == Guard::Absent || left.is_some();
        let entered = moved.then(|| active.state(&progress.workflow, &resource.state));
        (left.and_then(|row| active.state(&progress.workflow, &row.from)), entered.flatten())
    }

    /// The state that a commit leaves, where the instances of its owner are counted. Who creates one counts it before.
    fn left_of_owner(&self, commit: &Commit, resource: &Resource) -> Option<String> {
        let (guard, _) = commit.change.as_ref()?;
        let row = commit.history.first().filter(|_| *guard != Guard::Absent)?;
        self.per_owner.counts(&resource.kind).then(|| row.from.clone())
    }

    /// Writes a plan whose run is claimed already, or should wait.
    ///
    /// # Errors
    /// The store did not do it; then nothing has happened.
    pub(super) async fn commit_as_is(&self, plan: CommitPlan) -> Result<(), StoreError> {
        let waits = plan.commit.runs.iter().any(|run| run.status == RunStatus::Ready);
        let events = plan.commit.outbox.len();
        self.store.commit(plan.commit).await?;
        self.grew(events);
        if waits {
            self.waker.look_again();
        }
        Ok(())
    }

    /// Marks the new runs for which there is room as claimed by this process.
    fn claim(&self, runs: &mut [StepRun]) -> Vec<Claimed> {
        runs.iter_mut().filter_map(|run| self.try_claim(run).map(|held| (run.clone(), held))).collect()
    }

    /// Which instances somebody holds.
    pub(super) fn holds(&self) -> &Holds {
        &self.holds
    }

    /// Whether nobody has paused the instance of a run.
    pub(super) fn may_begin(&self, run: &StepRun) -> bool {
        !self.holds.has(&run.resource_kind, &run.resource_id)
    }

    /// Marks a new run as claimed by this process, if there is room for it and the process is not stopping.
    pub(super) fn try_claim(&self, run: &mut StepRun) -> Option<Held> {
        if self.stop.is_requested() || !self.may_begin(run) {
            return None;
        }
        let held = self.hand.take_new(run)?;
        run.status = RunStatus::Running;
        run.owner = Some(self.store.epoch());
        run.fence = 1;
        Some(held)
    }

    fn count_finished(&self, resource: &Resource, is_error: bool) {
        let Some(progress) = &resource.workflow else { return };
        self.active.finished(&progress.workflow);
        let Some(pinned) = self.workflows.current(&progress.workflow) else { return };
        let action = pinned.machine.definition().initial_transition.as_deref().unwrap_or("create");
        let took = elapsed(resource.created_at, resource.updated_at);
        self.metrics.workflow_execution(&progress.workflow, action, if is_error { "failure" } else { "success" });
        self.metrics.workflow_duration(&progress.workflow, action, took);
    }
}

fn commit_span(resource: &Resource) -> Span {
    let span = Span::child(Kind::Internal, || "commit");
    span.set("millrace.instance.id", || resource.id.clone()).set("millrace.state", || resource.state.clone());
    span
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
