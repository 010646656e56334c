//! `draws` of an `api.handler`: which kind it draws from, and in which of its states.

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
    Some(Draws {
        from: from.resource_name.clone(),
        by: settings.by.clone(),
        amount: settings.amount.clone(),
        up_to: settings.up_to.clone(),
        states: settings.states.iter().cloned().collect(),
        take: settings.take.clone(),
        once: settings.once.clone(),
        fulfilled: settings.fulfilled.as_ref().unwrap_or(&settings.states).iter().cloned().collect(),
        emptied: settings.emptied.clone(),
    })
}
