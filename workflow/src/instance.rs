//! One run of a business process, what can happen to it and what follows.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where one run of a process stands. The business data lives elsewhere: no decision of the core depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Name of the current state.
    pub state: String,
    /// Number of transitions made so far; the sequence number of the last one. It grows by one with each.
    pub version: u64,
    /// Number of the last visit of each step (or task): it grows by one whenever the step is started, retries of one start not
    /// counted. It also grows by one when a state is entered anew without the step that once was started there, so that an
    /// answer to the earlier visit is late and moves nothing.
    pub visits: BTreeMap<String, u32>,
    /// How many times each transition that a timer fires was made, by the timer or because somebody asked for it; not counted are those
    /// that led to a visit which nobody served, where a deadline sees to it that this has an end.
    pub timer_firings: BTreeMap<String, u32>,
    /// Visits in a row, up to the last one that has ended, which nobody served ([`StepOutcome::Unserved`]) before a state with a deadline.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unserved: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Why a transition was made. Its text form is what the history shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The instance was created.
    Created,
    /// A caller of the API asked for it.
    Api,
    /// The transition is automatic.
    Automatic,
    /// A step accepted.
    Accepted,
    /// A step rejected: a business answer, not a fault.
    Rejected,
    /// A step failed for good, or its retries were used up.
    Failed,
    /// A durable timer was due.
    Timer,
    /// The attempts of a timer were used up.
    Exhausted,
    /// An event was received.
    Event,
}

impl Cause {
    /// The word that the history shows, for example `timer`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Api => "api",
            Self::Automatic => "automatic",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Timer => "timer",
            Self::Exhausted => "exhausted",
            Self::Event => "event",
        }
    }
}

/// What a component answered, as far as it decides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepOutcome {
    /// The work is done.
    Accepted,
    /// The business says no.
    Rejected,
    /// It may work the next time, though it has failed by itself: a trap, a budget that was used up.
    Transient,
    /// It may work the next time: what it needs did not answer, or refuses for now. That is no answer to this instance.
    Unserved,
    /// It will never work.
    Permanent,
}

/// Something that happened to an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Somebody asks for this transition by name.
    Fire {
        /// Name of the transition.
        transition: String,
        /// Who asks: [`Cause::Api`] or [`Cause::Event`].
        cause: Cause,
    },
    /// An attempt of a step's run has ended.
    StepFinished {
        /// Name of the step.
        step: String,
        /// Which start of the step it was, from 1.
        visit: u32,
        /// Which attempt of that start it was, from 1.
        attempt: u32,
        /// How it ended.
        outcome: StepOutcome,
        /// Randomness for the retry delay, 0 to 1.
        jitter: f64,
    },
    /// A durable timer is due.
    TimerFired {
        /// Transition that the timer fires.
        transition: String,
        /// [`Instance::version`] when the timer was started; a later version means that the timer is stale.
        version: u64,
    },
}

/// Whether a run's answer moves the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// A processing step: its answer is the instance's next input.
    Step,
    /// A task: retried until it succeeds, never moves the instance.
    Task,
    /// Finds out what became of a visit of a step that gave no answer, and undoes it. The machine starts none: whoever runs steps
    /// does, before the step's answer becomes the instance's next input.
    Undo,
}

/// What the caller has to make durable, all effects of one input in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A transition was made: one row of history.
    Transitioned {
        /// [`Instance::version`] after it, from 1, without a gap.
        seq: u64,
        /// Name of the transition.
        transition: String,
        /// State left.
        from: String,
        /// State entered.
        to: String,
        /// Why.
        cause: Cause,
    },
    /// Run a component because of the transition `seq`.
    Run {
        /// Step or task.
        kind: RunKind,
        /// Name of the step; for a task, of the component.
        name: String,
        /// Component to run.
        component: String,
        /// Which start of the step or task this is, from 1.
        visit: u32,
        /// Transition that started it.
        seq: u64,
    },
    /// Run the step again because an attempt failed; same visit, same idempotency key.
    Retry {
        /// Name of the step.
        name: String,
        /// Same visit as before.
        visit: u32,
        /// Number of the next attempt, from 2.
        attempt: u32,
        /// How long to wait.
        delay: Duration,
    },
    /// Fire `transition` after a while unless the instance has moved on. All timers started before are void after any transition.
    Timer {
        /// Name of the transition.
        transition: String,
        /// How long to wait.
        after: Duration,
        /// Version to hand back in [`Input::TimerFired`].
        version: u64,
    },
    /// The messaging handler tells the world that `to` was entered by the transition `seq`.
    Announce {
        /// Name of the handler.
        handler: String,
        /// Transition it is about.
        seq: u64,
        /// State entered.
        state: String,
    },
    /// An instance of another kind is created because of the transition `seq`, at once with it.
    Create {
        /// Name of the handler that keeps it.
        handler: String,
        /// Transition that asks for it.
        seq: u64,
    },
    /// A person should look at this instance.
    Attention {
        /// Why, in a sentence.
        reason: String,
    },
    /// The instance has reached a final state.
    Finished {
        /// The final state.
        state: String,
        /// It is one that means failure.
        is_error: bool,
    },
}

/// Why an input did not fit. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The machine has no such transition.
    #[error("workflow '{workflow}' has no transition '{transition}'")]
    UnknownTransition {
        /// Name of the workflow.
        workflow: String,
        /// What was asked for.
        transition: String,
    },
    /// The instance is elsewhere.
    #[error("transition '{transition}' leaves state '{from}', but the state is '{state}'")]
    WrongState {
        /// What was asked for.
        transition: String,
        /// State that it leaves.
        from: String,
        /// Where the instance is.
        state: String,
    },
    /// The instance is in a state the machine does not have.
    #[error("workflow '{workflow}' has no state '{state}'")]
    UnknownState {
        /// Name of the workflow.
        workflow: String,
        /// Where the instance is.
        state: String,
    },
    /// A step's answer came for a visit that is over, or never was (then `current` is what the instance knows, 0 if nothing).
    #[error("step '{step}' visit {visit} is not awaited: the state is '{state}', the last visit {current}")]
    StaleStep {
        /// Name of the step.
        step: String,
        /// Visit that was answered.
        visit: u32,
        /// Last visit that was started.
        current: u32,
        /// Where the instance is.
        state: String,
    },
    /// The instance has made as many transitions as it may, and this one is not its end.
    #[error("the instance has made {made} transitions, and {most} are allowed; a person has to look at it")]
    Worn {
        /// How many it has made.
        made: u64,
        /// How many it may make.
        most: u64,
    },
    /// The deadline of the state has passed: the instance leaves it by another transition.
    #[error("transition '{transition}' comes too late: a deadline has passed, and '{overdue}' follows")]
    Overdue {
        /// What was asked for.
        transition: String,
        /// What follows instead.
        overdue: String,
    },
    /// A timer fired for a state that was left since, or for a transition that no timer fires.
    #[error("no timer for '{transition}' that was started at version {started} is running; the instance is at version {current}")]
    StaleTimer {
        /// Name of the transition.
        transition: String,
        /// Version at which it was started.
        started: u64,
        /// Where the instance is.
        current: u64,
    },
}
