//! Every module type and its settings, as written. One list, [`module_types!`], makes the enum, the decoder and the schema:
//! a type that is not in it does not exist.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::leaf::{HumanDuration, MaxAge, Secret};

/// Why a module's settings could not be decoded although they fit the schema.
type DecodeError = serde_path_to_error::Error<serde_json::Error>;

macro_rules! module_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal : $settings:ty,)*) => {
        /// Settings of a module by its type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Settings {
            $($(#[$doc])* $variant($settings),)*
        }

        impl Settings {
            /// Names of all module types.
            pub const TYPES: &[&str] = &[$($name),*];

            /// Name of its type.
            #[must_use]
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// `None`: there is no such type.
            pub(super) fn decode(type_name: &str, config: Value) -> Option<Result<Self, DecodeError>> {
                match type_name {
                    $($name => Some(serde_path_to_error::deserialize(config).map(Self::$variant)),)*
                    _ => None,
                }
            }

            fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
                vec![$(($name, generator.subschema_for::<$settings>())),*]
            }
        }
    };
}

module_types! {
    /// Listens.
    HttpServer = "http.server": HttpServer,
    /// Groups the routes.
    HttpRouter = "http.router": HttpRouter,
    /// Answers preflights.
    Cors = "http.middleware.cors": Cors,
    /// Gives each request an id.
    RequestId = "http.middleware.requestid": NoSettings,
    /// Slows a client down.
    RateLimit = "http.middleware.ratelimit": RateLimit,
    /// Asks for a token.
    AuthMiddleware = "http.middleware.auth": AuthMiddleware,
    /// Users and tokens.
    AuthJwt = "auth.jwt": AuthJwt,
    /// A resource.
    ApiHandler = "api.handler": Box<ApiHandler>,
    /// Runs the state machines.
    StateMachineEngine = "statemachine.engine": StateMachineEngine,
    /// The database.
    Database = "database.workflow": Database,
    /// What is kept in it.
    PersistenceStore = "persistence.store": PersistenceStore,
    /// A sandboxed component.
    DynamicComponent = "dynamic.component": DynamicComponent,
    /// A component's answer moves an instance.
    ProcessingStep = "processing.step": ProcessingStep,
    /// The embedded bus.
    Broker = "messaging.broker": Broker,
    /// Apache Kafka.
    Kafka = "messaging.kafka": Kafka,
    /// Reacts to events.
    MessagingHandler = "messaging.handler": MessagingHandler,
    /// `/metrics`.
    Metrics = "metrics.collector": MetricsCollector,
    /// Health endpoints.
    Health = "health.checker": HealthChecker,
    /// Web files.
    FileServer = "static.fileserver": FileServer,
    /// A reverse proxy.
    Proxy = "http.simple_proxy": SimpleProxy,
}

/// One entry of `modules`.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// Unique name.
    pub name: String,
    /// By its `type`; absent only while the type is missing or unknown.
    pub settings: Option<Settings>,
    /// Modules that start before it.
    pub depends_on: Vec<String>,
}

impl JsonSchema for Module {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Module".into()
    }

    // One `if` per type instead of a `oneOf`, whose only message would be that nothing fits.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let branches: Vec<Value> = Settings::schemas(generator)
            .into_iter()
            .map(|(name, settings)| {
                json!({ "if": { "properties": { "type": { "const": name } }, "required": ["type"] }, "then": { "properties": { "config": settings } } })
            })
            .collect();
        json_schema!({
            "type": "object",
            "description": "A part of the process: its name, its type and its settings.",
            "properties": {
                "name": { "type": "string", "minLength": 1, "description": "Unique name, by which other parts name it." },
                "type": { "type": "string", "enum": Settings::TYPES, "x-noun": "module type", "description": "What it is." },
                "config": { "description": "Settings of its type." },
                "dependsOn": { "type": "array", "items": { "type": "string", "minLength": 1 }, "description": "Modules that start before it, and stop after it." }
            },
            "required": ["name", "type"],
            "additionalProperties": false,
            "allOf": branches
        })
    }
}

/// A type without settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoSettings {}

/// `http.server`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpServer {
    /// `host:port`; `:8080` means all addresses.
    #[schemars(length(min = 1))]
    pub address: String,
    /// From the first byte of a request to the last of its body; 15s if not given.
    pub read_timeout: Option<HumanDuration>,
    /// From the end of the request to the last byte of the answer; 30s if not given.
    pub write_timeout: Option<HumanDuration>,
    /// A connection without a request; 60s if not given.
    pub idle_timeout: Option<HumanDuration>,
}

/// `http.router`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRouter {
    /// Path below which only routes answer, `/api`.
    pub prefix: Option<String>,
}

/// `http.middleware.cors`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cors {
    /// `*`, or origins such as `https://shop.example`; `*` if not given.
    pub allowed_origins: Option<Vec<String>>,
    /// Methods; GET, POST, PUT, DELETE and OPTIONS if not given.
    pub allowed_methods: Option<Vec<String>>,
    /// Request headers; Content-Type and Authorization if not given.
    pub allowed_headers: Option<Vec<String>>,
    /// Whether other origins may send cookies; never together with `*`.
    #[serde(default)]
    pub allow_credentials: bool,
    /// How long a preflight may be cached; ten minutes if not given.
    pub max_age: Option<MaxAge>,
}

