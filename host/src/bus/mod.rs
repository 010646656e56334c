//! Telling the world: events go out by topic, and come in for those who subscribed.
//!
//! The seam between the services and a broker. [`Bus`] has two back ends, [`embedded`] and [`kafka`], and one conformance
//! suite that both pass. A back end knows topics, keys and bytes. It does not know the store: what makes an event
//! durable before it is published, and marked after it, is the relay in `services/messaging/`.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::shutdown::Stop;

pub mod embedded;
pub mod kafka;
mod settings;

pub use self::settings::Settings;

/// One event on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Globally unique; consumers remember it.
    pub id: String,
    /// For example `return.approved`.
    pub topic: String,
    /// Events of one key keep their sequence.
    pub key: String,
    /// CloudEvents 1.0 JSON.
    pub payload: Arc<str>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Whether it is given to a bus for the first time of all: whoever is given it by that bus cannot have taken it before, and need not look.
    pub is_new: bool,
}

/// Who wants which topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Name of the consumer, unique on the bus.
    pub consumer: String,
    /// Exact topic.
    pub topic: String,
}

/// What became of an event at a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// Its effect is durable, or there is none.
    Done,
    /// Not now; deliver it again, later events of its key must wait.
    Retry(String),
    /// Whoever should take it can take nothing now, whatever the event: deliver it again, as often as it takes. It never becomes a dead letter
    /// because of that.
    Wait(String),
    /// Never; it goes to the dead letters with this reason, and its key goes on.
    Poison(String),
}

/// Takes the events of its subscriptions.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Makes the effect of the event durable, once per `(consumer, event.id)` however often it is called.
    async fn receive(&self, consumer: &str, event: &Event) -> Receipt;

    /// Whether an event that was published at `published` may have had its effect so long ago that this is forgotten. A bus asks that of what
    /// comes although nobody knows how far `consumer` had come: of a group under another name, or after its broker has lost that.
    async fn may_be_forgotten(&self, consumer: &str, event: &Event, published: Timestamp) -> bool {
        let _ = (consumer, event, published);
        false
    }

    /// Keeps an event that `consumer` will never take, for a bus that has no place of its own for dead letters.
    ///
    /// # Errors
    /// It could not be kept; the event must be delivered again.
    async fn keep_dead_letter(&self, consumer: &str, event: &Event, reason: &str) -> Result<(), String>;

    /// Is told that a bus with a place of its own for dead letters has put an event of `topic` there that `consumer` will never take;
    /// `consumer` is empty for what no consumer could be given.
    fn dead_letter_kept(&self, consumer: &str, topic: &str) {
        let _ = (consumer, topic);
    }
}

/// What a process is among those that have one database, and so share the events of one group.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its number among those of its machine, from 1.
    pub seat: u32,
    /// Whether it is sure that no other one has taken its work over; while it is not, it receives nothing. `None` where that cannot happen.
    pub sure: Option<watch::Receiver<bool>>,
}

impl Default for Member {
    /// The only one.
    fn default() -> Self {
        Self { seat: 1, sure: None }
    }
}

/// Events of a topic that are not handled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// A topic that is subscribed to.
    pub topic: String,
    /// Events that this process should handle and has not.
    pub events: u64,
}

/// Why an event could not be published.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct BusError(pub String);

/// Whether the bus works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusHealth {
    /// It does.
    Up,
    /// It does not, and why. Events wait in the outbox.
    Down(String),
}

/// A broker.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Publishes events in the sequence given (per key it is kept) and answers, for each, whether it is safe to forget it.
    /// After the first failure of a key the later events of that key are not sent.
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), BusError>>;

    /// Delivers the subscribed topics to `sink` until `stop`.
    async fn run(self: Arc<Self>, subscriptions: Vec<Subscription>, sink: Arc<dyn Sink>, stop: Stop) -> anyhow::Result<()>;

    /// From now on `subscriptions` count, in the place of those that [`run`](Self::run) began with: what is published after this is delivered to
    /// them. What is under way ends as it began, and how far the consumers have come stays as it is. `topics` are those of the config from now on.
    fn resubscribe(&self, topics: &[String], subscriptions: Vec<Subscription>);

    /// What kind of broker it is, as traces name it.
    fn system(&self) -> &'static str;

    /// Whether nobody but this process can publish on it: what it delivers is what it was given.
    fn is_private(&self) -> bool;

    /// Whether it works now.
    fn health(&self) -> BusHealth;

    /// Why what was subscribed to does not come, or comes with breaks, though the bus works; in words. `None` if it comes.
    fn deaf(&self) -> Option<String> {
        None
    }

    /// How far this process is behind, for each topic that it is subscribed to, as far as is known.
    fn lag(&self) -> Vec<Lag>;
}

/// Consumers by topic, in their sequence.
fn by_topic(subscriptions: Vec<Subscription>) -> HashMap<String, Vec<String>> {
    let mut by_topic: HashMap<String, Vec<String>> = HashMap::new();
    for Subscription { consumer, topic } in subscriptions {
        by_topic.entry(topic).or_default().push(consumer);
    }
    by_topic
}

/// The events of each key in their sequence, with their places among all.
fn by_key(events: &[Event]) -> Vec<Vec<(usize, &Event)>> {
    let mut keys: HashMap<&str, usize> = HashMap::new();
    let mut batches: Vec<Vec<(usize, &Event)>> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let batch = *keys.entry(&event.key).or_insert_with(|| {
            batches.push(Vec::new());
            batches.len() - 1
        });
        batches[batch].push((index, event));
    }
    batches
}
