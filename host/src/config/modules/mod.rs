//! Every module type. Each has a file of its own with its settings, as written, and what they mean; the one list of them here,
//! [`module_types!`], makes the enum, the decoder, the schema and the resolver: a type that is not in it does not exist.

use std::any::Any;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::context::{At, Context};
use super::finding::Findings;
use super::module_type::{Draft, ModuleType};
use crate::plan::Runs;

pub(super) mod api_handler;
pub(super) mod auth_jwt;
pub(super) mod auth_middleware;
pub(super) mod broker;
pub(super) mod cors;
pub(super) mod database;
pub(super) mod dynamic_component;
pub(super) mod engine;
pub(super) mod file_server;
pub(super) mod health;
pub(super) mod http_router;
pub(super) mod http_server;
pub(super) mod kafka;
pub(super) mod messaging_handler;
pub(super) mod metrics;
pub(super) mod operator_api;
pub(super) mod persistence_store;
pub(super) mod processing_step;
pub(super) mod provenance;
pub(super) mod rate_limit;
pub(super) mod request_id;
pub(super) mod simple_proxy;

/// Why a module's settings could not be decoded although they fit the schema.
type DecodeError = serde_path_to_error::Error<serde_json::Error>;

macro_rules! module_types {
    ($($(#[$doc:meta])* $file:ident :: $variant:ident,)*) => {
        /// Settings of a module by its type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Settings {
            $($(#[$doc])* $variant(Box<$file::$variant>),)*
        }

        impl Settings {
            /// Names of all module types.
            pub const TYPES: &[&str] = &[$(<$file::$variant as ModuleType>::TYPE),*];

            /// For each type, those of which a process has one at most together with it.
            pub(super) const SINGLE: &[&[&str]] = &[$(<$file::$variant as ModuleType>::ONE_OF),*];

            /// Name of its type.
            #[must_use]
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$file::$variant as ModuleType>::TYPE,)* }
            }

            /// The settings as what they are.
            pub(super) fn as_any(&self) -> &dyn Any {
                match self { $(Self::$variant(settings) => settings.as_ref(),)* }
            }

            /// Adds what they mean to a plan, see [`ModuleType::resolve`].
            pub(super) fn resolve(&self, at: At<'_>, context: &Context<'_>, draft: &mut Draft, findings: &mut Findings) -> Runs {
                match self { $(Self::$variant(settings) => settings.resolve(at, context, draft, findings),)* }
            }

            /// `None`: there is no such type.
            fn decode(type_name: &str, config: Value) -> Option<Result<Self, DecodeError>> {
                $(if type_name == <$file::$variant as ModuleType>::TYPE {
                    return Some(serde_path_to_error::deserialize(config).map(Self::$variant));
                })*
                None
            }

            fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
                vec![$((<$file::$variant as ModuleType>::TYPE, generator.subschema_for::<$file::$variant>())),*]
            }
        }
    };
}

module_types! {
    /// Listens.
    http_server::HttpServer,
    /// Groups the routes.
    http_router::HttpRouter,
    /// Answers preflights.
    cors::Cors,
    /// Gives each request an id.
    request_id::RequestId,
    /// Slows a client down.
    rate_limit::RateLimit,
    /// Asks for a token.
    auth_middleware::AuthMiddleware,
    /// Users and tokens.
    auth_jwt::AuthJwt,
    /// A resource.
    api_handler::ApiHandler,
    /// Runs the state machines.
    engine::StateMachineEngine,
    /// The database.
    database::Database,
    /// What is kept in it.
    persistence_store::PersistenceStore,
    /// A sandboxed component.
    dynamic_component::DynamicComponent,
    /// A component's answer moves an instance.
    processing_step::ProcessingStep,
    /// The embedded bus.
    broker::Broker,
    /// Apache Kafka.
    kafka::Kafka,
    /// Reacts to events.
    messaging_handler::MessagingHandler,
    /// `/metrics`.
    metrics::MetricsCollector,
    /// Health endpoints.
    health::HealthChecker,
    /// What is for those who run the process.
    operator_api::OperatorApi,
    /// Web files.
    file_server::FileServer,
    /// A reverse proxy.
    simple_proxy::SimpleProxy,
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

impl<'de> Deserialize<'de> for Module {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Raw {
            name: String,
            #[serde(rename = "type")]
            type_name: String,
            #[serde(default)]
            config: Value,
            #[serde(default)]
            depends_on: Vec<String>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let settings = Settings::decode(&raw.type_name, raw.config).transpose().map_err(|e| {
            let at = e.path().to_string();
            serde::de::Error::custom(format!("config.{at}: {}", e.into_inner()))
        })?;
        Ok(Self { name: raw.name, settings, depends_on: raw.depends_on })
    }
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
