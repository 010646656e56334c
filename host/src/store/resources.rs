//! Resources of every kind with their history, and the one commit that changes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AuditEntry, Commit, Committed, Figure, Guard, KvEntry, KvOwner, Matches, Note, Search, StoreError};

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
    /// Digest of the definition it began with; see [`Instances::put_machine`](super::Instances::put_machine).
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

/// What a resource costs since a version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRow {
    /// Version since which it holds.
    pub version: u64,
    /// In minor units.
    pub price: i64,
    /// Id of the account that has set it, if it is known.
    pub actor: Option<String>,
    /// When, as a date.
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

/// For who keeps resources: what there is, what happened to it, and the commit that changes it.
#[async_trait]
pub trait Resources: Send + Sync + 'static {
    /// Writes one decision. Concurrent callers share a transaction and cannot see each other's half.
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError>;

    /// Writes several decisions as one: all of them or nothing. No two of them are about one resource, one stocked resource or one run.
    async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), StoreError>;

    /// One resource.
    async fn resource(&self, kind: &str, id: &str) -> Result<Option<Resource>, StoreError>;
    /// Some resources, see [`Listing`].
    async fn resources(&self, listing: &Listing) -> Result<Vec<Resource>, StoreError>;
    /// Those for which all holds that is asked for, see [`Search`] and [`Matches`].
    async fn find(&self, search: &Search) -> Result<Matches, StoreError>;
    /// Adds a note, whose `seq` is given out here, and answers it; writes `audit` of it. `None`, and nothing is written, if there is no such
    /// resource.
    async fn add_note(&self, note: Note, audit: Option<AuditEntry>, request: Option<IdempotencyRow>) -> Result<Option<u64>, StoreError>;
    /// The last `limit` notes of a resource before that number, the newest first. They go with the resource.
    async fn notes(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<Note>, StoreError>;
    /// Removes a resource (and its stock) without a workflow, and writes `audit` of it; false, and nothing is written, when it was not there.
    async fn delete_resource(&self, kind: &str, id: &str, guard: Guard, audit: Option<AuditEntry>) -> Result<bool, StoreError>;
    /// History of a resource after `seq`, ascending, at most `limit` rows.
    async fn history(&self, kind: &str, id: &str, after: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError>;
    /// The last `limit` rows of its history before `seq`, ascending.
    async fn history_before(&self, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<HistoryRow>, StoreError>;
    /// What was counted of a kind in these minutes since 1970, the last one excluded, in their sequence; minutes in which there was nothing are not
    /// there.
    async fn figures(&self, kind: &str, minutes: (i64, i64)) -> Result<Vec<Figure>, StoreError>;
    /// Prices of a resource, the newest first, at most `limit`.
    async fn prices(&self, kind: &str, id: &str, limit: usize) -> Result<Vec<PriceRow>, StoreError>;
    /// The answered request of that user and key.
    async fn idempotency(&self, user: &str, key: &str) -> Result<Option<IdempotencyRow>, StoreError>;

    /// The value of one entry of a component's state.
    async fn kv(&self, owner: &KvOwner, key: &str) -> Result<Option<String>, StoreError>;
    /// Bytes of all keys and values of that state, and [`KV_ENTRY_BYTES`](super::KV_ENTRY_BYTES) for each entry.
    async fn kv_bytes(&self, owner: &KvOwner) -> Result<u64, StoreError>;
    /// All that components keep about an instance, in the sequence of components and keys.
    async fn kv_entries(&self, kind: &str, id: &str) -> Result<Vec<KvEntry>, StoreError>;
}
