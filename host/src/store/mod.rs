//! What is durable: resources, their history, the runs and timers that move them, the outbox, users, stock.
//!
//! The seam between the services and a database. [`Store`] has two back ends, [`sqlite`] and [`memory`], and one conformance
//! suite that both pass. A back end knows rows and guards; it does not know what a transition is, who may see what, or
//! what an event means. Everything that belongs together is one [`Commit`], all of it or nothing.

pub mod memory;
pub mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A JSON object, the business data of a resource.
pub type Object = Map<String, Value>;

/// A resource of any kind (a product, a return), with or without a workflow. Identified by `(kind, id)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// What it is, the handler's `resourceName`, for example `products`.
    pub kind: String,
    /// Unique within its kind; at most 128 bytes.
    pub id: String,
    /// Id of the user it belongs to; `None` when it belongs to nobody (a product).
    pub owner: Option<String>,
    /// State of its workflow, or `active`.
    pub state: String,
    /// Grows by one with every change; a compare-and-set guard.
    pub version: u64,
    /// Business data.
    pub data: Arc<Object>,
    /// Present when a workflow moves it.
    pub workflow: Option<Progress>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where a resource stands in its workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Name of the workflow.
    pub workflow: String,
    /// Digest of the definition it began with; see [`Store::put_machine`].
    pub machine: String,
    /// The pure core's view of it.
    pub instance: millrace_workflow::Instance,
    /// Why a person should look at it, if one should.
    pub attention: Option<String>,
    /// The final state was reached.
    pub finished: bool,
    /// When, by the steady time, it leaves at the latest by these transitions, once it is in the state that they leave.
    pub deadlines: BTreeMap<String, Timestamp>,
    /// W3C trace context of the request that created it: whatever becomes of it, also after a restart, is part of that trace. Never changes.
    pub traceparent: Option<Arc<str>>,
}

/// One transition that was made. `(kind, id, seq)` is unique and `seq` has no gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HistoryEntry")]
pub struct HistoryRow {
    /// 1 for the first transition.
    pub seq: u64,
    /// State left.
    pub from: String,
    /// State entered.
    pub to: String,
    /// Name of the transition.
    pub transition: String,
    /// When it was made.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Why: the word of [`millrace_workflow::Cause`].
    pub cause: String,
    /// Component whose answer caused it, if one did.
    pub component: Option<String>,
    /// SHA-256 of the component's file, in hex, of the version that gave that answer.
    pub digest: Option<String>,
    /// Attempt of that answer, from 1.
    pub attempt: Option<u32>,
    /// What the component said when it did not accept, in words for a person.
    pub reason: Option<String>,
}

/// Something to tell the world, written in the same commit as what it tells about.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxRow {
    /// Set by the store, growing in the sequence of commits; 0 in a [`Commit`].
    pub position: u64,
    /// Globally unique, the CloudEvents `id`.
    pub event_id: String,
    /// Topic, for example `return.approved`.
    pub topic: String,
    /// Partition key: the id of the resource.
    pub key: String,
    /// History `seq` it is about; 0 for the creation.
    pub seq: u64,
    /// The whole event as JSON text (CloudEvents 1.0).
    pub payload: Arc<str>,
    /// W3C trace context of the work that caused it, if there was one.
    pub traceparent: Option<String>,
}

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
    Parked,
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
    /// Process that claimed it: the store's epoch, see [`Store::epoch`].
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

impl StepRun {
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

/// What must hold for the resource before a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// There is no such resource yet.
    Absent,
    /// It is at this version.
    Version(u64),
}

/// How the run whose answer this commit carries ends. The commit fails with [`Conflict::Fence`] unless the run is
/// `Running`, claimed by this store's epoch, with this fence.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// Which run.
    pub key: String,
    /// Fence it was claimed with.
    pub fence: u64,
    /// Its next status; `Ready` means another attempt.
    pub status: RunStatus,
    /// Attempt to make next (for `Ready`) or that ended it.
    pub attempt: u32,
    /// When the next attempt is due, by the steady time; ignored unless `Ready`.
    pub due_at: Timestamp,
    /// Text of the failure, if it failed.
    pub error: Option<String>,
}

