//! A broker as Kafka is one: a log for each topic, an offset for each consumer. What was published is there for good. What is delivered may come
//! again, and beside what another key has; the sequence of a key is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{join, join_all};
use millrace::bus::{Bus, BusError, BusHealth, Event, Lag, Receipt, Sink, Subscription};
use millrace::shutdown::Stop;

use crate::life::Life;
use crate::schedule::{Fault, Place};
use crate::world::World;

/// Events that a consumer takes at once.
const BATCH: usize = 8;
/// How long a consumer waits without being told of more.
const POLL: Duration = Duration::from_secs(1);
/// How long something takes that is slow.
const SLOW: Duration = Duration::from_secs(6);
/// Between two deliveries of what could not be taken.
const AGAIN: Duration = Duration::from_millis(300);

/// What the broker has.
#[derive(Default)]
pub struct Broker {
    /// By topic, what was published.
    pub topics: BTreeMap<String, Vec<Event>>,
    /// By consumer and topic, how many events it has noted as handled.
    pub offsets: BTreeMap<(String, String), usize>,
    /// Consumers, with their topics.
    pub consumers: Vec<Subscription>,
    /// What a consumer will never take: consumer, and id of the event.
    pub dead_letters: Vec<(String, String)>,
    /// Ids of events that make no sense.
    pub strange: Vec<String>,
    /// Ids of all that was published, in the sequence of all topics.
    published: Vec<String>,
}

impl Broker {
    /// Whether every consumer has noted all that is there.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.consumers.iter().all(|Subscription { consumer, topic }| {
            let there = self.topics.get(topic).map_or(0, Vec::len);
            self.offsets.get(&(consumer.clone(), topic.clone())).copied().unwrap_or_default() == there
        })
    }

    /// By the id of an event, its place among all when it came first.
    #[must_use]
    pub fn firsts(&self) -> BTreeMap<&str, usize> {
        self.published.iter().enumerate().rev().map(|(at, id)| (id.as_str(), at)).collect()
    }

    fn add(&mut self, event: &Event) {
        self.published.push(event.id.clone());
        self.topics.entry(event.topic.clone()).or_default().push(Event { is_new: false, ..event.clone() });
    }

    fn batch(&self, topic: &str, from: usize) -> Vec<Event> {
        self.topics.get(topic).map(|events| events.iter().skip(from).take(BATCH).cloned().collect()).unwrap_or_default()
    }
}

/// The connection of one process.
pub struct Link {
    world: Arc<World>,
    life: Life,
}

impl Link {
    /// For this process.
    #[must_use]
    pub fn new(world: Arc<World>, life: Life) -> Self {
        Self { world, life }
    }

    fn append(&self, event: &Event) {
        self.world.broker.lock().add(event);
        self.world.note("published", format_args!("{} {} {}", event.topic, event.key, event.id));
        self.world.published.notify_waiters();
    }

    async fn publish_one(&self, event: &Event) -> Result<(), BusError> {
        let fault = self.world.comes_to(Place::Publish);
        let wait = if fault == Some(Fault::Slow) { SLOW } else { self.world.a_while(0, 5) };
        tokio::time::sleep(wait).await;
        self.life.is_lived().await;
        match fault {
            Some(Fault::Dies) => self.life.die().await,
            Some(Fault::Refused) => return Err(BusError("the broker does not answer".into())),
            Some(Fault::Strange) => {
                let id = format!("strange-{}", event.id);
                self.world.broker.lock().strange.push(id.clone());
                self.append(&Event { id, payload: "{\"not\": \"ours\"}".into(), ..event.clone() });
            }
            _ => {}
        }
        self.append(event);
        match fault {
            Some(Fault::DiesUntold) => self.life.die().await,
            Some(Fault::Unacknowledged) => return Err(BusError("the acknowledgement was lost".into())),
            _ => {}
        }
        Ok(())
    }

