//! How events travel, who reacts to them, and which transitions they fire.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use super::{Context, components, pick, setting, triggers, values};
use crate::config::finding::Findings;
use crate::config::report::Code;
use crate::plan::{Bus, EventTrigger, MessagingHandler};

const BUSES: [&str; 2] = ["messaging.broker", "messaging.kafka"];

/// The bus with every topic that somebody names.
pub(super) fn bus(context: &Context<'_>, findings: &mut Findings) -> Option<Bus> {
    if let Some(messaging) = &context.document.workflows.messaging {
        context.named(&messaging.broker, &BUSES, "/workflows/messaging/broker", findings);
    }
    check_topics(context, findings);
    warn_silent_topics(context, findings);
    if let Some((_, module, broker)) = context.first(pick!(Broker)) {
        return Some(Bus::Embedded {
            name: module.name.clone(),
            topics: topics(context),
            max_queue_size: broker.max_queue_size.map_or(1000, |size| size as usize),
            delivery_timeout: broker.delivery_timeout.map_or(Duration::from_secs(30), |d| d.0),
        });
    }
    let (index, module, kafka) = context.first(pick!(Kafka))?;
    Some(Bus::Kafka {
        name: module.name.clone(),
        brokers: brokers(&kafka.brokers, index, findings),
        group_id: kafka.group_id.clone().unwrap_or_else(|| "millrace".to_owned()),
        instance_id: kafka.instance_id.clone(),
        topics: topics(context),
    })
}

/// One variable may hold all brokers, separated by commas.
fn brokers(written: &[String], index: usize, findings: &mut Findings) -> Vec<String> {
    let mut brokers = Vec::new();
    for (i, entry) in written.iter().enumerate().filter(|(_, entry)| !entry.is_empty()) {
        for broker in entry.split(',').map(str::trim) {
            if !values::broker(broker) {
                let message = format!("'{broker}' is not a broker");
                findings.error(
                    setting(index, &format!("brokers/{i}")),
                    Code::InvalidValue,
                    message,
                    "write host:port, for example kafka:9092".to_owned(),
                );
            }
            brokers.push(broker.to_owned());
        }
    }
    brokers
}

/// Every place that names a topic, with its pointer.
fn named_topics<'d>(context: &Context<'d>) -> Vec<(String, &'d str)> {
    let mut named: Vec<(String, &str)> = Vec::new();
    for (index, _, broker) in context.all(pick!(Broker)) {
        named.extend(broker.topics.iter().enumerate().map(|(i, topic)| (setting(index, &format!("topics/{i}")), topic.as_str())));
    }
    named.extend(consumed_topics(context));
    named
}

/// Every place that asks for the events of a topic, with its pointer.
fn consumed_topics<'d>(context: &Context<'d>) -> Vec<(String, &'d str)> {
    let mut named: Vec<(String, &str)> = Vec::new();
    let subscriptions = context.document.workflows.messaging.iter().flat_map(|m| &m.subscriptions).enumerate();
    named.extend(subscriptions.map(|(i, s)| (format!("/workflows/messaging/subscriptions/{i}/topic"), s.topic.as_str())));
    let triggers = context.document.triggers.event.iter().flat_map(|t| &t.subscriptions).enumerate();
    named.extend(triggers.map(|(i, t)| (format!("/triggers/event/subscriptions/{i}/topic"), t.topic.as_str())));
    named
}

fn topics(context: &Context<'_>) -> Vec<String> {
    let mut seen = HashSet::new();
    let named = named_topics(context).into_iter().map(|(_, topic)| topic);
    named.filter(|topic| !topic.is_empty() && seen.insert(*topic)).map(str::to_owned).collect()
}

fn check_topics(context: &Context<'_>, findings: &mut Findings) {
    for (pointer, topic) in named_topics(context) {
        if !topic.is_empty() && !values::topic(topic) {
            let help = "a topic has letters, digits, dots, dashes and underscores, for example return.approved".to_owned();
            findings.error(pointer, Code::InvalidValue, format!("'{topic}' is not the name of a topic"), help);
        }
    }
    // Only Kafka keeps dead letters in a topic.
    let kafka = context.first(pick!(Kafka)).is_some();
    for (pointer, topic) in consumed_topics(context).into_iter().filter(|(_, topic)| kafka && values::topic(topic)) {
        if !values::has_room_for_dead_letters(topic) {
            let message =
                format!("'{topic}' has {} letters: its dead letters can have no topic, because '{topic}.dlq' is too long", topic.len());
            let help =
                "what nobody can take would hold up its partition; a topic whose events are asked for has 245 letters at most".to_owned();
            findings.warning(pointer, Code::InvalidValue, message, help);
        }
    }
}

/// A topic that is almost one that this process publishes is probably mistyped; any other may be somebody else's, except where a handler
/// is subscribed to what it publishes itself.
fn warn_silent_topics(context: &Context<'_>, findings: &mut Findings) {
    let publishing = publishing(context);
    let told = told(context, &publishing);
    let own = of_their_handlers(context, &publishing);
    let known: Vec<&str> = told.iter().map(String::as_str).collect();
    for (pointer, topic) in named_topics(context) {
        if !told.contains(topic) && (context.is_like_one_of(topic, &known) || own.contains(topic)) {
            let message = format!("nothing in this config publishes '{topic}'");
            findings.warning(pointer, Code::UnknownName, message, context.suggest(topic, known.iter().copied()));
        }
    }
}

