//! What is in the topics, read as any other program could.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message as _};

/// How long reading all of it may take.
const LIMIT: Duration = Duration::from_secs(60);
/// What the topics of orders begin with.
const ORDERS: &str = "order.";

/// A message about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: String,
    /// Its key: the order.
    pub order: String,
    /// Id of the event.
    pub event: String,
    /// When the broker took it, in milliseconds since 1970 by the broker's clock.
    pub at: i64,
}

/// Everything in the topics of orders from their first message, in each partition in its sequence. Blocks.
pub fn read(broker: &str) -> anyhow::Result<Vec<Record>> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", broker).set("group.id", "chaos").set("enable.auto.commit", "false");
    settings.set("auto.offset.reset", "earliest").set_log_level(RDKafkaLogLevel::Emerg);
    let consumer: BaseConsumer = settings.create()?;
    let deadline = Instant::now() + LIMIT;
    let metadata = consumer.fetch_metadata(None, LIMIT).context("Kafka does not tell its topics")?;
    let (mut wanted, mut left) = (TopicPartitionList::new(), HashMap::new());
    for topic in metadata.topics().iter().filter(|topic| topic.name().starts_with(ORDERS)) {
        for partition in topic.partitions() {
            let (first, end) = consumer.fetch_watermarks(topic.name(), partition.id(), LIMIT)?;
            if end > first {
                wanted.add_partition_offset(topic.name(), partition.id(), Offset::Offset(first))?;
                left.insert((topic.name().to_owned(), partition.id()), end);
            }
        }
    }
    consumer.assign(&wanted)?;
    let mut records = Vec::new();
    while !left.is_empty() {
        ensure!(Instant::now() < deadline, "of these partitions not all could be read: {left:?}");
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = message.context("a topic cannot be read")?;
        let place = (message.topic().to_owned(), message.partition());
        if left.get(&place).is_some_and(|end| message.offset() + 1 >= *end) {
            left.remove(&place);
        }
        let header = |name: &str| {
            let found = message.headers()?.iter().find(|header| header.key == name)?;
            Some(String::from_utf8_lossy(found.value?).into_owned())
        };
        records.push(Record {
            topic: place.0,
            order: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            event: header("ce_id").unwrap_or_default(),
            at: message.timestamp().to_millis().unwrap_or_default(),
        });
    }
    Ok(records)
}
