//! The sandbox that all components share.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use millrace_workflow::{Definition, Reaction};

use crate::config::context::Context;
use crate::config::finding::Findings;
use crate::config::modules::dynamic_component::DynamicComponent;
use crate::config::modules::engine::StateMachineEngine;
use crate::config::modules::processing_step::ProcessingStep;
use crate::plan::{Plan, Workflow};
use crate::runtime::{self, After, ComponentSettings, Given};

/// Attempts that run at once if the config does not say: an attempt that waits for an answer costs some address space and a few pages,
/// and those that hang for their whole time-out should leave room.
const MAX_CONCURRENT_RUNS: u32 = 512;

/// Its settings, where there are components. What it compiles lies beside the database.
pub(super) fn runtime(context: &Context<'_>, plan: &Plan) -> Option<runtime::Settings> {
    if plan.components.is_empty() {
        return None;
    }
    let engine = context.first::<StateMachineEngine>();
    let runs = engine.and_then(|(_, engine)| engine.max_concurrent_runs).unwrap_or(MAX_CONCURRENT_RUNS);
    let folder = plan.database.as_ref().and_then(|database| database.path.parent());
    let data = folder.map_or_else(|| context.environment.working_dir.join("data"), Path::to_path_buf);
    Some(runtime::Settings {
        cache_dir: data.join("components-cache"),
        authors_cache: context.environment.variables.get("MILLRACE_CACHE").filter(|folder| !folder.is_empty()).map(PathBuf::from),
        compiler: context.environment.program.clone(),
        max_concurrent_runs: usize::try_from(runs).unwrap_or(runtime::MAX_RUNS),
    })
}

/// Says of each component what it is given with the jobs of its steps; where it has none, with those of its handlers.
pub(super) fn give(context: &Context<'_>, components: &mut [ComponentSettings]) {
    for (at, step) in context.all::<ProcessingStep>() {
        // Whether it is there was checked at the module.
        let named = DynamicComponent::named(context, &step.component_id, "", &mut Findings::default());
        let Some(component) = components.iter_mut().find(|component| Some(&component.name) == named.as_ref()) else { continue };
        let mut config = component.config.clone();
        config.extend(step.config.clone());
        component.given.push(Given { by: format!("step '{}'", at.name), config });
    }
    for component in components.iter_mut().filter(|component| component.given.is_empty()) {
        component.given.push(Given { by: format!("module '{}'", component.name), config: component.config.clone() });
    }
}

/// Says of each component after which steps of others its own may come.
pub(super) fn follow(workflows: &[Workflow], components: &mut [ComponentSettings]) {
    for workflow in workflows {
        let definition = workflow.machine.definition();
        for (earlier, one) in &definition.steps {
            let behind = states_behind(definition, &one.success);
            let later = definition.steps.iter().filter(|(name, step)| {
                step.component != one.component && states_of(definition, name).iter().any(|state| behind.contains(state))
            });
            for (name, step) in later {
                let Some(component) = components.iter_mut().find(|component| component.name == step.component) else { continue };
                component.after.push(After {
                    component: one.component.clone(),
                    earlier: earlier.clone(),
                    step: name.clone(),
                    workflow: definition.name.clone(),
                });
            }
        }
    }
}

/// States that an instance may enter once this transition is made.
fn states_behind<'d>(definition: &'d Definition, transition: &str) -> BTreeSet<&'d str> {
    let mut open: Vec<&str> = definition.transitions.get(transition).map(|edge| edge.to.as_str()).into_iter().collect();
    let mut behind = BTreeSet::new();
    while let Some(state) = open.pop() {
        if behind.insert(state) {
            open.extend(definition.transitions.values().filter(|edge| edge.from == state).map(|edge| edge.to.as_str()));
        }
    }
    behind
}

/// States in which an instance waits for this step.
fn states_of<'d>(definition: &'d Definition, step: &str) -> BTreeSet<&'d str> {
    let hooks = definition.hooks.iter().filter(|hook| matches!(&hook.reaction, Reaction::Step(name) if name == step));
    let starting = hooks.flat_map(|hook| definition.transitions.iter().filter(|(name, edge)| hook.matches(name, edge)));
    starting.map(|(_, edge)| edge.to.as_str()).collect()
}
