//! Hooks: each starts something that exists, and a transition can make it do so.

use super::Report;
use crate::starts::Starts;
use crate::suggest::{accepted, list};
use crate::{Definition, Hook, Reaction};

/// The lists of a hook, by the name of their field.
pub(super) fn lists(hook: &Hook) -> [(&'static str, &[String]); 3] {
    [("transitions", &hook.transitions), ("from_states", &hook.from_states), ("to_states", &hook.to_states)]
}

fn in_words(list: &str) -> &str {
    match list {
        "from_states" => "state left",
        "to_states" => "state entered",
        _ => "name",
    }
}

pub(super) fn check(definition: &Definition, starts: &Starts<'_>, report: &mut Report) {
    for (number, hook) in definition.hooks.iter().enumerate() {
        let number = number.to_string();
        check_reaction(definition, &number, hook, report);
        let all_known = check_lists(definition, &number, hook, report);
        if all_known {
            check_matches(definition, &number, hook, report);
        }
    }
    check_one_step(definition, starts, report);
    check_clear(definition, starts, report);
}

fn describe(reaction: &Reaction) -> String {
    match reaction {
        Reaction::Step(name) => format!("step '{name}'"),
        Reaction::Task(component) => format!("component '{component}'"),
        Reaction::Announce(handler) => format!("messaging handler '{handler}'"),
        Reaction::Create(handler) => format!("handler '{handler}'"),
    }
}

fn check_reaction(definition: &Definition, number: &str, hook: &Hook, report: &mut Report) {
    let path = ["hooks", number, "reaction"];
    match &hook.reaction {
        Reaction::Step(name) if !definition.steps.contains_key(name) => {
            let hint = accepted(name, "steps", definition.steps.keys().map(String::as_str));
            report.add(&path, format!("the hook starts step '{name}', which is not a step; {hint}"));
        }
        Reaction::Task(name) if definition.steps.contains_key(name) => {
            let message = format!(
                "the hook runs component '{name}', but a step has the same name, so their runs could not be told apart; rename one"
            );
            report.add(&path, message);
        }
        Reaction::Task(name) if name.is_empty() => report.add(&path, "the hook runs a component but does not name it"),
        Reaction::Announce(name) if name.is_empty() => report.add(&path, "the hook tells a messaging handler but does not name it"),
        Reaction::Create(name) if name.is_empty() => {
            report.add(&path, "the hook creates an instance but does not name the handler that keeps it")
        }
        _ => {}
    }
}

/// Reports unknown names, and says whether there were none.
fn check_lists(definition: &Definition, number: &str, hook: &Hook, report: &mut Report) -> bool {
    let mut all_known = true;
    for (list, names) in lists(hook) {
        let kind = if list == "transitions" { "transitions" } else { "states" };
        for (position, name) in names.iter().enumerate() {
            let (is_known, hint) = match kind {
                "transitions" => known(definition.transitions.keys(), definition.transitions.contains_key(name), name, kind),
                _ => known(definition.states.keys(), definition.states.contains_key(name), name, kind),
            };
            if !is_known {
                all_known = false;
                let message = format!("the hook for {} names '{name}', which is not one of the {kind}; {hint}", describe(&hook.reaction));
                report.add(&["hooks", number, list, &position.to_string()], message);
            }
        }
    }
    all_known
}

fn known<'a>(names: impl Iterator<Item = &'a String>, is_known: bool, name: &str, kind: &str) -> (bool, String) {
    (is_known, if is_known { String::new() } else { accepted(name, kind, names.map(String::as_str)) })
}

fn check_matches(definition: &Definition, number: &str, hook: &Hook, report: &mut Report) {
    let path = ["hooks", number];
    let what = describe(&hook.reaction);
    if lists(hook).iter().all(|(_, names)| names.is_empty()) {
        let message = format!("the hook for {what} does not say when; list transitions, states left or states entered");
        return report.add(&path, message);
    }
    if !definition.transitions.iter().any(|(name, transition)| hook.matches(name, transition)) {
        let given: Vec<String> = lists(hook)
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(field, names)| format!("{} {}", in_words(field), list(names.iter().map(String::as_str))))
            .collect();
        let message = format!("the hook for {what} matches no transition: there is none with {}", given.join(" and "));
        report.add(&path, message);
    }
}

fn check_one_step(definition: &Definition, starts: &Starts<'_>, report: &mut Report) {
    for name in definition.transitions.keys() {
        if let [(first, first_hook), (second, hook), ..] = starts.named_for(name) {
            let message = format!(
                "transition '{name}' starts step '{first}' (hook {first_hook}) and step '{second}' (hook {hook}); one step at a time is accepted, \
                 let the answer of the first lead to a state that starts the second"
            );
            report.add(&["hooks", &hook.to_string()], message);
        }
    }
}

fn check_clear(definition: &Definition, starts: &Starts<'_>, report: &mut Report) {
    for name in starts.unclear() {
        let Some(transition) = definition.transitions.get(*name) else { continue };
        let state = &transition.to;
        let steps = list(starts.on_entering(state));
        let message = format!(
            "transition '{name}' enters '{state}', which only a step's answer leads out of, but no hook says which step it starts; \
             other transitions start {steps}: add a hook for '{name}'"
        );
        report.add(&["transitions", name], message);
    }
}
