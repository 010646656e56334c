//! What a checked definition says, looked up by where an instance is instead of searched for among all hooks.

use std::collections::BTreeMap;

use crate::starts::Starts;
use crate::{Definition, Reaction, RunKind};

/// Answers for [`crate::Machine::advance`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    /// By transition; those that start nothing are left out.
    pub(crate) reactions: BTreeMap<String, Reactions>,
    /// The automatic transition out of a state.
    pub(crate) automatic: BTreeMap<String, String>,
    /// The transition that a timer fires out of a state.
    pub(crate) timers: BTreeMap<String, String>,
    /// The transition that leaves a state at its deadline.
    pub(crate) deadlines: BTreeMap<String, String>,
}

/// What one transition starts. Whatever several hooks name for it is started once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reactions {
    /// Messaging handlers that tell of it.
    pub(crate) announcements: Vec<String>,
    /// Handlers that keep what is created with it.
    pub(crate) creations: Vec<String>,
    /// Components that run.
    pub(crate) runs: Vec<Start>,
    /// Steps whose answers lead out of the state entered, but that this transition does not start: an answer to an earlier
    /// start of theirs must not move the instance.
    pub(crate) voided: Vec<String>,
}

/// One component to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) kind: RunKind,
    pub(crate) name: String,
    pub(crate) component: String,
}

impl Index {
    pub(crate) fn new(definition: &Definition, starts: &Starts<'_>) -> Self {
        let mut index =
            Self { reactions: BTreeMap::new(), automatic: BTreeMap::new(), timers: BTreeMap::new(), deadlines: BTreeMap::new() };
        for (name, transition) in &definition.transitions {
            let reactions = Reactions::of(definition, starts, name);
            if reactions != Reactions::default() {
                index.reactions.insert(name.clone(), reactions);
            }
            if transition.automatic {
                index.automatic.insert(transition.from.clone(), name.clone());
            }
            if transition.after.is_some() {
                index.timers.insert(transition.from.clone(), name.clone());
            }
            if transition.deadline.is_some() {
                index.deadlines.insert(transition.from.clone(), name.clone());
            }
        }
        index
    }
}

impl Reactions {
    fn of(definition: &Definition, starts: &Starts<'_>, name: &str) -> Self {
        let mut reactions = Self::default();
        let Some(transition) = definition.transitions.get(name) else { return reactions };
        for hook in definition.hooks.iter().filter(|hook| hook.matches(name, transition)) {
            match &hook.reaction {
                Reaction::Step(step) => reactions.start_step(definition, step),
                Reaction::Task(component) => {
                    reactions.start(Start { kind: RunKind::Task, name: component.clone(), component: component.clone() });
                }
                Reaction::Announce(handler) if !reactions.announcements.contains(handler) => {
                    reactions.announcements.push(handler.clone());
                }
                Reaction::Create(handler) if !reactions.creations.contains(handler) => reactions.creations.push(handler.clone()),
                Reaction::Announce(_) | Reaction::Create(_) => {}
            }
        }
        if let Some(step) = starts.implied_for(name) {
            reactions.start_step(definition, step);
        }
        reactions.voided = unstarted_answers(definition, &transition.to, &reactions.runs);
        reactions
    }

    fn start_step(&mut self, definition: &Definition, name: &str) {
        if let Some(step) = definition.steps.get(name) {
            self.start(Start { kind: RunKind::Step, name: name.to_owned(), component: step.component.clone() });
        }
    }

    fn start(&mut self, start: Start) {
        if !self.runs.contains(&start) {
            self.runs.push(start);
        }
    }
}

/// Steps that could answer in `state` but are not among `runs`.
fn unstarted_answers(definition: &Definition, state: &str, runs: &[Start]) -> Vec<String> {
    let leaves = |name: &str| definition.transitions.get(name).is_some_and(|transition| transition.from == state);
    let started = |name: &str| runs.iter().any(|run| run.kind == RunKind::Step && run.name == name);
    let steps = definition.steps.iter().filter(|(name, step)| leaves(&step.success) && !started(name));
    steps.map(|(name, _)| name.clone()).collect()
}
