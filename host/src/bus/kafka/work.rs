//! What becomes of the events of a batch: each is given to its consumers until they have it or it is a dead letter.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::future::join_all;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::producer::{Death, Producer};
use super::record::Incoming;
use super::settings::{Patience, Settings};
use crate::bus::{Event, Receipt, Sink, Subscription, by_topic};
use crate::clock;
use crate::shutdown::Stop;

/// Who gets what.
pub(super) struct Work {
    /// By topic, as it is called here.
    consumers: RwLock<Arc<HashMap<String, Vec<String>>>>,
    topics: watch::Sender<Wanted>,
    settings: Settings,
    sink: Arc<dyn Sink>,
    patience: Patience,
}

/// Topics, as they are called here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// That have to be there.
    pub made: BTreeSet<String>,
    /// Whose events are received.
    pub subscribed: BTreeSet<String>,
}

impl Wanted {
    /// The topics of a config, and those that somebody consumes.
    fn of(topics: &[String], consumers: &HashMap<String, Vec<String>>) -> Self {
        Self { made: topics.iter().cloned().collect(), subscribed: consumers.keys().cloned().collect() }
    }
}

/// What the broker knows of how far the group had come in a partition when that was given to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// All that comes is new, or was not committed.
    Offset,
    /// It begins with the first event that is there; those before this offset were there when the partition was given to this process.
    Nothing { below: i64 },
}

impl Known {
    /// Whether the group may have had the record at this offset long ago, without anybody knowing.
    fn may_repeat(self, offset: i64) -> bool {
        matches!(self, Self::Nothing { below } if offset < below)
    }
}

/// How far an event has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It has had its effect, or is a dead letter.
    Done,
    /// The partition was given away, or the process stops.
    Interrupted,
}

impl Work {
    pub(super) fn new(subscriptions: Vec<Subscription>, sink: Arc<dyn Sink>, patience: Patience, settings: Settings) -> Self {
        let consumers = by_topic(subscriptions);
        let wanted = Wanted::of(&settings.topics, &consumers);
        Self { consumers: RwLock::new(Arc::new(consumers)), topics: watch::Sender::new(wanted), settings, sink, patience }
    }

    /// Which topics there are to be, and whenever they are others.
    pub(super) fn topics(&self) -> watch::Receiver<Wanted> {
        self.topics.subscribe()
    }

    /// See [`Bus::resubscribe`](crate::bus::Bus::resubscribe).
    pub(super) fn resubscribe(&self, topics: &[String], subscriptions: Vec<Subscription>) {
        let consumers = by_topic(subscriptions);
        let wanted = Wanted::of(topics, &consumers);
        *self.consumers.write() = Arc::new(consumers);
        self.topics.send_if_modified(|before| {
            let is_another = *before != wanted;
            *before = wanted;
            is_another
        });
    }

    /// An event of `topic` that no consumer could be given is among the dead letters.
    pub(super) fn dead_letter_kept(&self, topic: &str) {
        self.sink.dead_letter_kept("", topic);
    }

    /// Handles events of one partition, keys side by side. Answers the offset of the last event before which, and with
    /// which, all is done.
    pub(super) async fn handle(&self, batch: Vec<Incoming>, known: Known, producer: &Producer, stop: &Stop) -> Option<i64> {
        let mut by_key: HashMap<Option<&[u8]>, Vec<&Incoming>> = HashMap::new();
        for incoming in &batch {
            by_key.entry(incoming.key.as_deref()).or_default().push(incoming);
        }
        let unfinished = join_all(by_key.into_values().map(|events| self.handle_key(events, known, producer, stop))).await;
        let first_unfinished = unfinished.into_iter().flatten().min();
        let done = batch.iter().map(|incoming| incoming.place.offset).filter(|offset| first_unfinished.is_none_or(|first| *offset < first));
        done.max()
    }

