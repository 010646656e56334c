//! Which step each transition starts: the hooks say it, and where they leave only one possible meaning it follows.
//!
//! A state is *awaited* when nothing but a step's answer leads out of it. An instance that entered one without starting a
//! step would stay for ever, so if all hooks that start a step on entering it name the same one, every transition into it
//! starts that step, named by a hook or not. (A hook on `start_payment` then also covers `retry_payment`.) Where several
//! steps are named, a transition that starts none of them is a defect.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Definition, Hook, Reaction, Transition};

impl Hook {
    /// Whether the transition `name` starts what the hook says.
    #[must_use]
    pub fn matches(&self, name: &str, transition: &Transition) -> bool {
        let allows = |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
        allows(&self.transitions, name) && allows(&self.from_states, &transition.from) && allows(&self.to_states, &transition.to)
    }
}

/// The steps that transitions start.
pub(crate) struct Starts<'a> {
    definition: &'a Definition,
    /// By transition, what hooks say: each step once, with the number of the first hook that names it.
    by_hook: BTreeMap<&'a str, Vec<(&'a str, usize)>>,
    /// By transition into an awaited state, what follows from the other transitions into it.
    implied: BTreeMap<&'a str, &'a str>,
    /// Transitions into awaited states of which it is not clear which step they should start.
    unclear: Vec<&'a str>,
}

impl<'a> Starts<'a> {
    pub(crate) fn of(definition: &'a Definition) -> Self {
        let mut starts = Self { definition, by_hook: named_by_hooks(definition), implied: BTreeMap::new(), unclear: Vec::new() };
        for state in awaited_states(definition) {
            let named = starts.on_entering(state);
            let silent: Vec<&str> = entering(definition, state).filter(|name| !starts.by_hook.contains_key(name)).collect();
            match (named.len(), named.first()) {
                (1, Some(step)) => starts.implied.extend(silent.into_iter().map(|name| (name, *step))),
                (0, _) => {}
                _ => starts.unclear.extend(silent),
            }
        }
        starts
    }

    /// The steps that hooks name for this transition, with the number of the hook; more than one is a defect.
    pub(crate) fn named_for(&self, transition: &str) -> &[(&'a str, usize)] {
        self.by_hook.get(transition).map_or(&[], Vec::as_slice)
    }

    /// The step that follows for a transition no hook of a step names.
    pub(crate) fn implied_for(&self, transition: &str) -> Option<&'a str> {
        self.implied.get(transition).copied()
    }

    /// Transitions into awaited states of which it is not clear which step they should start.
    pub(crate) fn unclear(&self) -> &[&'a str] {
        &self.unclear
    }

    /// The steps that hooks start on entering this state by any transition.
    pub(crate) fn on_entering(&self, state: &str) -> BTreeSet<&'a str> {
        entering(self.definition, state).flat_map(|name| self.named_for(name)).map(|(step, _)| *step).collect()
    }

    /// By step, the states on entering which hooks start it, each with one transition that does so.
    pub(crate) fn states_of(&self, step: &str) -> BTreeMap<&'a str, &'a str> {
        let starting = self.by_hook.iter().filter(|(_, steps)| steps.iter().any(|(one, _)| *one == step));
        starting.filter_map(|(name, _)| Some((self.definition.transitions.get(*name)?.to.as_str(), *name))).collect()
    }
}

fn named_by_hooks(definition: &Definition) -> BTreeMap<&str, Vec<(&str, usize)>> {
    let mut found: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for (number, hook) in definition.hooks.iter().enumerate() {
        let Reaction::Step(step) = &hook.reaction else { continue };
        for (name, _) in definition.transitions.iter().filter(|(name, transition)| hook.matches(name, transition)) {
            let steps = found.entry(name).or_default();
            if steps.iter().all(|(one, _)| one != step) {
                steps.push((step, number));
            }
        }
    }
    found
}

fn entering<'a>(definition: &'a Definition, state: &str) -> impl Iterator<Item = &'a str> {
    definition.transitions.iter().filter(move |(_, transition)| transition.to == state).map(|(name, _)| name.as_str())
}

/// States that only a step's answer leads out of.
pub(crate) fn awaited_states(definition: &Definition) -> Vec<&str> {
    let answers: BTreeSet<&str> = definition.steps.values().flat_map(crate::Step::answers).collect();
    let mut awaited: BTreeMap<&str, bool> = BTreeMap::new();
    for (name, transition) in &definition.transitions {
        let only_answers = awaited.entry(&transition.from).or_insert(true);
        *only_answers &= answers.contains(name.as_str()) && !transition.automatic;
    }
    awaited.into_iter().filter_map(|(state, only_answers)| only_answers.then_some(state)).collect()
}
