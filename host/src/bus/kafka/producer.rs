//! Sends events: per key one after the other, keys side by side, each answered by the broker's own report.

use std::time::Duration;

use parking_lot::RwLock;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::Delivery;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::link::Link;
use super::record::{self, Incoming};
use super::settings::Settings;
use super::topics::{self, Topics, dead_letters_of};
use crate::bus::{BusHealth, Event};

/// How long an event may wait for room in the client's own queue.
const QUEUE_LIMIT: Duration = Duration::from_secs(5);
/// How long a stopping process waits for what the client still holds.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Sends to the broker.
pub(super) struct Producer {
    /// Clones share one connection.
    client: RwLock<FutureProducer<Link>>,
    settings: Settings,
    link: Link,
    topics: Topics,
}

/// What became of an event that the broker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    /// It is in its topic.
    Sent,
    /// It is among the dead letters.
    DeadLetter,
}

/// Why and where an event became a dead letter.
pub(super) struct Death<'a> {
    pub reason: &'a str,
    pub consumer: &'a str,
}

impl Producer {
    /// Connects in the background.
    ///
    /// # Errors
    /// The settings are not accepted.
    pub(super) fn new(settings: Settings, link: Link) -> anyhow::Result<Self> {
        let client = RwLock::new(connected(&settings, &link)?);
        Ok(Self { client, settings, link, topics: Topics::default() })
    }

    pub(super) fn client(&self) -> FutureProducer<Link> {
        self.client.read().clone()
    }

    /// Connects anew. What waits in the client of before is given up, and whoever waits for it is told so; blocks for up to a second.
    ///
    /// # Errors
    /// There can be no client.
    pub(super) fn renew(&self) -> anyhow::Result<()> {
        let client = connected(&self.settings, &self.link)?;
        let before = std::mem::replace(&mut *self.client.write(), client);
        drop(before);
        Ok(())
    }

    /// Makes topics that are not there, by their names at the broker.
    pub(super) async fn ensure(&self, topics: &[&str]) -> Result<(), String> {
        self.topics.ensure(&self.settings, &self.link, topics).await
    }

    /// Looks whether the first dead letter of each of these topics, by their names at the broker, will have a place.
    pub(super) async fn try_dead_letters(&self, of: &[String]) {
        topics::try_dead_letters(&self.settings, &self.link, of).await;
    }

    /// Publishes an event. One that the broker will never take becomes a dead letter without its payload: it must not hold
    /// up the events after it, and the outbox still has it.
    ///
    /// # Errors
    /// The broker has not got it, in words.
    pub(super) async fn publish(&self, event: &Event) -> Result<Published, String> {
        if let BusHealth::Down(reason) = self.link.health() {
            return Err(reason);
        }
        let topic = self.settings.at_broker(&event.topic);
        self.ensure(&[&topic]).await?;
        let sent = tokio::select! {
            sent = self.send(record::outgoing(event, &topic)) => sent,
            // It may be sent nevertheless, when the broker comes back: then it is there twice.
            reason = self.link.until_down() => return Err(reason),
        };
        match sent {
            Err(SendError::TooLarge) => {
                let reason = format!("{} bytes are more than the topic takes", event.payload.len());
                self.send_dead_letter_without_payload(event, &topic, &reason).await.map(|()| Published::DeadLetter)
            }
            result => result.map(|()| Published::Sent).map_err(|error| error.to_string()),
        }
    }

