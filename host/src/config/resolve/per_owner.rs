//! `perOwner` of an `api.handler`: which states count, and how many instances of one owner may be in them.

use std::collections::BTreeSet;

use super::routes::creating;
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::modules::api_handler::{ApiHandler, MaxPerOwner, PerOwnerSettings};
use crate::config::report::Code;
use crate::config::sections::DefinitionEntry;
use crate::plan::{Middleware, Owner, PerOwner, RateLimit, ResourceHandler, Route};

/// Adds its limit to each handler, of which the routes have said whose the resources are.
pub(super) fn complete(context: &Context<'_>, routes: &[Option<Route>], resources: &mut [ResourceHandler], findings: &mut Findings) {
    for resource in resources {
        resource.per_owner = limit(context, routes, resource, findings);
    }
}

/// The limit of a handler, if it has one. Whether there is such a workflow is checked elsewhere.
fn limit(context: &Context<'_>, routes: &[Option<Route>], resource: &ResourceHandler, findings: &mut Findings) -> Option<PerOwner> {
    let name = resource.name.as_str();
    let module = context.module(name)?;
    let (at, settings) = (module.at, module.settings::<ApiHandler>()?);
    let limit = settings.per_owner.as_ref()?;
    let Some(workflow) = &settings.workflow_type else {
        let message = "`perOwner` counts instances of a workflow, but this handler has no `workflowType`";
        findings.error(at.setting("perOwner"), Code::MissingPart, message, None);
        return None;
    };
    let definitions = context.workflows.statemachine.iter().flat_map(|section| &section.definitions);
    if let Some(workflow) = definitions.into_iter().find(|definition| definition.name == *workflow) {
        check_states(context, workflow, limit, at, findings);
    }
    let is_complete = routes.iter().all(Option::is_some);
    if is_complete && resource.owner == Owner::Nobody {
        let message = format!("`perOwner` counts what belongs to one user, but what '{name}' keeps belongs to nobody");
        let help = "have the route that creates it ask for a token: an http.middleware.auth among its `middlewares`".to_owned();
        findings.error(at.setting("perOwner"), Code::MissingPart, message, help);
    }
    let max_instances = match limit.max_instances {
        MaxPerOwner::Number(most) => most.into(),
        MaxPerOwner::Burst => match creating(routes, name).and_then(rate_limit) {
            Some(limit) => limit.burst_size.into(),
            None => {
                if is_complete {
                    let message = "`burst` means that of a rate limit, but the route that creates these has none";
                    let help = "write a number, or list an http.middleware.ratelimit among the `middlewares` of that route".to_owned();
                    findings.error(at.setting("perOwner/maxInstances"), Code::MissingPart, message, help);
                }
                return None;
            }
        },
    };
    Some(PerOwner { max_instances, states: limit.states.iter().cloned().collect::<BTreeSet<_>>() })
}

fn rate_limit(route: &Route) -> Option<&RateLimit> {
    route.middlewares.iter().find_map(|middleware| if let Middleware::RateLimit(limit) = middleware { Some(limit) } else { None })
}

fn check_states(context: &Context<'_>, workflow: &DefinitionEntry, limit: &PerOwnerSettings, at: At<'_>, findings: &mut Findings) {
    for (i, name) in limit.states.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let pointer = at.setting(&format!("perOwner/states/{i}"));
        match workflow.states.get(name) {
            None => {
                let help = context.suggest(name, workflow.states.keys().map(String::as_str));
                findings.error(pointer, Code::UnknownName, format!("workflow '{}' has no state '{name}'", workflow.name), help);
            }
            Some(state) if state.is_final => {
                let message = format!("'{name}' is final: what has ended would count for ever");
                let accepted: Vec<&str> =
                    workflow.states.iter().filter(|(_, state)| !state.is_final).map(|(name, _)| name.as_str()).collect();
                findings.error(pointer, Code::InvalidValue, message, format!("accepted: {}", accepted.join(", ")));
            }
            Some(_) => {}
        }
    }
}
