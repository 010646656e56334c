//! The machines of this process, by name for what is new and by digest for what began on an older definition.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_workflow::{Definition, Machine};
use parking_lot::RwLock;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

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

/// All workflows of a process.
pub struct Workflows {
    store: Arc<dyn Instances>,
    current: HashMap<String, Arc<Pinned>>,
    settings: HashMap<String, plan::Workflow>,
    older: RwLock<HashMap<String, Arc<Pinned>>>,
}

impl Workflows {
    /// Takes the plan's workflows and keeps their definitions in the store, so that what begins on them can always go on.
    ///
    /// # Errors
    /// The store cannot write.
    pub async fn open(store: Arc<dyn Instances>, workflows: &[plan::Workflow]) -> Result<Self, StoreError> {
        let mut current = HashMap::new();
        let mut settings = HashMap::new();
        for workflow in workflows {
            let digest = digest(workflow.machine.definition());
            // Looked up first: a process that starts where nothing can be written has less to write then.
            if store.machine(&digest).await?.is_none() {
                store.put_machine(&digest, workflow.machine.definition()).await?;
            }
            let name = workflow.machine.definition().name.clone();
            current.insert(name.clone(), Arc::new(Pinned { digest, machine: workflow.machine.clone() }));
            settings.insert(name, workflow.clone());
        }
        Ok(Self { store, current, settings, older: RwLock::default() })
    }

    /// The machine on which new instances of `workflow` begin.
    #[must_use]
    pub fn current(&self, workflow: &str) -> Option<Arc<Pinned>> {
        self.current.get(workflow).cloned()
    }

    /// The machine that an instance began on.
    ///
    /// # Errors
    /// The store does not have it, or cannot be read.
    pub async fn pinned(&self, workflow: &str, digest: &str) -> Result<Arc<Pinned>, LookupError> {
        if let Some(found) = self.current.get(workflow).filter(|pinned| pinned.digest == digest) {
            return Ok(Arc::clone(found));
        }
        if let Some(found) = self.older.read().get(digest) {
            return Ok(Arc::clone(found));
        }
        let unusable = |reason: String| LookupError::Unusable { workflow: workflow.to_owned(), digest: digest.to_owned(), reason };
        let definition = self.store.machine(digest).await?.ok_or_else(|| unusable("the store does not have it".into()))?;
        let machine = Machine::new(definition).map_err(|defects| unusable(defects.first().map(ToString::to_string).unwrap_or_default()))?;
        // How much an instance may do is said by the config of now, whatever it began on.
        let most = self.settings.get(workflow).map_or(machine.most_made(), |settings| settings.machine.most_made());
        let pinned = Arc::new(Pinned { digest: digest.to_owned(), machine: machine.bounded(most) });
        self.older.write().insert(digest.to_owned(), Arc::clone(&pinned));
        Ok(pinned)
    }

    /// Config that a step gives its component beyond the component's own.
    #[must_use]
    pub fn step_config(&self, workflow: &str, step: &str) -> Option<&Map<String, Value>> {
        self.settings.get(workflow)?.step_config.get(step)
    }

    /// Whether the config has this processing step, for a workflow that it has too.
    #[must_use]
    pub fn has_step(&self, workflow: &str, step: &str) -> bool {
        self.settings.get(workflow).is_some_and(|settings| settings.steps.contains(step))
    }

    /// Unfinished instances of `workflow` that may exist at once.
    #[must_use]
    pub fn max_instances(&self, workflow: &str) -> Option<u64> {
        self.settings.get(workflow)?.max_instances
    }

    /// Definitions on which new instances begin.
    pub fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.current.values().map(|pinned| pinned.machine.definition())
    }
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