    /// Keeps a record that `death.consumer` will never take in the topic of dead letters.
    ///
    /// # Errors
    /// The broker has not got it, in words.
    pub(super) async fn send_dead_letter(&self, incoming: &Incoming, death: &Death<'_>) -> Result<(), String> {
        let place = &incoming.place;
        tracing::error!(death.consumer, place.topic, place.partition, place.offset, death.reason, "an event becomes a dead letter");
        self.topics.ensure_dead_letters(&self.settings, &self.link, &place.topic).await?;
        let topic = dead_letters_of(&place.topic);
        let headers = death_headers(incoming.original_headers(), &place.topic, death)
            .insert(Header { key: record::DEAD_LETTER_PARTITION, value: Some(&place.partition.to_string()) })
            .insert(Header { key: record::DEAD_LETTER_OFFSET, value: Some(&place.offset.to_string()) })
            .insert(Header { key: "dlq_group", value: Some(&self.settings.group_id) });
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&topic).headers(headers);
        record.key = incoming.key.as_deref();
        record.payload = incoming.payload.as_deref();
        self.send(record).await.map_err(|error| error.to_string())
    }

    /// Sends a dead letter to its topic again, as it was; `topic` is its name at the broker.
    ///
    /// # Errors
    /// The broker has not got it, in words.
    pub(super) async fn resend(&self, letter: &Incoming, topic: &str) -> Result<(), String> {
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).headers(letter.original_headers());
        record.key = letter.key.as_deref();
        record.payload = letter.payload.as_deref();
        self.ensure(&[topic]).await?;
        self.send(record).await.map_err(|error| error.to_string())
    }

    async fn send_dead_letter_without_payload(&self, event: &Event, topic: &str, reason: &str) -> Result<(), String> {
        tracing::error!(event = event.id, topic, reason, "an event is too large for its topic and becomes a dead letter");
        self.topics.ensure_dead_letters(&self.settings, &self.link, topic).await?;
        let headers = death_headers(record::headers(event), topic, &Death { reason, consumer: "" });
        let topic = dead_letters_of(topic);
        let record: FutureRecord<'_, str, str> = FutureRecord::to(&topic).key(&*event.key).headers(headers);
        self.send(record).await.map_err(|error| error.to_string())
    }

    async fn send<K, P>(&self, record: FutureRecord<'_, K, P>) -> Result<(), SendError>
    where
        K: rdkafka::message::ToBytes + ?Sized,
        P: rdkafka::message::ToBytes + ?Sized,
    {
        let topic = record.topic;
        let error = match self.client().send(record, QUEUE_LIMIT).await {
            Ok(delivery) => return acknowledged(&delivery),
            Err((error, _)) => error,
        };
        // Whatever went wrong, the topic may have been deleted: it is looked for before the next attempt.
        self.topics.gone(topic);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            return Err(SendError::TooLarge);
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::InvalidTimestamp) {
            return Err(SendError::Date(error));
        }
        self.link.doubt(None);
        Err(SendError::Other(error))
    }

    /// Waits for the reports of what was sent; blocks.
    pub(super) fn flush(&self) {
        if let Err(error) = self.client().flush(FLUSH_LIMIT) {
            tracing::warn!(%error, "events were not acknowledged before the stop; they are sent again at the next start");
        }
    }
}

fn connected(settings: &Settings, link: &Link) -> anyhow::Result<FutureProducer<Link>> {
    Ok(settings.producer().create_with_context(link.clone())?)
}

/// Whether the broker has said where it has put a record.
///
/// Without a place the client only takes it for a duplicate, because the broker has a later number of its sequence: when the first requests
/// to a new partition are refused and sent again the other way round, that is so of records that the broker never took. To send it
/// again is at worst a second delivery.
fn acknowledged(delivery: &Delivery) -> Result<(), SendError> {
    if delivery.offset < 0 { Err(SendError::Nowhere) } else { Ok(()) }
}

fn death_headers(headers: OwnedHeaders, topic: &str, death: &Death<'_>) -> OwnedHeaders {
    headers
        .insert(Header { key: "dlq_topic", value: Some(topic) })
        .insert(Header { key: "dlq_reason", value: Some(death.reason) })
        .insert(Header { key: "dlq_consumer", value: Some(death.consumer) })
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    /// It never will be taken.
    #[error("the event is larger than its topic takes")]
    TooLarge,
    /// It may be there or not.
    #[error("the broker did not say where it has put the event")]
    Nowhere,
    /// Its topic takes none of that date, which is that of this machine.
    #[error(
        "{0}: compare the clock of this machine with the broker's, and look at the dates that the topic takes (message.timestamp.*.max.ms)"
    )]
    Date(KafkaError),
    /// It may be taken later.
    #[error(transparent)]
    Other(KafkaError),
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;

    use super::*;

    #[test]
    fn a_record_counts_as_sent_when_its_place_is_known() {
        let delivery = |offset| Delivery { partition: 2, offset, timestamp: Timestamp::NotAvailable };
        assert!(acknowledged(&delivery(0)).is_ok());
        // librdkafka's RD_KAFKA_OFFSET_INVALID.
        assert!(matches!(acknowledged(&delivery(-1001)), Err(SendError::Nowhere)));
    }
}
