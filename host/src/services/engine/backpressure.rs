//! Backpressure: how many events may wait to be published. At the limit no new instance begins, so that the disk has room for the
//! instances that were accepted already. While the bus is away, every event waits in the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::shutdown::Stop;
use crate::store::{Messages, StoreError};

/// How often they are counted in the store; what is written between two counts is added.
const INTERVAL: Duration = Duration::from_secs(1);

/// The limit, and the last count.
#[derive(Debug)]
pub struct Backpressure {
    high: u64,
    waiting: AtomicU64,
    /// Whether the log says so.
    told: AtomicBool,
}

impl Backpressure {
    /// Nothing waits yet; at most `high` events may.
    #[must_use]
    pub fn new(high: u64) -> Self {
        Self { high, waiting: AtomicU64::new(0), told: AtomicBool::new(false) }
    }

    /// Why nothing new may begin: the limit of waiting events is reached.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.reached().map(|waiting| format!("{waiting} events wait to be published, and the limit is {}", self.high))
    }

    fn reached(&self) -> Option<u64> {
        let waiting = self.waiting.load(Ordering::Relaxed);
        (waiting >= self.high).then_some(waiting)
    }

    /// More events wait.
    pub fn add(&self, events: usize) {
        self.waiting.fetch_add(events as u64, Ordering::Relaxed);
    }

    fn note(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Relaxed);
        let reached = self.reached().is_some();
        match (self.told.swap(reached, Ordering::Relaxed), reached) {
            (false, true) => {
                tracing::error!(waiting, mark = self.high, "too many events wait to be published: nothing new is accepted")
            }
            (true, false) => {
                tracing::info!(waiting, mark = self.high, "fewer events wait to be published: new instances are accepted again")
            }
            _ => {}
        }
    }
}

/// Counts what waits until `stop`.
///
/// # Errors
/// The store has failed for good.
pub async fn watch(backpressure: Arc<Backpressure>, messages: Arc<dyn Messages>, stop: Stop) -> anyhow::Result<()> {
    while !stop.is_requested() {
        match messages.unpublished_count().await {
            Ok(waiting) => backpressure.note(waiting),
            Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "cannot count the events that wait to be published"),
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.requested() => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_reached_until_some_events_were_published() {
        let mark = Backpressure::new(3);
        let reached: Vec<_> = [0, 2, 3, 7, 2]
            .map(|waiting| {
                mark.note(waiting);
                mark.reached()
            })
            .into();
        assert_eq!(reached, [None, None, Some(3), Some(7), None]);
        mark.add(1);
        assert_eq!(mark.reached(), Some(3), "what was written since the count is part of it");
    }
}
