//! What the console shows of what waits.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::services::ServiceError;

/// All that waits.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Waiting")]
pub struct WaitingBody {
    /// Runs that were set aside.
    pub parked: u64,
    /// The first hundred of them.
    pub runs: Vec<SetAside>,
    /// Events that nobody could take.
    pub dead_letters: LettersBody,
    /// Timers and runs whose time has come.
    pub due: u64,
    /// The timers that fire next; those of held instances aside.
    pub timers: Vec<DueBody>,
    /// Events that are not published yet.
    pub outbox: OutboxBody,
    /// Components that are left alone for a while.
    pub breakers: Vec<BreakerBody>,
    /// Instances that ask for a person.
    pub attention: u64,
    /// Instances that are held.
    pub held: u64,
}

/// A run that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetAside {
    /// Its idempotency key.
    pub key: String,
    /// Kind of its resource.
    pub kind: String,
    /// Id of its resource.
    pub id: String,
    /// Step, handler or component.
    pub name: String,
    /// Component to run.
    pub component: String,
    /// `quarantined` or `stranded`.
    pub status: &'static str,
    /// Attempt to make next.
    pub attempt: u32,
    /// Times that the process died in it.
    pub crashes: u32,
    /// Why.
    pub cause: String,
    /// The command that lets it go on.
    pub remedy: String,
}

/// Events that nobody could take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LettersBody {
    /// `database` or `kafka`; null without a bus.
    pub place: Option<&'static str>,
    /// As many as are listed.
    pub count: u64,
    /// The first hundred of them.
    pub items: Vec<LetterBody>,
    /// Why they cannot be listed, or not all of them.
    pub cause: Option<String>,
}

/// An event that nobody could take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LetterBody {
    /// Topic it belongs to.
    pub topic: String,
    /// Its number in the database, or its offset.
    pub offset: i64,
    /// Its key: the id of the resource.
    pub key: String,
    /// Id of the event, if it has one.
    pub event_id: Option<String>,
    /// Who gave it up.
    pub consumer: String,
    /// Why.
    pub cause: String,
    /// The command that sends it again.
    pub remedy: String,
}

/// A timer that fires soon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DueBody {
    /// Kind of its resource.
    pub kind: String,
    /// Id of its resource.
    pub id: String,
    /// Transition that it fires.
    pub transition: String,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub due_at: Timestamp,
}

/// Events that are not published yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutboxBody {
    /// So many.
    pub events: u64,
    /// How long the oldest has waited.
    pub oldest_seconds: Option<u64>,
    /// Why they wait, if that is known and not only because they are new.
    pub cause: Option<String>,
}

/// A component that is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BreakerBody {
    /// Name of the component.
    pub component: String,
    /// `open` or `half open`.
    pub state: &'static str,
    /// Why.
    pub cause: String,
    /// The command that tells more.
    pub remedy: String,
}

/// What is mended, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "MendRequest")]
pub struct MendBody {
    /// Why; it is written down with who it was.
    pub reason: String,
    /// Keys of runs that were set aside.
    #[serde(default)]
    pub keys: Vec<String>,
    /// All of them.
    #[serde(default)]
    pub all: bool,
    /// Topics of dead letters; all that there are if not given.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Of one topic, only up to the one with this offset.
    pub through: Option<i64>,
}

impl MendBody {
    /// Whether it says why.
    pub(super) fn check_reason(&self) -> Result<(), ServiceError> {
        if self.reason.trim().is_empty() {
            return Err(ServiceError::field("/reason", "is empty; say why, for those who look at it later"));
        }
        Ok(())
    }
}

/// What mending came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MendResult {
    /// Runs or dead letters.
    pub done: u64,
    /// Events that are sent again, of dead letters.
    pub events: Option<u64>,
    /// Dead letters that stay, because their events are not kept any more.
    pub left: u64,
    /// What could not be done, by topic.
    pub failed: Vec<String>,
}