    /// Gives one consumer one topic until the process stops.
    async fn consume(&self, Subscription { consumer, topic }: &Subscription, sink: &Arc<dyn Sink>, stop: &Stop) {
        let place = (consumer.clone(), topic.clone());
        let noted = || self.world.broker.lock().offsets.get(&place).copied().unwrap_or_default();
        let mut at = noted();
        while !stop.is_requested() {
            self.life.is_lived().await;
            let batch = self.world.broker.lock().batch(topic, at);
            if batch.is_empty() {
                // Clients say it again now and then, whether or not something has come.
                self.world.broker.lock().offsets.insert(place.clone(), at);
                tokio::select! {
                    biased;
                    () = self.world.published.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    () = stop.requested() => return,
                }
                continue;
            }
            let mut by_key: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
            for event in &batch {
                by_key.entry(&event.key).or_default().push(event);
            }
            join_all(by_key.into_values().map(|events| async move {
                for event in events {
                    self.deliver(consumer, event, sink).await;
                }
            }))
            .await;
            at += batch.len();
            match self.world.comes_to(Place::Offset) {
                Some(Fault::Unnoted) => {}
                Some(_) => at = noted(),
                None => drop(self.world.broker.lock().offsets.insert(place.clone(), at)),
            }
        }
    }

    /// Until it is taken, or never will be.
    async fn deliver(&self, consumer: &str, event: &Event, sink: &Arc<dyn Sink>) {
        let fault = self.world.comes_to(Place::Delivery);
        let wait = if fault == Some(Fault::Slow) { SLOW } else { self.world.a_while(0, 10) };
        tokio::time::sleep(wait).await;
        if fault == Some(Fault::Dies) {
            self.life.die().await;
        }
        loop {
            self.life.is_lived().await;
            self.world.note("delivered", format_args!("{consumer} {} {} {}", event.topic, event.key, event.id));
            let receipt = if fault == Some(Fault::Twice) {
                join(sink.receive(consumer, event), sink.receive(consumer, event)).await.0
            } else {
                sink.receive(consumer, event).await
            };
            self.life.is_lived().await;
            match receipt {
                Receipt::Done => break,
                Receipt::Poison(reason) => {
                    self.world.note("poison", format_args!("{consumer} {}: {reason}", event.id));
                    self.world.broker.lock().dead_letters.push((consumer.to_owned(), event.id.clone()));
                    break;
                }
                Receipt::Retry(reason) | Receipt::Wait(reason) => {
                    self.world.note("not taken", format_args!("{consumer} {}: {reason}", event.id));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        if fault == Some(Fault::DiesUntold) {
            self.life.die().await;
        }
    }
}

#[async_trait]
impl Bus for Link {
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), BusError>> {
        let mut failed: BTreeMap<&str, BusError> = BTreeMap::new();
        let mut results = Vec::with_capacity(events.len());
        for event in events {
            self.life.is_lived().await;
            let result = match failed.get(event.key.as_str()) {
                Some(error) => Err(error.clone()),
                None => self.publish_one(event).await,
            };
            if let Err(error) = &result {
                failed.insert(&event.key, error.clone());
            }
            results.push(result);
        }
        results
    }

    async fn run(self: Arc<Self>, subscriptions: Vec<Subscription>, sink: Arc<dyn Sink>, stop: Stop) -> anyhow::Result<()> {
        self.world.broker.lock().consumers.clone_from(&subscriptions);
        join_all(subscriptions.iter().map(|subscription| self.consume(subscription, &sink, &stop))).await;
        Ok(())
    }

    /// What a simulated process subscribes to does not change.
    fn resubscribe(&self, _: &[String], _: Vec<Subscription>) {}

    fn system(&self) -> &'static str {
        "simulated"
    }

    fn is_private(&self) -> bool {
        false
    }

    fn health(&self) -> BusHealth {
        BusHealth::Up
    }

    fn lag(&self) -> Vec<Lag> {
        Vec::new()
    }
}
