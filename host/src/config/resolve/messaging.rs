//! How events travel, who reacts to them, and which transitions they fire.

use std::collections::{BTreeSet, HashSet};

use super::workflows;
use crate::config::context::Context;
use crate::config::finding::Findings;
use crate::config::module_type::ModuleType as _;
use crate::config::modules::broker::Broker;
use crate::config::modules::kafka::Kafka;
use crate::config::modules::messaging_handler::{MessagingHandler, prefix};
use crate::config::report::Code;
use crate::config::topics::{self, BUSES};
use crate::config::values;
use crate::plan::{AccountTopics, EventTrigger};

/// What the section says of the bus, of topics and of handlers.
pub(super) fn check(context: &Context<'_>, findings: &mut Findings) {
    if let Some(messaging) = &context.workflows.messaging {
        context.named(&messaging.broker, BUSES, "/workflows/messaging/broker", findings);
        for (index, subscription) in messaging.subscriptions.iter().enumerate() {
            let pointer = format!("/workflows/messaging/subscriptions/{index}/handler");
            context.named(&subscription.handler, &[MessagingHandler::TYPE], &pointer, findings);
        }
    }
    check_topics(context, findings);
    let brings_events = context.modules.iter().any(|entry| entry.is_one_of(BUSES));
    if let Some((pointer, _)) = topics::declared(context).first().filter(|_| !brings_events) {
        let message = "a component publishes events, but there is no module that brings them anywhere";
        findings.error(pointer, Code::MissingPart, message, context.suggest("", BUSES.iter().copied()));
    }
    warn_silent_topics(context, findings);
}

/// Every place that names a topic, with its pointer.
fn named_topics<'d>(context: &Context<'d>) -> Vec<(String, &'d str)> {
    let mut named: Vec<(String, &str)> = Vec::new();
    for (at, broker) in context.all::<Broker>() {
        named.extend(broker.topics.iter().enumerate().map(|(i, topic)| (at.setting(&format!("topics/{i}")), topic.as_str())));
    }
    named.extend(topics::consumed(context));
    named
}

fn check_topics(context: &Context<'_>, findings: &mut Findings) {
    for (pointer, topic) in named_topics(context).into_iter().chain(topics::declared(context)) {
        if !topic.is_empty() && !values::topic(topic) {
            let help = "a topic has letters, digits, dots, dashes and underscores, for example return.approved".to_owned();
            findings.error(pointer, Code::InvalidValue, format!("'{topic}' is not the name of a topic"), help);
        }
    }
    // Only Kafka keeps dead letters in a topic.
    let kafka = context.first::<Kafka>().is_some();
    for (pointer, topic) in topics::consumed(context).into_iter().filter(|(_, topic)| kafka && values::topic(topic)) {
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
    let mut told = told(context, &publishing);
    if let Some((AccountTopics { changed, password_forgotten }, true)) = topics::of_accounts(context) {
        told.extend([changed, password_forgotten]);
    }
    told.extend(topics::declared(context).into_iter().map(|(_, topic)| topic.to_owned()));
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
    let subscriptions = context.workflows.messaging.iter().flat_map(|messaging| &messaging.subscriptions);
    let own = subscriptions.filter(|own| publishing.contains(&(own.handler.as_str(), prefix(&own.topic))));
    own.map(|own| own.topic.as_str()).collect()
}

/// The handlers that a hook has publish something, with the prefixes of their topics.
fn publishing<'d>(context: &Context<'d>) -> Vec<(&'d str, &'d str)> {
    let hooks = context.workflows.statemachine.iter().flat_map(|section| &section.hooks);
    let hooked: BTreeSet<&str> = hooks.map(|hook| hook.handler.as_str()).collect();
    let handlers = context.all::<MessagingHandler>().into_iter();
    handlers.filter(|(at, _)| hooked.contains(at.name)).map(|(at, handler)| (at.name, handler.prefix())).collect()
}

/// The topics of all states that a hook has told of, with those of creations.
fn told(context: &Context<'_>, publishing: &[(&str, &str)]) -> BTreeSet<String> {
    let Some(section) = &context.workflows.statemachine else { return BTreeSet::new() };
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

/// Events that fire transitions.
pub(super) fn event_triggers(context: &Context<'_>, findings: &mut Findings) -> Vec<EventTrigger> {
    let Some(event) = &context.triggers.event else { return Vec::new() };
    let mut fired = Vec::new();
    for (index, entry) in event.subscriptions.iter().enumerate() {
        let pointer = format!("/triggers/event/subscriptions/{index}");
        let workflow = workflows::workflow(context, &entry.workflow, &format!("{pointer}/workflow"), findings);
        if let Some(workflow) = workflow {
            workflows::transition(context, workflow, &entry.action, &format!("{pointer}/action"), findings);
        }
        fired.push(EventTrigger {
            topic: entry.topic.clone(),
            event: entry.event.clone(),
            workflow: entry.workflow.clone(),
            transition: entry.action.clone(),
        });
    }
    let any_bus = context.modules.iter().any(|entry| entry.is_one_of(BUSES));
    if !any_bus && !fired.is_empty() {
        let message = "events fire transitions, but there is no module that brings events";
        findings.error("/triggers/event", Code::MissingPart, message, context.suggest("", BUSES.iter().copied()));
    }
    fired
}
