//! What unfinished instances need and the config no longer names: components, steps, handlers.
//!
//! An instance keeps the definition that it began with, whatever the config says today. A run that needs what the config does not name is
//! set aside before it is begun: it is no attempt and no failure of a component. The next start makes it ready again.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use millrace_workflow::{Definition, Reaction, RunKind};

use super::commit_plan;
use super::completion::settled;
use super::pipeline::{Pipeline, stand_in};
use super::workflows::LookupError;
use crate::store::{RunStatus, StepRun, StoreError};

/// Something that unfinished instances need and the config does not name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// Their workflow.
    pub workflow: String,
    /// What it is: `component 'x'`, `step 'x'`, `handler 'x'`, or a definition that cannot be used.
    pub what: String,
    /// Unfinished instances whose definition names it.
    pub instances: u64,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workflow, what, instances } = self;
        write!(
            f,
            "{instances} unfinished instances of '{workflow}' need {what}, which this config does not name: \
             what they would run is set aside; start with a config that names it"
        )
    }
}

impl Pipeline {
    /// What unfinished instances need and the config does not name. Looks at each of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn lacks(&self) -> Result<Vec<Lack>, StoreError> {
        let mut lacks = std::collections::BTreeMap::<(String, String), u64>::new();
        for (workflow, digest, instances) in self.parts().store.pinned().await? {
            let found = match self.parts().workflows.pinned(&workflow, &digest).await {
                Ok(pinned) => self.lacking(&workflow, pinned.machine.definition()),
                Err(LookupError::Store(error)) => return Err(error),
                Err(error @ LookupError::Unusable { .. }) => BTreeSet::from([format!("their definition ({error})")]),
            };
            for what in found {
                *lacks.entry((workflow.clone(), what)).or_default() += instances;
            }
        }
        Ok(lacks.into_iter().map(|((workflow, what), instances)| Lack { workflow, what, instances }).collect())
    }

    fn lacking(&self, workflow: &str, definition: &Definition) -> BTreeSet<String> {
        let parts = self.parts();
        let tasks = definition.hooks.iter().filter_map(|hook| match &hook.reaction {
            Reaction::Task(component) => Some(component),
            Reaction::Step(_) | Reaction::Announce(_) => None,
        });
        let handlers = definition.hooks.iter().filter_map(|hook| match &hook.reaction {
            Reaction::Announce(handler) => Some(handler),
            Reaction::Step(_) | Reaction::Task(_) => None,
        });
        let components = definition.steps.values().map(|step| &step.component).chain(tasks);
        let components = components.filter(|name| !parts.runtime.has(name)).map(|name| format!("component '{name}'"));
        let steps = definition.steps.keys().filter(|name| !parts.workflows.has_step(workflow, name)).map(|name| format!("step '{name}'"));
        let handlers = handlers.filter(|name| !parts.events.has_handler(name)).map(|name| format!("handler '{name}'"));
        components.chain(steps).chain(handlers).collect()
    }

    /// What a run needs and the config does not name.
    pub(in crate::services) fn lack_of(&self, run: &StepRun) -> Option<String> {
        let parts = self.parts();
        if !parts.runtime.has(&run.component) {
            return Some(format!("component '{}'", run.component));
        }
        let of_step = matches!(run.kind, RunKind::Step | RunKind::Undo);
        (of_step && !parts.workflows.has_step(&run.workflow, &run.name)).then(|| format!("step '{}'", run.name))
    }

    /// Sets a run aside that needs what the config does not name. It was no attempt.
    pub(in crate::services) async fn strand(&self, run: &StepRun, what: &str) {
        tracing::warn!(run = run.key, instance = run.resource_id, what, "a run is set aside: the config does not name what it needs");
        let reason = format!("the config names no {what}: start with one that does");
        let resource = Arc::new(stand_in(run, self.parts().clock.now()));
        let settled = settled(run, RunStatus::Stranded, run.attempt, Some(reason));
        self.make_durable(run, || std::future::ready(Ok(commit_plan::settle_only(Arc::clone(&resource), settled.clone())))).await;
    }
}
