//! Settings of resources, state, storage, events and operation.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::components::HeaderValue;
use crate::config::leaf::{HumanDuration, Retained};

/// `api.handler`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiHandler {
    /// Kind of its resources.
    #[schemars(length(min = 1))]
    pub resource_name: String,
    /// Resources to add at start, `[{id, data, state?}]`; relative to the config file.
    #[schemars(length(min = 1))]
    pub seed_file: Option<String>,
    /// Workflow that a new resource starts: a name under `workflows.statemachine.definitions`.
    #[schemars(length(min = 1))]
    pub workflow_type: Option<String>,
    /// Engine that runs it.
    #[schemars(length(min = 1))]
    pub workflow_engine: Option<String>,
    /// Prefix of new ids, for example `rma-`.
    #[serde(rename = "instanceIDPrefix")]
    pub instance_id_prefix: Option<String>,
    /// Field that holds the id; `id` is the only one.
    #[serde(rename = "instanceIDField")]
    pub instance_id_field: Option<IdField>,
    /// Transition that a new resource makes at once; `start_validation` if the workflow has it.
    #[schemars(length(min = 1))]
    pub initial_transition: Option<String>,
    /// JSON Schema of a new resource's body.
    pub schema: Option<Map<String, Value>>,
    /// Fields that components see and clients do not.
    #[serde(default)]
    pub private_fields: Vec<String>,
    /// Transitions that `POST /{id}/<name>` may make: the one that leaves the current state. While a step is awaited that was not attempted yet,
    /// also the one that leaves the state after the step's `compensateTransition`, which is made before it.
    #[serde(default)]
    pub actions: BTreeMap<String, Vec<String>>,
    /// How many instances one owner may have in certain states; without it there is no limit.
    pub per_owner: Option<PerOwnerSettings>,
    /// Lines are priced from a catalogue.
    pub pricing: Option<PricingSettings>,
    /// Units are counted and can be reserved.
    pub stock: Option<StockSettings>,
}

/// Field that holds the id of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-expected" = "id"))]
pub enum IdField {
    /// `id`.
    Id,
}

/// `perOwner` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PerOwnerSettings {
    /// Instances that one owner may have in one of `states` at once; a further one is refused (429). `burst`: as many as the rate limit of
    /// the route that creates them lets one client ask for at once.
    pub max_instances: MostPerOwner,
    /// States of the workflow in which an instance counts. None of them is final.
    #[schemars(length(min = 1))]
    pub states: Vec<String>,
}

/// A number of instances, or `burst`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MostPerOwner {
    /// So many.
    Number(u32),
    /// As many as the rate limit lets through at once.
    Burst,
}

impl<'de> Deserialize<'de> for MostPerOwner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            // The schema has seen to it that there is no other word.
            Value::String(_) => Ok(Self::Burst),
            other => u32::deserialize(other).map(Self::Number).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for MostPerOwner {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MostPerOwner".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"], "minimum": 1, "maximum": u32::MAX, "pattern": "^burst$",
            "x-expected": "a whole number, 1 or more, or burst"
        })
    }
}

/// `pricing` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PricingSettings {
    /// An `api.handler` of this config, or the http(s) URL of one elsewhere.
    #[schemars(length(min = 1))]
    pub catalogue: String,
    /// Units that one line may have; 100000 if not given.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_quantity: Option<u32>,
}

/// `stock` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StockSettings {
    /// Field with the number of units.
    #[schemars(length(min = 1))]
    pub field: String,
    /// Key for other processes, 32 bytes or more, sent as `X-Internal-Secret`: who has it may reserve under
    /// `/internal/reservations`. Without it that path does not exist; while it is empty nobody may.
    #[schemars(with = "HeaderValue", default)]
    pub secret: Option<HeaderValue>,
}

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

/// `database.workflow`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// Kind of database; `sqlite` if not given.
    #[serde(default)]
    pub driver: Driver,
    /// Database file, relative to the working directory; its folder is made.
    #[schemars(length(min = 1))]
    pub dsn: String,
    /// Connections that read; 4 if not given.
    #[schemars(range(min = 1, max = 64))]
    pub max_open_conns: Option<u32>,
}

/// Kind of database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(extend("x-expected" = "sqlite"))]
pub enum Driver {
    /// One file.
    #[default]
    Sqlite,
}

