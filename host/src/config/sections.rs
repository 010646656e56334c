//! How the modules of a config work together, and what starts and moves workflows, as written: nothing resolved.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::leaf::{HumanDuration, RoleList, ScopeName};

/// How the modules work together.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workflows {
    /// Routes.
    pub http: Option<HttpWorkflow>,
    /// State machines.
    pub statemachine: Option<StateMachineWorkflow>,
    /// Subscriptions.
    pub messaging: Option<MessagingWorkflow>,
}

/// `workflows.http`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpWorkflow {
    /// An `http.router`.
    #[schemars(length(min = 1))]
    pub router: String,
    /// An `http.server`.
    #[schemars(length(min = 1))]
    pub server: String,
    /// What answers what.
    #[serde(default)]
    pub routes: Vec<RouteEntry>,
}

/// One entry of `workflows.http.routes`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteEntry {
    /// GET also answers HEAD.
    #[schemars(extend("enum" = ["GET", "POST", "PUT", "PATCH", "DELETE"], "x-noun" = "method"))]
    pub method: String,
    /// With `{name}` placeholders.
    #[schemars(length(min = 1))]
    pub path: String,
    /// An `auth.jwt`, `api.handler` or `http.simple_proxy`, or for the audit log a `persistence.store`.
    #[schemars(length(min = 1))]
    pub handler: String,
    /// Outermost first.
    #[serde(default)]
    pub middlewares: Vec<String>,
    /// Who may call it: one of these roles is needed, and everybody with an account is a customer. Without it, who passes the `middlewares`.
    #[schemars(with = "RoleList", default)]
    pub roles: Option<RoleList>,
    /// Of a handler with `owner: creator`, which resources are reached. `all`: who has one of `roles` other than customer reaches those of
    /// everybody, and a customer their own; `own` if not given.
    #[schemars(with = "ScopeName", default)]
    pub scope: Option<ScopeName>,
    /// Of a route that creates a resource: who asks for more than an amount has to show the password again, as with `sudo` of an
    /// `http.middleware.auth`.
    pub sudo_above: Option<SudoAboveEntry>,
}

/// `sudoAbove` of a route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SudoAboveEntry {
    /// Field of the body with the amount, a whole number such as cents.
    #[schemars(length(min = 1))]
    pub field: String,
    /// So much needs no password.
    #[schemars(range(min = 0))]
    pub above: u64,
    /// How long ago the password was shown, at most, such as 5m; `POST /sudo` takes it.
    pub within: HumanDuration,
}

/// `workflows.statemachine`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateMachineWorkflow {
    /// A `statemachine.engine`.
    #[schemars(length(min = 1))]
    pub engine: String,
    /// Which resources are instances.
    #[serde(default)]
    pub resource_mappings: Vec<ResourceMapping>,
    /// The machines.
    #[serde(default)]
    pub definitions: Vec<DefinitionEntry>,
    /// What changes of state start.
    #[serde(default)]
    pub hooks: Vec<HookEntry>,
}

/// One entry of `workflows.statemachine.resourceMappings`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceMapping {
    /// `resourceName` of an `api.handler`.
    #[schemars(length(min = 1))]
    pub resource_type: String,
    /// The engine, or one of the definitions.
    #[schemars(length(min = 1))]
    pub state_machine: String,
    /// Field that holds the id.
    #[serde(rename = "instanceIDKey")]
    pub instance_id_key: Option<String>,
}

/// One entry of `workflows.statemachine.definitions`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DefinitionEntry {
    /// Unique name of the workflow.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Shown to people.
    pub description: Option<String>,
    /// State of a new instance.
    #[schemars(length(min = 1))]
    pub initial_state: String,
    /// States by name.
    pub states: BTreeMap<String, StateEntry>,
    /// Transitions by name.
    pub transitions: BTreeMap<String, TransitionEntry>,
}

/// A state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateEntry {
    /// Shown to people.
    pub description: Option<String>,
    /// No transition leaves it.
    #[serde(default)]
    pub is_final: bool,
    /// It means failure.
    #[serde(default)]
    pub is_error: bool,
}

