//! `processing.step`: a component's answer moves an instance.

use std::time::Duration;

use millrace_workflow::{RetryPolicy, Step};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::dynamic_component::DynamicComponent;
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::{Draft, ModuleType};
use crate::plan::Runs;

/// `processing.step`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessingStep {
    /// A `dynamic.component`.
    #[schemars(length(min = 1))]
    pub component_id: String,
    /// Transition when the component accepts.
    #[schemars(length(min = 1))]
    pub success_transition: String,
    /// Transition when it rejects, or has failed for good.
    #[schemars(length(min = 1))]
    pub compensate_transition: String,
    /// Transition when it rejects, where that is another one.
    #[schemars(length(min = 1))]
    pub reject_transition: Option<String>,
    /// Retries after the first attempt; 2 if not given.
    #[schemars(range(max = 1000))]
    pub max_retries: Option<u32>,
    /// Milliseconds before the first retry, doubled before each further one; 1000 if not given.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub retry_backoff_ms: Option<u32>,
    /// Seconds that one attempt may take; 30 if not given.
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<u32>,
    /// Given to the component beyond its own `config`.
    #[serde(default)]
    pub config: Map<String, Value>,
}

impl ModuleType for ProcessingStep {
    const TYPE: &'static str = "processing.step";

    fn resolve(&self, at: At<'_>, context: &Context<'_>, _: &mut Draft, findings: &mut Findings) -> Runs {
        DynamicComponent::named(context, &self.component_id, &at.setting("componentId"), findings);
        // It is a part of the workflows whose hooks start it.
        Runs::Nothing
    }
}

impl ProcessingStep {
    /// What a workflow knows of it.
    pub(in crate::config) fn step(&self, context: &Context<'_>) -> Step {
        // Whether the component is there was checked at the module.
        let component = DynamicComponent::named(context, &self.component_id, "", &mut Findings::default());
        Step {
            component: component.unwrap_or_else(|| self.component_id.clone()),
            success: self.success_transition.clone(),
            compensate: self.compensate_transition.clone(),
            reject: self.reject_transition.clone(),
            retry: RetryPolicy {
                max_retries: Some(self.max_retries.unwrap_or(2)),
                backoff: Duration::from_millis(self.retry_backoff_ms.unwrap_or(1000).into()),
                max_delay: RetryPolicy::DEFAULT_MAX_DELAY,
            },
            timeout: Duration::from_secs(self.timeout_seconds.unwrap_or(30).into()),
        }
    }
}
