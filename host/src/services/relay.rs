//! Carries the outbox to the bus: in the sequence of the commits, each event at least once, marked only after the bus has it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::bus::{Bus, BusHealth, Event};
use crate::shutdown::Stop;
use crate::store::{OutboxRow, Store, StoreError};
use crate::telemetry::traces::{Kind, Span};

/// Events read at once.
const BATCH: usize = 512;
/// Batches looked through when the bus refuses everything.
const MAX_WINDOWS: usize = 8;
/// First and longest wait after the bus has refused.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// The longest wait without being woken, so that a row made unpublished by another hand is seen too.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// The one task that publishes.
pub struct Relay {
    store: Arc<dyn Store>,
    outbox_grew: Arc<Notify>,
    bus: Arc<dyn Bus>,
}

/// What a pass over the outbox came to.
enum Pass {
    /// Nothing waits.
    Empty,
    /// Something was published, and more may wait.
    Progress,
    /// Some keys could not be published.
    Stuck,
}

impl Relay {
    /// From this store to this bus; `outbox_grew` is notified when there may be something to carry.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, outbox_grew: Arc<Notify>, bus: Arc<dyn Bus>) -> Self {
        Self { store, outbox_grew, bus }
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
                    Pass::Empty | Pass::Progress => self.outbox_grew.notified().await,
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

    /// The publishing of an event, as a part of what caused it. None while the bus is known to refuse everything.
    fn span(&self, row: &OutboxRow) -> Span {
        let Some(caused) = row.traceparent.as_deref() else { return Span::default() };
        if self.bus.health() != BusHealth::Up {
            return Span::default();
        }
        let span = Span::begin(Kind::Producer, Some(caused), || format!("send {}", row.topic));
        span.set("messaging.system", || self.bus.system())
            .set("messaging.operation.name", || "send")
            .set("messaging.operation.type", || "send")
            .set("messaging.destination.name", || row.topic.clone())
            .set("messaging.message.id", || row.event_id.clone())
            .set("messaging.kafka.message.key", || row.key.clone());
        span
    }

    async fn pass(&self) -> Result<Pass, StoreError> {
        let (mut after, mut published, mut held) = (0, Vec::new(), HashSet::<String>::new());
        // A key that the bus refuses must not hold up the others: look beyond its events, but never past them within the key.
        for _ in 0..MAX_WINDOWS {
            let rows = self.store.unpublished(after, BATCH).await?;
            let full = rows.len() == BATCH;
            after = rows.last().map_or(after, |row| row.position);
            let rows: Vec<&OutboxRow> = rows.iter().filter(|row| !held.contains(&row.key)).collect();
            let spans: Vec<Span> = rows.iter().map(|row| self.span(row)).collect();
            let events: Vec<Event> = rows.iter().zip(&spans).map(|(row, span)| event(row, span)).collect();
            for ((row, span), result) in rows.into_iter().zip(spans).zip(self.bus.publish(&events).await) {
                match result {
                    Ok(()) => published.push(row.position),
                    Err(error) => {
                        span.fail(error.to_string());
                        tracing::debug!(key = row.key, topic = row.topic, %error, "an event waits in the outbox");
                        held.insert(row.key.clone());
                    }
                }
            }
            if !full || held.is_empty() || !published.is_empty() {
                break;
            }
        }
        if !held.is_empty() {
            tracing::warn!(keys = held.len(), "events wait in the outbox: the bus does not take them");
        }
        if !published.is_empty() {
            self.store.mark_published(&published).await?;
        }
        Ok(match (published.is_empty(), held.is_empty()) {
            (_, false) => Pass::Stuck,
            (true, true) => Pass::Empty,
            (false, true) => Pass::Progress,
        })
    }
}

fn event(row: &OutboxRow, span: &Span) -> Event {
    Event {
        id: row.event_id.clone(),
        topic: row.topic.clone(),
        key: row.key.clone(),
        payload: Arc::clone(&row.payload),
        traceparent: span.traceparent().or_else(|| row.traceparent.clone()),
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::Timestamp;
    use parking_lot::Mutex;

    use super::*;
    use crate::bus::embedded::Embedded;
    use crate::bus::{Receipt, Sink, Subscription};
    use crate::store::Commit;
    use crate::store::memory::Memory;

    /// Refuses the first event it sees, once.
    #[derive(Default)]
    struct Reluctant {
        refused: Mutex<bool>,
        taken: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Sink for Reluctant {
        async fn receive(&self, _: &str, event: &Event) -> Receipt {
            if !std::mem::replace(&mut *self.refused.lock(), true) {
                return Receipt::Retry("not now".into());
            }
            self.taken.lock().push(event.id.clone());
            Receipt::Done
        }

        async fn bury(&self, _: &str, _: &Event, reason: &str) -> Result<(), String> {
            Err(reason.to_owned())
        }
    }

    #[tokio::test]
    async fn events_of_a_key_stay_in_sequence_when_the_first_is_refused_and_more_wait_than_are_read_at_once() {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let ids: Vec<String> = (0..BATCH + 100).map(|n| format!("event-{n:04}")).collect();
        for (seq, id) in (1..).zip(&ids) {
            let row = OutboxRow {
                position: 0,
                event_id: id.clone(),
                topic: "return.approved".into(),
                key: "return-1".into(),
                seq,
                payload: "{}".into(),
                traceparent: None,
            };
            store.commit(Commit { outbox: vec![row], ..Commit::default() }).await.unwrap();
        }
        let (bus, sink, stop) = (Arc::new(Embedded::new(8, Duration::from_secs(5))), Arc::new(Reluctant::default()), Stop::new());
        let subscriptions = vec![Subscription { consumer: "test".into(), topic: "return.approved".into() }];
        let listening = Arc::clone(&bus).run(subscriptions, Arc::clone(&sink) as Arc<dyn Sink>, stop.clone());
        let relaying = Relay::new(Arc::clone(&store), Arc::default(), bus).run(stop.clone());
        let watching = async {
            let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
            while !store.unpublished(0, 1).await.unwrap().is_empty() {
                assert!(tokio::time::Instant::now() < deadline, "{} were taken", sink.taken.lock().len());
                tokio::task::yield_now().await;
            }
            stop.request();
        };
        let (listened, relayed, ()) = tokio::join!(listening, relaying, watching);
        listened.and(relayed).unwrap();
        assert_eq!(*sink.taken.lock(), ids);
        assert_eq!(store.backlog().await.unwrap().oldest_outbox, None::<Timestamp>);
    }
}
