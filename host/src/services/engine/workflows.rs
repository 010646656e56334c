//! The machines of this process, by name for what is new and by digest for what began on an older definition.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use millrace_workflow::{Definition, Machine};
use parking_lot::RwLock;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock as AsyncRwLock, RwLockReadGuard};

use crate::plan;
use crate::store::{Instances, StoreError};

/// A machine with the digest under which the store keeps its definition.
#[derive(Debug)]
pub struct Pinned {
    /// SHA-256 of the definition's JSON, in hex.
    pub digest: String,
    /// The machine.
    pub machine: Machine,
}

/// Why a machine is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The store does not have it, or what it has makes no sense any more.
    #[error("the definition {digest} of workflow '{workflow}' is not usable: {reason}")]
    Unusable {
        /// Name of the workflow.
        workflow: String,
        /// Digest of the definition.
        digest: String,
        /// Why.
        reason: String,
    },
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All workflows of a process. They can be exchanged while it runs: what is new begins on the new ones, and everything else goes on on what
/// it began with.
pub struct Workflows {
    store: Arc<dyn Instances>,
    current: ArcSwap<WorkflowSet>,
    /// Read by what begins, until it is written.
    beginning: Arc<AsyncRwLock<()>>,
}

/// While it is there, nothing begins that somebody asks for.
pub struct Stillness {
    _guard: OwnedRwLockWriteGuard<()>,
}

/// What a step gives its component beyond the component's own config, if it gives it anything.
pub(super) type StepConfig = Option<Arc<Map<String, Value>>>;

/// The workflows of one plan, whose definitions the store has.
pub struct WorkflowSet {
    machines: HashMap<String, Arc<Pinned>>,
    settings: HashMap<String, plan::Workflow>,
    /// By workflow and step.
    step_config: HashMap<(String, String), Arc<Map<String, Value>>>,
    older: RwLock<HashMap<String, Arc<Pinned>>>,
    /// Steps of the set before this one, as they were there: an instance may have begun while they were exchanged.
    leaving: HashMap<(String, String), StepConfig>,
}

impl WorkflowSet {
    fn has_step(&self, workflow: &str, step: &str) -> bool {
        self.names_step(workflow, step) || self.leaving.contains_key(&(workflow.to_owned(), step.to_owned()))
    }

    fn names_step(&self, workflow: &str, step: &str) -> bool {
        self.settings.get(workflow).is_some_and(|settings| settings.steps.contains(step))
    }

    fn step_config(&self, workflow: &str, step: &str) -> StepConfig {
        let name = (workflow.to_owned(), step.to_owned());
        if self.names_step(workflow, step) { self.step_config.get(&name).cloned() } else { self.leaving.get(&name).cloned().flatten() }
    }

    fn steps(&self) -> impl Iterator<Item = ((String, String), StepConfig)> {
        self.settings.iter().flat_map(move |(name, settings)| {
            settings.steps.iter().map(move |step| ((name.clone(), step.clone()), self.step_config(name, step)))
        })
    }
}

impl Workflows {
    /// Takes the plan's workflows and keeps their definitions in the store, so that what begins on them can always go on.
    ///
    /// # Errors
    /// The store cannot write.
    pub async fn open(store: Arc<dyn Instances>, workflows: &[plan::Workflow]) -> Result<Self, StoreError> {
        let current = ArcSwap::from_pointee(keep(store.as_ref(), workflows).await?);
        Ok(Self { store, current, beginning: Arc::default() })
    }

    /// Held from the choice of a machine until the instance that begins on it is written. Never by who holds it already: a stillness that is
    /// waited for would never come.
    pub async fn beginning(&self) -> RwLockReadGuard<'_, ()> {
        self.beginning.read().await
    }

    /// Waits until what has begun is written; nothing more begins before the answer is dropped. What a hook makes with a change of
    /// something else is not waited for.
    pub async fn still(&self) -> Stillness {
        Stillness { _guard: Arc::clone(&self.beginning).write_owned().await }
    }

    /// Keeps the definitions of another plan's workflows in the store. Nothing begins on them before they are [put](Self::put) in place.
    ///
    /// # Errors
    /// The store cannot write.
    pub async fn prepare(&self, workflows: &[plan::Workflow]) -> Result<WorkflowSet, StoreError> {
        keep(self.store.as_ref(), workflows).await
    }

    /// From now on new instances begin on these.
    pub fn put(&self, mut set: WorkflowSet) {
        set.leaving = self.current.load().steps().collect();
        self.current.store(Arc::new(set));
    }

    /// The machine on which new instances of `workflow` begin.
    #[must_use]
    pub fn current(&self, workflow: &str) -> Option<Arc<Pinned>> {
        self.current.load().machines.get(workflow).cloned()
    }

    /// The machine that an instance began on.
    ///
    /// # Errors
    /// The store does not have it, or cannot be read.
    pub async fn pinned(&self, workflow: &str, digest: &str) -> Result<Arc<Pinned>, LookupError> {
        let set = self.current.load_full();
        if let Some(found) = set.machines.get(workflow).filter(|pinned| pinned.digest == digest) {
            return Ok(Arc::clone(found));
        }
        if let Some(found) = set.older.read().get(digest) {
            return Ok(Arc::clone(found));
        }
        let unusable = |reason: String| LookupError::Unusable { workflow: workflow.to_owned(), digest: digest.to_owned(), reason };
        let definition = self.store.machine(digest).await?.ok_or_else(|| unusable("the store does not have it".into()))?;
        let machine = Machine::new(definition).map_err(|defects| unusable(defects.first().map(ToString::to_string).unwrap_or_default()))?;
        // How much an instance may do is said by the config of now, whatever it began on.
        let most = set.settings.get(workflow).map_or(machine.most_made(), |settings| settings.machine.most_made());
        let pinned = Arc::new(Pinned { digest: digest.to_owned(), machine: machine.bounded(most) });
        set.older.write().insert(digest.to_owned(), Arc::clone(&pinned));
        Ok(pinned)
    }

    /// Config that a step gives its component beyond the component's own; that of a step that was removed until the next exchange.
    #[must_use]
    pub fn step_config(&self, workflow: &str, step: &str) -> StepConfig {
        self.current.load().step_config(workflow, step)
    }

    /// Whether the config has this processing step, for a workflow that it has too, or had until it was exchanged last.
    #[must_use]
    pub fn has_step(&self, workflow: &str, step: &str) -> bool {
        self.current.load().has_step(workflow, step)
    }

    /// Unfinished instances of `workflow` that may exist at once.
    #[must_use]
    pub fn max_instances(&self, workflow: &str) -> Option<u64> {
        self.current.load().settings.get(workflow)?.max_instances
    }

    /// Machines on which new instances begin.
    #[must_use]
    pub fn machines(&self) -> Vec<Arc<Pinned>> {
        self.current.load().machines.values().cloned().collect()
    }
}

