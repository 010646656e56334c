//! From what was written to what it means: names become parts, defaults are filled in, and every contradiction is reported.
//!
//! It is given a [`Document`] that may have holes where something was wrong already; an empty name is such a hole, and
//! nothing is said about it twice.

mod components;
mod files;
mod graph;
mod http;
mod machines;
mod messaging;
mod modules;
mod parts;
mod paths;
mod triggers;
mod values;

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use super::document::{Document, Module, Settings};
use super::env::Environment;
use super::finding::Findings;
use super::report::Code;
use super::suggest;
use super::tree::NamedVariables;
use crate::plan::Plan;

/// Names that are compared with what was written to say what may have been meant. Nobody reads a suggestion for each of thousands of mistakes.
const MAX_COMPARED: usize = 100_000;

/// What every part of the resolver sees.
pub(super) struct Context<'d> {
    document: &'d Document,
    /// Position of each module by its name; of several with one name, the first.
    modules: HashMap<&'d str, usize>,
    /// Names compared so far.
    compared: Cell<usize>,
    environment: &'d Environment,
    /// Variables that scalars are made of, by pointer.
    variables: &'d NamedVariables,
    /// Folder of the config file, absolute.
    base: &'d Path,
}

/// Turns a document into a plan. The plan counts only if `findings` has no error afterwards.
pub(super) fn resolve(
    document: &Document,
    environment: &Environment,
    variables: &NamedVariables,
    file: &Path,
    findings: &mut Findings,
) -> Plan {
    let base = file.parent().unwrap_or(Path::new("/"));
    let modules = document.modules.iter().enumerate().rev().map(|(index, module)| (module.name.as_str(), index)).collect();
    let context = Context { document, modules, compared: Cell::new(0), environment, variables, base };
    modules::check_names(&context, findings);
    modules::check_single(&context, findings);
    let start_sequence = graph::start_sequence(&context, findings);
    let routes = http::routes(&context, findings);
    let entries = triggers::entries(&context, findings);
    let workflows = machines::workflows(&context, &entries, findings);
    let components = components::components(&context, findings);
    let database = parts::database(&context, findings);
    let mut plan = Plan {
        source: file.to_owned(),
        server: parts::server(&context, findings),
        auth: parts::auth(&context, findings),
        resources: http::resources(&context, &routes, &entries, findings),
        files: parts::file_servers(&context, findings),
        proxies: parts::proxies(&context, findings),
        runtime: components::runtime(&context, database.as_ref(), &components),
        bus: messaging::bus(&context, findings),
        handlers: messaging::handlers(&context, findings),
        event_triggers: messaging::event_triggers(&context, findings),
        metrics: parts::metrics(&context, findings),
        health: parts::health(&context, findings),
        routes: Vec::new(),
        database,
        components,
        workflows,
        start_sequence,
    };
    paths::check(&context, &plan, &routes, findings);
    plan.routes = routes.into_iter().flatten().collect();
    let probes = plan.probes();
    if let Some(server) = &mut plan.server {
        server.probes = probes;
    }
    modules::check_needs(&context, &plan, findings);
    plan
}

impl<'d> Context<'d> {
    /// Modules of one kind: index, module and settings, in the sequence written.
    fn all<T: 'd>(&self, pick: impl Fn(&'d Settings) -> Option<&'d T>) -> Vec<(usize, &'d Module, &'d T)> {
        let modules = self.document.modules.iter().enumerate();
        modules.filter_map(|(i, module)| Some((i, module, pick(module.settings.as_ref()?)?))).collect()
    }

    /// What messages call the value at `pointer` by: the variables that it is made of, which is what an operator sets, or `otherwise`.
    fn called(&self, pointer: &str, otherwise: &str) -> String {
        match self.variables.get(pointer).map(Vec::as_slice) {
            None | Some([]) => otherwise.to_owned(),
            Some(names) => names.join(" and "),
        }
    }

    /// The first module of one kind.
    fn first<T: 'd>(&self, pick: impl Fn(&'d Settings) -> Option<&'d T>) -> Option<(usize, &'d Module, &'d T)> {
        self.all(pick).into_iter().next()
    }

    fn module(&self, name: &str) -> Option<(usize, &'d Module)> {
        let index = *self.modules.get(name)?;
        Some((index, self.document.modules.get(index)?))
    }

    /// What may have been meant by `given`, and what is accepted.
    fn suggest<'a>(&self, given: &str, accepted: impl IntoIterator<Item = &'a str>) -> String {
        if self.compared.get() > MAX_COMPARED {
            return "what is accepted is listed with the first problems of this kind".to_owned();
        }
        let accepted: Vec<&str> = accepted.into_iter().collect();
        self.compared.set(self.compared.get() + accepted.len());
        suggest::help(given, accepted)
    }

    /// Whether `given` may be a slip of one of these names.
    fn is_like_one_of(&self, given: &str, names: &[&str]) -> bool {
        let compared = self.compared.replace(self.compared.get() + names.len());
        compared <= MAX_COMPARED && suggest::closest(given, names).is_some()
    }

    /// The module that the value at `pointer` names, if it is of one of `types`; everything else is reported.
    fn named(&self, name: &str, types: &[&str], pointer: &str, findings: &mut Findings) -> Option<(usize, &'d Module, &'d Settings)> {
        if name.is_empty() {
            return None;
        }
        let candidates = self.document.modules.iter().filter(|m| m.settings.as_ref().is_some_and(|s| types.contains(&s.type_name())));
        let help = || self.suggest(name, candidates.map(|m| m.name.as_str()));
        let wanted = types.join(", ");
        let Some((index, module)) = self.module(name) else {
            findings.error(pointer, Code::UnknownName, format!("no module is named '{name}' (a name of type {wanted} is needed)"), help());
            return None;
        };
        let settings = module.settings.as_ref()?;
        if !types.contains(&settings.type_name()) {
            let message = format!("'{name}' is of type {}, but one of type {wanted} is needed", settings.type_name());
            findings.error(pointer, Code::UnknownName, message, help());
            return None;
        }
        Some((index, module, settings))
    }
}

/// Pointer of a module's setting.
fn setting(index: usize, key: &str) -> String {
    if key.is_empty() { format!("/modules/{index}/config") } else { format!("/modules/{index}/config/{key}") }
}

/// Picks the settings of one variant.
macro_rules! pick {
    ($variant:ident) => {
        |settings| match settings {
            $crate::config::document::Settings::$variant(settings) => Some(settings),
            _ => None,
        }
    };
}
use pick;
