//! Everything that one decision makes durable, and why it may not be.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    AuditEntry, FieldChange, HistoryRow, IdempotencyRow, InboxRow, KvRow, Object, OutboxRow, PriceRow, Resource, RunStatus, Shortage,
    StepRun, Stocking, Timer, WaitingEvent,
};

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

/// Another resource that a decision is about. It stays as it is, and its version grows by one: of two decisions about it that are made at
/// once, one finds it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Kind of the resource.
    pub kind: String,
    /// Id of the resource.
    pub id: String,
    /// The version it was decided on; the commit fails with [`Conflict::Version`] if it is at another one, or gone.
    pub version: u64,
}

/// Everything that one decision makes durable, in one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// The resource's next form, and what must hold before it is written. `None` when only a run or the inbox changes.
    /// Kind, id, owner and `created_at` stay what they were when it was created.
    pub change: Option<(Guard, Resource)>,
    /// What the resource held at the version that is guarded, if whoever changes it has that at hand: it saves a look.
    pub before: Option<Arc<Object>>,
    /// Another resource whose version moves with it.
    pub touched: Option<Touched>,
    /// Rows of history to add.
    pub history: Vec<HistoryRow>,
    /// What the data held before in the fields that have changed. It is kept with the first row of `history`, and with none if there is none.
    pub changes: Vec<FieldChange>,
    /// Events to add to the outbox.
    pub outbox: Vec<OutboxRow>,
    /// Runs to add: `Ready` to be claimed, or `Running` with this store's epoch and fence 1 (claimed by who adds them).
    pub runs: Vec<StepRun>,
    /// The run whose answer this is.
    pub settled: Option<Settled>,
    /// Replaces all timers of the resource, if `change` is present. Otherwise each is added to those of its resource, in the place of an
    /// earlier one of the same transition and not of a later version's.
    pub timers: Vec<Timer>,
    /// The event whose effect this is.
    pub inbox: Option<InboxRow>,
    /// The event whose effect this is, if it has waited: it waits no longer. The commit fails with [`Conflict::Duplicate`] if it does not.
    pub waited: Option<WaitingEvent>,
    /// The request that this answers.
    pub idempotency: Option<IdempotencyRow>,
    /// What becomes of the stock, of the resource that changes for example.
    pub stock: Option<Stocking>,
    /// What the resource that changes costs since some version of it. A version that has a price keeps it.
    pub prices: Vec<PriceRow>,
    /// Who did it, if a person with a role did. An entry that names no version has those of the change.
    pub audit: Vec<AuditEntry>,
    /// What becomes of the state of components, after the change.
    pub kv: Vec<KvRow>,
    /// What is made durable together with it: all of it, or nothing. None of them is about the same resource.
    pub also: Vec<Commit>,
}

impl Commit {
    /// Whether it says no more than that an event was handled, and by which run: nothing goes on by it.
    pub(super) fn is_a_receipt(&self) -> bool {
        let Self {
            change,
            before: _,
            touched,
            history,
            changes: _,
            outbox,
            runs,
            settled,
            timers,
            inbox,
            waited,
            idempotency,
            stock,
            prices,
            audit,
            kv,
            also,
        } = self;
        let has_rows = !(history.is_empty() && outbox.is_empty() && timers.is_empty() && prices.is_empty() && kv.is_empty());
        let has_more =
            !(audit.is_empty() && also.is_empty()) || settled.is_some() || idempotency.is_some() || stock.is_some() || waited.is_some();
        let goes_on = runs.iter().any(|run| run.status != RunStatus::Done) || change.is_some() || touched.is_some();
        inbox.is_some() && !goes_on && !has_rows && !has_more
    }

    /// The entries for the audit log, each with its versions.
    pub(super) fn audited(&self) -> impl Iterator<Item = AuditEntry> {
        let versions = self.change.as_ref().map(|(guard, resource)| {
            let before = if let Guard::Version(version) = guard { Some(*version) } else { None };
            (before, Some(resource.version))
        });
        self.audit.iter().cloned().map(move |entry| match versions {
            Some((version_before, version_after)) if entry.version_before.is_none() && entry.version_after.is_none() => {
                AuditEntry { version_before, version_after, ..entry }
            }
            _ => entry,
        })
    }
}

/// A committed [`Commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Positions of its events, in their sequence.
    pub positions: Vec<u64>,
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
    /// The units on hand are not those that were counted against.
    #[error("'{sku}' has {on_hand} units on hand now")]
    Counted {
        /// Id of the stocked resource.
        sku: String,
        /// Units on hand.
        on_hand: u64,
        /// Units that belong to a reservation.
        reserved: u64,
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
    /// Nobody else has this role: it was not taken away.
    #[error("nobody else has the role {0}")]
    Last(&'static str),
    /// Not enough stock: nothing was reserved, or set below what is reserved.
    #[error("not enough stock: {0:?}")]
    Short(Vec<Shortage>),
    /// Not now: disk full, too many waiting. Nothing was written; it may work later.
    #[error("the store cannot write now: {0}")]
    Unavailable(String),
    /// The store is broken or closed; the process should end and be started again.
    #[error("the store failed: {0}")]
    Fatal(String),
}
