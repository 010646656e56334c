//! The initial state and transition, and each transition by itself.

use std::collections::BTreeMap;

use super::{Report, leaving};
use crate::starts::awaited_states;
use crate::suggest::{accepted, list};
use crate::{Definition, Transition};

/// Names of states that do not exist.
pub(super) fn check_states(definition: &Definition, report: &mut Report) {
    let mut check = |state: &str, path: &[&str], what: &str| {
        if !definition.states.contains_key(state) {
            let hint = accepted(state, "states", definition.states.keys().map(String::as_str));
            report.add(path, format!("{what} is not a state; {hint}"));
        }
    };
    let initial = &definition.initial_state;
    check(initial, &["initial_state"], &format!("initial state '{initial}'"));
    for (name, Transition { from, to, .. }) in &definition.transitions {
        check(from, &["transitions", name, "from"], &format!("transition '{name}' leaves '{from}', which"));
        check(to, &["transitions", name, "to"], &format!("transition '{name}' enters '{to}', which"));
    }
}

/// Everything else about transitions, those that no timer fires.
pub(super) fn check(definition: &Definition, report: &mut Report) {
    check_initial_transition(definition, report);
    for (name, transition) in &definition.transitions {
        check_alone(definition, name, transition, report);
    }
    check_rivals(definition, report);
}

fn check_initial_transition(definition: &Definition, report: &mut Report) {
    let state = definition.initial_state.as_str();
    let Some(name) = &definition.initial_transition else {
        if awaited_states(definition).contains(&state) {
            let message = format!(
                "only a step's answer leads out of initial state '{state}', and no step is started by being created; \
                 name an initial transition or add a transition that leaves '{state}' without a step"
            );
            report.add(&["initial_transition"], message);
        }
        return;
    };
    match definition.transitions.get(name) {
        None => {
            let hint = accepted(name, "transitions", definition.transitions.keys().map(String::as_str));
            report.add(&["initial_transition"], format!("initial transition '{name}' is not a transition; {hint}"));
        }
        Some(transition) if transition.from != state && definition.states.contains_key(state) => {
            let (from, hint) = (&transition.from, leaving(definition, state));
            let message = format!("initial transition '{name}' leaves '{from}', not the initial state '{state}'; {hint}");
            report.add(&["initial_transition"], message);
        }
        Some(_) => {}
    }
}

fn check_alone(definition: &Definition, name: &str, transition: &Transition, report: &mut Report) {
    if definition.states.get(&transition.from).is_some_and(|state| state.is_final) {
        let message = format!("transition '{name}' leaves '{0}', but '{0}' is final and nothing may leave it", transition.from);
        report.add(&["transitions", name, "from"], message);
    }
    if transition.automatic && transition.after.is_some() {
        let message = format!("transition '{name}' is automatic and has `after`; it can fire at once or after a while, not both");
        report.add(&["transitions", name, "after"], message);
    }
}

/// Of the transitions that fire by themselves, a state can have one: others would never have their turn.
fn check_rivals(definition: &Definition, report: &mut Report) {
    let automatic = by_state(definition, |transition| transition.automatic);
    let timers = by_state(definition, |transition| transition.after.is_some() && !transition.automatic);
    for (state, names) in &automatic {
        if let [_, second, ..] = names[..] {
            let message = format!(
                "state '{state}' is left by {} automatic transitions, {}; one is accepted",
                names.len(),
                list(names.iter().copied())
            );
            report.add(&["transitions", second, "automatic"], message);
        }
    }
    for (state, names) in &timers {
        if let [_, second, ..] = names[..] {
            let message = format!(
                "state '{state}' is left by {} transitions with `after`, {}; one is accepted",
                names.len(),
                list(names.iter().copied())
            );
            report.add(&["transitions", second, "after"], message);
        }
        if let Some(first) = automatic.get(state).and_then(|names| names.first()) {
            let timer = names[0];
            let message = format!("the timer of '{timer}' would never start: automatic transition '{first}' leaves '{state}' at once");
            report.add(&["transitions", timer, "after"], message);
        }
    }
}

fn by_state(definition: &Definition, included: impl Fn(&Transition) -> bool) -> BTreeMap<&str, Vec<&str>> {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, transition) in definition.transitions.iter().filter(|(_, transition)| included(transition)) {
        names.entry(&transition.from).or_default().push(name);
    }
    names
}
