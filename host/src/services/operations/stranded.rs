//! What unfinished instances need and the config no longer names: their resource, their workflow, components, steps, handlers.
//!
//! An instance keeps the definition that it began with, whatever the config says today. A run that needs what the config does not name is
//! set aside before it is begun: it is no attempt and no failure of a component. The next start makes it ready again. Here it is listed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use millrace_workflow::{Definition, Reaction};
use parking_lot::RwLock;

use crate::plan::{EventTrigger, Plan};
use crate::services::engine::{LookupError, Stillness, Workflows};
use crate::store::{Instances, PinnedTo, StoreError};

/// Something that unfinished instances need and the config does not name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lack {
    /// Their workflow.
    pub workflow: String,
    /// What it is: `resource 'x'`, `workflow 'x'`, `component 'x'`, `step 'x'`, `handler 'x'`, or a definition that cannot be used.
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

/// What a config names that instances may need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    kinds: BTreeSet<String>,
    components: BTreeSet<String>,
    /// Steps by workflow.
    steps: HashMap<String, BTreeSet<String>>,
    handlers: BTreeSet<String>,
    triggered: BTreeSet<Triggered>,
}

/// Which event fires which transition. One that comes on another topic, or under another name, does not come for who waits for this one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Triggered {
    workflow: String,
    transition: String,
    topic: String,
    event: String,
}

impl From<&EventTrigger> for Triggered {
    fn from(trigger: &EventTrigger) -> Self {
        let EventTrigger { topic, event, workflow, transition } = trigger.clone();
        Self { workflow, transition, topic, event }
    }
}

impl Names {
    /// Those of a config.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let handlers = plan.handlers.iter().map(|handler| handler.name.clone());
        let resources = plan.resources.iter().map(|handler| handler.name.clone());
        Self {
            kinds: plan.resources.iter().map(|handler| handler.kind.clone()).collect(),
            components: plan.components.iter().map(|component| component.name.clone()).collect(),
            steps: plan.workflows.iter().map(|workflow| (workflow.machine.name().to_owned(), workflow.steps.clone())).collect(),
            handlers: handlers.chain(resources).collect(),
            triggered: plan.event_triggers.iter().map(Triggered::from).collect(),
        }
    }
}

impl Names {
    /// Whether something is missing here that the others have.
    #[must_use]
    pub fn lack_some_of(&self, others: &Self) -> bool {
        let has_steps =
            |(workflow, steps): (&String, &BTreeSet<String>)| self.steps.get(workflow).is_some_and(|own| own.is_superset(steps));
        !(self.kinds.is_superset(&others.kinds)
            && self.components.is_superset(&others.components)
            && self.handlers.is_superset(&others.handlers)
            && self.triggered.is_superset(&others.triggered)
            && others.steps.iter().all(has_steps))
    }
}

/// Finds what is lacking. Clones share everything.
#[derive(Clone)]
pub struct Stranded {
    store: Arc<dyn Instances>,
    workflows: Arc<Workflows>,
    running: Arc<RwLock<Arc<Names>>>,
}

impl Stranded {
    /// Of the instances in `store`, where the config that runs has these names.
    #[must_use]
    pub fn new(store: Arc<dyn Instances>, workflows: Arc<Workflows>, running: Names) -> Self {
        Self { store, workflows, running: Arc::new(RwLock::new(Arc::new(running))) }
    }

    /// The config that runs has these names from now on.
    pub fn run_with(&self, names: Names) {
        *self.running.write() = Arc::new(names);
    }

    /// What instances need that are unfinished now and a config with these names would lack, and what keeps more of them from beginning:
    /// nothing where the config has all names of the one that runs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn last_look(&self, names: &Names) -> Result<(Vec<Lack>, Option<Stillness>), StoreError> {
        if !names.lack_some_of(&self.running()) {
            return Ok((Vec::new(), None));
        }
        let still = self.workflows.still().await;
        Ok((self.lacks_with(names).await?, Some(still)))
    }

    fn running(&self) -> Arc<Names> {
        Arc::clone(&self.running.read())
    }

    /// What unfinished instances need and the config that runs does not name. Looks at each of them.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn lacks(&self) -> Result<Vec<Lack>, StoreError> {
        self.lacks_with(&self.running()).await
    }

    /// The same if a config with these names ran instead. A transition that an event fires now and would not then is lacking too.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn lacks_with(&self, names: &Names) -> Result<Vec<Lack>, StoreError> {
        let mut lacks = BTreeMap::<(String, String), u64>::new();
        for PinnedTo { workflow, definition: digest, kind, instances } in self.store.pinned().await? {
            let mut found = match self.workflows.pinned(&workflow, &digest).await {
                Ok(pinned) => self.lacking(names, &workflow, pinned.machine.definition()),
                Err(LookupError::Store(error)) => return Err(error),
                Err(error @ LookupError::Unusable { .. }) => BTreeSet::from([format!("their definition ({error})")]),
            };
            if !names.kinds.contains(&kind) {
                found.insert(format!("resource '{kind}'"));
            }
            for what in found {
                *lacks.entry((workflow.clone(), what)).or_default() += instances;
            }
        }
        Ok(lacks.into_iter().map(|((workflow, what), instances)| Lack { workflow, what, instances }).collect())
    }

    fn lacking(&self, names: &Names, workflow: &str, definition: &Definition) -> BTreeSet<String> {
        let tasks = definition.hooks.iter().filter_map(|hook| match &hook.reaction {
            Reaction::Task(component) => Some(component),
            Reaction::Step(_) | Reaction::Announce(_) | Reaction::Create(_) => None,
        });
        let handlers = definition.hooks.iter().filter_map(|hook| match &hook.reaction {
            Reaction::Announce(handler) | Reaction::Create(handler) => Some(handler),
            Reaction::Step(_) | Reaction::Task(_) => None,
        });
        let components = definition.steps.values().map(|step| &step.component).chain(tasks);
        let components = components.filter(|name| !names.components.contains(*name)).map(|name| format!("component '{name}'"));
        // Steps belong to a workflow: where that has another name, it is what an operator has to name again.
        let unnamed = |steps: &BTreeSet<String>| -> Vec<String> {
            definition.steps.keys().filter(|name| !steps.contains(*name)).map(|name| format!("step '{name}'")).collect()
        };
        let steps = names.steps.get(workflow).map_or_else(|| vec![format!("workflow '{workflow}'")], unnamed);
        let handlers = handlers.filter(|name| !names.handlers.contains(*name)).map(|name| format!("handler '{name}'"));
        let running = self.running();
        let fired = |transition: &&String| {
            let mut now = running.triggered.iter().filter(|one| one.workflow == workflow && one.transition == **transition);
            now.any(|one| !names.triggered.contains(one))
        };
        let triggers = definition.transitions.keys().filter(fired).map(|name| format!("the event that fires '{name}'"));
        components.chain(steps).chain(handlers).chain(triggers).collect()
    }
}
