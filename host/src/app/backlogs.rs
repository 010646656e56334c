//! What waits in the store, counted once for all who ask: health checks and scrapes, however many there are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::store::{Backlog, Operations, StoreError};

/// A count that took so long is costly.
const COSTLY: Duration = Duration::from_millis(5);
/// A check does not have a costly one repeated for so many times what it took.
const LASTS: u32 = 20;
/// No count is good for longer than this. Scrapes have it repeated as seldom as that, whatever it costs.
const MAX_AGE: Duration = Duration::from_secs(1);

/// Counts what waits in one store.
pub(super) struct Backlogs {
    store: Arc<dyn Operations>,
    counts: Mutex<Counts>,
}

/// What was counted so far.
#[derive(Default)]
struct Counts {
    last: Option<Count>,
    /// When a scrape last had it counted.
    scraped: Option<Instant>,
}

/// What was found when it was last counted.
struct Count {
    at: Instant,
    took: Duration,
    backlog: Backlog,
}

impl Count {
    /// The more there is to count, the less often it is counted: who asks all the time does not keep the database busy.
    fn is_too_costly_to_repeat(&self) -> bool {
        self.took >= COSTLY && self.at.elapsed() < MAX_AGE.min(self.took * LASTS)
    }
}

impl Backlogs {
    /// Nothing is counted yet.
    pub(super) fn new(store: Arc<dyn Operations>) -> Self {
        Self { store, counts: Mutex::default() }
    }

    /// For a check: what waits now, or what waited a moment ago if counting is costly. Others who ask meanwhile wait for what the first finds.
    ///
    /// # Errors
    /// The store does not say.
    pub(super) async fn for_check(&self) -> Result<Backlog, StoreError> {
        let mut counts = self.counts.lock().await;
        match counts.last.as_ref().filter(|count| count.is_too_costly_to_repeat()) {
            Some(count) => Ok(count.backlog.clone()),
            None => self.count(&mut counts).await,
        }
    }

    /// For a scrape: what waits now, unless a scrape has had it counted within the last second; then what was found since.
    ///
    /// # Errors
    /// The store does not say.
    pub(super) async fn for_scrape(&self) -> Result<Backlog, StoreError> {
        let mut counts = self.counts.lock().await;
        let lately = counts.scraped.is_some_and(|at| at.elapsed() < MAX_AGE);
        if let Some(count) = counts.last.as_ref().filter(|_| lately) {
            return Ok(count.backlog.clone());
        }
        let backlog = self.count(&mut counts).await?;
        counts.scraped = Some(Instant::now());
        Ok(backlog)
    }

    async fn count(&self, counts: &mut Counts) -> Result<Backlog, StoreError> {
        let begin = Instant::now();
        let backlog = self.store.backlog().await?;
        counts.last = Some(Count { at: Instant::now(), took: begin.elapsed(), backlog: backlog.clone() });
        Ok(backlog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;
    use crate::store::{Commit, OutboxRow, Resources};

    async fn publish(store: &dyn Resources, id: &str) {
        let (topic, key, payload) = ("parcel.lost".into(), "parcel-1".into(), "{}".into());
        let row = OutboxRow { position: 0, event_id: id.into(), topic, key, seq: 1, payload, traceparent: None };
        store.commit(Commit { outbox: vec![row], ..Commit::default() }).await.unwrap();
    }

    #[test]
    fn only_a_costly_count_is_not_repeated_for_a_check_and_not_for_long() {
        let count = |took: Duration, age: Duration| {
            let at = Instant::now().checked_sub(age).unwrap();
            Count { at, took, backlog: Backlog::default() }.is_too_costly_to_repeat()
        };
        assert!(count(Duration::from_secs(60), Duration::ZERO), "it was costly a moment ago");
        assert!(!count(Duration::from_micros(4_999), Duration::ZERO), "it was cheap");
        assert!(!count(Duration::from_millis(5), Duration::from_millis(100)), "it was not that costly");
        assert!(!count(Duration::from_secs(60), MAX_AGE), "nothing is kept for longer than that");
    }

    #[tokio::test]
    async fn a_scrape_counts_what_waits_once_a_second_and_knows_what_a_check_has_found_since() {
        let store = Arc::new(Memory::default());
        let backlogs = Backlogs::new(store.clone());
        assert_eq!(backlogs.for_check().await.unwrap().outbox, 0);
        publish(&*store, "first").await;
        assert_eq!(backlogs.for_scrape().await.unwrap().outbox, 1, "what a check found before is not good enough");
        let begin = Instant::now();
        publish(&*store, "second").await;
        let again = backlogs.for_scrape().await.unwrap().outbox;
        assert!(again == 1 || begin.elapsed() >= MAX_AGE, "it was counted a moment ago, and not again: {again}");
        backlogs.counts.lock().await.last = None;
        assert_eq!(backlogs.for_check().await.unwrap().outbox, 2);
        assert_eq!(backlogs.for_scrape().await.unwrap().outbox, 2);
    }
}
