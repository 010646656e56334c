//! Rules about modules as such: names, how many of a type, what nobody uses, what needs what.

use std::collections::{HashMap, HashSet};

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::ModuleType as _;
use crate::config::modules::Settings;
use crate::config::modules::api_handler::ApiHandler;
use crate::config::modules::auth_jwt::AuthJwt;
use crate::config::modules::auth_middleware::AuthMiddleware;
use crate::config::modules::dynamic_component::DynamicComponent;
use crate::config::modules::http_server::HttpServer;
use crate::config::modules::messaging_handler::MessagingHandler;
use crate::config::modules::persistence_store::PersistenceStore;
use crate::config::modules::processing_step::ProcessingStep;
use crate::config::report::Code;
use crate::config::topics::BUSES;
use crate::plan::{Access, AccountOperation, Endpoint, Middleware, Plan};

/// Names are unique.
pub(super) fn check_names(context: &Context<'_>, findings: &mut Findings) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for at in context.modules.iter().map(|entry| entry.at).filter(|at| !at.name.is_empty()) {
        if let Some(first) = seen.insert(at.name, at.index) {
            let message = format!("the name '{}' is taken: it is also that of module number {}", at.name, first + 1);
            findings.error(format!("{}/name", at.pointer()), Code::Duplicate, message, "names of modules are unique".to_owned());
        }
    }
}

/// Some types make sense only once. Answers the positions of those modules that are one too many.
pub(super) fn check_single(context: &Context<'_>, findings: &mut Findings) -> HashSet<usize> {
    let mut repeated = HashSet::new();
    for types in Settings::SINGLE.iter().collect::<HashSet<_>>() {
        let mut first: Option<&str> = None;
        for entry in context.modules.iter().filter(|entry| entry.is_one_of(types)) {
            if let Some(first) = first {
                let message = format!("a process has one {}, and '{first}' is it", types.join(" or "));
                let help = format!("remove one of the two ({})", entry.type_name.unwrap_or_default());
                findings.error(format!("{}/type", entry.at.pointer()), Code::Duplicate, message, help);
                repeated.insert(entry.at.index);
            }
            first = first.or(Some(entry.at.name));
        }
    }
    repeated
}

/// Components that nothing runs, and steps that nothing starts.
pub(super) fn warn_unused(context: &Context<'_>, findings: &mut Findings) {
    let hooks: HashSet<&str> =
        context.workflows.statemachine.iter().flat_map(|section| &section.hooks).map(|hook| hook.handler.as_str()).collect();
    let steps = context.all::<ProcessingStep>();
    let of_handlers = context.all::<MessagingHandler>().into_iter().filter_map(|(_, handler)| handler.component.as_deref());
    let run: HashSet<&str> =
        steps.iter().map(|(_, step)| step.component_id.as_str()).chain(of_handlers).chain(hooks.iter().copied()).collect();
    for (at, component) in context.all::<DynamicComponent>() {
        if !run.contains(at.name) && !component.component_id.as_deref().is_some_and(|id| run.contains(id)) {
            let help = "name it in a processing.step, in a hook, or as the `component` of a messaging.handler".to_owned();
            findings.warning(at.pointer(), Code::Unused, format!("nothing runs the component '{}'", at.name), help);
        }
    }
    for (at, _) in steps.into_iter().filter(|(at, _)| !at.name.is_empty() && !hooks.contains(at.name)) {
        let help = "name it as the `handler` of a hook under `workflows.statemachine.hooks`".to_owned();
        findings.warning(at.pointer(), Code::Unused, format!("nothing starts the step '{}'", at.name), help);
    }
}

/// Parts that other parts cannot do without.
pub(super) fn check_needs(context: &Context<'_>, plan: &Plan, findings: &mut Findings) {
    if context.first::<PersistenceStore>().is_none() {
        for (at, _) in context.all::<ApiHandler>() {
            missing(findings, at.pointer(), at.name, "keeps resources", PersistenceStore::TYPE);
        }
        if let Some((at, _)) = context.first::<AuthJwt>().filter(|_| plan.routes.iter().any(|r| keeps_users(&r.endpoint))) {
            missing(findings, at.pointer(), at.name, "keeps users", PersistenceStore::TYPE);
        }
    }
    if let Some((at, settings)) = context.first::<AuthJwt>() {
        check_reset(context, (at, settings), plan, findings);
    }
    if context.first::<AuthJwt>().is_none()
        && let Some(route) = plan.routes.iter().find(|route| route.access != Access::Anyone)
    {
        let checks = context.first::<AuthMiddleware>().filter(|_| plan.routes.iter().any(|r| r.middlewares.contains(&Middleware::Auth)));
        let asks = || context.module(route.endpoint.module()?).map(|entry| entry.at);
        if let Some(at) = checks.map(|(at, _)| at).or_else(asks) {
            missing(findings, at.pointer(), at.name, "checks tokens", AuthJwt::TYPE);
        }
    }
    if context.first::<HttpServer>().is_none() && plan.routes.is_empty() && plan.workflows.is_empty() && context.modules.is_empty() {
        findings.error("/modules", Code::MissingPart, "there are no modules, so there is nothing to run", None);
    }
}

/// Who sends links for another password needs all that leads to the mail.
fn check_reset(context: &Context<'_>, (at, settings): (At<'_>, &AuthJwt), plan: &Plan, findings: &mut Findings) {
    let sends = Endpoint::Account(AccountOperation::ForgottenPassword);
    if !plan.routes.iter().any(|route| route.endpoint == sends) {
        return;
    }
    for (key, is_there) in [("topic", settings.topic.is_some()), ("resetLink", settings.reset_link.is_some())] {
        if !is_there {
            let message = format!("'{}' sends links for another password, but it has no `{key}`", at.name);
            let help = "write `topic: user.*` and `resetLink: https://shop.example/#/reset/{token}`, or leave out the route".to_owned();
            findings.error(at.pointer(), Code::MissingPart, message, help);
        }
    }
    if !context.modules.iter().any(|entry| entry.is_one_of(BUSES)) {
        let message = format!("'{}' sends links for another password by an event, but there is no module that brings events", at.name);
        findings.error(at.pointer(), Code::MissingPart, message, context.suggest("", BUSES.iter().copied()));
    }
}

fn keeps_users(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Account(_))
}

fn missing(findings: &mut Findings, pointer: String, name: &str, does: &str, type_name: &str) {
    findings.error(
        pointer,
        Code::MissingPart,
        format!("'{name}' {does}, but there is no module of type {type_name}"),
        format!("add one of type {type_name}"),
    );
}
