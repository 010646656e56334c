//! Carries the outbox to the bus: in the sequence of the commits, each event at least once, marked only after the bus has it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::own_events::OwnEvents;
use crate::bus::{Bus, BusHealth, Event};
use crate::crash_point;
use crate::faults::planted;
use crate::shutdown::Stop;
use crate::store::{Messages, OutboxRow, StoreError};
use crate::telemetry::traces::{Kind, Span};

/// Events read at once.
const BATCH: usize = 512;
/// Batches looked through for one event of a key that is not held back.
const MAX_WINDOWS: usize = 8;
/// First and longest wait of a key after the bus has refused its event.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// How often a bus that is down is looked at again. Nothing is read meanwhile, however much waits.
const DOWN_POLL: Duration = Duration::from_millis(250);
/// The longest wait without being woken, so that a row made unpublished by another hand is seen too.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// A refusal that lasts this long is told to whoever asks how the process is: shorter ones are the way of brokers.
const LASTING: Duration = Duration::from_secs(10);

/// The one task that publishes.
pub struct Relay {
    store: Arc<dyn Messages>,
    outbox_grew: Arc<Notify>,
    bus: Arc<dyn Bus>,
    held: Held,
    /// The last position that may have been given to a bus, by this process or one before it.
    given: u64,
    refusals: Arc<Refusals>,
    own: Arc<OwnEvents>,
    /// The reason that was told last, and when: each key is refused for it anew.
    told: Option<(Instant, String)>,
}

/// What the bus refuses although it is there, as one topic of a broker that does not take the events of this process.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Option<Oldest>>);

/// What has been refused for longest, and how many keys wait because of that or of another refusal.
type Oldest = (Refusal, usize);

/// What was refused first, and why it was the last time.
#[derive(Debug, Clone)]
struct Refusal {
    topic: String,
    reason: String,
    since: Instant,
}

impl Refusals {
    /// What has been refused for more than a moment, in words.
    #[must_use]
    pub fn lasting(&self) -> Option<String> {
        self.0.lock().as_ref().filter(|(refusal, _)| refusal.since.elapsed() >= LASTING).map(|(Refusal { topic, reason, .. }, keys)| {
            format!("those of {keys} instances wait in the outbox, because topic '{topic}' does not take one: {reason}")
        })
    }
}

/// Keys whose first event the bus has refused: they wait, and hold up no other.
#[derive(Default)]
struct Held(HashMap<String, Hold>);

struct Hold {
    until: Instant,
    wait: Duration,
    refusal: Refusal,
}

impl Held {
    fn holds(&self, key: &str, now: Instant) -> bool {
        self.0.get(key).is_some_and(|hold| hold.until > now)
    }

    /// Holds a key back, each time for longer.
    fn refuse(&mut self, key: &str, topic: &str, reason: String, now: Instant) {
        let before = self.0.get(key);
        let wait = before.map_or(BACKOFF.0, |hold| (hold.wait * 2).min(BACKOFF.1));
        let since = before.map_or(now, |hold| hold.refusal.since);
        self.0.insert(key.to_owned(), Hold { until: now + wait, wait, refusal: Refusal { topic: topic.to_owned(), reason, since } });
    }

    fn oldest(&self) -> Option<Oldest> {
        let oldest = self.0.values().map(|hold| &hold.refusal).min_by_key(|refusal| refusal.since)?;
        Some((oldest.clone(), self.0.len()))
    }

