//! Rules about modules as such: names, how many of a type, what needs what.

use std::collections::HashMap;

use super::{Context, pick};
use crate::config::finding::Findings;
use crate::config::report::Code;
use crate::plan::{Endpoint, Middleware, Plan};

/// Types of which a process has one at most; those in one row count together.
const SINGLE: [&[&str]; 9] = [
    &["http.server"],
    &["http.router"],
    &["auth.jwt"],
    &["statemachine.engine"],
    &["database.workflow"],
    &["persistence.store"],
    &["messaging.broker", "messaging.kafka"],
    &["metrics.collector"],
    &["health.checker"],
];

/// Names are unique.
pub(super) fn check_names(context: &Context<'_>, findings: &mut Findings) {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (index, module) in context.document.modules.iter().enumerate().filter(|(_, m)| !m.name.is_empty()) {
        if let Some(first) = seen.insert(&module.name, index) {
            let message = format!("the name '{}' is taken: it is also that of module number {}", module.name, first + 1);
            findings.error(format!("/modules/{index}/name"), Code::Duplicate, message, "names of modules are unique".to_owned());
        }
    }
}

/// Some types make sense only once.
pub(super) fn check_single(context: &Context<'_>, findings: &mut Findings) {
    for types in SINGLE {
        let mut first: Option<&str> = None;
        for (index, module) in context.document.modules.iter().enumerate() {
            let Some(settings) = module.settings.as_ref().filter(|s| types.contains(&s.type_name())) else { continue };
            if let Some(first) = first {
                let message = format!("a process has one {}, and '{first}' is it", types.join(" or "));
                findings.error(
                    format!("/modules/{index}/type"),
                    Code::Duplicate,
                    message,
                    format!("remove one of the two ({})", settings.type_name()),
                );
            }
            first = first.or(Some(&module.name));
        }
    }
}

/// Parts that other parts cannot do without.
pub(super) fn check_needs(context: &Context<'_>, plan: &Plan, findings: &mut Findings) {
    if context.first(pick!(PersistenceStore)).is_none() {
        for (index, module, _) in context.all(pick!(ApiHandler)) {
            missing(findings, format!("/modules/{index}"), &module.name, "keeps resources", "persistence.store");
        }
        if let Some((index, module, _)) = context.first(pick!(AuthJwt)).filter(|_| plan.routes.iter().any(|r| keeps_users(&r.endpoint))) {
            missing(findings, format!("/modules/{index}"), &module.name, "keeps users", "persistence.store");
        }
    }
    if context.first(pick!(AuthJwt)).is_none()
        && plan.routes.iter().any(|r| r.middlewares.contains(&Middleware::Auth))
        && let Some((index, module, _)) = context.first(pick!(AuthMiddleware))
    {
        missing(findings, format!("/modules/{index}"), &module.name, "checks tokens", "auth.jwt");
    }
    if context.first(pick!(HttpServer)).is_none()
        && plan.routes.is_empty()
        && plan.workflows.is_empty()
        && context.document.modules.is_empty()
    {
        findings.error("/modules", Code::MissingPart, "there are no modules, so there is nothing to run", None);
    }
}

fn keeps_users(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Register | Endpoint::Login | Endpoint::Profile | Endpoint::UpdateProfile)
}

fn missing(findings: &mut Findings, pointer: String, name: &str, does: &str, type_name: &str) {
    findings.error(
        pointer,
        Code::MissingPart,
        format!("'{name}' {does}, but there is no module of type {type_name}"),
        format!("add one of type {type_name}"),
    );
}
