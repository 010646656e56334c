//! What the console shows of instances.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::store::{Found, HistoryRow, Hold, Object, RunStatus};

/// An instance as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "InstanceRow")]
pub struct InstanceRow {
    /// Kind of the resource, for example `returns`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Name of its workflow.
    pub workflow: String,
    /// Digest of the definition that it began with.
    pub definition: String,
    /// State.
    pub state: String,
    /// It has ended.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Grows with each change.
    pub version: u64,
    /// Id of the user it belongs to.
    pub owner: Option<String>,
    /// Why a person is asked to look at it.
    pub attention: Option<String>,
    /// Who has paused it, and why.
    pub held: Option<HoldBody>,
    /// When it was created.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_update: Timestamp,
}

/// A person's pause of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Hold")]
pub struct HoldBody {
    /// Who has paused it.
    pub who: String,
    /// Why.
    pub reason: String,
    /// Since when.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
}

impl From<Hold> for HoldBody {
    fn from(Hold { who, reason, at }: Hold) -> Self {
        Self { who, reason, at }
    }
}

/// One page of instances, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstancePage {
    /// The instances.
    pub items: Vec<InstanceRow>,
    /// Asks for the next page, as `cursor`; null on the last.
    pub next_cursor: Option<String>,
    /// How many there are of each workflow and state, whatever is looked for; of final states those that were reached since the start.
    pub states: Vec<StateCount>,
}

/// How many instances are in a state.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct StateCount {
    /// Name of the workflow.
    pub workflow: String,
    /// State.
    pub state: String,
    /// So many.
    pub count: u64,
}

/// How many instances a filter finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CountBody {
    /// So many.
    pub count: u64,
    /// There are more, which were not counted.
    pub more: bool,
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Instance")]
pub struct InstanceBody {
    /// As in the list.
    #[serde(flatten)]
    pub row: InstanceRow,
    /// Business data; private fields are there and hidden.
    pub data: Object,
    /// Its stays in states, the oldest first.
    pub stages: Vec<Stage>,
    /// The transitions that it has made, the oldest first.
    pub history: Vec<HistoryRow>,
    /// There is more history: what `historyBefore` asks for it with.
    pub history_next: Option<u64>,
    /// What these transitions have changed in the data, in their sequence. Of transitions that were made before the program kept this there is nothing.
    pub changes: Vec<ChangeBody>,
    /// Starts of steps and tasks, the oldest first; those that have ended are forgotten after a while.
    pub runs: Vec<RunBody>,
    /// Attempts that failed, the oldest first, as far as the process still has them: see `GET /operator/recordings`. The others are in the history.
    pub attempts: Vec<AttemptBody>,
    /// Timers that run.
    pub timers: Vec<TimerBody>,
    /// Events that came while somebody held it, in the sequence in which they will move it when it is released; at most 100.
    pub waiting: Vec<WaitingBody>,
    /// What happens next, in words.
    pub next: Vec<Following>,
    /// Transitions that may be fired by hand in its state.
    pub transitions: Vec<Fireable>,
    /// What may be done about it now, each with its command.
    pub actions: Vec<Offered>,
}

/// A stay in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Number of the transition by which it was entered.
    pub seq: u64,
    /// The state.
    pub state: String,
    /// Transition by which it was entered.
    pub transition: String,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub entered_at: Timestamp,
    /// When it was left; null while it lasts.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub left_at: Option<Timestamp>,
    /// Step whose answer is waited for there.
    pub step: Option<String>,
    /// Component whose answer ended it.
    pub component: Option<String>,
    /// Digest of the version that gave that answer.
    pub digest: Option<String>,
    /// Attempts that it took.
    pub attempts: Option<u32>,
    /// Why it was left: `accepted`, `rejected`, `failed`, `timer`, `api` and so on.
    pub outcome: Option<String>,
    /// What the component said when it did not accept.
    pub reason: Option<String>,
}

