//! What of a plan can change while its process runs, and what takes a restart.

use std::collections::BTreeSet;

use super::{Endpoint, Module, Plan, Runs};
use crate::runtime::{ComponentSettings, Grant};

/// What is different in `new` and takes a restart, by the names of its parts: `module web-server`, `workflow return-processing`. Routes with their
/// limits and middlewares, web files, workflows with their steps, components, and what an `operator.api` lets whom do change while the process
/// runs, and are not among them.
#[must_use]
pub fn needs_restart(running: &Plan, new: &Plan) -> Vec<String> {
    let mut parts = BTreeSet::new();
    let mut module = |name: &str| {
        parts.insert(format!("module {name}"));
    };
    macro_rules! one {
        ($field:ident) => {
            if running.$field != new.$field {
                running.$field.iter().chain(&new.$field).for_each(|part| module(&part.name));
            }
        };
    }
    macro_rules! each {
        ($field:ident) => {
            for (these, others) in [(&running.$field, &new.$field), (&new.$field, &running.$field)] {
                these.iter().filter(|part| !others.contains(part)).for_each(|part| module(&part.name));
            }
        };
    }
    one!(server);
    one!(auth);
    one!(database);
    each!(resources);
    each!(proxies);
    let both_have_components = !running.components.is_empty() && !new.components.is_empty();
    components_to_restart(running, new, both_have_components).into_iter().for_each(&mut module);
    each!(handlers);
    if running.bus != new.bus {
        running.bus.iter().chain(&new.bus).for_each(|bus| module(bus.name()));
    }
    let listens = |plan: &Plan| plan.operator.as_ref().map(|operator| (operator.name.clone(), operator.server.clone()));
    if listens(running) != listens(new) {
        listens(running).iter().chain(&listens(new)).for_each(|(_, server)| module(&server.name));
    }
    let runs = |plan: &Plan| -> Vec<Module> {
        let is_live = |module: &Module| module.runs == Runs::Nothing || module.runs == Runs::Component && both_have_components;
        plan.modules.iter().filter(|module| !is_live(module)).cloned().collect()
    };
    let (these, others) = (runs(running), runs(new));
    these
        .iter()
        .filter(|one| !others.contains(one))
        .chain(others.iter().filter(|one| !these.contains(one)))
        .for_each(|one| module(&one.name));
    let mut also = |is_different: bool, what: &str| {
        if is_different {
            parts.insert(what.to_owned());
        }
    };
    also(running.event_triggers != new.event_triggers, "triggers");
    also(running.metrics != new.metrics, "the module of type metrics.collector");
    let keeps = |plan: &Plan| plan.routes.iter().any(|route| matches!(route.endpoint, Endpoint::Account(_)));
    also(keeps(running) != keeps(new), "routes of accounts, where there were none or are none now");
    also(running.health != new.health, "the module of type health.checker");
    also(running.runtime != new.runtime, "workflows");
    also(these != others && these.len() == others.len() && parts_alike(&these, &others), "the sequence in which modules start");
    parts.into_iter().collect()
}

/// Names of components that do not change while the process runs: the first of them and the last, whose modules start what looks for new versions,
/// and those that are known elsewhere by other secrets than before.
fn components_to_restart<'a>(running: &'a Plan, new: &'a Plan, both_have_components: bool) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (these, others) in [(&running.components, &new.components), (&new.components, &running.components)] {
        for component in these.iter().filter(|component| !others.contains(component)) {
            let other = others.iter().find(|other| other.name == component.name);
            if !both_have_components || credentials(Some(component)) != credentials(other) {
                names.insert(component.name.as_str());
            }
        }
    }
    names
}

fn credentials(component: Option<&ComponentSettings>) -> Vec<&Grant> {
    let grants = component.into_iter().flat_map(|component| &component.capabilities.http);
    grants.filter(|grant| grant.credential.is_some()).collect()
}

fn parts_alike(these: &[Module], others: &[Module]) -> bool {
    these.iter().all(|one| others.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Proxy, Route};
    use std::time::Duration;

    #[test]
    fn routes_change_while_the_process_runs_and_what_is_open_does_not() {
        let running = Plan::default();
        let proxy = Proxy {
            name: "shop-proxy".into(),
            targets: [("/".to_owned(), vec!["http://127.0.0.1:1".to_owned()])].into(),
            connect_timeout: Duration::ZERO,
            response_timeout: Duration::ZERO,
            max_body_bytes: 1,
        };
        let route = Route {
            method: "GET".into(),
            path: "/x".into(),
            endpoint: crate::plan::Endpoint::Proxy("shop-proxy".into()),
            middlewares: vec![],
            access: crate::plan::Access::Anyone,
            scope: crate::plan::Scope::Own,
            sudo: None,
            sudo_above: None,
        };
        let routed = Plan { routes: vec![route], ..Plan::default() };
        assert!(needs_restart(&running, &routed).is_empty());
        let proxied = Plan { proxies: vec![proxy], ..routed };
        assert_eq!(needs_restart(&running, &proxied), ["module shop-proxy"]);
        let module = |name: &str, runs| Module { name: name.into(), runs };
        let [a, b] = ["a", "b"].map(|name| module(name, Runs::Component));
        let plan = |modules: &[&Module]| Plan { modules: modules.iter().map(|one| (*one).clone()).collect(), ..Plan::default() };
        assert_eq!(needs_restart(&plan(&[&a]), &plan(&[&a, &b])), ["module b"]);
        assert_eq!(needs_restart(&plan(&[&a, &b]), &plan(&[&b, &a])), ["the sequence in which modules start"]);
        assert!(needs_restart(&plan(&[&a]), &plan(&[&a, &module("limit", Runs::Nothing)])).is_empty());
    }
}
