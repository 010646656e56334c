//! What an action such as `cancel`, or a deadline, means while a step is awaited that waits itself: nobody has to wait for the step's answer.
//! The run is taken back, the step counts as not done, and what was asked for follows from there, in one commit.
//!
//! For an action only a run is taken back of which it is certain that no attempt was made. Of any other nobody knows what it has done outside,
//! so at a deadline its component is asked that first (`undo`), and what follows waits for the answer. Where no version of the component has
//! words for such a question, a deadline is to a run whose attempts were all answered what used-up retries are.
//!
//! An action that begins anew what waits to begin moves nothing: what comes with it is there when the step begins.

use std::sync::Arc;

use jiff::Timestamp;
use millrace_workflow::{Cause, Effect, Input, Instance, Machine, RunKind, Step};

use super::commit_plan::{self, CommitPlan, Context, Origin, settled};
use super::events::Events;
use super::in_hand::{Busy, Held, InHand, Stage};
use super::undo::Undo;
use super::workflows::{LookupError, Pinned, Workflows};
use crate::clock::Clock;
use crate::store::{Commit, Guard, Instances, Progress, Resource, RunStatus, StepRun, StoreError, Timer};

/// Times that it is tried to take a run back that moves meanwhile.
pub(super) const MAX_TRIES: usize = 16;
/// What the ended run says.
const TAKEN_BACK: &str = "taken back before it was attempted";
const TIME_IS_UP: &str = "a deadline has passed before its next attempt";

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

/// What follows from taking the run of a step back.
struct Course {
    step: String,
    visit: u32,
    /// Where the instance is then; None if what was asked for is the step that waits to begin.
    moves: Option<(Instance, Vec<Effect>)>,
}

/// A run that was taken back, and what follows from that.
pub(super) struct Withdrawn {
    pub(super) run: StepRun,
    pub(super) held: Held,
    /// As it was.
    pub(super) resource: Arc<Resource>,
    /// What is to be written, if anything.
    pub(super) plan: Option<CommitPlan>,
    /// It is this run that is asked for: it goes on after the commit.
    pub(super) goes_on: bool,
}

/// An instance that waits for a step.
struct Waiting {
    resource: Arc<Resource>,
    pinned: Arc<Pinned>,
    course: Course,
    run: StepRun,
}

/// Takes runs back.
pub(super) struct Withdrawals {
    pub(super) store: Arc<dyn Instances>,
    pub(super) workflows: Arc<Workflows>,
    pub(super) events: Arc<Events>,
    pub(super) undo: Arc<Undo>,
    pub(super) hand: InHand,
    pub(super) clock: Clock,
}

impl Withdrawals {
    /// Transitions whose deadline has passed.
    pub(super) fn passed(&self, progress: &Progress) -> Vec<String> {
        let steady = self.clock.steady();
        progress.deadlines.iter().filter(|(_, at)| **at <= steady).map(|(transition, _)| transition.clone()).collect()
    }

    /// Takes the run back that the instance waits for, and plans the first of `transitions` that leaves the state after it, as somebody asks
    /// for. What `origin` says goes with it. None if the instance or its run moved meanwhile: then it may be tried again.
    ///
    /// # Errors
    /// See [`WithdrawError`].
    pub(super) async fn take_back(
        &self,
        kind: &str,
        id: &str,
        transitions: &[String],
        origin: &Origin,
    ) -> Result<Option<Withdrawn>, WithdrawError> {
        let choose = |machine: &Machine, progress: &Progress| course(machine, progress, (transitions, &self.passed(progress)), &Cause::Api);
        let Some(waiting) = self.waiting(kind, id, choose).await? else { return Ok(None) };
        let step = || waiting.course.step.clone();
        // What an attempt has done is being found out.
        if waiting.run.kind == RunKind::Undo {
            return Err(WithdrawError::Tried(step()));
        }
        if self.is_elsewhere(&waiting.run) {
            return Err(WithdrawError::Inside(step()));
        }
        let held = match self.hand.take_back(&waiting.run) {
            Ok(held) if is_first_attempt(&waiting.run) => held,
            Ok(_) | Err(Busy::Tried) => return Err(WithdrawError::Tried(step())),
            Err(Busy::Inside) => return Err(WithdrawError::Inside(step())),
        };
        // Nobody else begins it from here on, unless the scheduler is just claiming it.
        let Some(run) = self.claimed(&waiting.resource, &waiting.run).await? else { return Ok(None) };
        let Waiting { resource, pinned, course, .. } = waiting;
        let (plan, goes_on) = match course.moves {
            Some(moves) => (Some(self.leave(&resource, &pinned, (&run, TAKEN_BACK), moves, origin.clone())), false),
            None => (self.changed(&resource, origin).await?, true),
        };
        Ok(Some(Withdrawn { run, held, resource, plan, goes_on }))
    }

