//! What unfinished instances need and the config no longer names: components, steps, handlers.
//!
//! An instance keeps the definition that it began with, whatever the config says today. A run that needs what the config does not name is
//! set aside before it is begun: it is no attempt and no failure of a component. The next start makes it ready again. Here it is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use millrace_workflow::{Definition, Reaction};

use crate::runtime::Runtime;
use crate::services::engine::{Events, LookupError, Workflows};
use crate::store::{Instances, StoreError};

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

/// Finds what is lacking. Clones share everything.
#[derive(Clone)]
pub struct Stranded {
    store: Arc<dyn Instances>,
    runtime: Arc<Runtime>,
    workflows: Arc<Workflows>,
    events: Arc<Events>,
}

impl Stranded {
    /// Of the instances in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Instances>, runtime: Arc<Runtime>, workflows: Arc<Workflows>, events: Arc<Events>) -> Self {
        Self { store, runtime, workflows, events }
    }

    /// What unfinished instances need and the config does not name. Looks at each of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn lacks(&self) -> Result<Vec<Lack>, StoreError> {
        let mut lacks = BTreeMap::<(String, String), u64>::new();
        for (workflow, digest, instances) in self.store.pinned().await? {
            let found = match self.workflows.pinned(&workflow, &digest).await {
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
        let tasks = definition.hooks.iter().filter_map(|hook| match &hook.reaction {
            Reaction::Task(component) => Some(component),
            Reaction::Step(_) | Reaction::Announce(_) => None,
        });
        let handlers = definition.hooks.iter().filter_map(|hook| match &hook.reaction {
            Reaction::Announce(handler) => Some(handler),
            Reaction::Step(_) | Reaction::Task(_) => None,
        });
        let components = definition.steps.values().map(|step| &step.component).chain(tasks);
        let components = components.filter(|name| !self.runtime.has(name)).map(|name| format!("component '{name}'"));
        let steps = definition.steps.keys().filter(|name| !self.workflows.has_step(workflow, name)).map(|name| format!("step '{name}'"));
        let handlers = handlers.filter(|name| !self.events.has_handler(name)).map(|name| format!("handler '{name}'"));
        components.chain(steps).chain(handlers).collect()
    }
}
