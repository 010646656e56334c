//! What an action such as `cancel` means while a step is awaited that was never attempted: nothing has happened yet, so nobody has to wait
//! for the step's answer. The run is taken back, the step counts as not done, and the action follows from there, in one commit.
//!
//! Only a run of which it is certain that no attempt was made is taken back. Of any other nobody knows what it has done outside.

use std::sync::Arc;

use millrace_workflow::{Cause, Effect, Input, Instance, Machine, RunKind, Step};

use super::commit_plan::{self, CommitPlan, Context, Origin, settled};
use super::events::Events;
use super::in_hand::{Busy, Held, InHand};
use super::workflows::{LookupError, Workflows};
use crate::clock::Clock;
use crate::store::{Instances, Progress, Resource, RunStatus, StepRun, StoreError};

/// Times that it is tried to take a run back that moves meanwhile.
pub(super) const MAX_TRIES: usize = 16;
/// What the ended run says.
const TAKEN_BACK: &str = "taken back before it was attempted";

/// Why a run was not taken back; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// The action means nothing in this state, whatever becomes of the step.
    #[error("no step is awaited from which it could follow")]
    Meaningless,
    /// An attempt is under way.
    #[error("step '{0}' is being attempted right now; ask again when it has been answered")]
    Inside(String),
    /// An attempt was, or may have been, made.
    #[error("step '{0}' has been attempted without an answer, so it may have had its effect; ask again when it has been answered")]
    Tried(String),
    /// The instance or its run moved each time.
    #[error("it changes too fast")]
    Contended,
    /// Its machine is not to be had.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where an instance is after its step was taken back and the action was made.
struct Course {
    step: String,
    visit: u32,
    instance: Instance,
    effects: Vec<Effect>,
}

/// A run that was taken back, and what follows from that.
pub(super) struct Withdrawn {
    pub(super) run: StepRun,
    pub(super) held: Held,
    pub(super) plan: CommitPlan,
}

/// Takes runs back.
pub(super) struct Withdrawals {
    pub(super) store: Arc<dyn Instances>,
    pub(super) workflows: Arc<Workflows>,
    pub(super) events: Arc<Events>,
    pub(super) hand: InHand,
    pub(super) clock: Clock,
}

impl Withdrawals {
    /// Transitions whose deadline has passed.
    pub(super) fn passed(&self, progress: &Progress) -> Vec<String> {
        let steady = self.clock.steady();
        progress.deadlines.iter().filter(|(_, at)| **at <= steady).map(|(transition, _)| transition.clone()).collect()
    }

    /// Takes the run back that the instance waits for, and plans the first of `transitions` that leaves the state after it, for `cause`.
    /// What `origin` says goes with it. None if the instance or its run moved meanwhile: then it may be tried again.
    ///
    /// # Errors
    /// See [`WithdrawError`].
    pub(super) async fn take_back(
        &self,
        kind: &str,
        id: &str,
        transitions: &[String],
        (cause, origin): (&Cause, &Origin),
    ) -> Result<Option<Withdrawn>, WithdrawError> {
        let resource = self.store.resource(kind, id).await?.ok_or(WithdrawError::Meaningless)?;
        let progress = resource.workflow.as_ref().ok_or(WithdrawError::Meaningless)?;
        let pinned = self.workflows.pinned(&progress.workflow, &progress.machine).await?;
        let course = course(&pinned.machine, progress, (transitions, &self.passed(progress)), cause).ok_or(WithdrawError::Meaningless)?;
        let Some(run) = self.run_of(&resource, (course.step.as_str(), course.visit)).await? else { return Ok(None) };
        // What an attempt has done is being found out.
        if run.kind == RunKind::Undo {
            return Err(WithdrawError::Tried(course.step));
        }
        let held = match self.hand.take_back(&run) {
            Ok(held) if run.attempt == 1 && run.crashes == 0 => held,
            Ok(_) | Err(Busy::Tried) => return Err(WithdrawError::Tried(course.step)),
            Err(Busy::Inside) => return Err(WithdrawError::Inside(course.step)),
        };
        // Nobody else begins it from here on, unless the scheduler is just claiming it.
        let Some(run) = self.claimed(&resource, run).await? else { return Ok(None) };
        let origin = Origin { settled: Some(settled(&run, RunStatus::Done, run.attempt, Some(TAKEN_BACK.into()))), ..origin.clone() };
        let context = Context { events: &self.events, pinned: &pinned, now: self.clock.now(), steady: self.clock.steady() };
        let plan = commit_plan::proceed(context, &resource, course.instance, &course.effects, origin);
        Ok(Some(Withdrawn { run, held, plan }))
    }

