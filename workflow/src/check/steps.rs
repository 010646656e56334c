//! Steps: they are started, and their answer has a transition to fire where they are.

use super::{Report, leaving};
use crate::limits::MAX_WAIT;
use crate::starts::Starts;
use crate::suggest::accepted;
use crate::{Definition, Reaction, Step};

pub(super) fn check(definition: &Definition, starts: &Starts<'_>, report: &mut Report) {
    for (name, step) in &definition.steps {
        check_settings(name, step, report);
        check_answers(definition, starts, name, step, report);
        check_interruptions(definition, starts, name, report);
        let named = definition.hooks.iter().any(|hook| matches!(&hook.reaction, Reaction::Step(one) if one == name));
        if !named {
            report.add(&["steps", name], format!("no hook starts step '{name}'; add a hook for it, or remove it"));
        }
    }
}

fn check_settings(name: &str, step: &Step, report: &mut Report) {
    if step.component.is_empty() {
        report.add(&["steps", name, "component"], format!("step '{name}' names no component"));
    }
    if step.timeout.is_zero() {
        report.add(&["steps", name, "timeout"], format!("the timeout of step '{name}' is zero, so no attempt could succeed"));
    }
    let waits = [(&["timeout"][..], "timeout", step.timeout), (&["retry", "max_delay"], "longest retry delay", step.retry.max_delay)];
    for (field, what, wait) in waits.into_iter().filter(|(_, _, wait)| *wait > MAX_WAIT) {
        let message =
            format!("the {what} of step '{name}' is {} s; at most {} s (ten years) are accepted", wait.as_secs(), MAX_WAIT.as_secs());
        report.add(&[&["steps", name], field].concat(), message);
    }
}

/// An answer fires a transition, which has to leave the state where the step was started.
fn check_answers(definition: &Definition, starts: &Starts<'_>, name: &str, step: &Step, report: &mut Report) {
    let reject = step.reject.as_ref().map(|answer| ("reject", answer));
    for (field, answer) in [("success", &step.success), ("compensate", &step.compensate)].into_iter().chain(reject) {
        let path = ["steps", name, field];
        let Some(transition) = definition.transitions.get(answer) else {
            let hint = accepted(answer, "transitions", definition.transitions.keys().map(String::as_str));
            report.add(&path, format!("the {field} transition '{answer}' of step '{name}' is not a transition; {hint}"));
            continue;
        };
        let elsewhere = |state: &str| state != transition.from && definition.states.contains_key(state);
        for (state, by) in starts.states_of(name).into_iter().filter(|(state, _)| elsewhere(state)) {
            let (from, hint) = (&transition.from, leaving(definition, state));
            let message = format!(
                "step '{name}' is started on entering '{state}' (by '{by}'), but its {field} transition '{answer}' leaves '{from}'; {hint}"
            );
            report.add(&path, message);
        }
    }
}

/// A state in which a step was just started must not be left at once: the answer would be lost.
fn check_interruptions(definition: &Definition, starts: &Starts<'_>, name: &str, report: &mut Report) {
    for (state, by) in starts.states_of(name) {
        for (other, transition) in definition.transitions.iter().filter(|(_, transition)| transition.from == state) {
            if transition.automatic {
                let message = format!(
                    "step '{name}' is started on entering '{state}' (by '{by}'), but automatic transition '{other}' leaves '{state}' at once, \
                     so its answer would be lost; remove one of the two"
                );
                report.add(&["transitions", other, "automatic"], message);
            }
            if let (Some(exhausted), Some(_)) = (&transition.exhausted, transition.after) {
                let message = format!(
                    "step '{name}' is started on entering '{state}' (by '{by}'), but once '{other}' is used up, '{exhausted}' leaves '{state}' at \
                     once, so its answer would be lost; wait in another state, or do not limit the attempts"
                );
                report.add(&["transitions", other, "exhausted"], message);
            }
        }
    }
}
