//! `statemachine.engine`: runs the state machines.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::leaf::HumanDuration;
use crate::config::module_type::{Draft, ModuleType};
use crate::plan::Runs;

/// `statemachine.engine`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateMachineEngine {
    /// Shown to people.
    pub description: Option<String>,
    /// Unfinished instances of a workflow at once; without limit if not given.
    #[schemars(range(min = 1))]
    pub max_instances: Option<u32>,
    /// Attempts at steps and tasks that run at once, of all components together; 512 if not given. Half of them are shared out among the
    /// components, the other half is for whoever comes first; attempts that repeat one without an answer have a part of them only.
    #[schemars(range(min = 1, max = 2048))]
    pub max_concurrent_runs: Option<u32>,
    /// Transitions that one instance may make; 10000 if not given. Then it asks for a person's attention, and nobody moves it but into a
    /// final state, until more are allowed.
    #[schemars(range(min = 1))]
    pub max_transitions: Option<u32>,
    /// Accepted for configs that have it; instances are kept.
    #[serde(rename = "instanceTTL")]
    pub instance_ttl: Option<HumanDuration>,
}

impl ModuleType for StateMachineEngine {
    const TYPE: &'static str = "statemachine.engine";
    const ONE_OF: &'static [&'static str] = &[Self::TYPE];

    fn resolve(&self, _: At<'_>, _: &Context<'_>, _: &mut Draft, _: &mut Findings) -> Runs {
        // Its limits are part of each workflow and of the sandbox.
        Runs::Engine
    }
}
