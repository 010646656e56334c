//! `triggers.http`: routes that start a workflow or move one of its instances.

use std::collections::BTreeMap;

use super::workflows::{transition, workflow};
use crate::config::context::Context;
use crate::config::finding::Findings;
use crate::config::modules::api_handler::ApiHandler;
use crate::config::report::Code;
use crate::config::sections::{HttpTrigger, RouteEntry};
use crate::plan::paths::template;

/// What the triggers say of handlers, by handler name.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Transition that a new resource makes, and where that is written.
    pub initial: BTreeMap<String, (String, String)>,
    /// Transitions by action.
    actions: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Entries {
    /// Adds what the triggers say to what the handler says itself.
    pub fn add_actions(&self, handler: &str, actions: &mut BTreeMap<String, Vec<String>>) {
        for (action, transitions) in self.actions.get(handler).into_iter().flatten() {
            let all = actions.entry(action.clone()).or_default();
            all.extend(transitions.iter().filter(|t| !all.contains(t)).cloned().collect::<Vec<_>>());
        }
    }
}

/// Reads `triggers.http.routes`.
pub(super) fn entries(context: &Context<'_>, findings: &mut Findings) -> Entries {
    let mut entries = Entries::default();
    let Some(triggers) = &context.triggers.http else { return entries };
    let routes = routes_of(context);
    for (index, trigger) in triggers.routes.iter().enumerate() {
        let pointer = format!("/triggers/http/routes/{index}");
        let workflow = workflow(context, &trigger.workflow, &format!("{pointer}/workflow"), findings);
        let action = workflow.and_then(|w| transition(context, w, &trigger.action, &format!("{pointer}/action"), findings));
        let Some(route) = route_of(context, &routes, trigger, &pointer, findings) else { continue };
        if let (Some(_), Some(_)) = (action, handler_of(context, route, trigger, &pointer, findings)) {
            note(&mut entries, route, trigger, &pointer, findings);
        }
    }
    entries
}

fn note(entries: &mut Entries, route: &RouteEntry, trigger: &HttpTrigger, pointer: &str, findings: &mut Findings) {
    let segments: Vec<&str> = route.path.split('/').collect();
    match segments.as_slice() {
        [.., id, action] if id.starts_with('{') && !action.starts_with('{') => {
            let actions = entries.actions.entry(route.handler.clone()).or_default();
            actions.entry((*action).to_owned()).or_default().push(trigger.action.clone());
        }
        [.., last] if !last.starts_with('{') => {
            let initial = (trigger.action.clone(), format!("{pointer}/action"));
            if entries.initial.insert(route.handler.clone(), initial).is_some_and(|(before, _)| before != trigger.action) {
                let message = format!("another trigger already starts the workflow of '{}' with another transition", route.handler);
                findings.error(format!("{pointer}/action"), Code::Duplicate, message, None);
            }
        }
        _ => {
            let message = format!("{} {} neither creates a resource nor is an action of one", route.method, route.path);
            findings.error(
                format!("{pointer}/path"),
                Code::InvalidValue,
                message,
                "accepted: POST /things, POST /things/{id}/<action>".to_owned(),
            );
        }
    }
}

/// Routes by method and template, in a sequence that is always the same.
type Routes<'d> = BTreeMap<(&'d str, String), &'d RouteEntry>;

fn routes_of<'d>(context: &Context<'d>) -> Routes<'d> {
    let routes = context.workflows.http.as_ref().map(|http| http.routes.as_slice()).unwrap_or_default();
    // Of several that are the same, the first.
    routes.iter().rev().map(|route| ((route.method.as_str(), template(&route.path)), route)).collect()
}

fn route_of<'d>(
    context: &Context<'d>,
    routes: &Routes<'d>,
    trigger: &HttpTrigger,
    pointer: &str,
    findings: &mut Findings,
) -> Option<&'d RouteEntry> {
    if trigger.path.is_empty() || trigger.method.is_empty() {
        return None;
    }
    let found = routes.get(&(trigger.method.as_str(), template(&trigger.path))).copied();
    if found.is_none() {
        let named = routes.values().filter(|r| r.method == trigger.method).map(|r| r.path.as_str());
        let help = context.suggest(&trigger.path, named);
        let message = format!("no route in `workflows.http.routes` is {} {}", trigger.method, trigger.path);
        findings.error(format!("{pointer}/path"), Code::UnknownName, message, help);
    }
    found
}

/// The route's handler has to be the one that starts this workflow.
fn handler_of(context: &Context<'_>, route: &RouteEntry, trigger: &HttpTrigger, pointer: &str, findings: &mut Findings) -> Option<()> {
    context.module(&route.handler)?.type_name?;
    let Some((_, handler)) = context.all::<ApiHandler>().into_iter().find(|(at, _)| at.name == route.handler) else {
        let message = format!("{} {} is answered by '{}', which is not an api.handler", route.method, route.path, route.handler);
        findings.error(format!("{pointer}/path"), Code::UnknownName, message, None);
        return None;
    };
    if handler.workflow_type.as_deref() == Some(&trigger.workflow) {
        return Some(());
    }
    let has = handler.workflow_type.as_ref().map_or_else(|| "has no workflow".to_owned(), |w| format!("has the workflow '{w}'"));
    let message = format!("'{}', which answers {} {}, {has}, not '{}'", route.handler, route.method, route.path, trigger.workflow);
    findings.error(format!("{pointer}/workflow"), Code::UnknownName, message, None);
    None
}
