//! `draws` of an `api.handler`: which kind it draws from, and in which of its states.

use serde_json::Value;

use crate::config::context::{At, Context};
use crate::config::draws::DrawsSettings;
use crate::config::finding::Findings;
use crate::config::module_type::ModuleType as _;
use crate::config::modules::api_handler::ApiHandler;
use crate::config::report::Code;
use crate::plan::{Draws, ResourceHandler};

/// Adds what it draws from to each handler, once it is known whose the resources are.
pub(super) fn complete(context: &Context<'_>, resources: &mut [ResourceHandler], findings: &mut Findings) {
    let owners: Vec<_> = resources.iter().map(|resource| (resource.kind.clone(), resource.owner)).collect();
    for resource in resources {
        let Some(module) = context.module(&resource.name) else { continue };
        let Some(settings) = module.settings::<ApiHandler>().and_then(|settings| settings.draws.as_ref()) else { continue };
        let Some(draws) = resolved(context, settings, module.at, findings) else { continue };
        let other = owners.iter().find(|(kind, _)| *kind == draws.from).map(|(_, owner)| *owner);
        if draws.from == resource.kind {
            findings.error(module.at.setting("draws/from"), Code::InvalidValue, "a resource cannot draw from its own kind", None);
        } else if other.is_some_and(|other| other != resource.owner) {
            let message = format!("what '{}' keeps belongs to who owns what it draws from: both need the same `owner`", resource.name);
            let help = "write `owner: creator` at both, or `owner: none`".to_owned();
            findings.error(module.at.setting("draws/from"), Code::InvalidValue, message, help);
        }
        resource.draws = Some(draws);
    }
}

fn resolved(context: &Context<'_>, settings: &DrawsSettings, at: At<'_>, findings: &mut Findings) -> Option<Draws> {
    let from = context.named(&settings.from, &[ApiHandler::TYPE], &at.setting("draws/from"), findings)?.settings::<ApiHandler>()?;
    let definitions = context.workflows.statemachine.iter().flat_map(|section| &section.definitions);
    let workflow = definitions.into_iter().find(|definition| Some(&definition.name) == from.workflow_type.as_ref());
    for (index, name) in settings.states.iter().enumerate() {
        if let Some(workflow) = workflow.filter(|workflow| !workflow.states.contains_key(name)) {
            let help = context.suggest(name, workflow.states.keys().map(String::as_str));
            let message = format!("workflow '{}' has no state '{name}'", workflow.name);
            findings.error(at.setting(&format!("draws/while/{index}")), Code::UnknownName, message, help);
        }
    }
    for (index, name) in settings.fulfilled.iter().flatten().enumerate() {
        if !settings.states.contains(name) {
            let help = context.suggest(name, settings.states.iter().map(String::as_str));
            let message = format!("'{name}' is none of the states in `while`");
            findings.error(at.setting(&format!("draws/fulfilled/{index}")), Code::UnknownName, message, help);
        }
    }
    if let Some((workflow, name)) =
        workflow.zip(settings.emptied.as_ref()).filter(|(workflow, name)| !workflow.transitions.contains_key(*name))
    {
        let help = context.suggest(name, workflow.transitions.keys().map(String::as_str));
        let message = format!("workflow '{}' has no transition '{name}'", workflow.name);
        findings.error(at.setting("draws/emptied"), Code::UnknownName, message, help);
    }
    if let Some(name) = &settings.emptied {
        check_alone(context, (settings, from, name), findings);
    }
    if settings.emptied.is_some() && settings.fulfilled.is_none() {
        let message = "without `fulfilled` nothing is emptied before it is fulfilled, so `emptied` is never made";
        findings.error(at.setting("draws/emptied"), Code::MissingPart, message, "write the states in `fulfilled`".to_owned());
    }
    if let Some(field) = settings.once.iter().find(|field| settings.by_hook.contains_key(*field)) {
        let message = format!("`{field}` is for a person to decide: what a hook makes cannot have it");
        findings.error(at.setting("draws/byHook"), Code::InvalidValue, message, None);
    }
    Some(Draws {
        from: from.resource_name.clone(),
        by: settings.by.clone(),
        amount: settings.amount.clone(),
        up_to: settings.up_to.clone(),
        states: settings.states.iter().cloned().collect(),
        take: settings.take.clone(),
        once: settings.once.clone(),
        by_hook: settings.by_hook.clone(),
        fulfilled: settings.fulfilled.as_ref().unwrap_or(&settings.states).iter().cloned().collect(),
        emptied: settings.emptied.clone(),
    })
}