/// An event's effect at a consumer, remembered so that it happens once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InboxRow {
    /// Name of the consumer (trigger or handler).
    pub consumer: String,
    /// Event it has handled.
    pub event_id: String,
}

/// An answered request that was sent with an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// User who sent it.
    pub user: String,
    /// The key of the header.
    pub key: String,
    /// Hash of the method, path and body.
    pub request_hash: String,
    /// Id of the resource that was created.
    pub resource_id: String,
}

/// Rows that are forgotten once they are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prunable {
    /// Events that are published: those that wait to be stay.
    Events,
    /// That an event was taken. Stays as long as an event is not published that was written before it.
    Inbox,
    /// Runs that have ended, of instances of which nothing goes on.
    Runs,
    /// Idempotency keys, with the resource that each has made.
    IdempotencyKeys,
}

impl Prunable {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Events, Self::Inbox, Self::Runs, Self::IdempotencyKeys];

    /// What metrics and logs call them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Inbox => "inbox",
            Self::Runs => "runs",
            Self::IdempotencyKeys => "idempotency_keys",
        }
    }
}

/// Everything that one decision makes durable, in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// The resource's next form, and what must hold before it is written. `None` when only a run or the inbox changes.
    /// Kind, id, owner and `created_at` stay what they were when it was created.
    pub change: Option<(Guard, Resource)>,
    /// Rows of history to add.
    pub history: Vec<HistoryRow>,
    /// Events to add to the outbox.
    pub outbox: Vec<OutboxRow>,
    /// Runs to add: `Ready` to be claimed, or `Running` with this store's epoch and fence 1 (claimed by who adds them).
    pub runs: Vec<StepRun>,
    /// The run whose answer this is.
    pub settled: Option<Settled>,
    /// Replaces all timers of the resource, if `change` is present.
    pub timers: Vec<Timer>,
    /// The event whose effect this is.
    pub inbox: Option<InboxRow>,
    /// The request that this answers.
    pub idempotency: Option<IdempotencyRow>,
}

/// A committed [`Commit`].
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// The outbox rows with their positions.
    pub outbox: Vec<OutboxRow>,
}

/// Why a commit did not happen although the store works: nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A resource of that kind and id exists already.
    #[error("{kind} '{id}' exists already")]
    Exists {
        /// Kind of the resource.
        kind: String,
        /// Id of the resource.
        id: String,
    },
    /// The resource is at another version, or gone.
    #[error("{kind} '{id}' has changed meanwhile")]
    Version {
        /// Kind of the resource.
        kind: String,
        /// Id of the resource.
        id: String,
    },
    /// The run was taken over or has ended.
    #[error("run '{key}' is no longer held with fence {fence}")]
    Fence {
        /// Which run.
        key: String,
        /// Fence of the late answer.
        fence: u64,
    },
    /// The event's effect is already there.
    #[error("event '{event_id}' was already handled by '{consumer}'")]
    Duplicate {
        /// Name of the consumer.
        consumer: String,
        /// Id of the event.
        event_id: String,
    },
    /// The idempotency key was used before; the row that is there.
    #[error("idempotency key was used before")]
    Idempotency(IdempotencyRow),
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The guard did not hold. Read again and decide again.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Something unique is taken: the field's name, for example `email`.
    #[error("{0} is taken")]
    Taken(&'static str),
    /// Not enough stock: nothing was reserved.
    #[error("not enough stock: {0:?}")]
    Short(Vec<Shortage>),
    /// Not now: disk full, too many waiting. Nothing was written; it may work later.
    #[error("the store cannot write now: {0}")]
    Unavailable(String),
    /// The store is broken or closed; the process should end and be started again.
    #[error("the store failed: {0}")]
    Fatal(String),
}

/// A person with a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// UUID v7.
    pub id: String,
    /// Name to show.
    pub name: String,
    /// Unique, however it is written: compared by [`crate::text::email_key`].
    pub email: String,
    /// PHC string of argon2id.
    pub password_hash: String,
    /// When they registered.
    pub created_at: Timestamp,
}

