//! What an action such as `cancel` means while a step is awaited that was never attempted: nothing has happened yet, so nobody has to wait
//! for the step's answer. The run is taken back, the step counts as not done, and the action follows from there, in one commit.
//!
//! Only a run of which it is certain that no attempt was made is taken back. Of any other nobody knows what it has done outside.

use std::sync::Arc;

use millrace_workflow::{Cause, Effect, Input, Instance, Machine, RunKind};

use super::commit_plan::{self, Context, Decision, Origin};
use super::completion;
use super::in_hand::Busy;
use super::pipeline::Pipeline;
use super::workflows::LookupError;
use crate::store::{Conflict, Object, Progress, Resource, RunStatus, StepRun, StoreError};

/// Times that it is tried to take a run back that moves meanwhile.
const MAX_TRIES: usize = 16;
/// What the ended run says.
const TAKEN_BACK: &str = "taken back before it was attempted";

/// Why a run was not taken back; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(in crate::services) enum WithdrawError {
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

impl Pipeline {
    /// A claimed run of a step that was never attempted, if a deadline of its instance has passed meanwhile: it is taken back, and the
    /// instance leaves as it would have after the step. True if it did. Of a run that was attempted the answer is waited for.
    pub(in crate::services) async fn expire(&self, run: &StepRun, resource: &Resource) -> bool {
        let (RunKind::Step, Some(progress)) = (run.kind, &resource.workflow) else { return false };
        let passed = self.passed(progress);
        if passed.is_empty() {
            return false;
        }
        match self.withdraw(&resource.kind, &resource.id, &passed, (Cause::Timer, None)).await {
            Ok(_) => true,
            Err(refusal) => {
                tracing::debug!(run = run.key, instance = run.resource_id, %refusal, "a deadline has passed, and a step is made all the same");
                false
            }
        }
    }

    /// Transitions whose deadline has passed.
    fn passed(&self, progress: &Progress) -> Vec<String> {
        let steady = self.parts().clock.steady();
        progress.deadlines.iter().filter(|(_, at)| **at <= steady).map(|(transition, _)| transition.clone()).collect()
    }

    /// Takes the run back that the instance waits for, and makes the first of `transitions` that leaves the state after it, for `cause`.
    /// `merge` goes into the data.
    ///
    /// # Errors
    /// See [`WithdrawError`].
    pub(in crate::services) async fn withdraw(
        &self,
        kind: &str,
        id: &str,
        transitions: &[String],
        (cause, merge): (Cause, Option<&Object>),
    ) -> Result<Arc<Resource>, WithdrawError> {
        let store = &self.parts().store;
        for _ in 0..MAX_TRIES {
            let resource = store.resource(kind, id).await?.ok_or(WithdrawError::Meaningless)?;
            let progress = resource.workflow.as_ref().ok_or(WithdrawError::Meaningless)?;
            let pinned = self.parts().workflows.pinned(&progress.workflow, &progress.machine).await?;
            let course =
                course(&pinned.machine, progress, (transitions, &self.passed(progress)), &cause).ok_or(WithdrawError::Meaningless)?;
            let Some(run) = self.run_of(&resource, &course).await? else { continue };
            // What an attempt has done is being found out.
            if run.kind == RunKind::Undo {
                return Err(WithdrawError::Tried(course.step));
            }
            let held = match self.hand().take_back(&run) {
                Ok(held) if run.attempt == 1 && run.crashes == 0 => held,
                Ok(_) | Err(Busy::Tried) => return Err(WithdrawError::Tried(course.step)),
                Err(Busy::Inside) => return Err(WithdrawError::Inside(course.step)),
            };
            // Nobody else begins it from here on, unless the scheduler is just claiming it.
            let Some(run) = self.claimed(&resource, run).await? else { continue };
            let origin = Origin {
                merge: merge.cloned(),
                settled: Some(completion::settled(&run, RunStatus::Done, run.attempt, Some(TAKEN_BACK.into()))),
                ..Origin::default()
            };
            let context = Context {
                events: &self.parts().events,
                pinned: &pinned,
                now: self.parts().clock.now(),
                steady: self.parts().clock.steady(),
            };
            let decision: Decision = commit_plan::proceed(context, &resource, course.instance, &course.effects, origin);
            match self.commit(decision).await {
                Ok(resource) => return Ok(resource),
                Err(error) => {
                    self.put_back(&run, &held, self.parts().clock.steady(), None).await;
                    if !matches!(error, StoreError::Conflict(Conflict::Version { .. } | Conflict::Fence { .. })) {
                        return Err(error.into());
                    }
                }
            }
        }
        Err(WithdrawError::Contended)
    }

    /// The run whose answer the instance waits for.
    async fn run_of(&self, resource: &Resource, course: &Course) -> Result<Option<StepRun>, StoreError> {
        let runs = self.parts().store.runs(&resource.kind, &resource.id).await?;
        Ok(runs.into_iter().find(|run| run.name == course.step && run.visit == course.visit && run.status != RunStatus::Done))
    }

    /// `run` as it is claimed by this process; nothing if it was claimed by somebody else meanwhile.
    async fn claimed(&self, resource: &Resource, run: StepRun) -> Result<Option<StepRun>, StoreError> {
        match run.status {
            RunStatus::Running => {
                let runs = self.parts().store.runs(&resource.kind, &resource.id).await?;
                Ok(runs.into_iter().find(|now| now.key == run.key && now.status == RunStatus::Running && now.fence == run.fence))
            }
            RunStatus::Ready => self.parts().store.claim_run(&run.key).await,
            RunStatus::Done | RunStatus::Parked | RunStatus::Stranded => Ok(None),
        }
    }
}

/// What follows when the awaited step counts as not done and one of `transitions` is made then; nothing if none can be, or if the deadline
/// of another one has passed.
fn course(machine: &Machine, progress: &Progress, (transitions, passed): (&[String], &[String]), cause: &Cause) -> Option<Course> {
    let instance = &progress.instance;
    let leaves = |name: &String| machine.definition().transitions.get(name).is_some_and(|transition| transition.from == instance.state);
    let (name, step) = machine.definition().steps.iter().find(|(_, step)| leaves(&step.compensate))?;
    let visit = *instance.visits.get(name)?;
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
    Some(Course { step: name.clone(), visit, instance: after, effects })
}