    /// Whether one of `transitions` would follow if the run was taken back that the instance waits for.
    pub(super) fn would_follow(&self, progress: &Progress, machine: &Machine, transitions: &[String]) -> bool {
        course(machine, progress, (transitions, &self.passed(progress)), &Cause::Api).is_some()
    }

    /// Whether [`Self::take_back`] would take the run back at this moment, if something followed from that.
    pub(super) async fn may_take_back(&self, resource: &Resource, machine: &Machine) -> Result<bool, StoreError> {
        let progress = resource.workflow.as_ref();
        let Some((step, _, visit)) = progress.and_then(|progress| awaited(machine, &progress.instance)) else { return Ok(false) };
        let run = self.run_of(resource, (step, visit)).await?;
        Ok(run.is_some_and(|run| may_be_taken_back(&run) && self.hand.is_untouched(&run)))
    }

    /// The run whose answer the instance waits for.
    async fn run_of(&self, resource: &Resource, (step, visit): (&str, u32)) -> Result<Option<StepRun>, StoreError> {
        let runs = self.store.runs(&resource.kind, &resource.id).await?;
        Ok(runs.into_iter().find(|run| run.name == step && run.visit == visit && run.status != RunStatus::Done))
    }

    /// `run` as it is claimed by this process; nothing if it was claimed by somebody else meanwhile.
    async fn claimed(&self, resource: &Resource, run: StepRun) -> Result<Option<StepRun>, StoreError> {
        match run.status {
            RunStatus::Running => {
                let runs = self.store.runs(&resource.kind, &resource.id).await?;
                Ok(runs.into_iter().find(|now| now.key == run.key && now.status == RunStatus::Running && now.fence == run.fence))
            }
            RunStatus::Ready => self.store.claim_run(&run.key).await,
            RunStatus::Done | RunStatus::Quarantined | RunStatus::Stranded => Ok(None),
        }
    }
}

/// As far as the run itself tells. One that was set aside waits for an operator, who may know what it has done.
fn may_be_taken_back(run: &StepRun) -> bool {
    let waits = matches!(run.status, RunStatus::Running | RunStatus::Ready);
    run.kind != RunKind::Undo && waits && run.attempt == 1 && run.crashes == 0
}

/// The step whose answer the instance waits for, and its visit.
fn awaited<'m>(machine: &'m Machine, instance: &Instance) -> Option<(&'m str, &'m Step, u32)> {
    let leaves = |name: &String| machine.definition().transitions.get(name).is_some_and(|transition| transition.from == instance.state);
    let (name, step) = machine.definition().steps.iter().find(|(_, step)| leaves(&step.compensate))?;
    Some((name.as_str(), step, *instance.visits.get(name)?))
}

/// What follows when the awaited step counts as not done and one of `transitions` is made then; nothing if none can be, or if the deadline
/// of another one has passed.
fn course(machine: &Machine, progress: &Progress, (transitions, passed): (&[String], &[String]), cause: &Cause) -> Option<Course> {
    let instance = &progress.instance;
    let (name, step, visit) = awaited(machine, instance)?;
    let fire = |instance: &Instance, transition: &str| {
        machine.advance(instance, &Input::Fire { transition: transition.to_owned(), cause: cause.clone() }).ok()
    };
    let (mut after, mut effects) = fire(instance, &step.compensate)?;
    let made = |effect: &Effect| matches!(effect, Effect::Transitioned { transition, .. } if transitions.contains(transition));
    // Where the attempts of a timer are used up, it was made already.
    if !effects.iter().any(made) {
        let transition = machine.transition_leaving(&after.state, transitions)?.to_owned();
        let too_late = machine.transition_leaving(&after.state, passed).is_some_and(|overdue| overdue != transition);
        // To begin anew what waits to begin gains nothing, and could be asked for without end.
        if too_late || machine.pause_by_hand(&after, &transition).is_some() {
            return None;
        }
        let further;
        (after, further) = fire(&after, &transition)?;
        // The state between is left at once: nothing is to happen later in it.
        effects.retain(|effect| !matches!(effect, Effect::Timer { .. }));
        effects.extend(further);
    }
    Some(Course { step: name.to_owned(), visit, instance: after, effects })
}
