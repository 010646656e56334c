//! A bus of either kind with topics of its own, and a subscriber that a test directs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use millrace::bus::embedded::Embedded;
use millrace::bus::kafka::{self, Kafka, dead_letters};
use millrace::bus::{Bus, BusHealth, Event, Lag, Member, Receipt, Sink, Subscription};
use millrace::shutdown::Stop;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::kafka_broker::KafkaBroker;

/// Deliveries of an event before it becomes a dead letter, where nothing else is said.
pub const DELIVERIES: u32 = 4;
/// Longest wait for anything that is expected to happen.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What a bus is made of; several can be opened on it, one after the other.
pub struct TestEnv {
    broker: Option<Arc<KafkaBroker>>,
    prefix: String,
}

impl TestEnv {
    pub async fn embedded() -> Self {
        Self { broker: None, prefix: unique() }
    }

    pub async fn kafka() -> Self {
        let broker = tokio::task::spawn_blocking(KafkaBroker::shared).await.unwrap();
        Self { broker: Some(broker), prefix: unique() }
    }

    /// A topic that no other test has.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    pub fn event(&self, topic: &str, key: &str, number: usize) -> Event {
        let id = format!("{}-{topic}-{key}-{number}", self.prefix);
        let payload = format!(r#"{{"id":"{id}","number":{number}}}"#).into();
        Event { id, topic: self.topic(topic), key: key.to_owned(), payload, traceparent: None, is_new: false }
    }

    /// Settings of a Kafka client.
    pub fn settings(&self, address: &str) -> kafka::Settings {
        kafka::Settings {
            name: "bus".into(),
            brokers: vec![address.to_owned()],
            group_id: format!("{}-group", self.prefix),
            instance_id: Some("only".into()),
            topics: Vec::new(),
            topic_prefix: String::new(),
        }
    }

    /// A Kafka client of one of several processes that share a group.
    pub fn member(settings: kafka::Settings, member: Member) -> Kafka {
        Kafka::with_patience(settings, member, kafka::Patience::default()).unwrap()
    }

    /// A Kafka client that gives up after so many deliveries, which is soon.
    pub fn client(settings: kafka::Settings, deliveries: u32) -> Kafka {
        let patience = kafka::Patience { deliveries, first_wait: Duration::from_millis(20), longest_wait: Duration::from_millis(100) };
        Kafka::with_patience(settings, Member::default(), patience).unwrap()
    }

    pub fn address(&self) -> String {
        self.broker.as_ref().expect("only of Kafka").address()
    }

    /// A bus that delivers `topics` to `subscriber`, as `("consumer", "topic")`.
    pub async fn open(&self, subscriptions: &[(&str, &str)], subscriber: &Subscriber) -> Running {
        let bus: Arc<dyn Bus> = match &self.broker {
            None => Arc::new(Embedded::new(64, Duration::from_secs(10))),
            Some(broker) => Arc::new(Self::client(self.settings(&broker.address()), DELIVERIES)),
        };
        let running = self.run(bus, subscriptions, subscriber);
        running.until_up().await;
        running
    }

    /// Runs a bus, whether or not it will be available.
    pub fn run(&self, bus: Arc<dyn Bus>, subscriptions: &[(&str, &str)], subscriber: &Subscriber) -> Running {
        let subscriptions = self.subscriptions(subscriptions);
        let stop = Stop::new();
        let task = tokio::spawn(Arc::clone(&bus).run(subscriptions, Arc::new(subscriber.clone()), stop.clone()));
        Running { bus, stop, task }
    }

    fn subscriptions(&self, named: &[(&str, &str)]) -> Vec<Subscription> {
        let subscription = |(consumer, topic): &(&str, &str)| Subscription { consumer: (*consumer).to_owned(), topic: self.topic(topic) };
        named.iter().map(subscription).collect()
    }

    /// Has a bus deliver other topics to other consumers from now on.
    pub fn resubscribe(&self, running: &Running, subscriptions: &[(&str, &str)]) {
        let subscriptions = self.subscriptions(subscriptions);
        let topics: Vec<String> = subscriptions.iter().map(|subscription| subscription.topic.clone()).collect();
        running.bus.resubscribe(&topics, subscriptions);
    }

    /// Ids and reasons of the dead letters of a topic.
    pub async fn dead_letters(&self, topic: &str, subscriber: &Subscriber) -> Vec<(String, String)> {
        let Some(broker) = &self.broker else { return subscriber.dead_letters.lock().clone() };
        let (settings, topic) = (self.settings(&broker.address()), self.topic(topic));
        let letters = tokio::task::spawn_blocking(move || dead_letters::list(&settings, &[topic])).await.unwrap().unwrap();
        assert_eq!(letters.failed, []);
        letters.letters.into_iter().map(|letter| (letter.event_id.unwrap_or_default(), letter.reason)).collect()
    }
}

