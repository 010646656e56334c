//! How many events may wait to be published. With more than that nothing new begins, so that there is room on the disk for what was
//! promised already: a bus can be away for long, and every event waits in the database meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::pipeline::Pipeline;
use crate::shutdown::Stop;
use crate::store::StoreError;

/// How often they are counted in the store; what is written between two counts is added.
const INTERVAL: Duration = Duration::from_secs(1);

/// The mark, and what was last counted.
#[derive(Debug)]
pub struct Watermark {
    high: u64,
    waiting: AtomicU64,
    /// Whether the log says so.
    told: AtomicBool,
}

impl Watermark {
    /// Nothing waits yet; `high` events may.
    #[must_use]
    pub fn new(high: u64) -> Self {
        Self { high, waiting: AtomicU64::new(0), told: AtomicBool::new(false) }
    }

    /// Why nothing new is to begin, in words: as many events wait as may.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.reached().map(|waiting| format!("{waiting} events wait to be published, and {} may", self.high))
    }

    fn reached(&self) -> Option<u64> {
        let waiting = self.waiting.load(Ordering::Relaxed);
        (waiting >= self.high).then_some(waiting)
    }

    /// Events more.
    pub fn add(&self, events: usize) {
        self.waiting.fetch_add(events as u64, Ordering::Relaxed);
    }

    fn note(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Relaxed);
        let reached = self.reached().is_some();
        match (self.told.swap(reached, Ordering::Relaxed), reached) {
            (false, true) => {
                tracing::error!(waiting, mark = self.high, "as many events wait to be published as may: nothing new is accepted")
            }
            (true, false) => tracing::info!(waiting, mark = self.high, "there is room for events again: what is new is accepted"),
            _ => {}
        }
    }
}

/// Counts what waits until `stop`.
///
/// # Errors
/// The store has failed for good.
pub async fn watch(pipeline: Pipeline, stop: Stop) -> anyhow::Result<()> {
    let parts = pipeline.parts();
    while !stop.is_requested() {
        match parts.store.unpublished_count().await {
            Ok(waiting) => parts.watermark.note(waiting),
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
    fn as_many_as_may_wait_are_too_many_until_some_were_published() {
        let mark = Watermark::new(3);
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