    /// Takes the run over that the instance waits for because a deadline has passed, and plans what follows. An attempt that is under way is
    /// waited for. None if the instance or its run moved meanwhile: then it may be tried again.
    ///
    /// # Errors
    /// See [`WithdrawError`].
    pub(super) async fn expire(&self, kind: &str, id: &str) -> Result<Option<Withdrawn>, WithdrawError> {
        let choose = |machine: &Machine, progress: &Progress| {
            let passed = self.passed(progress);
            course(machine, progress, (&passed, &passed), &Cause::Timer)
        };
        let Some(waiting) = self.waiting(kind, id, choose).await? else { return Ok(None) };
        let (run, step) = (&waiting.run, &waiting.course.step);
        // It is being found out what was done; or nobody is to touch it but an operator.
        if run.kind == RunKind::Undo || run.status == RunStatus::Quarantined {
            return Err(WithdrawError::Tried(step.clone()));
        }
        if self.is_elsewhere(run) {
            return Err(WithdrawError::Inside(step.clone()));
        }
        let asks = self.undo.can_ask(run);
        let may = |stage| match stage {
            Stage::Untouched => is_first_attempt(run) || asks,
            Stage::Answered => asks || self.undo.has_nobody_to_ask(run),
            Stage::Tried => asks,
            Stage::Inside => false,
        };
        let (held, stage) = self.hand.take_over(run, may).map_err(|busy| match busy {
            Busy::Inside => WithdrawError::Inside(step.clone()),
            Busy::Tried => WithdrawError::Tried(step.clone()),
        })?;
        let Some(run) = self.claimed(&waiting.resource, run).await? else { return Ok(None) };
        let Waiting { resource, pinned, course, .. } = waiting;
        let Some(moves) = course.moves else { return Ok(None) };
        let untouched = stage == Stage::Untouched && is_first_attempt(&run);
        let plan = match (untouched, asks) {
            (false, true) => self.undo.ask_instead(&run, &resource, TIME_IS_UP),
            (false, false) => self.leave(&resource, &pinned, (&run, TIME_IS_UP), moves, Origin::default()),
            (true, _) => self.leave(&resource, &pinned, (&run, TAKEN_BACK), moves, Origin::default()),
        };
        Ok(Some(Withdrawn { run, held, resource, plan: Some(plan), goes_on: false }))
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
        Ok(run.is_some_and(|run| may_be_taken_back(&run) && !self.is_elsewhere(&run) && self.hand.is_untouched(&run)))
    }

    /// When the stay ends of an instance that waits for a step, if a deadline ends it.
    pub(super) async fn end_of_stay(&self, resource: &Resource) -> Option<Timestamp> {
        let progress = resource.workflow.as_ref()?;
        let pinned = self.workflows.pinned(&progress.workflow, &progress.machine).await.ok()?;
        deadline(&pinned.machine, resource).map(|timer| timer.due_at)
    }

    /// Whether another process has claimed it: nobody knows here how far it has come.
    fn is_elsewhere(&self, run: &StepRun) -> bool {
        run.status == RunStatus::Running && run.owner != Some(self.store.epoch())
    }

