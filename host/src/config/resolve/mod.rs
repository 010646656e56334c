//! From what was written to what it means: first each module by itself, then what the sections make of them together, and last whatever can
//! only be told of the whole.
//!
//! It is given a [`Document`] that may have holes where something was wrong already; an empty name is such a hole, and
//! nothing is said about it twice.

mod access;
mod draws;
mod graph;
mod machines;
mod messaging;
mod paths;
mod per_owner;
mod routes;
mod rules;
mod sandbox;
mod servers;
mod triggers;
mod workflows;

use std::path::Path;

use super::context::{At, Context, Entry};
use super::document::Document;
use super::env::Environment;
use super::finding::Findings;
use super::module_type::Draft;
use super::modules::Module;
use super::tree::NamedVariables;
use crate::plan::{self, Plan, Runs};

/// Turns a document into a plan. The plan counts only if `findings` has no error afterwards.
pub(super) fn resolve(
    document: &Document,
    environment: &Environment,
    variables: &NamedVariables,
    file: &Path,
    findings: &mut Findings,
) -> Plan {
    let base = file.parent().unwrap_or(Path::new("/"));
    let entries = document.modules.iter().enumerate().map(entry).collect();
    let context = Context::new(entries, (&document.workflows, &document.triggers), environment, variables, base);
    rules::check_names(&context, findings);
    let (plan, routes) = meaning(document, &context, findings);
    let mut plan = Plan { source: file.to_owned(), ..plan };
    paths::check(&context, &plan, &routes, findings);
    plan.routes = routes.into_iter().flatten().collect();
    let probes = plan.probes();
    if let Some(server) = &mut plan.server {
        server.probes = probes;
    }
    rules::warn_unused(&context, findings);
    rules::check_needs(&context, &plan, findings);
    plan
}

fn entry((index, module): (usize, &Module)) -> Entry<'_> {
    Entry {
        at: At { index, name: &module.name },
        type_name: module.settings.as_ref().map(super::modules::Settings::type_name),
        depends_on: &module.depends_on,
        settings: module.settings.as_ref().map(super::modules::Settings::as_any),
    }
}

/// The plan, and the routes by their position in the config: `None` where something is wrong.
fn meaning(document: &Document, context: &Context<'_>, findings: &mut Findings) -> (Plan, Vec<Option<plan::Route>>) {
    let repeated = rules::check_single(context, findings);
    let mut draft = Draft::default();
    let mut runs = vec![Runs::Nothing; context.modules.len()];
    for (module, entry) in document.modules.iter().zip(&context.modules).filter(|(_, entry)| !repeated.contains(&entry.at.index)) {
        if let Some(settings) = &module.settings {
            runs[entry.at.index] = settings.resolve(entry.at, context, &mut draft, findings);
        }
    }
    let sequence = graph::start_sequence(context, findings).into_iter();
    let modules = sequence.map(|index| plan::Module { name: context.modules[index].at.name.to_owned(), runs: runs[index] }).collect();
    let Draft { mut plan, middlewares, servers } = draft;
    servers::assign(context, servers, &mut plan, findings);
    let mut routes = routes::routes(context, &middlewares, findings);
    let triggers = triggers::entries(context, findings);
    routes::complete_resources(context, &routes, &triggers, &mut plan.resources, findings);
    access::complete(context, &mut routes, &mut plan.resources, findings);
    draws::complete(context, &mut plan.resources, findings);
    per_owner::complete(context, &routes, &mut plan.resources, findings);
    plan.workflows = machines::workflows(context, &triggers, findings);
    plan.runtime = sandbox::runtime(context, &plan);
    sandbox::give(context, &mut plan.components);
    sandbox::follow(&plan.workflows, &mut plan.components);
    messaging::check(context, findings);
    plan.event_triggers = messaging::event_triggers(context, findings);
    plan.modules = modules;
    (plan, routes)
}
