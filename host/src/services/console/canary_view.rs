//! What is asked and told of canaries.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::services::engine::canary::Tally;

/// A version that is to run a share of a component's new visits, and by what it is judged.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CanaryRequest")]
pub struct CanaryBody {
    /// SHA-256 of the version, in hex.
    pub digest: String,
    /// Percent of the new visits.
    #[schemars(range(min = 1, max = 50))]
    pub share: u8,
    /// It ends after so many runs of the version; after 50 if neither this nor `seconds` is given, and after whatever is first if both are.
    #[schemars(range(min = 10, max = 10_000))]
    pub runs: Option<u32>,
    /// It ends after so many seconds, a week at most.
    #[schemars(range(min = 1, max = 604_800))]
    pub seconds: Option<u32>,
    /// Failures, and rejections, beyond those that the version that serves would have had in as many runs, that are forgiven; 1 if not given.
    #[schemars(range(max = 10_000))]
    pub max_failures: Option<u32>,
    /// How many times as long as on the version that serves 95 of a hundred runs may take; 2 if not given.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_slowdown: Option<f64>,
    /// Why; it is written down with who it was.
    pub reason: String,
}

/// Why a canary is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StopRequest")]
pub struct StopBody {
    /// Why; it is written down with who it was.
    pub reason: String,
}

/// The last canary of a component.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Canary")]
pub struct CanaryAnswer {
    /// Name of the component.
    pub component: String,
    /// Nothing if there was none since the start of the process.
    pub canary: Option<CanaryView>,
}

/// A canary, running or ended.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CanaryState")]
pub struct CanaryView {
    /// `running`, `ending`, `taken`, `thrown_out`, `stopped` or `replaced`.
    pub state: &'static str,
    /// Why it is to end, or has ended.
    pub reason: Option<String>,
    /// SHA-256 of the version that is tried, in hex.
    pub digest: String,
    /// What that version calls itself.
    pub version: String,
    /// SHA-256 of the version that served when it began, in hex.
    pub against: String,
    /// Percent of the new visits.
    pub share: u8,
    /// It ends after so many runs.
    pub runs: Option<u32>,
    /// It ends at this time.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
    /// Failures that are forgiven.
    pub max_failures: u32,
    /// How many times as long its runs may take.
    pub max_slowdown: f64,
    /// Runs of the version that is tried.
    pub candidate: TallyView,
    /// Runs of the version that served, since it began.
    pub serving: TallyView,
}

/// How the runs of one version ended.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "CanaryRuns")]
pub struct TallyView {
    /// All of them.
    pub runs: u64,
    /// The component did it.
    pub accepted: u64,
    /// The business said no.
    pub rejected: u64,
    /// Anything else.
    pub failed: u64,
    /// Seconds that 95 of a hundred took at most; null before the first.
    pub p95_seconds: Option<f64>,
}

impl From<&Tally> for TallyView {
    fn from(tally: &Tally) -> Self {
        let Tally { runs, rejected, failed, .. } = *tally;
        Self { runs, accepted: runs.saturating_sub(rejected + failed), rejected, failed, p95_seconds: tally.p95() }
    }
}
