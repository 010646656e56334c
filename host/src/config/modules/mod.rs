//! Every module type and its settings, as written. One list, [`module_types!`], makes the enum, the decoder and the schema:
//! a type that is not in it does not exist.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

mod business;
mod components;
mod web;

pub use business::*;
pub use components::*;
pub use web::*;

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
        let settings = Settings::schemas(generator);
        let branches: Vec<Value> = settings.iter().map(|(name, settings)| branch(name, settings, generator)).collect();
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

/// What holds for the settings of one type: they may be left out if none of them has to be there.
fn branch(type_name: &str, settings: &Schema, generator: &SchemaGenerator) -> Value {
    let definition = settings.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
    let needed = definition.and_then(|name| generator.definitions().get(name)).is_some_and(|schema| schema.get("required").is_some());
    let mut then = json!({ "properties": { "config": settings } });
    if needed {
        then["required"] = json!(["config"]);
    }
    json!({ "if": { "properties": { "type": { "const": type_name } }, "required": ["type"] }, "then": then })
}
