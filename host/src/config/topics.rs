//! Topics that a config names, whoever brings the events.

use std::collections::HashSet;

use super::context::{At, Context};
use super::module_type::ModuleType as _;
use super::modules::auth_jwt::AuthJwt;
use super::modules::dynamic_component::{DynamicComponent, EventSettings};
use crate::plan::AccountTopics;

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

/// Every place that declares business events of a component, with its pointer and topic.
pub(super) fn declared<'d>(context: &Context<'d>) -> Vec<(String, &'d str)> {
    let components = context.all::<DynamicComponent>().into_iter();
    let of_one = |(at, component): (At<'d>, &'d DynamicComponent)| {
        let events = component.capabilities.events.iter().enumerate();
        let named = move |(i, event): (usize, &'d EventSettings)| {
            let key = if event.topic.is_some() { "topic" } else { "type" };
            (at.setting(&format!("capabilities/events/{i}/{key}")), event.topic())
        };
        events.map(named).collect::<Vec<_>>()
    };
    components.flat_map(of_one).collect()
}

/// Topics of accounts, and whether this process keeps them.
pub(super) fn of_accounts(context: &Context<'_>) -> Option<(AccountTopics, bool)> {
    let (_, settings) = context.first::<AuthJwt>()?;
    let routes = context.workflows.http.iter().flat_map(|http| &http.routes);
    let is_theirs = |handler: &str| context.module(handler).is_some_and(|module| module.is_one_of(&[AuthJwt::TYPE]));
    let keeps = settings.seed_file.is_some() || routes.into_iter().any(|route| is_theirs(&route.handler));
    Some((settings.topics()?, keeps))
}

/// All topics, each once: those that the bus lists itself, those that somebody asks for, those of business events, and those of accounts.
pub(super) fn all(context: &Context<'_>, listed: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let of_accounts = match of_accounts(context) {
        Some((topics, true)) => vec![topics.changed, topics.password_forgotten],
        Some((topics, false)) => vec![topics.changed],
        None => vec![],
    };
    let asked_for = consumed(context).into_iter().map(|(_, topic)| topic);
    let declared = declared(context).into_iter().map(|(_, topic)| topic);
    let named = listed.iter().map(String::as_str).chain(asked_for).chain(declared).chain(of_accounts.iter().map(String::as_str));
    named.filter(|topic| !topic.is_empty() && seen.insert(*topic)).map(str::to_owned).collect()
}