/// A field of the data that a transition has changed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "DataChange")]
pub struct ChangeBody {
    /// Number of the transition.
    pub seq: u64,
    /// Name of the field.
    pub field: String,
    /// What it held before.
    pub before: HeldBody,
    /// What it held after.
    pub after: HeldBody,
}

/// What a field holds at some time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FieldValue")]
pub struct HeldBody {
    /// `absent`: it is not there; `value`; `hidden`: something private; `left_out`: something private or too large to keep.
    pub is: &'static str,
    /// The value, if there is one to show.
    pub value: Option<serde_json::Value>,
}

/// One start of a step or a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Run")]
pub struct RunBody {
    /// Its idempotency key, which its component is given.
    pub key: String,
    /// `step`, `task` or `undo`.
    pub kind: &'static str,
    /// Name of the step, or of the handler or component.
    pub name: String,
    /// Component to run.
    pub component: String,
    /// Which start of the step it is.
    pub visit: u32,
    /// Attempt to make next, being made, or that ended it.
    pub attempt: u32,
    /// Attempts at most; null without end.
    pub of: Option<u32>,
    /// `ready`, `running`, `done`, `quarantined` or `stranded`.
    pub status: &'static str,
    /// When its next attempt is due, while it waits.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub due_at: Option<Timestamp>,
    /// Times that the process died in it.
    pub crashes: u32,
    /// Text of its last failure.
    pub last_error: Option<String>,
}

/// An attempt at a run that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Attempt")]
pub struct AttemptBody {
    /// Key of its run.
    pub run: String,
    /// Name of the step.
    pub step: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When it began; it may have waited for a place first.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub began_at: Timestamp,
    /// When it ended.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub ended_at: Timestamp,
    /// SHA-256 of the version that ran, in hex.
    pub digest: String,
    /// `transient`, `permanent`, or `broken` if something ended it.
    pub outcome: &'static str,
    /// Why, for a person.
    pub reason: Option<String>,
}

/// A timer that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Timer")]
pub struct TimerBody {
    /// Transition that it fires.
    pub transition: String,
    /// When.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub due_at: Timestamp,
    /// Which time it will be, from 1.
    pub time: u32,
    /// Times at most; null without end.
    pub of: Option<u32>,
}

/// An event that came while its instance was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "WaitingForRelease")]
pub struct WaitingBody {
    /// Transition that it asks for.
    pub transition: String,
    /// Id of the event.
    pub event: String,
    /// Consumer that has received it.
    pub consumer: String,
    /// When it came.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
}

/// A transition that may be fired by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fireable {
    /// Its name.
    pub transition: String,
    /// State that it enters.
    pub to: String,
}

/// Something that may be done about an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Offered {
    /// `retry`, `fire`, `hold`, `release` or `cancel`.
    pub action: &'static str,
    /// The command that does it.
    pub command: String,
}

/// Something that follows, or that keeps it from following.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Next")]
pub struct Following {
    /// `held`, `events`, `running`, `attempt`, `aside`, `breaker`, `timer`, `waits` or `end`.
    pub what: &'static str,
    /// For a person.
    pub text: String,
    /// When, if that is known.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub at: Option<Timestamp>,
}

/// As a list shows it; nothing if no workflow moves it.
pub(super) fn row(found: Found) -> Option<InstanceRow> {
    let Found { resource, hold } = found;
    let progress = resource.workflow?;
    Some(InstanceRow {
        kind: resource.kind,
        id: resource.id,
        workflow: progress.workflow,
        definition: progress.machine,
        state: resource.state,
        is_final: progress.finished,
        version: resource.version,
        owner: resource.owner,
        attention: progress.attention,
        held: hold.map(HoldBody::from),
        created_at: resource.created_at,
        last_update: resource.updated_at,
    })
}

/// As people and programs read it.
pub(super) fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Ready => "ready",
        RunStatus::Running => "running",
        RunStatus::Done => "done",
        RunStatus::Quarantined => "quarantined",
        RunStatus::Stranded => "stranded",
    }
}
