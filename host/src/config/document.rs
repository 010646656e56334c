//! A config as written: closed types, nothing resolved. Its schema is what `millrace schema` prints.

use schemars::JsonSchema;
use serde::Deserialize;

use super::modules::Module;
use super::sections::{Triggers, Workflows};

/// What this host can do, by the names that `requires.plugins` uses.
pub const CAPABILITIES: [&str; 8] = ["ai", "api", "auth", "messaging", "observability", "statemachine", "storage", "workflow-plugin-http"];

/// Modules that a config may have.
const MAX_MODULES: usize = 1000;

/// A whole file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Millrace configuration", extend("patternProperties" = {"^x-": true}))]
pub struct Document {
    /// What the host must be able to do.
    #[serde(default)]
    pub requires: Requires,
    /// The parts.
    #[schemars(length(max = MAX_MODULES))]
    pub modules: Vec<Module>,
    /// How they work together.
    #[serde(default)]
    pub workflows: Workflows,
    /// What starts and moves workflows.
    #[serde(default)]
    pub triggers: Triggers,
}

/// What the host must be able to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requires {
    /// Capabilities.
    #[serde(default)]
    pub plugins: Vec<Plugin>,
}

/// A capability of the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plugin {
    /// Its name.
    #[schemars(extend("enum" = CAPABILITIES, "x-noun" = "plugin"))]
    pub name: String,
    /// Accepted for configs that have it; the host has one version of each.
    pub version: Option<String>,
}