/// That nothing makes the transition but what draws all of it: made by hand or by an event, it would end an instance of which nothing was drawn.
fn check_alone(context: &Context<'_>, (settings, from, name): (&DrawsSettings, &ApiHandler, &str), findings: &mut Findings) {
    let message = format!("'{name}' is made by what draws all of '{}', and by nothing else", settings.from);
    let help = || "take it out here, or out of `draws/emptied`".to_owned();
    if let Some(at) = context.module(&settings.from).map(|module| module.at) {
        for (action, entry) in &from.actions {
            if entry.transitions.iter().any(|transition| transition == name) {
                findings.error(at.setting(&format!("actions/{action}")), Code::InvalidValue, &message, help());
            }
        }
    }
    let is_it = |workflow: &str, action: &str| from.workflow_type.as_deref() == Some(workflow) && action == name;
    for (index, trigger) in context.triggers.http.iter().flat_map(|http| &http.routes).enumerate() {
        if is_it(&trigger.workflow, &trigger.action) {
            findings.error(format!("/triggers/http/routes/{index}/action"), Code::InvalidValue, &message, help());
        }
    }
    for (index, trigger) in context.triggers.event.iter().flat_map(|event| &event.subscriptions).enumerate() {
        if is_it(&trigger.workflow, &trigger.action) {
            findings.error(format!("/triggers/event/subscriptions/{index}/action"), Code::InvalidValue, &message, help());
        }
    }
}

/// An `api.handler` as what a hook of `workflow` starts: it draws from what that workflow moves, and what it makes is one that its own schema takes.
pub(super) fn check_hook(context: &Context<'_>, handler: At<'_>, (workflow, pointer): (&str, &str), findings: &mut Findings) {
    let Some(settings) = context.module(handler.name).and_then(|module| module.settings::<ApiHandler>()) else { return };
    let at = format!("{pointer}/handler");
    let Some(draws) = &settings.draws else {
        let message = format!("'{}' draws from nothing, so a hook has nothing to create there", handler.name);
        return findings.error(at, Code::MissingPart, message, format!("give it `draws` from the api.handler of '{workflow}'"));
    };
    let from = context.module(&draws.from).and_then(|module| module.settings::<ApiHandler>());
    if from.is_some_and(|from| from.workflow_type.as_deref() != Some(workflow)) {
        let message = format!("'{}' draws from '{}', which workflow '{workflow}' does not move", handler.name, draws.from);
        findings.error(&at, Code::InvalidValue, message, "a hook creates what draws from the instance that it is about".to_owned());
    }
    if settings.workflow_type.is_none() || settings.per_owner.is_some() {
        let message =
            format!("what a hook creates at '{}' needs a `workflowType` and no `perOwner`: nobody is there to be refused", handler.name);
        findings.error(&at, Code::InvalidValue, message, None);
    }
    let Some(schema) = &settings.schema else { return };
    let Ok(schema) = jsonschema::validator_for(&Value::Object(schema.clone())) else { return };
    let mut made = draws.by_hook.clone();
    made.insert(draws.by.clone(), "x".into());
    made.insert(draws.amount.clone(), 1.into());
    if let Some(error) = schema.iter_errors(&Value::Object(made)).next() {
        let message = format!("what a hook creates there does not fit the `schema` of '{}': {error}", handler.name);
        let help = "write the fields that it needs beside `by` and `amount` here".to_owned();
        findings.error(handler.setting("draws/byHook"), Code::InvalidValue, message, help);
    }
}
