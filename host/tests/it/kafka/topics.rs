//! What is in the topics of one shop, read and written as any other program could.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Headers as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message as _};
use serde_json::Value;

use crate::client::PATIENCE;

/// What happens to an order, in its sequence; each is a topic.
pub const EVENTS: [&str; 5] = ["created", "validated", "paid", "shipped", "delivered"];

/// Of one order: sequence number in its history and name of the topic, and when the event was first sent, in milliseconds.
pub type Events = BTreeMap<(u64, String), i64>;

/// The topics and the group of one shop, on a broker that others may use too.
#[derive(Debug, Clone)]
pub struct Topics {
    address: String,
    prefix: String,
    group: String,
}

impl Topics {
    /// As the configs of the repository name them.
    pub fn of_configs(address: &str) -> Self {
        Self { address: address.to_owned(), prefix: "order".into(), group: "orders-group".into() }
    }

    /// Names that no other test has.
    pub fn unique(address: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let prefix = format!("shop-{}.order", NEXT.fetch_add(1, Ordering::Relaxed));
        Self { address: address.to_owned(), group: format!("{prefix}-group"), prefix }
    }

    /// The same topics as another consumer group reads them.
    pub fn of_group(&self, group: &str) -> Self {
        Self { group: group.to_owned(), ..self.clone() }
    }

    /// `host:port` of the broker.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What the names begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The consumer group.
    pub fn group(&self) -> &str {
        &self.group
    }

    pub fn topic(&self, event: &str) -> String {
        format!("{}.{event}", self.prefix)
    }

    fn all(&self) -> Vec<String> {
        EVENTS.iter().chain(&["cancelled"]).map(|event| self.topic(event)).collect()
    }

    /// All that is in the topics.
    pub async fn records(&self) -> Vec<Record> {
        let (address, topics) = (self.address.clone(), self.all());
        tokio::task::spawn_blocking(move || topics.iter().flat_map(|topic| read(&address, topic)).collect()).await.unwrap()
    }

    /// The events that the topics have of each order, in the sequence of the orders' histories, with the time when each was first
    /// sent. Fails on an event whose record is not as it should be.
    pub async fn events(&self) -> BTreeMap<String, Events> {
        let mut first_sent: BTreeMap<String, Events> = BTreeMap::new();
        for record in self.records().await {
            let event: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
            assert_eq!(event["type"], record.topic);
            assert_eq!(event["data"]["orderId"], record.key);
            assert_eq!(record.headers["ce_id"], event["id"].as_str().unwrap());
            assert!(record.headers["content-type"].starts_with("application/cloudevents+json"));
            let name = record.topic.rsplit('.').next().unwrap().to_owned();
            let of_order = first_sent.entry(record.key).or_default();
            let at = of_order.entry((event["data"]["seq"].as_u64().unwrap(), name)).or_insert(record.at);
            *at = record.at.min(*at);
        }
        first_sent
    }

    /// Waits until the topics have every event of these delivered orders, and checks that each was first sent in its sequence.
    pub async fn until_told(&self, orders: &[String]) {
        let events = self.until_complete(orders).await;
        for (order, events) in events {
            assert!(events.values().is_sorted(), "the events of '{order}' were not sent in their sequence: {events:?}");
        }
    }