    /// The instance, what `choose` makes of it, and the run whose answer it waits for; None if that is not to be seen at this moment.
    async fn waiting(
        &self,
        kind: &str,
        id: &str,
        choose: impl Fn(&Machine, &Progress) -> Option<Course>,
    ) -> Result<Option<Waiting>, WithdrawError> {
        let resource = self.store.resource(kind, id).await?.ok_or(WithdrawError::Meaningless)?;
        let progress = resource.workflow.as_ref().ok_or(WithdrawError::Meaningless)?;
        let pinned = self.workflows.pinned(&progress.workflow, &progress.machine).await?;
        let course = choose(&pinned.machine, progress).ok_or(WithdrawError::Meaningless)?;
        let run = self.run_of(&resource, (course.step.as_str(), course.visit)).await?;
        Ok(run.map(|run| Waiting { resource: Arc::new(resource), pinned, course, run }))
    }

    /// The instance leaves its state, and the run ends.
    fn leave(
        &self,
        resource: &Resource,
        pinned: &Pinned,
        (run, why): (&StepRun, &str),
        (instance, effects): (Instance, Vec<Effect>),
        origin: Origin,
    ) -> CommitPlan {
        let settled = Some(settled(run, RunStatus::Done, run.attempt, Some(why.into())));
        let origin = Origin { settled, ..origin };
        let context = Context { events: &self.events, pinned, now: self.clock.now(), steady: self.clock.steady() };
        commit_plan::proceed(context, resource, instance, &effects, origin)
    }

    /// What an action that moves nothing leaves: the resource with what came with it, and who has asked; None if that is nothing.
    async fn changed(&self, resource: &Arc<Resource>, origin: &Origin) -> Result<Option<CommitPlan>, StoreError> {
        let audit: Vec<_> = origin.audit.iter().cloned().collect();
        let Some(merge) = origin.merge.as_ref().filter(|merge| !merge.is_empty()) else {
            let commit = Commit { audit, ..Commit::default() };
            return Ok((!commit.audit.is_empty()).then(|| commit_plan::only(commit, Arc::clone(resource))));
        };
        // A change replaces all timers, so those that run are kept.
        let timers = self.store.timers(&resource.kind, &resource.id).await?;
        let mut changed = Resource { version: resource.version + 1, updated_at: self.clock.now(), ..Resource::clone(resource) };
        Arc::make_mut(&mut changed.data).extend(merge.clone());
        let change = Some((Guard::Version(resource.version), changed.clone()));
        let commit = Commit { change, timers, audit, ..Commit::default() };
        Ok(Some(commit_plan::only(commit, Arc::new(changed))))
    }

    /// The run whose answer the instance waits for.
    async fn run_of(&self, resource: &Resource, (step, visit): (&str, u32)) -> Result<Option<StepRun>, StoreError> {
        let runs = self.store.runs(&resource.kind, &resource.id).await?;
        Ok(runs.into_iter().find(|run| run.name == step && run.visit == visit && run.status != RunStatus::Done))
    }

    /// `run` as it is claimed by this process; nothing if it was claimed by somebody else meanwhile.
    async fn claimed(&self, resource: &Resource, run: &StepRun) -> Result<Option<StepRun>, StoreError> {
        match run.status {
            RunStatus::Running => {
                let runs = self.store.runs(&resource.kind, &resource.id).await?;
                Ok(runs.into_iter().find(|now| now.key == run.key && now.status == RunStatus::Running && now.fence == run.fence))
            }
            RunStatus::Ready | RunStatus::Stranded => self.store.claim_run(&run.key).await,
            RunStatus::Done | RunStatus::Quarantined => Ok(None),
        }
    }
}

/// As far as the run itself tells: whether no attempt at it was ever made, here or in a process before.
fn is_first_attempt(run: &StepRun) -> bool {
    run.attempt == 1 && run.crashes == 0
}

/// As far as the run itself tells. One that was quarantined waits for an operator, who may know what it has done.
fn may_be_taken_back(run: &StepRun) -> bool {
    let waits = matches!(run.status, RunStatus::Running | RunStatus::Ready | RunStatus::Stranded);
    run.kind != RunKind::Undo && waits && is_first_attempt(run)
}

