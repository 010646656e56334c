//! Doors between the bus and those who take its events, so that each starts to take them when it is its turn, and stops when it is again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::RwLock;

use crate::bus::{Event, Receipt, Sink};

/// Between the bus and one consumer.
#[derive(Debug, Default)]
struct Door {
    /// Whether the consumer takes events.
    open: AtomicBool,
    /// Held for reading while it takes one.
    taking: RwLock<()>,
}

/// What the bus delivers to. Consumers without a door take events as long as the bus runs.
pub(super) struct Doors {
    inner: Arc<dyn Sink>,
    keys: Keys,
}

/// The doors of a process, by consumer name. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Arc<Mutex<HashMap<String, Arc<Door>>>>);

impl Keys {
    /// One for each of these consumers, all closed.
    pub(super) fn new(consumers: impl Iterator<Item = String>) -> Self {
        Self(Arc::new(Mutex::new(consumers.map(|consumer| (consumer, Arc::default())).collect())))
    }

    /// From now on there are doors for these consumers and no others. Those that are new are open; what goes through one that is gone ends as it began.
    pub(super) fn exchange(&self, consumers: impl Iterator<Item = String>) {
        let mut doors = self.0.lock();
        let opened = || Arc::new(Door { open: AtomicBool::new(true), ..Door::default() });
        let mut exchanged = HashMap::new();
        for consumer in consumers {
            let door = doors.remove(&consumer).unwrap_or_else(opened);
            exchanged.insert(consumer, door);
        }
        *doors = exchanged;
    }

    /// Whose doors there are.
    pub(super) fn consumers(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    fn door(&self, consumer: &str) -> Option<Arc<Door>> {
        self.0.lock().get(consumer).cloned()
    }

    /// From now on the consumer takes events.
    pub(super) fn open(&self, consumer: &str) {
        if let Some(door) = self.door(consumer) {
            door.open.store(true, Ordering::Release);
        }
    }

    /// From now on it takes none; what it has taken is waited for, but not longer than `limit`. Answers whether that was long enough.
    pub(super) async fn close(&self, consumer: &str, limit: Duration) -> bool {
        let Some(door) = self.door(consumer) else { return true };
        door.open.store(false, Ordering::Release);
        tokio::time::timeout(limit, door.taking.write()).await.is_ok()
    }

    /// What the bus delivers to, in the place of `inner`.
    pub(super) fn before(&self, inner: Arc<dyn Sink>) -> Arc<dyn Sink> {
        Arc::new(Doors { inner, keys: self.clone() })
    }
}

#[async_trait]
impl Sink for Doors {
    async fn receive(&self, consumer: &str, event: &Event) -> Receipt {
        let Some(door) = self.keys.door(consumer) else { return self.inner.receive(consumer, event).await };
        let _taking = door.taking.read().await;
        if !door.open.load(Ordering::Acquire) {
            return Receipt::Wait(format!("'{consumer}' has not started, or has stopped"));
        }
        self.inner.receive(consumer, event).await
    }

    async fn may_be_forgotten(&self, consumer: &str, event: &Event, published: Timestamp) -> bool {
        self.inner.may_be_forgotten(consumer, event, published).await
    }

    async fn keep_dead_letter(&self, consumer: &str, event: &Event, reason: &str) -> Result<(), String> {
        self.inner.keep_dead_letter(consumer, event, reason).await
    }

    fn dead_letter_kept(&self, consumer: &str, topic: &str) {
        self.inner.dead_letter_kept(consumer, topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Semaphore;

    /// Takes an event when it is allowed to.
    struct Slow {
        begun: Semaphore,
        allowed: Semaphore,
    }

    #[async_trait]
    impl Sink for Slow {
        async fn receive(&self, _: &str, _: &Event) -> Receipt {
            self.begun.add_permits(1);
            self.allowed.acquire().await.unwrap().forget();
            Receipt::Done
        }

        async fn keep_dead_letter(&self, _: &str, _: &Event, _: &str) -> Result<(), String> {
            Ok(())
        }
    }

    fn event() -> Event {
        Event { id: "e".into(), topic: "t".into(), key: "k".into(), payload: "{}".into(), traceparent: None, is_new: false }
    }

    #[tokio::test]
    async fn a_consumer_takes_events_from_its_start_to_its_stop_and_those_without_a_turn_always() {
        let inner = Arc::new(Slow { begun: Semaphore::new(0), allowed: Semaphore::new(9) });
        let keys = Keys::new(["late".to_owned()].into_iter());
        let sink = keys.before(Arc::clone(&inner) as Arc<dyn Sink>);
        assert!(matches!(sink.receive("late", &event()).await, Receipt::Wait(reason) if reason.contains("'late'")));
        assert_eq!(sink.receive("always", &event()).await, Receipt::Done);
        keys.open("late");
        assert_eq!(sink.receive("late", &event()).await, Receipt::Done);
        assert!(keys.close("late", Duration::from_secs(20)).await);
        assert!(matches!(sink.receive("late", &event()).await, Receipt::Wait(_)));
    }

    #[tokio::test]
    async fn of_consumers_that_are_exchanged_the_new_ones_take_events_and_the_others_stay_as_they_are() {
        let inner = Arc::new(Slow { begun: Semaphore::new(0), allowed: Semaphore::new(9) });
        let keys = Keys::new(["stays", "goes"].map(str::to_owned).into_iter());
        let sink = keys.before(Arc::clone(&inner) as Arc<dyn Sink>);
        keys.exchange(["stays", "comes"].map(str::to_owned).into_iter());
        assert!(matches!(sink.receive("stays", &event()).await, Receipt::Wait(_)), "it has not started");
        assert_eq!(sink.receive("comes", &event()).await, Receipt::Done);
        assert!(keys.close("comes", Duration::from_secs(20)).await);
        assert!(matches!(sink.receive("comes", &event()).await, Receipt::Wait(_)), "it stops as the others do");
        assert_eq!(keys.consumers().len(), 2);
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_was_taken_and_not_for_ever() {
        let inner = Arc::new(Slow { begun: Semaphore::new(0), allowed: Semaphore::new(0) });
        let keys = Keys::new(["slow".to_owned()].into_iter());
        let sink = keys.before(Arc::clone(&inner) as Arc<dyn Sink>);
        keys.open("slow");
        let event = event();
        let taking = sink.receive("slow", &event);
        let stopping = async {
            inner.begun.acquire().await.unwrap().forget();
            assert!(!keys.close("slow", Duration::from_millis(20)).await, "it is still at work");
            inner.allowed.add_permits(1);
            assert!(keys.close("slow", Duration::from_secs(20)).await);
        };
        let (receipt, ()) = futures::join!(taking, stopping);
        assert_eq!(receipt, Receipt::Done);
    }
}