    fn release(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Forgets the keys that were due at `now` and are not among those `found` in the backlog, of which this process has no event any more: another
    /// one publishes them, or has. Where not all of the backlog was read, nobody knows, and it is looked for them later.
    fn forget_all_but(&mut self, found: &HashSet<String>, now: Instant, has_read_all: bool) {
        self.0.retain(|key, hold| {
            let is_missed = hold.until <= now && !found.contains(key);
            if is_missed {
                hold.until = now + BACKOFF.1;
            }
            !(is_missed && has_read_all)
        });
    }

    /// When the first of them may be tried again.
    fn first_due(&self) -> Option<Instant> {
        self.0.values().map(|hold| hold.until).min()
    }
}

impl Relay {
    /// The only one from this store to this bus; `outbox_grew` is notified when there may be something to carry. What the bus refuses is kept in
    /// `refusals`, what is sent over one that others reach is noted in `own`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Messages>,
        outbox_grew: Arc<Notify>,
        bus: Arc<dyn Bus>,
        (refusals, own): (Arc<Refusals>, Arc<OwnEvents>),
    ) -> Self {
        let given = store.last_before();
        Self { store, outbox_grew, bus, held: Held::default(), given, refusals, own, told: None }
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// The store has failed for good.
    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        while !stop.is_requested() {
            let published = match self.pass().await {
                Ok(published) => published,
                Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "cannot read the outbox");
                    tokio::select! {
                        () = tokio::time::sleep(BACKOFF.1) => {}
                        () = stop.requested() => {}
                    }
                    continue;
                }
            };
            if published == 0 {
                tokio::select! {
                    () = self.until_worth_it() => {}
                    () = stop.requested() => {}
                }
            }
        }
        Ok(())
    }

    /// Waits until another pass may publish something.
    async fn until_worth_it(&self) {
        if self.bus.health() != BusHealth::Up {
            return tokio::time::sleep(DOWN_POLL).await;
        }
        let latest = Instant::now() + MAX_SLEEP;
        let due = self.held.first_due().map_or(latest, |due| due.min(latest));
        tokio::select! {
            () = tokio::time::sleep_until(due) => {}
            () = self.outbox_grew.notified() => {}
        }
    }

    /// Publishes what waits and is not held back, and answers how much it was.
    async fn pass(&mut self) -> Result<usize, StoreError> {
        if self.bus.health() != BusHealth::Up {
            return Ok(0);
        }
        // Of one moment for all that is read: a key whose time is up meanwhile would be published from where it was looked at last, its first
        // events left behind.
        let now = Instant::now();
        let (mut after, mut published) = (0, Vec::new());
        let (mut found, mut has_read_all) = (HashSet::new(), false);
        // Keys that are held back must not hold up the others: look beyond their events.
        for _ in 0..MAX_WINDOWS {
            let mut rows = self.store.unpublished(after, BATCH).await?;
            crash_point!("outbox-read");
            if planted("publish-out-of-sequence") {
                rows.reverse();
            }
            if planted("mark-before-published") {
                self.store.mark_published(&rows.iter().map(|row| row.position).collect::<Vec<_>>()).await?;
            }
            let full = rows.len() == BATCH;
            after = rows.iter().map(|row| row.position).max().unwrap_or(after);
            found.extend(rows.iter().filter(|row| self.held.0.contains_key(&row.key)).map(|row| row.key.clone()));
            has_read_all = !full;
            published.extend(self.publish(&rows, now).await);
            if !full || !published.is_empty() {
                break;
            }
        }
        // Else a key whose events went to another process would be due for ever: the backlog would be read without a pause, and the refusal told.
        if has_read_all || published.is_empty() {
            self.held.forget_all_but(&found, now, has_read_all);
            *self.refusals.0.lock() = self.held.oldest();
        }
        if !published.is_empty() {
            crash_point!("published-not-marked");
            self.store.mark_published(&published).await?;
            crash_point!("marked");
        }
        Ok(published.len())
    }

    /// The publishing of an event, as a part of what caused it.
    fn span(&self, row: &OutboxRow) -> Span {
        let Some(caused) = row.traceparent.as_deref() else { return Span::default() };
        let span = Span::begin(Kind::Producer, Some(caused), || format!("send {}", row.topic));
        span.set("messaging.system", || self.bus.system())
            .set("messaging.operation.name", || "send")
            .set("messaging.operation.type", || "send")
            .set("messaging.destination.name", || row.topic.clone())
            .set("messaging.message.id", || row.event_id.clone())
            .set("messaging.kafka.message.key", || row.key.clone());
        span
    }

    /// Gives the bus those of `rows` whose key is not held back at `now`, and answers the positions of those that it has taken.
    async fn publish(&mut self, rows: &[OutboxRow], now: Instant) -> Vec<u64> {
        let rows: Vec<&OutboxRow> = rows.iter().filter(|row| !self.held.holds(&row.key, now)).collect();
        let spans: Vec<Span> = rows.iter().map(|row| self.span(row)).collect();
        let given = self.given;
        let events: Vec<Event> = rows.iter().zip(&spans).map(|(row, span)| event(row, span, row.position > given)).collect();
        self.given = rows.iter().map(|row| row.position).max().unwrap_or(given).max(given);
        if !self.bus.is_private() {
            // It may come back before the bus says that it has it.
            events.iter().for_each(|event| self.own.note(event));
        }
        let results = self.bus.publish(&events).await;
        let (mut taken, mut refused) = (Vec::with_capacity(rows.len()), HashMap::<&str, (&str, String)>::new());
        for ((row, span), result) in rows.into_iter().zip(spans).zip(results) {
            match result {
                Ok(()) => {
                    self.held.release(&row.key);
                    taken.push(row.position);
                }
                Err(error) => {
                    span.fail(error.to_string());
                    refused.entry(&row.key).or_insert_with(|| (&row.topic, error.to_string()));
                }
            }
        }
        if let Some((key, (topic, reason))) = refused.iter().next() {
            let is_told = self.told.as_ref().is_some_and(|(at, told)| told == reason && now.duration_since(*at) < BACKOFF.1);
            if !is_told {
                tracing::warn!(keys = refused.len(), key, topic, reason, "events wait in the outbox: the bus does not take them");
                self.told = Some((now, reason.clone()));
            }
        }
        for (key, (topic, reason)) in refused {
            tracing::debug!(key, topic, reason, "events wait in the outbox");
            self.held.refuse(key, topic, reason, now);
        }
        *self.refusals.0.lock() = self.held.oldest();
        taken
    }
}

