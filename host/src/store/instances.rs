//! What moves instances: runs, timers, and the definitions that they began with.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, Hold, Progress, Resources, StoreError, WaitingEvent};

/// Where a step run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Waiting to be claimed at or after `due_at`.
    Ready,
    /// Claimed by `owner`; becomes ready again when that process is gone.
    Running,
    /// Ended, its result is part of the state.
    Done,
    /// Set aside until a person looks at it: it killed the process too often, or can never work.
    Quarantined,
    /// Set aside because the config of this process does not name what it needs; ready again at the next start.
    Stranded,
}

/// One start of a step or a task. `(kind, id, name, visit, seq)` decides its [`StepRun::key`], which is unique.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// Idempotency key, `<instance>:<step>:<visit>`; the primary key of the run.
    pub key: String,
    /// Kind of the resource.
    pub resource_kind: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Name of the workflow; empty when there is none.
    pub workflow: String,
    /// Step or task.
    pub kind: millrace_workflow::RunKind,
    /// Name of the step; for a task, of the component or messaging handler.
    pub name: String,
    /// Component to run.
    pub component: String,
    /// Which start of the step it is, from 1.
    pub visit: u32,
    /// Attempt to make next, or being made, from 1.
    pub attempt: u32,
    /// Transition that started it.
    pub transition: String,
    /// State left by that transition.
    pub from_state: String,
    /// State entered by that transition.
    pub to_state: String,
    /// JSON object to work on instead of the resource's data: the run belongs to an event, not to what the resource is now. For an
    /// undo, what the step's last attempt said: it takes effect when the undo is done.
    pub input: Option<Arc<str>>,
    /// Where it stands.
    pub status: RunStatus,
    /// Process that claimed it: the store's epoch, see [`Instances::epoch`](super::Instances::epoch).
    pub owner: Option<u64>,
    /// Grows with every claim; a result with an older fence is discarded.
    pub fence: u64,
    /// How many processes died while running it.
    pub crashes: u32,
    /// Not before this time, by the steady time ([`Clock::steady`](crate::clock::Clock::steady)).
    pub due_at: Timestamp,
    /// Text of the last failure.
    pub last_error: Option<String>,
    /// W3C trace context of the event that it belongs to; without one it is part of the resource's trace.
    pub traceparent: Option<Arc<str>>,
}

/// What has started a run: a transition of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedBy {
    /// Kind of the resource.
    pub resource_kind: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Name of the workflow; empty when there is none.
    pub workflow: String,
    /// Name of the transition.
    pub transition: String,
    /// State left by it.
    pub from_state: String,
    /// State entered by it.
    pub to_state: String,
}

impl StepRun {
    /// The run `key` before its first attempt, as `kind` of the step or handler `name`, which `component` does: ready from `due_at` on.
    #[must_use]
    pub fn first(key: String, by: StartedBy, kind: millrace_workflow::RunKind, (name, component): (&str, &str), due_at: Timestamp) -> Self {
        let StartedBy { resource_kind, resource_id, workflow, transition, from_state, to_state } = by;
        Self {
            key,
            resource_kind,
            resource_id,
            workflow,
            kind,
            name: name.to_owned(),
            component: component.to_owned(),
            visit: 1,
            attempt: 1,
            transition,
            from_state,
            to_state,
            input: None,
            status: RunStatus::Ready,
            owner: None,
            fence: 0,
            crashes: 0,
            due_at,
            last_error: None,
            traceparent: None,
        }
    }

    /// Where it stands in line.
    #[must_use]
    pub fn line(&self) -> Line {
        Line { component: self.component.clone(), again: self.is_again() }
    }

    /// Whether an attempt at it was made before, in this visit or in one before; each event is a first visit of its handler's task.
    #[must_use]
    pub fn is_again(&self) -> bool {
        self.attempt > 1 || (self.kind == millrace_workflow::RunKind::Step && self.visit > 1)
    }
}

/// Ready runs that are claimed one after the other: those of one component, first attempts apart from all others, so that none of
/// them is behind runs of another kind however many of these there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// Component to run.
    pub component: String,
    /// Those that were attempted before, see [`StepRun::is_again`].
    pub again: bool,
}

/// A durable timer. All timers of a resource are replaced by each commit that changes its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// Kind of the resource.
    pub resource_kind: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Transition to fire.
    pub transition: String,
    /// Version of the instance when it was started.
    pub version: u64,
    /// When to fire, by the steady time.
    pub due_at: Timestamp,
}

/// Unfinished instances of one kind that began with one definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedTo {
    /// Their workflow.
    pub workflow: String,
    /// Digest of the definition.
    pub definition: String,
    /// Kind of the resources.
    pub kind: String,
    /// How many they are.
    pub instances: u64,
}

/// For who moves instances, which are resources that a workflow moves: their runs, their timers and their definitions.
#[async_trait]
pub trait Instances: Resources {
    /// Identifies this process among all that ever opened the store; grows with each.
    fn epoch(&self) -> u64;

    /// Tells this store from every other; the same each time it is opened, and in its copies.
    fn identity(&self) -> &str;

