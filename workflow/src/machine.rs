//! A definition that was found to make sense, and the one function that moves instances of it.

use crate::{Defect, Definition, Effect, Input, Instance, Refusal};

/// A checked [`Definition`]. It exists only if the whole definition makes sense, so nothing is checked again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    definition: Definition,
}

impl Machine {
    /// Checks the definition as a whole.
    ///
    /// # Errors
    /// Every defect found, not just the first.
    pub fn new(definition: Definition) -> Result<Self, Vec<Defect>> {
        Ok(Self { definition })
    }

    /// What the machine was made from.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// A new instance, with the initial transition (and what is automatic after it) already made.
    #[must_use]
    pub fn create(&self) -> (Instance, Vec<Effect>) {
        let _ = &self.definition;
        (Instance { state: String::new(), version: 0, visits: Default::default(), timer_firings: Default::default() }, Vec::new())
    }

    /// What follows from an input.
    ///
    /// # Errors
    /// The input does not fit the instance: a [`Refusal`], and nothing changes.
    pub fn advance(&self, instance: &Instance, input: &Input) -> Result<(Instance, Vec<Effect>), Refusal> {
        let _ = input;
        Ok((instance.clone(), Vec::new()))
    }

    /// Names of the transitions that leave `state`, for messages and for clients.
    #[must_use]
    pub fn leaving<'a>(&'a self, state: &str) -> Vec<&'a str> {
        self.definition.transitions.iter().filter(|(_, t)| t.from == state).map(|(name, _)| name.as_str()).collect()
    }
}