/// Topics that a handler is subscribed to which publishes topics of their prefix itself.
fn of_their_handlers<'d>(context: &Context<'d>, publishing: &[(&str, &str)]) -> HashSet<&'d str> {
    let publishing: HashSet<&(&str, &str)> = publishing.iter().collect();
    let subscriptions = context.document.workflows.messaging.iter().flat_map(|messaging| &messaging.subscriptions);
    let own = subscriptions.filter(|own| publishing.contains(&(own.handler.as_str(), prefix(&own.topic))));
    own.map(|own| own.topic.as_str()).collect()
}

/// The handlers that a hook has publish something, with the prefixes of their topics.
fn publishing<'d>(context: &Context<'d>) -> Vec<(&'d str, &'d str)> {
    let hooks = context.document.workflows.statemachine.iter().flat_map(|section| &section.hooks);
    let hooked: BTreeSet<&str> = hooks.map(|hook| hook.handler.as_str()).collect();
    let handlers = context.all(pick!(MessagingHandler)).into_iter();
    handlers
        .filter(|(_, module, _)| hooked.contains(module.name.as_str()))
        .map(|(_, module, handler)| (module.name.as_str(), prefix(&handler.topic)))
        .collect()
}

/// The topics of all states that a hook has told of, with those of creations.
fn told(context: &Context<'_>, publishing: &[(&str, &str)]) -> BTreeSet<String> {
    let Some(section) = &context.document.workflows.statemachine else { return BTreeSet::new() };
    let mut told = BTreeSet::new();
    for (name, prefix) in publishing {
        for hook in section.hooks.iter().filter(|hook| hook.handler == *name) {
            let definition = section.definitions.iter().find(|definition| definition.name == hook.workflow_type);
            let all: Vec<&String> = definition.iter().flat_map(|definition| definition.states.keys()).collect();
            let states = if hook.to_states.is_empty() { all } else { hook.to_states.iter().collect() };
            told.extend(states.into_iter().map(|state| format!("{prefix}.{state}")));
            told.insert(format!("{prefix}.created"));
        }
    }
    told
}

/// Every `messaging.handler` with what it is subscribed to.
pub(super) fn handlers(context: &Context<'_>, findings: &mut Findings) -> Vec<MessagingHandler> {
    let subscriptions = context.document.workflows.messaging.as_ref().map(|m| m.subscriptions.as_slice()).unwrap_or_default();
    for (index, subscription) in subscriptions.iter().enumerate() {
        context.named(
            &subscription.handler,
            &["messaging.handler"],
            &format!("/workflows/messaging/subscriptions/{index}/handler"),
            findings,
        );
    }
    let mut handlers = Vec::new();
    for (index, module, settings) in context.all(pick!(MessagingHandler)) {
        let mut topics: Vec<String> = Vec::new();
        for subscription in subscriptions.iter().filter(|s| s.handler == module.name && !s.topic.is_empty()) {
            if !topics.contains(&subscription.topic) {
                topics.push(subscription.topic.clone());
            }
        }
        let component =
            settings.component.as_ref().and_then(|name| components::component_named(context, name, &setting(index, "component"), findings));
        handlers.push(MessagingHandler { name: module.name.clone(), prefix: prefix(&settings.topic).to_owned(), component, topics });
    }
    handlers
}

/// What comes before the state in an event: the pattern without its star, or without its last word.
fn prefix(topic: &str) -> &str {
    topic.rsplit_once('.').map_or(topic, |(prefix, _)| prefix)
}

/// Events that fire transitions.
pub(super) fn event_triggers(context: &Context<'_>, findings: &mut Findings) -> Vec<EventTrigger> {
    let Some(event) = &context.document.triggers.event else { return Vec::new() };
    let mut fired = Vec::new();
    for (index, entry) in event.subscriptions.iter().enumerate() {
        let pointer = format!("/triggers/event/subscriptions/{index}");
        let workflow = triggers::workflow(context, &entry.workflow, &format!("{pointer}/workflow"), findings);
        if let Some(workflow) = workflow {
            triggers::transition(context, workflow, &entry.action, &format!("{pointer}/action"), findings);
        }
        fired.push(EventTrigger {
            topic: entry.topic.clone(),
            event: entry.event.clone(),
            workflow: entry.workflow.clone(),
            transition: entry.action.clone(),
        });
    }
    let any_bus = context.document.modules.iter().any(|m| m.settings.as_ref().is_some_and(|s| BUSES.contains(&s.type_name())));
    if !any_bus && !fired.is_empty() {
        let message = "events fire transitions, but there is no module that brings events";
        findings.error("/triggers/event", Code::MissingPart, message, context.suggest("", BUSES));
    }
    fired
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_the_pattern_without_its_star() {
        assert_eq!(prefix("return.*"), "return");
        assert_eq!(prefix("shop.return.*"), "shop.return");
        assert_eq!(prefix("return.approved"), "return");
        assert_eq!(prefix("returns"), "returns");
    }
}
