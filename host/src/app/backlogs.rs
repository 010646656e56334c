//! What waits in the store, counted once for all who ask: health checks and scrapes, however many there are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::store::{Backlog, Store, StoreError};

/// How old an answer may be for who only watches, and how old the answer to a costly count may be for anybody.
const LASTS: Duration = Duration::from_secs(1);
/// A count that took so long is costly.
const COSTLY: Duration = Duration::from_millis(5);
/// A costly one is not repeated for so many times what it took, up to [`LASTS`].
const COSTLY_LASTS: u32 = 20;

/// Counts what waits in one store.
pub(super) struct Backlogs {
    store: Arc<dyn Store>,
    last: Mutex<Option<Count>>,
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
        self.took >= COSTLY && self.at.elapsed() < LASTS.min(self.took * COSTLY_LASTS)
    }
}

impl Backlogs {
    /// Nothing is counted yet.
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, last: Mutex::default() }
    }

    /// What waits now, or what waited a moment ago if counting is costly.
    ///
    /// # Errors
    /// The store does not say.
    pub(super) async fn now(&self) -> Result<Backlog, StoreError> {
        self.unless(Count::is_too_costly_to_repeat).await
    }

    /// What waits now, or waited within the last second.
    ///
    /// # Errors
    /// The store does not say.
    pub(super) async fn lately(&self) -> Result<Backlog, StoreError> {
        self.unless(|count| count.at.elapsed() < LASTS).await
    }

    /// Counts, unless the last count `still_counts`. Others who ask meanwhile wait for what the first finds.
    async fn unless(&self, still_counts: impl Fn(&Count) -> bool) -> Result<Backlog, StoreError> {
        let mut last = self.last.lock().await;
        if let Some(count) = last.as_ref().filter(|count| still_counts(count)) {
            return Ok(count.backlog.clone());
        }
        let begin = Instant::now();
        let backlog = self.store.backlog().await?;
        *last = Some(Count { at: Instant::now(), took: begin.elapsed(), backlog: backlog.clone() });
        Ok(backlog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::Memory;
    use crate::store::{Commit, OutboxRow};

    async fn publish(store: &dyn Store, id: &str) {
        let (topic, key, payload) = ("parcel.lost".into(), "parcel-1".into(), "{}".into());
        let row = OutboxRow { position: 0, event_id: id.into(), topic, key, seq: 1, payload, traceparent: None };
        store.commit(Commit { outbox: vec![row], ..Commit::default() }).await.unwrap();
    }

    #[tokio::test]
    async fn who_watches_is_told_what_another_found_a_moment_ago_and_who_checks_what_is() {
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let backlogs = Backlogs::new(Arc::clone(&store));
        assert_eq!(backlogs.now().await.unwrap().outbox, 0);
        publish(store.as_ref(), "first").await;
        let begin = Instant::now();
        let watched = backlogs.lately().await.unwrap().outbox;
        assert!(watched == 0 || begin.elapsed() >= LASTS, "the count of a moment ago is good enough: {watched}");
        assert_eq!(backlogs.now().await.unwrap().outbox, 1);
        assert_eq!(backlogs.lately().await.unwrap().outbox, 1, "and what was counted for one is there for the other");
    }
}
