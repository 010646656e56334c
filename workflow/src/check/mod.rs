//! Whether a definition makes sense as a whole. Every check adds what it finds and none stops another, so an author sees all
//! defects at once. It knows the definition only, not the file that it was written in.

mod graph;
mod hooks;
mod steps;
mod timers;
mod transitions;

use crate::starts::Starts;
use crate::suggest::nearest;
use crate::{Defect, Definition, limits};

/// The defects found so far.
#[derive(Default)]
struct Report {
    defects: Vec<Defect>,
}

impl Report {
    fn add(&mut self, path: &[&str], message: impl Into<String>) {
        self.defects.push(Defect { path: path.iter().map(|part| (*part).to_owned()).collect(), message: message.into() });
    }
}

/// What is too large to be looked into: the other checks compare everything with everything.
pub(crate) fn oversized(definition: &Definition) -> Vec<Defect> {
    let mut report = Report::default();
    let counts = [
        ("states", definition.states.len(), limits::MAX_STATES),
        ("transitions", definition.transitions.len(), limits::MAX_TRANSITIONS),
        ("steps", definition.steps.len(), limits::MAX_STEPS),
        ("hooks", definition.hooks.len(), limits::MAX_HOOKS),
    ];
    for (what, count, limit) in counts {
        if count > limit {
            report.add(&[what], format!("workflow '{}' has {count} {what}; at most {limit} are accepted", definition.name));
        }
    }
    for (number, hook) in definition.hooks.iter().enumerate() {
        for (list, names) in hooks::lists(hook) {
            if names.len() > limits::MAX_HOOK_NAMES {
                let message = format!("the hook lists {} names; at most {} are accepted", names.len(), limits::MAX_HOOK_NAMES);
                report.add(&["hooks", &number.to_string(), list], message);
            }
        }
    }
    report.defects
}

/// Every defect of a definition that is not oversized.
pub(crate) fn check(definition: &Definition) -> Vec<Defect> {
    let mut report = Report::default();
    check_names(definition, &mut report);
    transitions::check_states(definition, &mut report);
    let meant = as_meant(definition);
    let starts = Starts::of(&meant);
    transitions::check(&meant, &mut report);
    timers::check(&meant, &mut report);
    graph::check(&meant, &mut report);
    steps::check(&meant, &starts, &mut report);
    hooks::check(&meant, &starts, &mut report);
    report.defects
}

/// The definition with each misspelt state of a transition replaced by the one that was probably meant, so that one slip is
/// reported once and not again as a hole in the machine.
fn as_meant(definition: &Definition) -> Definition {
    let mut meant = definition.clone();
    let correct = |state: &mut String| {
        let known = || definition.states.keys().map(String::as_str);
        if !definition.states.contains_key(state)
            && let Some(meant) = nearest(state, known())
        {
            *state = meant.to_owned();
        }
    };
    correct(&mut meant.initial_state);
    for transition in meant.transitions.values_mut() {
        correct(&mut transition.from);
        correct(&mut transition.to);
    }
    meant
}

fn check_names(definition: &Definition, report: &mut Report) {
    if definition.name.is_empty() {
        report.add(&["name"], "the workflow has no name; give it one, for example 'order-processing'");
    }
    let kinds = [
        ("states", "state", definition.states.contains_key("")),
        ("transitions", "transition", definition.transitions.contains_key("")),
        ("steps", "step", definition.steps.contains_key("")),
    ];
    for (section, what, has_empty_name) in kinds {
        if has_empty_name {
            report.add(&[section, ""], format!("a {what} has an empty name; give it one"));
        }
    }
}

/// Names of the transitions that leave `state`, for the end of a message.
fn leaving(definition: &Definition, state: &str) -> String {
    let names: Vec<&str> = definition.transitions.iter().filter(|(_, t)| t.from == state).map(|(name, _)| name.as_str()).collect();
    if names.is_empty() {
        return format!("no transition leaves '{state}'");
    }
    format!("transitions that leave '{state}': {}", crate::suggest::list(names))
}
