//! What of a plan can change while its process runs, and what takes a restart.

use std::collections::{BTreeMap, BTreeSet};

use super::{Endpoint, Module, Plan, ResourceHandler, Runs};
use crate::runtime::{ComponentSettings, Grant};

/// What is different in `new` and takes a restart, by the names of its parts: `module web-server`, `workflow return-processing`. Routes with their
/// limits and middlewares, what may be asked of resources and said in them, web files, proxies, workflows with their steps, components, who receives
/// which events, topics, and what an `operator.api` lets whom do change while the process runs, and are not among them.
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
    one!(server);
    one!(auth);
    one!(database);
    resources_to_restart(running, new).into_iter().for_each(&mut module);
    let both_have_components = !running.components.is_empty() && !new.components.is_empty();
    components_to_restart(running, new, both_have_components).into_iter().for_each(&mut module);
    let connects = |plan: &Plan| plan.bus.clone().map(|bus| bus.with_topics(Vec::new()));
    if connects(running) != connects(new) {
        running.bus.iter().chain(&new.bus).for_each(|bus| module(bus.name()));
    }
    let listens = |plan: &Plan| plan.operator.as_ref().map(|operator| (operator.name.clone(), operator.server.clone()));
    if listens(running) != listens(new) {
        listens(running).iter().chain(&listens(new)).for_each(|(_, server)| module(&server.name));
    }
    let runs = |plan: &Plan| -> Vec<Module> {
        let is_live = |module: &Module| match module.runs {
            // Without a bus it receives nothing, and what is a bus takes a restart.
            Runs::Nothing | Runs::Consumer => true,
            Runs::Component => both_have_components,
            Runs::Store | Runs::Engine | Runs::Bus => false,
        };
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
    also(running.metrics != new.metrics, "the module of type metrics.collector");
    let keeps = |plan: &Plan| plan.routes.iter().any(|route| matches!(route.endpoint, Endpoint::Account(_)));
    also(keeps(running) != keeps(new), "routes of accounts, where there were none or are none now");
    also(running.health != new.health, "the module of type health.checker");
    also(running.runtime != new.runtime, "workflows");
    also(these != others && these.len() == others.len() && parts_alike(&these, &others), "the sequence in which modules start");
    parts.into_iter().collect()
}

/// Names of handlers of resources of which more is different than what may be asked of them and said in them: the rest of what they say is made
/// from the database at the start.
fn resources_to_restart<'a>(running: &'a Plan, new: &'a Plan) -> BTreeSet<&'a str> {
    let kept = |handler: &ResourceHandler| ResourceHandler { actions: BTreeMap::new(), schema: None, ..handler.clone() };
    let mut names = BTreeSet::new();
    for (these, others) in [(&running.resources, &new.resources), (&new.resources, &running.resources)] {
        let others: Vec<ResourceHandler> = others.iter().map(kept).collect();
        names.extend(these.iter().filter(|handler| !others.contains(&kept(handler))).map(|handler| handler.name.as_str()));
    }
    names
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
    fn routes_and_proxies_change_while_the_process_runs_and_what_is_open_does_not() {
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
        let proxied = Plan { routes: vec![route], proxies: vec![proxy], ..Plan::default() };
        assert!(needs_restart(&running, &proxied).is_empty());
        let probed =
            Plan { metrics: Some(crate::plan::Metrics { prefix: "x".into(), access: crate::plan::MetricsAccess::Open }), ..proxied };
        assert_eq!(needs_restart(&running, &probed), ["the module of type metrics.collector"]);
        let module = |name: &str, runs| Module { name: name.into(), runs };
        let [a, b] = ["a", "b"].map(|name| module(name, Runs::Component));
        let plan = |modules: &[&Module]| Plan { modules: modules.iter().map(|one| (*one).clone()).collect(), ..Plan::default() };
        assert_eq!(needs_restart(&plan(&[&a]), &plan(&[&a, &b])), ["module b"]);
        assert_eq!(needs_restart(&plan(&[&a, &b]), &plan(&[&b, &a])), ["the sequence in which modules start"]);
        for runs in [Runs::Nothing, Runs::Consumer] {
            assert!(needs_restart(&plan(&[&a]), &plan(&[&a, &module("more", runs)])).is_empty(), "{runs:?}");
        }
    }

    #[test]
    fn who_hears_of_what_changes_while_the_process_runs_and_the_bus_does_not() {
        let bus = |topics: &[&str], at_once| {
            let topics = topics.iter().map(|&topic| topic.to_owned()).collect();
            let delivery_timeout = Duration::from_secs(1);
            Some(super::super::Bus::Embedded(crate::bus::embedded::Settings {
                name: "bus".into(),
                topics,
                max_queue_size: at_once,
                delivery_timeout,
            }))
        };
        let trigger = |topic: &str| {
            let (workflow, transition) = ("thing".to_owned(), "go".to_owned());
            crate::plan::EventTrigger { topic: topic.into(), event: topic.into(), workflow, transition }
        };
        let running = Plan { bus: bus(&["a"], 1), event_triggers: vec![trigger("a")], ..Plan::default() };
        let another = Plan { bus: bus(&["a", "b"], 1), event_triggers: vec![trigger("b")], ..Plan::default() };
        assert!(needs_restart(&running, &another).is_empty());
        assert_eq!(needs_restart(&running, &Plan { bus: bus(&["a"], 2), ..running.clone() }), ["module bus"]);
        assert_eq!(needs_restart(&running, &Plan { bus: None, ..running.clone() }), ["module bus"]);
    }
}
