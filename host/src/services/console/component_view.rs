//! What the console shows of components.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::runtime::{ActiveVersion, Limits};

/// All components.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ComponentList {
    /// By name.
    pub items: Vec<ComponentBody>,
}

/// How a component is doing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Component")]
pub struct ComponentBody {
    /// Its name.
    pub name: String,
    /// Its file.
    pub source: String,
    /// SHA-256 of the version that serves, in hex; null while none does.
    pub digest: Option<String>,
    /// What that version calls itself.
    pub version: Option<String>,
    /// Bytes of its file.
    pub bytes: Option<u64>,
    /// Since when it serves.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub since: Option<Timestamp>,
    /// It can undo a run that gave no answer.
    pub reversible: bool,
    /// Why the file that is there now is not taken.
    pub refused: Option<String>,
    /// `closed`, `half open` or `open`.
    pub breaker: &'static str,
    /// Runs that have a place.
    pub running: u64,
    /// Runs that wait for one.
    pub waiting: u64,
    /// Runs since the start of the process, of all versions.
    pub runs: u64,
    /// The same by how they ended.
    pub outcomes: BTreeMap<String, u64>,
    /// Half of the runs of the version that serves took this long at most; null before the first.
    pub p50_seconds: Option<f64>,
    /// And so long did 95 of a hundred.
    pub p95_seconds: Option<f64>,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentDetail {
    /// As in the list.
    #[serde(flatten)]
    pub body: ComponentBody,
    /// What it says that it does.
    pub summary: Option<String>,
    /// JSON Schema of its settings.
    pub config_schema: Value,
    /// Versions that are ready to serve at once, those that served last first; then those that were uploaded, newest first.
    pub versions: Vec<VersionBody>,
    /// How much a run may use.
    pub limits: Option<LimitsBody>,
    /// Services that it may call.
    pub grants: Vec<GrantBody>,
    /// Names of the values that it may read.
    pub config_keys: Vec<String>,
}

/// A version of a component.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ComponentVersion")]
pub struct VersionBody {
    /// SHA-256 of its file, in hex.
    pub digest: String,
    /// The name that it describes itself by.
    pub name: String,
    /// What it calls itself.
    pub version: String,
    /// What it says that it does.
    pub summary: String,
    /// Bytes of its file.
    pub bytes: u64,
    /// It can undo a run that gave no answer.
    pub reversible: bool,
    /// It serves or has served since the start of the process. Another one was only uploaded.
    pub served: bool,
}

impl VersionBody {
    pub(super) fn new(about: ActiveVersion, served: bool) -> Self {
        let ActiveVersion { digest, name, version, summary, size, reversible, .. } = about;
        Self { digest, name, version, summary, bytes: size, reversible, served }
    }
}

/// How much one run may use.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ComponentLimits")]
pub struct LimitsBody {
    /// Bytes of all memories and tables together.
    pub memory_bytes: u64,
    /// Time that it computes.
    pub cpu_seconds: f64,
    /// Calls of the host.
    pub host_calls: u32,
    /// Bytes of an answer.
    pub answer_bytes: u64,
}

impl From<&Limits> for LimitsBody {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes as u64,
            cpu_seconds: limits.cpu.as_secs_f64(),
            host_calls: limits.host_calls,
            answer_bytes: limits.answer_bytes as u64,
        }
    }
}

/// A service that a component may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Grant")]
pub struct GrantBody {
    /// Name by which it asks.
    pub service: String,
    /// Where that is.
    pub target: String,
    /// Names of the headers that the host adds.
    pub headers: Vec<String>,
}