    /// Waits until the topics have every event of these delivered orders, in whatever sequence they came.
    pub async fn until_complete(&self, orders: &[String]) -> BTreeMap<String, Events> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Before the reading, which may take its time: the last one is of everything that was there at the deadline.
            let late = Instant::now() >= deadline;
            let events = self.events().await;
            let incomplete = orders.iter().find(|id| {
                let names = events.get(*id).map(|events| events.keys().map(|(_, name)| name.as_str()).collect::<Vec<_>>());
                names.as_deref() != Some(&EVENTS)
            });
            let Some(incomplete) = incomplete else { return events };
            assert!(!late, "the topics have of '{incomplete}' only {:?}", events.get(incomplete));
        }
    }

    /// Waits until a record is there, and answers all that are.
    pub async fn until_holding(&self, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let records = self.records().await;
            if records.iter().any(&wanted) {
                return records;
            }
            assert!(Instant::now() < deadline, "the record does not come; there are {}", records.len());
        }
    }

    /// Waits until the topics that the configs name are there, and answers every topic of the broker but its own, by name.
    pub async fn until_made(&self) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let listed = self.listed().await;
            if self.all().iter().all(|topic| listed.contains(topic)) {
                return listed;
            }
            assert!(Instant::now() < deadline, "there are only the topics {listed:?}");
        }
    }

    async fn listed(&self) -> Vec<String> {
        let address = self.address.clone();
        tokio::task::spawn_blocking(move || {
            let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &address).create().unwrap();
            let metadata = answered(|| client.fetch_metadata(None, PATIENCE));
            let mut names: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
            names.retain(|name| !name.starts_with("__"));
            names.sort();
            names
        })
        .await
        .unwrap()
    }

    /// Waits until the group has stored the offset of everything that is in the topics.
    pub async fn until_consumed(&self) {
        let (address, group, topics) = (self.address.clone(), self.group.clone(), self.all());
        tokio::task::spawn_blocking(move || {
            let reader: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &address).set("group.id", &group).create().unwrap();
            let deadline = Instant::now() + PATIENCE;
            while topics.iter().any(|topic| lag(&reader, topic) > 0) {
                assert!(Instant::now() < deadline, "the group is behind");
            }
        })
        .await
        .unwrap();
    }

    /// Writes records as any other program could.
    pub async fn produce(&self, records: &[Record]) {
        let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", &self.address).create().unwrap();
        for record in records {
            let headers = record
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(rdkafka::message::Header { key, value: Some(value) }));
            let mut outgoing: FutureRecord<'_, str, [u8]> = FutureRecord::to(&record.topic).key(&*record.key).headers(headers);
            outgoing.payload = record.payload.as_deref();
            producer.send(outgoing, PATIENCE).await.unwrap();
        }
    }
}

/// A record of a topic.
#[derive(Debug, Clone)]
pub struct Record {
    pub topic: String,
    pub key: String,
    pub payload: Option<Vec<u8>>,
    pub headers: HashMap<String, String>,
    /// Milliseconds since 1970; of a record that was read.
    pub at: i64,
}

impl Record {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers =
            message.headers().map(|headers| headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap()))).collect());
        Self {
            topic: message.topic().to_owned(),
            key: text(message.key().unwrap()),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            at: message.timestamp().to_millis().unwrap_or_default(),
        }
    }
}

/// Asks until there is an answer: a topic that was made a moment ago may have no leader yet.
fn answered<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "Kafka does not answer: {error}"),
        }
    }
}

/// Partitions of a topic with their ends.
fn partitions(client: &BaseConsumer, topic: &str) -> Vec<(i32, i64)> {
    let metadata = answered(|| client.fetch_metadata(Some(topic), PATIENCE));
    let partitions: Vec<i32> = metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect();
    partitions.into_iter().map(|id| (id, answered(|| client.fetch_watermarks(topic, id, PATIENCE)).1)).collect()
}

fn read(address: &str, topic: &str) -> Vec<Record> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", address).set("group.id", "reader").create().unwrap();
    let partitions = partitions(&client, topic);
    let mut places = TopicPartitionList::new();
    let mut expected = 0;
    for (partition, end) in partitions {
        places.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        expected += end;
    }
    client.assign(&places).unwrap();
    let mut records = Vec::new();
    while (records.len() as i64) < expected {
        match client.poll(PATIENCE).expect("Kafka gives what it has") {
            Ok(message) => records.push(Record::of(&message)),
            // Of a topic that was deleted and made again meanwhile: the client finds it by itself.
            Err(error) => eprintln!("{topic}: {error}"),
        }
    }
    records
}

fn lag(client: &BaseConsumer, topic: &str) -> i64 {
    let partitions = partitions(client, topic);
    let mut places = TopicPartitionList::new();
    for (partition, _) in &partitions {
        places.add_partition(topic, *partition);
    }
    let committed = answered(|| client.committed_offsets(places.clone(), PATIENCE));
    let done = |partition: i32| match committed.find_partition(topic, partition).map(|place| place.offset()) {
        Some(Offset::Offset(offset)) => offset,
        _ => 0,
    };
    partitions.iter().map(|(partition, end)| end - done(*partition)).sum()
}
