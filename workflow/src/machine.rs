//! A definition that was found to make sense, and what can be asked about it. How instances move is in `advance`.

use crate::check::{check, oversized};
use crate::index::Index;
use crate::starts::Starts;
use crate::{Defect, Definition, Step, Transition};

/// A checked [`Definition`]. It exists only if the whole definition makes sense, so nothing is checked again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    definition: Definition,
    index: Index,
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
        Ok(Self { definition, index })
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