/// A transition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransitionEntry {
    /// State that it leaves.
    #[schemars(length(min = 1))]
    pub from_state: String,
    /// State that it enters.
    #[schemars(length(min = 1))]
    pub to_state: String,
    /// Made in the same commit that enters `fromState`.
    #[serde(default)]
    pub auto_transform: bool,
    /// Made by a durable timer this long after `fromState` was entered.
    pub after: Option<HumanDuration>,
    /// How many times it may be made in the life of an instance, by its timer and by hand together; without end if not given.
    #[schemars(range(min = 1))]
    pub max_attempts: Option<u32>,
    /// Transition made instead once `maxAttempts` is used up.
    #[schemars(length(min = 1))]
    pub exhausted: Option<String>,
    /// Number of times after which a person's attention is asked for; the timer goes on.
    #[schemars(range(min = 1))]
    pub attention_after: Option<u32>,
    /// When the instance leaves `fromState` by this transition at the latest, whatever it has done until then. A durable timer makes it; a
    /// step that is being attempted is waited for.
    pub deadline: Option<DeadlineEntry>,
}

/// `deadline` of a transition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeadlineEntry {
    /// How long it is.
    pub after: HumanDuration,
    /// State with which it begins, when that is entered for the first time.
    #[schemars(length(min = 1))]
    pub since: String,
}

/// One entry of `workflows.statemachine.hooks`. It matches when every list that it gives contains the value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HookEntry {
    /// Workflow it is about.
    #[schemars(length(min = 1))]
    pub workflow_type: String,
    /// Transitions made.
    #[serde(default)]
    pub transitions: Vec<String>,
    /// States left.
    #[serde(default)]
    pub from_states: Vec<String>,
    /// States entered.
    #[serde(default)]
    pub to_states: Vec<String>,
    /// A `processing.step`, `messaging.handler` or `dynamic.component`; or an `api.handler` that `draws` from what the workflow moves.
    #[schemars(length(min = 1))]
    pub handler: String,
}

/// `workflows.messaging`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessagingWorkflow {
    /// A `messaging.broker` or `messaging.kafka`.
    #[schemars(length(min = 1))]
    pub broker: String,
    /// Who reacts to what.
    #[serde(default)]
    pub subscriptions: Vec<SubscriptionEntry>,
}

/// One entry of `workflows.messaging.subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionEntry {
    /// Topic.
    #[schemars(length(min = 1))]
    pub topic: String,
    /// A `messaging.handler`.
    #[schemars(length(min = 1))]
    pub handler: String,
}

/// What starts and moves workflows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Triggers {
    /// By requests.
    pub http: Option<HttpTriggers>,
    /// By events.
    pub event: Option<EventTriggers>,
}

/// `triggers.http`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpTriggers {
    /// Routes that start or move a workflow.
    #[serde(default)]
    pub routes: Vec<HttpTrigger>,
}

/// One entry of `triggers.http.routes`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpTrigger {
    /// Path of a route.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Its method.
    #[schemars(extend("enum" = ["POST", "PUT", "PATCH", "DELETE"], "x-noun" = "method"))]
    pub method: String,
    /// Workflow.
    #[schemars(length(min = 1))]
    pub workflow: String,
    /// Transition.
    #[schemars(length(min = 1))]
    pub action: String,
}

/// `triggers.event`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventTriggers {
    /// Events that move a workflow.
    #[serde(default)]
    pub subscriptions: Vec<EventTriggerEntry>,
}

/// One entry of `triggers.event.subscriptions`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventTriggerEntry {
    /// Topic.
    #[schemars(length(min = 1))]
    pub topic: String,
    /// Type of the event.
    #[schemars(length(min = 1))]
    pub event: String,
    /// Workflow.
    #[schemars(length(min = 1))]
    pub workflow: String,
    /// Transition.
    #[schemars(length(min = 1))]
    pub action: String,
}