fn event(row: &OutboxRow, span: &Span, is_new: bool) -> Event {
    Event {
        id: row.event_id.clone(),
        topic: row.topic.clone(),
        key: row.key.clone(),
        payload: Arc::clone(&row.payload),
        traceparent: span.traceparent().or_else(|| row.traceparent.clone()),
        is_new,
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use jiff::Timestamp;

    use super::*;
    use crate::bus::embedded::Embedded;
    use crate::bus::{Receipt, Sink, Subscription};
    use crate::store::memory::Memory;
    use crate::store::{Commit, Operations as _, Resources as _};

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

        async fn keep_dead_letter(&self, _: &str, _: &Event, reason: &str) -> Result<(), String> {
            Err(reason.to_owned())
        }
    }

    #[test]
    fn a_key_is_held_back_longer_each_time_and_not_after_it_was_taken() {
        let (mut held, now) = (Held::default(), Instant::now());
        assert!(!held.holds("a", now) && held.first_due().is_none());
        held.refuse("a", "t", String::new(), now);
        assert!(held.holds("a", now) && !held.holds("b", now) && !held.holds("a", now + BACKOFF.0));
        held.refuse("a", "t", String::new(), now + BACKOFF.0);
        assert_eq!(held.first_due(), Some(now + BACKOFF.0 * 3));
        for _ in 0..20 {
            held.refuse("a", "t", String::new(), now);
        }
        assert_eq!(held.first_due(), Some(now + BACKOFF.1));
        held.release("a");
        assert!(!held.holds("a", now) && held.first_due().is_none());
    }

    #[test]
    fn a_key_of_which_nothing_is_left_is_forgotten_once_it_is_due() {
        let (mut held, now) = (Held::default(), Instant::now());
        for key in ["gone", "found"] {
            held.refuse(key, "t", String::new(), now);
        }
        let (found, due) = (HashSet::from(["found".to_owned()]), now + BACKOFF.0);
        held.forget_all_but(&HashSet::new(), now, true);
        assert_eq!(held.0.len(), 2, "none is due");
        held.forget_all_but(&found, due, false);
        assert_eq!((held.0["gone"].until, held.0["found"].until), (due + BACKOFF.1, due), "it may be in what was not read");
        held.forget_all_but(&found, due + BACKOFF.1, true);
        assert_eq!(held.0.keys().collect::<Vec<_>>(), ["found"]);
    }

    #[tokio::test]
    async fn a_refusal_ends_with_the_events_that_another_process_publishes() {
        let store = Arc::new(Memory::new());
        write(&store, "one").await;
        let told = Arc::new(Told { refused: Some("one".into()), ..Told::default() });
        let (bus, stop, refusals) = (Arc::new(Embedded::new(1, Duration::from_secs(5))), Stop::new(), Arc::new(Refusals::default()));
        let subscriptions = vec![Subscription { consumer: "test".into(), topic: "t".into() }];
        let listening = Arc::clone(&bus).run(subscriptions, Arc::clone(&told) as Arc<dyn Sink>, stop.clone());
        let mut relay = Relay::new(store.clone(), Arc::default(), bus, (Arc::clone(&refusals), Arc::default()));
        let passing = async {
            assert_eq!(relay.pass().await.unwrap(), 0);
            assert!(refusals.0.lock().is_some() && relay.held.first_due().is_some());
            let rows = store.unpublished(0, 1).await.unwrap();
            store.mark_published(&[rows[0].position]).await.unwrap();
            // Its time is up.
            relay.held.0.values_mut().for_each(|hold| hold.until = Instant::now());
            assert_eq!(relay.pass().await.unwrap(), 0);
            assert!(refusals.0.lock().is_none() && relay.held.first_due().is_none());
            stop.request();
        };
        tokio::join!(listening, passing).0.unwrap();
    }

    /// Whether each event was said to be new, in the sequence in which they came; those of `refused` are never taken.
    #[derive(Default)]
    struct Told {
        refused: Option<String>,
        events: Mutex<Vec<(String, bool)>>,
    }

    #[async_trait]
    impl Sink for Told {
        async fn receive(&self, _: &str, event: &Event) -> Receipt {
            self.events.lock().push((event.id.clone(), event.is_new));
            if self.refused.as_ref() == Some(&event.id) { Receipt::Retry("not now".into()) } else { Receipt::Done }
        }

        async fn keep_dead_letter(&self, _: &str, _: &Event, reason: &str) -> Result<(), String> {
            Err(reason.to_owned())
        }
    }

    async fn write(store: &Memory, id: &str) {
        let (event_id, key) = (id.to_owned(), id.to_owned());
        let row = OutboxRow { position: 0, event_id, topic: "t".into(), key, seq: 1, payload: "{}".into(), traceparent: None };
        store.commit(Commit { outbox: vec![row], ..Commit::default() }).await.unwrap();
    }

    /// What one relay of a process told, which passes so many times.
    async fn told_by(store: &Arc<Memory>, refused: Option<&str>, passes: usize) -> Vec<(String, bool)> {
        let told = Arc::new(Told { refused: refused.map(str::to_owned), ..Told::default() });
        let (bus, stop) = (Arc::new(Embedded::new(1, Duration::from_secs(5))), Stop::new());
        let subscriptions = vec![Subscription { consumer: "test".into(), topic: "t".into() }];
        let listening = Arc::clone(&bus).run(subscriptions, Arc::clone(&told) as Arc<dyn Sink>, stop.clone());
        let mut relay = Relay::new(store.clone(), Arc::default(), bus, Default::default());
        let passing = async {
            for _ in 0..passes {
                relay.pass().await.unwrap();
                // Whatever was refused is due at once.
                relay.held = Held::default();
            }
            stop.request();
        };
        tokio::join!(listening, passing).0.unwrap();
        std::mem::take(&mut *told.events.lock())
    }

    #[tokio::test]
    async fn an_event_is_new_when_it_is_given_to_a_bus_for_the_first_time_of_all() {
        let store = Arc::new(Memory::new());
        write(&store, "one").await;
        write(&store, "two").await;
        let event = |id: &str, is_new| (id.to_owned(), is_new);
        let first = told_by(&store, Some("one"), 2).await;
        assert_eq!(first, [event("one", true), event("two", true), event("one", false)], "a second delivery is none of a new event");
        let next = Arc::new(store.reopen());
        write(&next, "three").await;
        let second = told_by(&next, None, 1).await;
        assert_eq!(second, [event("one", false), event("three", true)], "nobody knows what the process before this one did with it");
        next.republish(Timestamp::UNIX_EPOCH).await.unwrap();
        let again = told_by(&Arc::new(next.reopen()), None, 1).await;
        assert!(again.len() == 3 && again.iter().all(|(_, is_new)| !is_new), "{again:?}");
    }

    #[tokio::test]
    async fn events_of_a_key_stay_in_sequence_when_the_first_is_refused_and_more_wait_than_are_read_at_once() {
        let store = Arc::new(Memory::new());
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
        let relaying = Relay::new(store.clone(), Arc::default(), bus, Default::default()).run(stop.clone());
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
