//! Transitions that a durable timer fires: `after`, `max_attempts`, `exhausted`, `attention_after`.

use std::time::Duration;

use super::{Report, leaving};
use crate::limits::MAX_WAIT;
use crate::suggest::accepted;
use crate::{Deadline, Definition, Transition};

pub(super) fn check(definition: &Definition, report: &mut Report) {
    for (name, transition) in &definition.transitions {
        match transition.after {
            Some(after) => check_timer(name, transition, after, report),
            None => check_no_timer(name, transition, report),
        }
        if let Some(exhausted) = &transition.exhausted {
            check_exhausted(definition, name, transition, exhausted, report);
        }
        if let Some(deadline) = &transition.deadline {
            check_deadline(definition, name, transition, deadline, report);
        }
    }
}

fn check_timer(name: &str, transition: &Transition, after: Duration, report: &mut Report) {
    let mut add = |field: &str, message: String| report.add(&["transitions", name, field], message);
    if after.is_zero() {
        add("after", format!("the wait of '{name}' is zero; give a duration, or make the transition automatic"));
    }
    if after > MAX_WAIT {
        add("after", format!("the wait of '{name}' is {} s; at most {} s (ten years) are accepted", after.as_secs(), MAX_WAIT.as_secs()));
    }
    if transition.max_attempts == Some(0) {
        add("max_attempts", format!("the attempts of '{name}' are limited to 0, so its timer could never fire; at least 1 is accepted"));
    }
    if transition.attention_after == Some(0) {
        add("attention_after", format!("attention for '{name}' is asked for after 0 firings; at least 1 is accepted"));
    }
    match (transition.max_attempts, &transition.exhausted) {
        (Some(max), None) => {
            add(
                "max_attempts",
                format!(
                    "the attempts of '{name}' are limited to {max}, but no exhausted transition says what is fired then; give both or none"
                ),
            );
        }
        (None, Some(exhausted)) => {
            add(
                "exhausted",
                format!(
                    "the exhausted transition of '{name}' is '{exhausted}', but without a limit of attempts it never fires; give both or none"
                ),
            );
        }
        _ => {}
    }
}

fn check_no_timer(name: &str, transition: &Transition, report: &mut Report) {
    let given = [
        ("max_attempts", "a limit of attempts", transition.max_attempts.is_some()),
        ("exhausted", "an exhausted transition", transition.exhausted.is_some()),
        ("attention_after", "a number of firings that ask for attention", transition.attention_after.is_some()),
    ];
    for (field, what, _) in given.into_iter().filter(|(_, _, is_given)| *is_given) {
        report.add(&["transitions", name, field], format!("transition '{name}' has {what}, but no timer fires it; give it `after` too"));
    }
}

fn check_deadline(definition: &Definition, name: &str, transition: &Transition, deadline: &Deadline, report: &mut Report) {
    let path = ["transitions", name, "deadline"];
    let Deadline { after, since } = deadline;
    if after.is_zero() {
        report.add(&path, format!("the deadline of '{name}' is zero; give a duration"));
    }
    if *after > MAX_WAIT {
        let (given, longest) = (after.as_secs(), MAX_WAIT.as_secs());
        report.add(&path, format!("the deadline of '{name}' is {given} s; at most {longest} s (ten years) are accepted"));
    }
    if !definition.states.contains_key(since) {
        let hint = accepted(since, "states", definition.states.keys().map(String::as_str));
        report.add(&path, format!("the deadline of '{name}' begins with '{since}', which is not a state; {hint}"));
    }
    if transition.automatic || transition.after.is_some() {
        let other = if transition.automatic { "is automatic" } else { "has `after`" };
        report.add(&path, format!("transition '{name}' {other} and has a deadline; it can be fired by one of them"));
    }
    let from = &transition.from;
    let earlier = definition.transitions.iter().take_while(|(other, _)| *other != name);
    if let Some((first, _)) = earlier.into_iter().find(|(_, other)| other.deadline.is_some() && other.from == *from) {
        report.add(&path, format!("state '{from}' is left at the deadline of '{first}' already; one is accepted"));
    }
    let automatic = definition.transitions.iter().find(|(_, other)| other.automatic && other.from == *from);
    if let Some((first, _)) = automatic.filter(|_| !transition.automatic) {
        report.add(&path, format!("the deadline of '{name}' would never come: automatic transition '{first}' leaves '{from}' at once"));
    }
}

fn check_exhausted(definition: &Definition, name: &str, timer: &Transition, exhausted: &str, report: &mut Report) {
    let path = ["transitions", name, "exhausted"];
    let Some(transition) = definition.transitions.get(exhausted) else {
        let hint = accepted(exhausted, "transitions", definition.transitions.keys().map(String::as_str));
        return report.add(&path, format!("the exhausted transition of '{name}' is '{exhausted}', which does not exist; {hint}"));
    };
    if transition.from != timer.from {
        let hint = leaving(definition, &timer.from);
        let message = format!(
            "the exhausted transition of '{name}' is '{exhausted}', which leaves '{}', not '{}'; {hint}",
            transition.from, timer.from
        );
        report.add(&path, message);
    }
    if transition.after.is_some() {
        report.add(
            &path,
            format!("the exhausted transition of '{name}' is '{exhausted}', which has `after` itself; it must be able to fire at once"),
        );
    }
}