/// `persistence.store`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PersistenceStore {
    /// A `database.workflow`.
    #[schemars(length(min = 1))]
    pub database: String,
    /// Events that may wait to be published, while the bus is away for example: with more, a new resource with a workflow is refused
    /// (503 with `Retry-After`) until some were published. 1000000 if not given, which takes some gigabytes.
    #[schemars(range(min = 1))]
    pub max_outbox_events: Option<u64>,
    /// How long the database keeps what the program itself has no more use for.
    pub retention: Option<RetentionSettings>,
}

/// `retention` of a `persistence.store`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionSettings {
    /// Published events, and that they were taken; 72h if not given. What is gone cannot be published again by `millrace republish`.
    pub events: Option<Retained>,
    /// Ended attempts of finished instances; 72h if not given. What they came to is in the history, which stays.
    pub runs: Option<Retained>,
    /// Keys of `Idempotency-Key`; 24h if not given. A request that is repeated later than that is a new one.
    pub idempotency_keys: Option<Retained>,
}

/// `messaging.broker`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Broker {
    /// Topics beyond those that subscriptions and triggers name.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Events under way at once; 1000 if not given.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_queue_size: Option<u32>,
    /// How long one delivery may take; 30s if not given.
    pub delivery_timeout: Option<HumanDuration>,
}

/// `messaging.kafka`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kafka {
    /// `host:port`; one entry may hold several, separated by commas.
    #[schemars(length(min = 1))]
    pub brokers: Vec<String>,
    /// Consumer group; `millrace` if not given.
    #[schemars(length(min = 1))]
    pub group_id: Option<String>,
    /// Tells this member of the group from the others, and is the same after a restart, so that its partitions wait for it; the
    /// name of the machine or container if not given. Two processes of one group on one machine need two.
    #[schemars(length(min = 1))]
    pub instance_id: Option<String>,
}

/// `messaging.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessagingHandler {
    /// Topics it is about, for example `return.*`: entering state S is the event `return.S`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$"), extend("x-expected" = "a topic such as return.approved, or a pattern such as return.*"))]
    pub topic: String,
    /// Shown to people.
    pub description: Option<String>,
    /// A `dynamic.component` that it runs; without one it only logs.
    #[schemars(length(min = 1))]
    pub component: Option<String>,
}

/// `metrics.collector`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricsCollector {
    /// What comes before each name; `millrace` if not given.
    #[schemars(regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"), extend("x-expected" = "letters, digits and underscores, not beginning with a digit"))]
    pub namespace: Option<String>,
    /// What comes between the namespace and the name.
    #[schemars(regex(pattern = "^[a-zA-Z_][a-zA-Z0-9_]*$"), extend("x-expected" = "letters, digits and underscores, not beginning with a digit"))]
    pub subsystem: Option<String>,
    /// Who may read `/metrics`; `private` if not given.
    pub access: Option<MetricsAccess>,
    /// What a collector sends as `Authorization: Bearer` where `access` is `token`; from a variable, such as `${METRICS_SECRET}`.
    pub token: Option<MetricsToken>,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsAccess {
    /// This machine and private networks, whoever asks for whom.
    Private,
    /// Who sends the token.
    Token,
    /// Everybody.
    Open,
}

impl JsonSchema for MetricsAccess {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MetricsAccess".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "enum": ["private", "token", "open"], "x-noun": "access", "x-expected": "private, token or open",
            "description": "`private`: this machine and private networks. `token`: who sends the `token`. `open`: everybody."
        })
    }
}

/// A token that collectors know. It is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct MetricsToken(pub String);

impl JsonSchema for MetricsToken {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MetricsToken".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[!-~]{16,256}$", "x-expected": "16 to 256 visible ASCII characters", "x-secret": true })
    }
}

impl std::fmt::Debug for MetricsToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

/// `health.checker`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HealthChecker {
    /// Shown to people.
    pub description: Option<String>,
    /// `/healthz` if not given.
    pub health_path: Option<String>,
    /// `/readyz` if not given.
    pub ready_path: Option<String>,
    /// `/livez` if not given.
    pub live_path: Option<String>,
    /// How long one check may take; 5s if not given.
    pub check_timeout: Option<HumanDuration>,
    /// A further address, `127.0.0.1:9081`, where probes and metrics are answered and nothing else. What happens at the address of the
    /// server does not touch it.
    #[schemars(length(min = 1))]
    pub address: Option<String>,
}
