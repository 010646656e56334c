//! What is told to the world and what was heard from it: the outbox, the inbox, the dead letters.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{AuditEntry, StoreError};

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

/// An event's effect at a consumer, remembered so that it happens once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InboxRow {
    /// Name of the consumer (trigger or handler).
    pub consumer: String,
    /// Event it has handled.
    pub event_id: String,
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

/// What became of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redriven {
    /// Dead letters that are gone: their events are published again.
    pub letters: usize,
    /// Events that wait to be published again: one for all that several consumers gave up.
    pub events: usize,
    /// Dead letters that stay, because the outbox has forgotten their events.
    pub forgotten: usize,
}

/// For who publishes events and takes them. Events are written by a [`Commit`](super::Commit).
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// The last position that was given out before this process opened the store: nobody before it has seen an event beyond. A store that does
    /// not know says that there is none beyond.
    fn last_before(&self) -> u64 {
        u64::MAX
    }
    /// Up to `limit` events after `position` that are not yet published, in sequence; of several processes that have the database, those that are
    /// for this one to publish.
    async fn unpublished(&self, after: u64, limit: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// How many events are not yet published.
    async fn unpublished_count(&self) -> Result<u64, StoreError>;
    /// Remembers that these positions were published.
    async fn mark_published(&self, positions: &[u64]) -> Result<(), StoreError>;
    /// Makes events written at or after `since` unpublished again; returns how many.
    async fn republish(&self, since: Timestamp) -> Result<u64, StoreError>;

    /// Whether the effect of that event at that consumer is there.
    async fn handled(&self, row: &InboxRow) -> Result<bool, StoreError>;
    /// Since when it is known what was handled: what was before that is forgotten. None while nothing is known to be.
    async fn handled_since(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Keeps a message that could not be handled.
    async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), StoreError>;
    /// Dead letters, oldest first.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, StoreError>;
    /// Makes the events of the dead letters of `topics` unpublished again, and writes `audit` if there were any. Who has taken one already
    /// recognises it.
    async fn redrive(&self, topics: &[String], audit: Option<AuditEntry>) -> Result<Redriven, StoreError>;
    /// Removes the dead letters of `topic`, up to the one with the id `through` if there is one; returns how many, and
    /// writes `audit` if there were any.
    async fn discard(&self, topic: &str, through: Option<u64>, audit: Option<AuditEntry>) -> Result<u64, StoreError>;
    /// Removes a dead letter; false when it was not there.
    async fn drop_dead_letter(&self, id: u64) -> Result<bool, StoreError>;
}