    /// How far an instance has come; `None` if it is not there, or no workflow moves it.
    async fn progress(&self, kind: &str, id: &str) -> Result<Option<Progress>, StoreError>;

    /// Claims up to `limit` ready runs of a line that are due, oldest first: `Running`, this epoch, fence + 1. Those of held instances stay.
    async fn claim_runs(&self, line: &Line, now: Timestamp, limit: usize) -> Result<Vec<StepRun>, StoreError>;
    /// Claims the run of this key whenever it is due; `None` unless it is ready or stranded.
    async fn claim_run(&self, key: &str) -> Result<Option<StepRun>, StoreError>;
    /// The lines in which ready runs stand, in alphabetical sequence, and when the first of each is due; those of held instances aside.
    async fn lines(&self) -> Result<Vec<(Line, Timestamp)>, StoreError>;
    /// The runs that this store's epoch has claimed and not settled.
    async fn claimed(&self) -> Result<Vec<StepRun>, StoreError>;
    /// All runs of a resource, oldest first.
    async fn runs(&self, kind: &str, id: &str) -> Result<Vec<StepRun>, StoreError>;
    /// Makes every `Running` run of a process that is gone `Ready` at once, adding one crash to those whose key is in `crashed`; a run
    /// with `park_after` crashes or more becomes `Parked` instead, and is returned. Makes every `Stranded` run `Ready`: what it needs
    /// may be there now.
    async fn recover_runs(&self, crashed: &[String], park_after: u32) -> Result<Vec<StepRun>, StoreError>;
    /// Makes all runs of a component that were set aside ready again. Returns how many.
    async fn release_quarantined(&self, component: &str) -> Result<u64, StoreError>;
    /// Makes the ready runs of a component due at once, whatever they wait for. Returns how many were not.
    async fn wake(&self, component: &str) -> Result<u64, StoreError>;

    /// Up to `limit` timers that are due, earliest first; those of instances aside that are held or for which events wait. They stay until their
    /// resource's state changes. Of several processes that have the database each has its share.
    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError>;
    /// The timers of a resource, earliest first.
    async fn timers(&self, kind: &str, id: &str) -> Result<Vec<Timer>, StoreError>;
    /// When the next timer is due; those of instances aside that are held or for which events wait.
    async fn next_timer_due(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Removes one timer that turned out to be stale.
    async fn drop_timer(&self, timer: &Timer) -> Result<(), StoreError>;

    /// Holds an unfinished instance, anew if it is held already, and writes `audit` of it; false if there is none. It ends with the instance.
    async fn hold(&self, kind: &str, id: &str, hold: Hold, audit: Option<AuditEntry>) -> Result<bool, StoreError>;
    /// Lets a held instance go on, and writes `audit` of it; false if it is not held.
    async fn let_go(&self, kind: &str, id: &str, audit: Option<AuditEntry>) -> Result<bool, StoreError>;
    /// The hold of an instance.
    async fn held(&self, kind: &str, id: &str) -> Result<Option<Hold>, StoreError>;
    /// Kind and id of each instance that is held, in that sequence.
    async fn holds(&self) -> Result<Vec<(String, String)>, StoreError>;
    /// Has an event wait for its instance, with its row in the inbox; false, and nothing is written, if that is not held and nothing else waits
    /// for it. Fails with [`Conflict::Duplicate`](super::Conflict::Duplicate) if it was handled or waits already. Its number is not looked at.
    async fn let_wait(&self, event: WaitingEvent) -> Result<bool, StoreError>;
    /// Up to `limit` events that wait for an instance, in the sequence in which they came.
    async fn waiting(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<WaitingEvent>, StoreError>;
    /// For how many events each instance is waited for, by kind and id, in that sequence. Looks at all of them: for the start.
    async fn waiting_counts(&self) -> Result<Vec<(String, String, u64)>, StoreError>;
    /// Takes a waiting event away that no longer fits; false if it does not wait.
    async fn drop_waiting(&self, number: u64) -> Result<bool, StoreError>;
    /// Makes the runs of an instance due at once that wait, and those that were set aside ready. Returns how many were not,
    /// and writes `audit` if there were any.
    async fn hurry(&self, kind: &str, id: &str, audit: Option<AuditEntry>) -> Result<u64, StoreError>;

    /// Keeps a machine's definition under its digest (idempotent).
    async fn put_machine(&self, digest: &str, definition: &millrace_workflow::Definition) -> Result<(), StoreError>;
    /// The definition of that digest.
    async fn machine(&self, digest: &str) -> Result<Option<millrace_workflow::Definition>, StoreError>;
    /// Unfinished instances by workflow and state, in alphabetical sequence. Looks at each of them: for the start.
    async fn unfinished(&self) -> Result<Vec<(String, String, u64)>, StoreError>;
    /// Unfinished instances of a kind that are in one of `states`, by owner, in alphabetical sequence. Looks at each that is unfinished: for the start.
    async fn unfinished_by_owner(&self, kind: &str, states: &[String]) -> Result<Vec<(String, u64)>, StoreError>;
    /// Unfinished instances by workflow, digest of the definition they began with, and kind, in that sequence. Looks at each of them.
    async fn pinned(&self) -> Result<Vec<PinnedTo>, StoreError>;
}
