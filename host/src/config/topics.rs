//! Topics that a config names, whoever brings the events.

use std::collections::HashSet;

use super::context::Context;

/// Types of modules that bring events. A process has one of them at most.
pub(super) const BUSES: &[&str] = &["messaging.broker", "messaging.kafka"];

/// Every place that asks for the events of a topic, with its pointer.
pub(super) fn consumed<'d>(context: &Context<'d>) -> Vec<(String, &'d str)> {
    let mut named: Vec<(String, &str)> = Vec::new();
    let subscriptions = context.workflows.messaging.iter().flat_map(|messaging| &messaging.subscriptions).enumerate();
    named.extend(subscriptions.map(|(i, s)| (format!("/workflows/messaging/subscriptions/{i}/topic"), s.topic.as_str())));
    let triggers = context.triggers.event.iter().flat_map(|triggers| &triggers.subscriptions).enumerate();
    named.extend(triggers.map(|(i, t)| (format!("/triggers/event/subscriptions/{i}/topic"), t.topic.as_str())));
    named
}

/// All topics, each once: those that the bus lists itself, then those that somebody asks for.
pub(super) fn all(context: &Context<'_>, listed: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let named = listed.iter().map(String::as_str).chain(consumed(context).into_iter().map(|(_, topic)| topic));
    named.filter(|topic| !topic.is_empty() && seen.insert(*topic)).map(str::to_owned).collect()
}