/// One line of a reservation: `quantity` units (1 or more) of the resource `sku`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockLine {
    /// Id of the stocked resource.
    pub sku: String,
    /// Units.
    pub quantity: u64,
}

/// Stock of one resource; `reserved <= on_hand` always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLevel {
    /// Id of the stocked resource.
    pub sku: String,
    /// Units in the warehouse, reserved ones included.
    pub on_hand: u64,
    /// Units that belong to a reservation.
    pub reserved: u64,
}

/// A line that could not be reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// Id of the stocked resource.
    pub sku: String,
    /// Units asked for.
    pub requested: u64,
    /// Units that were free.
    pub available: u64,
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    /// The units are set aside.
    Reserved,
    /// They were given back.
    Released,
    /// They have left the warehouse.
    Sold,
}

/// A message that could not be handled, kept so that it can be looked at and sent again.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Set by the store; 0 when adding.
    pub id: u64,
    /// Consumer that gave up.
    pub consumer: String,
    /// The event.
    pub event: OutboxRow,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Which resources to list, newest first (by `created_at`, then `id`, descending) or by id ascending.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Kind of the resource.
    pub kind: String,
    /// Only those of this user; `None` for all.
    pub owner: Option<String>,
    /// By id ascending instead of newest first.
    pub by_id: bool,
    /// Start after this `(created_at, id)` (newest first) or `id` (by id).
    pub after: Option<(Timestamp, String)>,
    /// At most this many.
    pub limit: usize,
}

/// What waits in the store, for metrics and health.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Backlog {
    /// Events not yet published.
    pub outbox: u64,
    /// When the oldest of them was written, by the steady time.
    pub oldest_outbox: Option<Timestamp>,
    /// Runs set aside, for whatever reason.
    pub parked: u64,
    /// Resources that ask for a person's attention.
    pub attention: u64,
    /// Timers that wait.
    pub timers: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Unfinished instances by workflow.
    pub active: Vec<(String, u64)>,
    /// Timers and ready runs whose time has come.
    pub due: u64,
    /// Components of runs that are set aside because the process died in them, in alphabetical sequence.
    pub quarantined: Vec<String>,
    /// By workflow, when by the steady time that unfinished instance last changed which has not changed for longest. Only the first
    /// [`OLDEST_LOOKED_AT`] that were created are looked at: what is stuck is sooner or later among them.
    pub oldest_active: Vec<(String, Timestamp)>,
}

/// Instances of a workflow that [`Backlog::oldest_active`] looks at, so that asking costs little however many there are.
pub const OLDEST_LOOKED_AT: usize = 1_000;

/// The room that a database takes and has, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Of its write-ahead log.
    pub wal: u64,
    /// Of its own file.
    pub file: u64,
    /// Free on its file system, for this user.
    pub free: u64,
    /// Of its file system.
    pub size: u64,
}

/// Writes that the store could not do, though it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why, in words: `database or disk is full`.
    pub reason: String,
    /// When it last happened, by the steady time.
    pub at: Timestamp,
}

/// How the commits go, for metrics. Counters grow for the life of the process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitStats {
    /// Transactions committed.
    pub commits: u64,
    /// Units (calls that write) they held.
    pub units: u64,
    /// Time spent in them, durable write included.
    pub busy: Duration,
}

