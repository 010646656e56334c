//! Settings of components and of the steps that run them.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value};

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
    /// Which component is meant; a file with another one is refused. Without a `name` here, a new version of the file must describe itself by
    /// the name of the version before.
    #[serde(default)]
    pub expect: ExpectSettings,
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

/// Which component is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectSettings {
    /// The name that it gives itself in `describe`, whatever its version.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Exactly this file, by its SHA-256: `sha256:` and 64 hexadecimal digits, as `sha256sum` prints it and every history names it.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"), extend("x-expected" = "sha256: and 64 digits 0-9 or a-f, as `sha256sum` prints them"))]
    pub digest: Option<String>,
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
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
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
