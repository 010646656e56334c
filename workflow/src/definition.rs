//! A business process as its author wrote it: data, not yet known to make sense.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::RetryPolicy;

/// A whole business process: the state machine, the steps that move it and the hooks that tie the two together.
///
/// It is plain data and can be stored beside an instance, which then keeps running on the definition it began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Name of the workflow, for example `order-processing`.
    pub name: String,
    /// What it is for, in one line; shown to people only.
    pub description: String,
    /// State of a new instance.
    pub initial_state: String,
    /// Transition that is fired in the same commit as the creation; `None` leaves a new instance in its initial state.
    pub initial_transition: Option<String>,
    /// States by name.
    pub states: BTreeMap<String, State>,
    /// Transitions by name.
    pub transitions: BTreeMap<String, Transition>,
    /// Processing steps by name, those that a hook names.
    pub steps: BTreeMap<String, Step>,
    /// What is started when an instance changes state, in the sequence written.
    pub hooks: Vec<Hook>,
}

/// A state of the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// What the state means, in one line; shown to people only.
    pub description: String,
    /// No transition leaves a final state.
    pub is_final: bool,
    /// The state means that the process did not reach its goal.
    pub is_error: bool,
}

/// A directed edge between two states.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// State that the transition leaves.
    pub from: String,
    /// State that the transition enters.
    pub to: String,
    /// Fired in the same commit that entered `from` (`autoTransform`).
    pub automatic: bool,
    /// Fired by a durable timer this long after `from` was entered.
    pub after: Option<Duration>,
    /// How many times this transition may be made in the life of one instance, by its timer and by hand together; `None` is without end.
    /// What led to a visit that nobody served is not counted where a deadline leaves `from`.
    pub max_attempts: Option<u32>,
    /// Transition fired instead of waiting again once `max_attempts` is used up.
    pub exhausted: Option<String>,
    /// Number of times after which a person's attention is asked for; the timer goes on.
    pub attention_after: Option<u32>,
    /// When the instance leaves `from` by this transition at the latest, whatever else it has done until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
}

/// A time limit that goes on from state to state: it begins once, and ends the instance's stay in the state that its transition leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// How long it is.
    pub after: Duration,
    /// State with which it begins, when that is entered for the first time.
    pub since: String,
}

/// A processing step: a component whose answer moves the instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Name of the component that does the work.
    pub component: String,
    /// Transition fired when the component accepts.
    pub success: String,
    /// Transition fired when it rejects, fails for good, or has used up its retries.
    pub compensate: String,
    /// Transition fired when it rejects, where that leads elsewhere than a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject: Option<String>,
    /// What happens after a transient failure, a trap or a timeout.
    pub retry: RetryPolicy,
    /// Wall time of one attempt.
    pub timeout: Duration,
}

impl Step {
    /// The transitions that its answers fire.
    pub fn answers(&self) -> impl Iterator<Item = &str> {
        [Some(&self.success), Some(&self.compensate), self.reject.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

/// Something that is started by a change of state. It matches when every list that is not empty contains the value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Names of transitions.
    pub transitions: Vec<String>,
    /// States left.
    pub from_states: Vec<String>,
    /// States entered.
    pub to_states: Vec<String>,
    /// What is started.
    pub reaction: Reaction,
}

/// What a hook starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reaction {
    /// The processing step of this name; its answer moves the instance.
    Step(String),
    /// The component of this name, for its effect only: it is retried until it succeeds and never moves the instance.
    Task(String),
    /// The messaging handler of this name tells the world that the state was entered.
    Announce(String),
    /// An instance of another kind is created with the transition, which the handler of this name keeps.
    Create(String),
}

impl Default for Reaction {
    fn default() -> Self {
        Self::Announce(String::new())
    }
}

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Defect {
    /// Where it is wrong, from the definition down, for example `["transitions", "start_payment", "to"]` or `["hooks", "3"]`.
    pub path: Vec<String>,
    /// What is wrong: names the thing, the value and what would be accepted.
    pub message: String,
}