/// A database. Every method may be called at any time from any task; writes are answered after they are durable.
///
/// A write that was begun happens or not as a whole even when the caller is dropped.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Identifies this process among all that ever opened the store; grows with each.
    fn epoch(&self) -> u64;

    /// Writes one decision. Concurrent callers share a transaction and cannot see each other's half.
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError>;

    /// One resource.
    async fn resource(&self, kind: &str, id: &str) -> Result<Option<Resource>, StoreError>;
    /// Some resources, see [`Listing`].
    async fn resources(&self, listing: &Listing) -> Result<Vec<Resource>, StoreError>;
    /// Removes a resource (and its stock) without a workflow; false when it was not there.
    async fn delete_resource(&self, kind: &str, id: &str, guard: Guard) -> Result<bool, StoreError>;
    /// History of a resource after `seq`, ascending, at most `limit` rows.
    async fn history(&self, kind: &str, id: &str, after: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError>;
    /// The last `limit` rows of its history before `seq`, ascending.
    async fn history_before(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError>;
    /// The answered request of that user and key.
    async fn idempotency(&self, user: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError>;

    /// Claims up to `limit` ready runs of a line that are due, oldest first: `Running`, this epoch, fence + 1.
    async fn claim_runs(&self, line: &Line, now: Timestamp, limit: usize) -> Result<Vec<StepRun>, StoreError>;
    /// Claims the run of this key whenever it is due; `None` unless it is ready.
    async fn claim_run(&self, key: &str) -> Result<Option<StepRun>, StoreError>;
    /// The lines in which ready runs stand, in alphabetical sequence, and when the first of each is due.
    async fn lines(&self) -> Result<Vec<(Line, Timestamp)>, StoreError>;
    /// The runs that this store's epoch has claimed and not settled.
    async fn claimed(&self) -> Result<Vec<StepRun>, StoreError>;
    /// All runs of a resource, oldest first.
    async fn runs(&self, kind: &str, id: &str) -> Result<Vec<StepRun>, StoreError>;
    /// Makes every `Running` run of an older epoch `Ready` at once, adding one crash to those whose key is in `crashed`; a run
    /// with `park_after` crashes or more becomes `Parked` instead, and is returned. Makes every `Stranded` run `Ready`: what it needs
    /// may be there now.
    async fn recover_runs(&self, crashed: &[String], park_after: u32) -> Result<Vec<StepRun>, StoreError>;
    /// Makes all runs of a component that were set aside ready again. Returns how many.
    async fn unpark(&self, component: &str) -> Result<u64, StoreError>;
    /// Makes the ready runs of a component due at once, whatever they wait for. Returns how many were not.
    async fn hasten(&self, component: &str) -> Result<u64, StoreError>;

    /// Up to `limit` timers that are due, earliest first. They stay until their resource's state changes.
    async fn due_timers(&self, now: Timestamp, limit: usize) -> Result<Vec<Timer>, StoreError>;
    /// The timers of a resource, earliest first.
    async fn timers(&self, kind: &str, id: &str) -> Result<Vec<Timer>, StoreError>;
    /// When the next timer is due.
    async fn next_timer_due(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Removes one timer that turned out to be stale.
    async fn drop_timer(&self, timer: &Timer) -> Result<(), StoreError>;

    /// Up to `limit` events after `position` that are not yet published, in sequence.
    async fn unpublished(&self, after: u64, limit: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// How many events are not yet published.
    async fn unpublished_count(&self) -> Result<u64, StoreError>;
    /// Remembers that these positions were published.
    async fn mark_published(&self, positions: &[u64]) -> Result<(), StoreError>;
    /// Makes events written at or after `since` unpublished again; returns how many.
    async fn republish(&self, since: Timestamp) -> Result<u64, StoreError>;
    /// Forgets `what` was written before `before`, a stretch of rows at a time, so that nobody who writes waits for long; returns how many
    /// rows went.
    async fn prune(&self, what: Prunable, before: Timestamp) -> Result<u64, StoreError>;
    /// Gives room that was pruned back to the file system, if there is much of it, in small steps; returns how many bytes.
    async fn give_back(&self) -> Result<u64, StoreError>;

    /// Whether the effect of that event at that consumer is there.
    async fn handled(&self, row: &InboxRow) -> Result<bool, StoreError>;
    /// Keeps a message that could not be handled.
    async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError>;
    /// Dead letters, oldest first.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError>;
    /// Removes a dead letter; false when it was not there.
    async fn drop_dead_letter(&self, id: u64) -> Result<bool, StoreError>;

    /// Adds a user; [`StoreError::Taken`] when the e-mail is.
    async fn add_user(&self, user: User) -> Result<(), StoreError>;
    /// Changes name and e-mail of a user; [`StoreError::Taken`] when the e-mail is. `None` when there is no such user.
    async fn update_user(&self, id: &str, name: Option<&str>, email: Option<&str>) -> Result<Option<User>, StoreError>;
    /// A user by id.
    async fn user(&self, id: &str) -> Result<Option<User>, StoreError>;
    /// A user by e-mail, however it is written.
    async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;

    /// Sets the units on hand of a stocked resource unless it has a level already (seeding, and idempotent).
    async fn init_stock(&self, sku: &str, on_hand: u64) -> Result<(), StoreError>;
    /// Sets the units on hand; fails with [`StoreError::Short`] below what is reserved.
    async fn set_stock(&self, sku: &str, on_hand: u64) -> Result<(), StoreError>;
    /// Levels of all stocked resources, by sku.
    async fn stock(&self) -> Result<Vec<StockLevel>, StoreError>;
    /// Level of one.
    async fn stock_of(&self, sku: &str) -> Result<Option<StockLevel>, StoreError>;
    /// Reserves all lines or nothing. Idempotent by `key`: the same key and lines answer the status the reservation has
    /// now and change nothing; other lines are [`StoreError::Taken`]. An unknown sku is a shortage with 0 available.
    async fn reserve(&self, key: &str, lines: &[StockLine]) -> Result<ReservationStatus, StoreError>;
    /// Gives the units back (`Released`) or takes them from the warehouse (`Sold`), once; a reservation that has ended
    /// keeps its end, and that is what is returned. Releasing an unknown key records it as released, so that a late
    /// `reserve` finds it ended; `None` for selling an unknown key.
    async fn end_reservation(&self, key: &str, end: ReservationStatus) -> Result<Option<ReservationStatus>, StoreError>;

    /// Keeps a machine's definition under its digest (idempotent).
    async fn put_machine(&self, digest: &str, definition: &millrace_workflow::Definition) -> Result<(), StoreError>;
    /// The definition of that digest.
    async fn machine(&self, digest: &str) -> Result<Option<millrace_workflow::Definition>, StoreError>;
    /// Remembers the last good digest of a component.
    async fn put_component(&self, component: &str, digest: &str) -> Result<(), StoreError>;
    /// Last good digests by component.
    async fn components(&self) -> Result<Vec<(String, String)>, StoreError>;

    /// What waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
    /// Unfinished instances by workflow and state, in alphabetical sequence. Looks at each of them: for the start.
    async fn unfinished(&self) -> Result<Vec<(String, String, u64)>, StoreError>;
    /// Unfinished instances of a kind that are in one of `states`, by owner, in alphabetical sequence. Looks at each that is unfinished: for the start.
    async fn unfinished_by_owner(&self, kind: &str, states: &[String]) -> Result<Vec<(String, u64)>, StoreError>;
    /// Unfinished instances by workflow and digest of the definition they began with, in that sequence. Looks at each of them.
    async fn pinned(&self) -> Result<Vec<(String, String, u64)>, StoreError>;
    /// Writes next to nothing, durably: tells whether anything can be written now.
    async fn try_write(&self) -> Result<(), StoreError>;
    /// The last time that writes were refused for want of room or the like, if it happened since the store was opened.
    fn refused(&self) -> Option<Refused>;
    /// The room it takes and has; `None` for a store without a file.
    fn space(&self) -> std::io::Result<Option<Space>>;
    /// How the commits go.
    fn commit_stats(&self) -> CommitStats;
    /// Writes a consistent copy to `path`, which must not exist.
    async fn backup(&self, path: &std::path::Path) -> Result<(), StoreError>;
    /// Waits for what is under way and closes; later calls fail.
    async fn close(&self);
}

/// The lines of a reservation by sku: two lines of one sku are one of their sum.
fn merge_lines(lines: &[StockLine]) -> BTreeMap<String, u64> {
    let mut merged = BTreeMap::new();
    for line in lines {
        let quantity: &mut u64 = merged.entry(line.sku.clone()).or_default();
        *quantity = quantity.saturating_add(line.quantity);
    }
    merged
}
