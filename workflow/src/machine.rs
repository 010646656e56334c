//! A definition that was found to make sense, and what can be asked about it. How instances move is in `advance`.

use std::time::Duration;

use crate::check::{check, oversized};
use crate::index::Index;
use crate::limits::{MAX_TRANSITIONS_MADE, PAUSE_BY_HAND, UNSERVED_WAIT};
use crate::starts::Starts;
use crate::{Defect, Definition, Instance, Step, Transition};

/// A checked [`Definition`]. It exists only if the whole definition makes sense, so nothing is checked again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    definition: Definition,
    index: Index,
    most_made: u64,
}

impl Machine {
    /// Checks the definition as a whole.
    ///
    /// # Errors
    /// Every defect found, not just the first. A definition beyond the [`crate::limits`] is not looked into further.
    pub fn new(definition: Definition) -> Result<Self, Vec<Defect>> {
        let oversized = oversized(&definition);
        let defects = if oversized.is_empty() { check(&definition) } else { oversized };
        if !defects.is_empty() {
            return Err(defects);
        }
        let index = Index::new(&definition, &Starts::of(&definition));
        Ok(Self { definition, index, most_made: MAX_TRANSITIONS_MADE })
    }

    /// The same machine, whose instances make at most this many transitions instead of [`MAX_TRANSITIONS_MADE`].
    ///
    /// From then on nobody moves an instance but into a final state: no timer, no event and nobody by hand. Answers of steps that were
    /// started before still count, and so does what follows from them at once, so that what is done can be finished.
    #[must_use]
    pub fn bounded(mut self, most: u64) -> Self {
        self.most_made = most;
        self
    }

    /// Transitions that one instance makes at most.
    #[must_use]
    pub fn most_made(&self) -> u64 {
        self.most_made
    }

    /// Whether the instance has made as many transitions as it may.
    #[must_use]
    pub fn is_worn(&self, instance: &Instance) -> bool {
        instance.version >= self.most_made
    }

    /// The transition that a timer fires out of `state`.
    #[must_use]
    pub fn timer(&self, state: &str) -> Option<(&str, &Transition)> {
        self.index.timers.get(state).and_then(|name| self.transition(name))
    }

    /// How long the timer of its state lets an instance wait: as its transition says, and after each visit in a row that nobody served twice
    /// as long, up to [`UNSERVED_WAIT`].
    #[must_use]
    pub fn wait(&self, instance: &Instance) -> Option<Duration> {
        let after = self.timer(&instance.state)?.1.after?;
        let doublings = instance.unserved.saturating_sub(1).min(31);
        Some(after.saturating_mul(1 << doublings).min(UNSERVED_WAIT).max(after))
    }

    /// The transition that leaves `state` at its deadline.
    #[must_use]
    pub fn deadline(&self, state: &str) -> Option<(&str, &Transition)> {
        self.index.deadlines.get(state).and_then(|name| self.transition(name))
    }

    /// The transitions whose deadline begins when `state` is entered, with its length.
    pub fn deadlines_since<'a>(&'a self, state: &'a str) -> impl Iterator<Item = (&'a str, Duration)> {
        let names = self.index.deadlines.values();
        let begun = names.filter_map(|name| self.transition(name)?.1.deadline.as_ref().map(|deadline| (name.as_str(), deadline)));
        begun.filter(move |(_, deadline)| deadline.since == state).map(|(name, deadline)| (name, deadline.after))
    }

    /// How long an instance has to be in its state before somebody may ask for this transition: none the first time, and none where a
    /// number of attempts limits it, unless they are not counted because nobody serves them. A person may be sooner than the timer, but not so often that there is no end to it.
    #[must_use]
    pub fn pause_by_hand(&self, instance: &Instance, transition: &str) -> Option<Duration> {
        let (_, Transition { after, max_attempts, .. }) = self.transition(transition)?;
        let made = instance.timer_firings.get(transition).is_some_and(|made| *made > 0);
        let is_endless = if max_attempts.is_none() { made } else { instance.unserved > 1 };
        after.filter(|_| is_endless).map(|after| after.min(PAUSE_BY_HAND))
    }

    /// What the machine was made from.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Name of the workflow.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.definition.name
    }

    /// Whether `state` is a final state of the machine; false for one that it does not have.
    #[must_use]
    pub fn is_final(&self, state: &str) -> bool {
        self.definition.states.get(state).is_some_and(|state| state.is_final)
    }

    /// The step of this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.definition.steps.get(name)
    }

    /// Names of the transitions that leave `state`, for messages and for clients.
    #[must_use]
    pub fn leaving<'a>(&'a self, state: &str) -> Vec<&'a str> {
        self.definition.transitions.iter().filter(|(_, t)| t.from == state).map(|(name, _)| name.as_str()).collect()
    }

    /// The first of the named transitions that leaves `state`: what an action such as `cancel` means there.
    #[must_use]
    pub fn transition_leaving(&self, state: &str, among: &[String]) -> Option<&str> {
        among.iter().filter_map(|name| self.transition(name)).find(|(_, transition)| transition.from == state).map(|(name, _)| name)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn transition(&self, name: &str) -> Option<(&str, &Transition)> {
        self.definition.transitions.get_key_value(name).map(|(name, transition)| (name.as_str(), transition))
    }
}