/// Topics and groups of tests that share a broker must differ.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A bus that runs.
pub struct Running {
    pub bus: Arc<dyn Bus>,
    stop: Stop,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub async fn until_up(&self) {
        let up = async {
            while self.bus.health() != BusHealth::Up {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, up).await.unwrap_or_else(|_| panic!("{:?}", self.bus.health()));
    }

    /// Waits until the bus says that it is down, and why.
    pub async fn until_down(&self) -> String {
        let down = async {
            loop {
                if let BusHealth::Down(reason) = self.bus.health() {
                    return reason;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, down).await.expect("the bus says that it is down")
    }

    /// Waits until the bus says that it receives nothing, with these words.
    pub async fn until_deaf(&self, words: &str) {
        let deaf = async {
            while !self.bus.deaf().is_some_and(|reason| reason.contains(words)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, deaf).await.unwrap_or_else(|_| panic!("expected '{words}': {:?}", self.bus.deaf()));
    }

    /// Waits until the bus says that it is so many events of a topic behind.
    pub async fn until_behind(&self, topic: &str, events: u64) {
        let behind = async {
            while !self.bus.lag().contains(&Lag { topic: topic.to_owned(), events }) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, behind).await.unwrap_or_else(|_| panic!("expected {events}: {:?}", self.bus.lag()));
    }

    /// Publishes as the relay does: what was refused is published again.
    pub async fn publish(&self, events: &[Event]) {
        let publishing = async {
            let mut left = events.to_vec();
            while !left.is_empty() {
                let results = self.bus.publish(&left).await;
                assert_eq!(results.len(), left.len());
                left = left.into_iter().zip(results).filter_map(|(event, result)| result.is_err().then_some(event)).collect();
                if !left.is_empty() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, publishing).await.expect("everything is published in time");
    }

    /// Stops as SIGTERM would.
    pub async fn close(self) {
        self.stop.request();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("stops in time").unwrap().unwrap();
    }
}

type Direction = dyn Fn(&str, &Event, u32) -> Receipt + Send + Sync;

/// Takes events as directed and remembers those that it took.
#[derive(Clone)]
pub struct Subscriber {
    direction: Arc<Direction>,
    deliveries: Arc<Mutex<HashMap<(String, String), u32>>>,
    taken: Arc<watch::Sender<Vec<(String, Event)>>>,
    dead_letters: Arc<Mutex<Vec<(String, String)>>>,
    told: Arc<Mutex<Vec<String>>>,
    /// What was published before has had its effect, as far as it knows.
    forgotten: Arc<Mutex<Option<Timestamp>>>,
}

impl Subscriber {
    /// Takes everything.
    pub fn willing() -> Self {
        Self::directed(|_, _, _| Receipt::Done)
    }

    /// Answers as told for a consumer, an event and the number of its delivery, from 1.
    pub fn directed(direction: impl Fn(&str, &Event, u32) -> Receipt + Send + Sync + 'static) -> Self {
        Self {
            direction: Arc::new(direction),
            deliveries: Arc::default(),
            taken: Arc::new(watch::Sender::new(Vec::new())),
            dead_letters: Arc::default(),
            told: Arc::default(),
            forgotten: Arc::default(),
        }
    }

    /// From now on it knows no more what it has taken of what was published before `then`.
    pub fn forget_before(&self, then: Timestamp) {
        *self.forgotten.lock() = Some(then);
    }

    /// Waits until that many events were taken, and answers all in the sequence of taking.
    pub async fn until_taken(&self, count: usize) -> Vec<(String, Event)> {
        let mut taken = self.taken.subscribe();
        let enough = tokio::time::timeout(PATIENCE, taken.wait_for(|taken| taken.len() >= count)).await;
        match enough {
            Ok(taken) => taken.unwrap().clone(),
            Err(_) => panic!("only {} of {count} events were taken", self.taken.borrow().len()),
        }
    }

    /// How many events were taken.
    pub fn count(&self) -> usize {
        self.taken.borrow().len()
    }

    /// Waits until an event was taken.
    pub async fn until_took(&self, event: &Event) {
        let mut taken = self.taken.subscribe();
        let found = taken.wait_for(|taken| taken.iter().any(|(_, took)| took.id == event.id));
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("'{}' was never taken", event.id)).unwrap();
    }

    /// How often an event was delivered to a consumer.
    pub fn deliveries(&self, consumer: &str, event: &Event) -> u32 {
        self.deliveries.lock().get(&(consumer.to_owned(), event.id.clone())).copied().unwrap_or_default()
    }

    /// Topics of the dead letters that the bus says it has kept itself.
    pub fn told_of_dead_letters(&self) -> Vec<String> {
        self.told.lock().clone()
    }

    /// Waits until an event was delivered that often.
    pub async fn until_delivered(&self, consumer: &str, event: &Event, times: u32) {
        let delivered = async {
            while self.deliveries(consumer, event) < times {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, delivered).await.expect("delivered in time");
    }
}

#[async_trait]
impl Sink for Subscriber {
    async fn receive(&self, consumer: &str, event: &Event) -> Receipt {
        let delivery = {
            let mut deliveries = self.deliveries.lock();
            let delivery = deliveries.entry((consumer.to_owned(), event.id.clone())).or_default();
            *delivery += 1;
            *delivery
        };
        let receipt = (self.direction)(consumer, event, delivery);
        if receipt == Receipt::Done {
            self.taken.send_modify(|taken| taken.push((consumer.to_owned(), event.clone())));
        }
        receipt
    }

    async fn may_be_forgotten(&self, _: &str, _: &Event, published: Timestamp) -> bool {
        self.forgotten.lock().is_some_and(|before| published < before)
    }

    async fn keep_dead_letter(&self, _: &str, event: &Event, reason: &str) -> Result<(), String> {
        self.dead_letters.lock().push((event.id.clone(), reason.to_owned()));
        Ok(())
    }

    fn dead_letter_kept(&self, _: &str, topic: &str) {
        self.told.lock().push(topic.to_owned());
    }
}
