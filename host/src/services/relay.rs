//! Carries the outbox to the bus: in the sequence of the commits, each event at least once, marked only after the bus has it.

use std::sync::Arc;
use std::time::Duration;

use super::pipeline::Pipeline;
use crate::bus::{Bus, Event};
use crate::shutdown::Stop;
use crate::store::{OutboxRow, StoreError};

/// Events read at once.
const BATCH: usize = 512;
/// First and longest wait after the bus has refused.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// The longest wait without being woken, so that a row made unpublished by another hand is seen too.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// The one task that publishes.
pub struct Relay {
    pipeline: Pipeline,
    bus: Arc<dyn Bus>,
}

/// What a pass over the outbox came to.
enum Pass {
    /// Nothing waits.
    Empty,
    /// Something was published, and more may wait.
    Progress,
    /// Nothing could be published.
    Stuck,
}

impl Relay {
    /// From this pipeline's store to this bus.
    #[must_use]
    pub fn new(pipeline: Pipeline, bus: Arc<dyn Bus>) -> Self {
        Self { pipeline, bus }
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// The store has failed for good.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let mut backoff = BACKOFF.0;
        while !stop.is_requested() {
            let pass = match self.pass().await {
                Ok(pass) => pass,
                Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "cannot read the outbox");
                    Pass::Stuck
                }
            };
            let wait = match pass {
                Pass::Progress => {
                    backoff = BACKOFF.0;
                    continue;
                }
                Pass::Empty => MAX_SLEEP,
                Pass::Stuck => {
                    backoff = (backoff * 2).min(BACKOFF.1);
                    backoff
                }
            };
            let grew = async {
                match pass {
                    Pass::Stuck => std::future::pending().await,
                    Pass::Empty | Pass::Progress => self.pipeline.outbox_grew().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = grew => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }

    async fn pass(&self) -> Result<Pass, StoreError> {
        let store = &self.pipeline.parts().store;
        let (mut after, mut published, mut refused) = (0, Vec::new(), None);
        // A key that the bus refuses must not hold up the others: look beyond it, but never past it within its key.
        loop {
            let rows = store.unpublished(after, BATCH).await?;
            let full = rows.len() == BATCH;
            after = rows.last().map_or(after, |row| row.position);
            let events: Vec<Event> = rows.iter().map(event).collect();
            for (row, result) in rows.iter().zip(self.bus.publish(&events).await) {
                match result {
                    Ok(()) => published.push(row.position),
                    Err(error) => refused = Some(error),
                }
            }
            if !full || refused.is_none() || !published.is_empty() {
                break;
            }
        }
        if let Some(error) = &refused {
            tracing::warn!(%error, "events wait in the outbox");
        }
        if published.is_empty() {
            return Ok(if refused.is_some() { Pass::Stuck } else { Pass::Empty });
        }
        store.mark_published(&published).await?;
        Ok(if refused.is_some() { Pass::Stuck } else { Pass::Progress })
    }
}

fn event(row: &OutboxRow) -> Event {
    Event {
        id: row.event_id.clone(),
        topic: row.topic.clone(),
        key: row.key.clone(),
        payload: Arc::clone(&row.payload),
        traceparent: row.traceparent.clone(),
    }
}
