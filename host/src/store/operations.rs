//! What an operator and the process itself ask of a database: what waits, how it goes, what may be forgotten, copies.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{AuditEntry, FieldChange, Resource, Sighted, Sought, StepRun, StoreError};

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
    /// Reservations that have ended, counted from their end; not while a run of the resource of that id is not done. Whoever comes late
    /// with the key of one that is forgotten begins a new one.
    Reservations,
}

impl Prunable {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Events, Self::Inbox, Self::Runs, Self::IdempotencyKeys, Self::Reservations];

    /// What metrics and logs call them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Inbox => "inbox",
            Self::Runs => "runs",
            Self::IdempotencyKeys => "idempotency_keys",
            Self::Reservations => "reservations",
        }
    }
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
    /// Timers and ready runs whose time has come; those of held instances aside.
    pub due: u64,
    /// Instances that are held.
    pub held: u64,
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

/// Is told of a transaction that was committed: its units, and how long it took.
pub type CommitObserver = Box<dyn Fn(usize, Duration) + Send + Sync>;

/// For who looks after the database, and tells how it goes.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// Remembers the last good digests of components, all of them or none: pairs of a component's name and a digest.
    async fn put_components(&self, versions: &[(String, String)]) -> Result<(), StoreError>;
    /// Last good digests by component.
    async fn components(&self) -> Result<Vec<(String, String)>, StoreError>;

    /// Forgets `what` was written before `before`, a stretch of rows at a time, so that nobody who writes waits for long; returns how many
    /// rows went.
    async fn prune(&self, what: Prunable, before: Timestamp) -> Result<u64, StoreError>;
    /// Finished instances of `kind` of which nothing goes on, that ask for nobody's attention, and that last changed before `before`, by the
    /// steady time, and before every event that waits to be published: those created first, after the one that was created at `after` with
    /// that id, at most `limit`. One that was created at a date later than its age allows is left for later.
    async fn finished(
        &self,
        kind: &str,
        before: Timestamp,
        after: Option<(Timestamp, String)>,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError>;
    /// Removes these instances of `kind`, by id and version, with all that belongs to them: history, ended runs, the reservation of that key
    /// that has ended. One that is at another version, or of which something goes on, stays. Returns how many went.
    async fn forget_finished(&self, kind: &str, instances: &[(String, u64)]) -> Result<u64, StoreError>;
    /// Gives keys to some resources that were written before this store was to find them by these; false when none lacks any. Until then a
    /// search does not find all of them.
    async fn give_keys(&self) -> Result<bool, StoreError>;
    /// Whether it is for this process to forget what is old and to archive, of all that have the database: one is enough for that.
    fn keeps_house(&self) -> bool {
        true
    }
    /// Gives room that was pruned back to the file system, if there is much of it, in small steps; returns how many bytes.
    async fn give_back(&self) -> Result<u64, StoreError>;

    /// The instances that somebody looks for, see [`Sought`].
    async fn find(&self, sought: &Sought) -> Result<Sighted, StoreError>;
    /// How many they are, and whether that is all of them: it is counted up to the limit, and only what is looked at; where they start does not
    /// count.
    async fn count(&self, sought: &Sought) -> Result<(u64, bool), StoreError>;
    /// What the transitions of an instance from `from` on and before `before` have changed, by their number, the newest first, `limit` at most.
    /// Transitions that have changed nothing are not among them.
    async fn changes(&self, kind: &str, id: &str, between: (u64, u64), limit: usize) -> Result<Vec<(u64, Vec<FieldChange>)>, StoreError>;
    /// Kinds of resources that there are, in alphabetical sequence.
    async fn kinds(&self) -> Result<Vec<String>, StoreError>;
    /// Up to `limit` runs that were set aside, those that were due first first.
    async fn set_aside(&self, limit: usize) -> Result<Vec<StepRun>, StoreError>;
    /// Makes a run ready that was set aside, due at once and with no crash to its account, and writes `audit` of it; false if there is none of
    /// that key.
    async fn release_run(&self, key: &str, audit: Option<AuditEntry>) -> Result<bool, StoreError>;

    /// What waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
    /// Writes next to nothing, durably: tells whether anything can be written now.
    async fn try_write(&self) -> Result<(), StoreError>;
    /// The last time that writes were refused for want of room or the like, if it happened since the store was opened.
    fn refused(&self) -> Option<Refused>;
    /// The room it takes and has; `None` for a store without a file.
    fn space(&self) -> std::io::Result<Option<Space>>;
    /// How the commits go.
    fn commit_stats(&self) -> CommitStats;

    /// Has `observe` told of every transaction that was committed. It is called on the thread that writes, so it must be quick. Only
    /// the first one that is given is told.
    fn on_commit(&self, observe: CommitObserver);
    /// Resolves with the reason once nothing can be written any more; the process should then end and be started again.
    /// Never resolves otherwise, not even after [`Operations::close`].
    async fn failed(&self) -> String;
    /// Waits until whatever writes has come to this question, however much is before it, or has ended.
    async fn answers(&self);

    /// Writes a consistent copy to `path`, which must not exist.
    async fn backup(&self, path: &Path) -> Result<(), StoreError>;
    /// Waits for what is under way and closes; later calls fail.
    async fn close(&self);
}