async fn keep(store: &dyn Instances, workflows: &[plan::Workflow]) -> Result<WorkflowSet, StoreError> {
    let (mut machines, mut settings, mut step_config) = (HashMap::new(), HashMap::new(), HashMap::new());
    for workflow in workflows {
        let digest = digest(workflow.machine.definition());
        // Looked up first: a process that starts where nothing can be written has less to write then.
        if store.machine(&digest).await?.is_none() {
            store.put_machine(&digest, workflow.machine.definition()).await?;
        }
        let name = workflow.machine.definition().name.clone();
        let configs = workflow.step_config.iter().map(|(step, config)| ((name.clone(), step.clone()), Arc::new(config.clone())));
        step_config.extend(configs);
        machines.insert(name.clone(), Arc::new(Pinned { digest, machine: workflow.machine.clone() }));
        settings.insert(name, workflow.clone());
    }
    Ok(WorkflowSet { machines, settings, step_config, older: RwLock::default(), leaving: HashMap::new() })
}

fn digest(definition: &Definition) -> String {
    let text = serde_json::to_vec(definition).unwrap_or_default();
    hex(&Sha256::digest(text))
}

/// Lower-case hexadecimal text.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use millrace_workflow::{State, Transition};

    use super::*;
    use crate::store::memory::Memory;

    /// A workflow with these steps, each of which gives its component this as `mark`, or nothing.
    fn workflow(steps: &[(&str, Option<&str>)]) -> plan::Workflow {
        let state = |is_final| State { is_final, ..State::default() };
        let definition = Definition {
            name: "jobs".into(),
            description: String::new(),
            initial_state: "new".into(),
            initial_transition: None,
            states: [("new", false), ("done", true)].map(|(name, is_final)| (name.to_owned(), state(is_final))).into(),
            transitions: [("finish".to_owned(), Transition { from: "new".into(), to: "done".into(), ..Transition::default() })].into(),
            steps: BTreeMap::new(),
            hooks: Vec::new(),
        };
        let step_config = steps.iter().filter_map(|(step, mark)| {
            let config = Map::from_iter([("mark".to_owned(), Value::from((*mark)?))]);
            Some(((*step).to_owned(), config))
        });
        plan::Workflow {
            machine: Machine::new(definition).unwrap(),
            max_instances: None,
            steps: steps.iter().map(|(step, _)| (*step).to_owned()).collect::<BTreeSet<_>>(),
            step_config: step_config.collect::<BTreeMap<_, _>>(),
        }
    }

    #[tokio::test]
    async fn a_step_that_was_removed_keeps_its_config_until_the_next_exchange() {
        let first = workflow(&[("kept", Some("first")), ("bare", Some("first")), ("removed", Some("first"))]);
        let workflows = Workflows::open(Arc::new(Memory::new().reopen()), &[first]).await.unwrap();
        let mark = |step: &str| workflows.step_config("jobs", step).map(|config| config["mark"].as_str().unwrap().to_owned());
        let put = async |steps: &[(&str, Option<&str>)]| workflows.put(workflows.prepare(&[workflow(steps)]).await.unwrap());
        put(&[("kept", Some("second")), ("bare", None)]).await;
        assert_eq!((mark("kept").as_deref(), mark("bare")), (Some("second"), None), "what there is, is as it is now");
        assert_eq!((mark("removed").as_deref(), workflows.has_step("jobs", "removed")), (Some("first"), true));
        put(&[("kept", Some("third"))]).await;
        assert_eq!((mark("removed"), workflows.has_step("jobs", "removed")), (None, false));
    }
}
