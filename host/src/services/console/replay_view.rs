//! What is asked and told of attempts that are made again.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::store::Object;

/// Which attempt is made again, and on which version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "ReplayRequest")]
pub struct ReplayBody {
    /// Key of its run.
    pub run: String,
    /// Which attempt; the last that is recorded if not given.
    pub attempt: Option<u32>,
    /// SHA-256 of the version, in hex; the one that ran if not given.
    pub digest: Option<String>,
    /// On the version that serves now, if no digest is given.
    pub now: Option<bool>,
}

/// Attempts that can be made again.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "RecordingList")]
pub struct RecordingList {
    /// The newest first.
    pub items: Vec<RecordingBody>,
}

/// An attempt that can be made again.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Recording")]
pub struct RecordingBody {
    /// Name of the component.
    pub component: String,
    /// Key of its run.
    pub run: String,
    /// Which attempt it was.
    pub attempt: u32,
    /// Kind of the resource.
    pub kind: String,
    /// Id of the instance.
    pub instance: String,
    /// Name of the step.
    pub step: String,
    /// When it ended.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// SHA-256 of the version that ran, in hex.
    pub digest: String,
    /// `accepted`, `rejected`, `transient`, `permanent`, or `broken` if something ended it.
    pub outcome: &'static str,
    /// Why not, for a person.
    pub reason: Option<String>,
    /// Everything that it found was kept.
    pub complete: bool,
}

/// What an attempt came to when it was made again.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ReplayResult")]
pub struct ReplayResult {
    /// The attempt.
    pub recording: RecordingBody,
    /// SHA-256 of the version that it was made again on, in hex.
    pub digest: String,
    /// The answers are the same, byte for byte.
    pub same: bool,
    /// Everything that the attempt found was kept, so this one has found the same.
    pub complete: bool,
    /// Where the answers differ, as far as they are shown.
    pub differences: Vec<Change>,
    /// What was answered then.
    pub then: SaidBody,
    /// What is answered now.
    pub now: SaidBody,
}

/// One place in which two answers differ.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ReplayChange")]
pub struct Change {
    /// JSON pointer into the answer, such as `/outcome` or `/results/total`.
    pub at: String,
    /// What was there; null if nothing.
    pub then: Value,
    /// What is there now; null if nothing.
    pub now: Value,
}

/// An answer, without what is private.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ReplayAnswer")]
pub struct SaidBody {
    /// `accepted`, `rejected`, `transient`, `permanent`, or `broken` if something ended it.
    pub outcome: &'static str,
    /// Why not, for a person.
    pub reason: Option<String>,
    /// The same for programs, of what was rejected.
    pub code: Option<String>,
    /// What it would add to the data; null if it is no object.
    pub results: Option<Object>,
}