/// The timer of the first deadline that ends the stay of an instance while it waits for a step; None if there is none.
pub(super) fn deadline(machine: &Machine, resource: &Resource) -> Option<Timer> {
    let progress = resource.workflow.as_ref()?;
    let ends = |transition: &String| {
        let alone = std::slice::from_ref(transition);
        course(machine, progress, (alone, alone), &Cause::Timer).is_some()
    };
    let (transition, due_at) = progress.deadlines.iter().filter(|(transition, _)| ends(transition)).min_by_key(|(_, at)| **at)?;
    Some(Timer {
        resource_kind: resource.kind.clone(),
        resource_id: resource.id.clone(),
        transition: transition.clone(),
        version: progress.instance.version,
        due_at: *due_at,
    })
}

/// The step whose answer the instance waits for, and its visit.
fn awaited<'m>(machine: &'m Machine, instance: &Instance) -> Option<(&'m str, &'m Step, u32)> {
    let leaves = |name: &String| machine.definition().transitions.get(name).is_some_and(|transition| transition.from == instance.state);
    let (name, step) = machine.definition().steps.iter().find(|(_, step)| leaves(&step.compensate))?;
    Some((name.as_str(), step, *instance.visits.get(name)?))
}

fn fire(machine: &Machine, instance: &Instance, transition: &str, cause: &Cause) -> Option<(Instance, Vec<Effect>)> {
    machine.advance(instance, &Input::Fire { transition: transition.to_owned(), cause: cause.clone() }).ok()
}

/// What follows when the awaited step counts as not done and one of `transitions` is made then; nothing if none can be, or if the deadline
/// of another one has passed.
fn course(machine: &Machine, progress: &Progress, (transitions, passed): (&[String], &[String]), cause: &Cause) -> Option<Course> {
    let instance = &progress.instance;
    let (name, step, visit) = awaited(machine, instance)?;
    let course = |moves| Some(Course { step: name.to_owned(), visit, moves });
    if *cause == Cause::Api && begins_anew(machine, instance, (name, step), (transitions, passed)) {
        return course(None);
    }
    let (mut after, mut effects) = fire(machine, instance, &step.compensate, cause)?;
    let made = |effect: &Effect| matches!(effect, Effect::Transitioned { transition, .. } if transitions.contains(transition));
    // Where the attempts of a timer are used up, it was made already.
    if !effects.iter().any(made) {
        let transition = machine.transition_leaving(&after.state, transitions)?.to_owned();
        // What is asked for again and again waits in between.
        if is_too_late(machine, &after.state, &transition, passed) || machine.pause_by_hand(&after, &transition).is_some() {
            return None;
        }
        let further;
        (after, further) = fire(machine, &after, &transition, cause)?;
        // The state between is left at once: nothing is to happen later in it.
        effects.retain(|effect| !matches!(effect, Effect::Timer { .. }));
        effects.extend(further);
    }
    course(Some((after, effects)))
}

/// Whether what is asked for is to begin the awaited step anew, which waits to begin already: that is no further try, and uses none up.
fn begins_anew(machine: &Machine, instance: &Instance, (name, step): (&str, &Step), (transitions, passed): (&[String], &[String])) -> bool {
    let Some(between) = machine.definition().transitions.get(&step.compensate).map(|compensate| &compensate.to) else { return false };
    let Some(transition) = machine.transition_leaving(between, transitions) else { return false };
    let there = Instance { state: between.clone(), ..instance.clone() };
    let starts = |effect: &Effect| matches!(effect, Effect::Run { kind: RunKind::Step, name: started, .. } if started == name);
    !is_too_late(machine, between, transition, passed)
        && fire(machine, &there, transition, &Cause::Api)
            .is_some_and(|(after, effects)| after.state == instance.state && effects.iter().any(starts))
}

/// Whether the deadline of another transition out of `state` has passed.
fn is_too_late(machine: &Machine, state: &str, transition: &str, passed: &[String]) -> bool {
    machine.transition_leaving(state, passed).is_some_and(|overdue| overdue != transition)
}