/// `http.middleware.ratelimit`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Sustained rate of one client; 60 if not given.
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<u32>,
    /// Requests at once; as many as in a minute if not given.
    #[schemars(range(min = 1))]
    pub burst_size: Option<u32>,
    /// A second, slower limit.
    #[schemars(range(min = 1))]
    pub requests_per_hour: Option<u32>,
    /// Peers whose `X-Forwarded-For` is believed: addresses or networks such as `10.0.0.0/8`.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
}

/// `http.middleware.auth`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthMiddleware {
    /// Kind of token.
    #[serde(default)]
    pub auth_type: AuthType,
}

/// Kind of token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(extend("x-expected" = "Bearer"))]
pub enum AuthType {
    /// `Authorization: Bearer <token>`.
    #[default]
    Bearer,
}

/// `auth.jwt`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthJwt {
    /// Key that signs tokens, 32 bytes or more.
    pub secret: Secret,
    /// Life of a token; 24h if not given.
    pub token_expiry: Option<HumanDuration>,
    /// `iss` of the tokens; `millrace` if not given.
    #[schemars(length(min = 1))]
    pub issuer: Option<String>,
    /// Users to add at start, `[{name, email, password}]`; relative to the config file.
    #[schemars(length(min = 1))]
    pub seed_file: Option<String>,
    /// Whether anybody may register; yes if not given.
    pub allow_registration: Option<bool>,
}

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
    /// Prefix of new ids, for example `order-`.
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
    /// Transitions that `POST /{id}/<name>` may make: the one that leaves the current state.
    #[serde(default)]
    pub actions: BTreeMap<String, Vec<String>>,
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

/// `pricing` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PricingSettings {
    /// An `api.handler` of this config, or the http(s) URL of one elsewhere.
    #[schemars(length(min = 1))]
    pub catalogue: String,
}

/// `stock` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StockSettings {
    /// Field with the number of units.
    #[schemars(length(min = 1))]
    pub field: String,
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
}

/// `dynamic.component`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DynamicComponent {
    /// The `.wasm` file, relative to the config file. It is swapped in when it changes.
    #[schemars(length(min = 1))]
    pub source: String,
    /// Shown to people.
    pub description: Option<String>,
    /// Another name by which steps name it.
    #[schemars(length(min = 1))]
    pub component_id: Option<String>,
    /// What it may do beyond computing: nothing if not given.
    #[serde(default)]
    pub capabilities: CapabilitySettings,
    /// How much one run may use.
    #[serde(default)]
    pub limits: LimitSettings,
    /// Given to the component with every job.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// What a component may do beyond computing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapabilitySettings {
    /// Services that it may call.
    #[serde(default)]
    pub http: Vec<GrantSettings>,
    /// Values that it may read through `wasi:config/store`.
    #[serde(default)]
    pub config: BTreeMap<String, ConfigValue>,
}

/// A value of `wasi:config/store`, which knows only text: numbers and booleans are written out.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigValue(pub String);

impl<'de> Deserialize<'de> for ConfigValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            other => other.to_string(),
        }))
    }
}

impl std::fmt::Debug for ConfigValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl JsonSchema for ConfigValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ConfigValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"], "x-expected": "text, a number, true or false" })
    }
}

/// A service that a component may call as `http://<service>/...`. Give `url` or `handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantSettings {
    /// Host part of the URLs that the component asks for.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"), extend("x-expected" = "a host name of small letters, digits and dashes, for example stock"))]
    pub service: String,
    /// Where that is.
    #[schemars(length(min = 1))]
    pub url: Option<String>,
    /// An `api.handler` of this config, called without a socket.
    #[schemars(length(min = 1))]
    pub handler: Option<String>,
    /// Headers that the host adds and the component never sees; one with an empty value is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderValue>,
}

/// Value of a header that may be a secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct HeaderValue(pub String);

impl std::fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl JsonSchema for HeaderValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[\x20-\x7e]*$", "x-expected": "printable ASCII text", "x-secret": true })
    }
}

/// How much one run of a component may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitSettings {
    /// MiB of memory; 64 if not given.
    #[schemars(range(min = 1, max = 4096))]
    pub memory_mb: Option<u32>,
    /// Milliseconds of CPU time; 10,000 if not given.
    #[schemars(range(min = 1, max = 600_000))]
    pub cpu_ms: Option<u32>,
    /// Calls into the host; 10,000 if not given.
    #[schemars(range(min = 1))]
    pub host_calls: Option<u32>,
    /// KiB of an answer; 256 if not given.
    #[schemars(range(min = 1, max = 16_384))]
    pub answer_kb: Option<u32>,
}

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
}

/// `messaging.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessagingHandler {
    /// Topics it is about, for example `order.*`: entering state S is the event `order.S`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$"), extend("x-expected" = "a topic such as order.paid, or a pattern such as order.*"))]
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
}

/// `static.fileserver`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileServer {
    /// Folder, relative to the config file.
    #[schemars(length(min = 1))]
    pub root: String,
    /// Path prefix; `/` if not given.
    pub prefix: Option<String>,
    /// Whether navigation to an unknown path gets `index.html`; no if not given.
    #[serde(default)]
    pub spa_fallback: bool,
    /// How long a browser may keep a file that is neither `index.html` nor hashed; one hour if not given.
    pub cache_max_age: Option<MaxAge>,
}

/// `http.simple_proxy`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SimpleProxy {
    /// Base URL by path prefix; the longest prefix wins.
    pub targets: BTreeMap<String, String>,
}