    /// Answers the offset of the first event that is not done.
    async fn handle_key(&self, events: Vec<&Incoming>, known: Known, producer: &Producer, stop: &Stop) -> Option<i64> {
        for incoming in events {
            if stop.is_requested() || self.handle_one(incoming, known, producer, stop).await == Progress::Interrupted {
                return Some(incoming.place.offset);
            }
        }
        None
    }

    async fn handle_one(&self, incoming: &Incoming, known: Known, producer: &Producer, stop: &Stop) -> Progress {
        let event = match incoming.event(self.settings.name_here(&incoming.place.topic)) {
            Ok(event) => event,
            Err(reason) => return self.give_up(incoming, &Death { reason: &reason, consumer: "" }, producer, stop).await,
        };
        let consumers = Arc::clone(&self.consumers.read());
        let consumers = consumers.get(&event.topic).map(Vec::as_slice).unwrap_or_default();
        let (mut deliveries, published) = (Vec::new(), incoming.published.filter(|_| known.may_repeat(incoming.place.offset)));
        for consumer in consumers {
            let is_forgotten = match published {
                Some(published) => self.sink.may_be_forgotten(consumer, &event, published).await,
                None => false,
            };
            if !is_forgotten {
                deliveries.push(self.deliver(consumer, incoming, &event, producer, stop));
            }
        }
        let progress = join_all(deliveries).await;
        if progress.contains(&Progress::Interrupted) { Progress::Interrupted } else { Progress::Done }
    }

    async fn deliver(&self, consumer: &str, incoming: &Incoming, event: &Event, producer: &Producer, stop: &Stop) -> Progress {
        let (mut deliveries, mut waits) = (0, 0);
        loop {
            let paused = clock::paused();
            let reason = match self.sink.receive(consumer, event).await {
                Receipt::Done => return Progress::Done,
                Receipt::Poison(reason) => return self.give_up(incoming, &Death { reason: &reason, consumer }, producer, stop).await,
                Receipt::Retry(reason) if clock::paused() == paused => {
                    deliveries += 1;
                    reason
                }
                // Whoever could not take it can take nothing now, or was stopped with the whole process: that counts for nothing.
                Receipt::Retry(reason) | Receipt::Wait(reason) => {
                    waits += 1;
                    reason
                }
            };
            if deliveries >= self.patience.deliveries {
                let reason = format!("given up after {deliveries} deliveries: {reason}");
                return self.give_up(incoming, &Death { reason: &reason, consumer }, producer, stop).await;
            }
            tracing::warn!(consumer, event = event.id, topic = event.topic, deliveries, reason, "an event is delivered again");
            if interrupted(stop, self.patience.wait(deliveries + waits)).await {
                return Progress::Interrupted;
            }
        }
    }

    /// Tries until the broker has the dead letter: without it the event must not count as handled.
    async fn give_up(&self, incoming: &Incoming, death: &Death<'_>, producer: &Producer, stop: &Stop) -> Progress {
        let mut attempts = 0;
        while let Err(error) = producer.send_dead_letter(incoming, death).await {
            attempts += 1;
            tracing::warn!(error, "a dead letter could not be sent");
            if interrupted(stop, self.patience.wait(attempts)).await {
                return Progress::Interrupted;
            }
        }
        self.sink.dead_letter_kept(death.consumer, self.settings.name_here(&incoming.place.topic));
        Progress::Done
    }
}

/// Waits, unless asked to stop.
async fn interrupted(stop: &Stop, wait: std::time::Duration) -> bool {
    tokio::time::timeout(wait, stop.requested()).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_there_before_a_group_of_which_nothing_is_known_may_be_repeated() {
        let known = Known::Nothing { below: 7 };
        assert!(known.may_repeat(0) && known.may_repeat(6));
        assert!(!known.may_repeat(7), "it came while this process was there");
        assert!(!Known::Offset.may_repeat(0), "the broker knows how far the group has come");
    }
}
