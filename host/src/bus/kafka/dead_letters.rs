//! Looking at dead letters and sending them again, from beside the process that made them.
//!
//! What was sent again is remembered as the offset of a group of its own, so a letter is listed until then, and once.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::link::Link;
use super::producer::Producer;
use super::record::Incoming;
use super::settings::Settings;
use super::topics::dead_letters_of;

/// How long the broker may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

/// An event that nobody could take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Topic it belongs to.
    pub topic: String,
    /// Place among the dead letters of its topic.
    pub offset: i64,
    /// Its key.
    pub key: String,
    /// Id of the event, if it has one.
    pub event_id: Option<String>,
    /// Group of consumers that it gave up in; empty when it never was one's.
    pub group: String,
    /// Who gave up; empty when it never was an event.
    pub consumer: String,
    /// Why.
    pub reason: String,
    /// The event, if it was small enough to be kept.
    pub payload: Option<Vec<u8>>,
}

/// The dead letters of `topics` that were not sent again yet. Blocks.
///
/// # Errors
/// The broker cannot be read.
pub fn list(settings: &Settings, topics: &[String]) -> anyhow::Result<Vec<Letter>> {
    let mut letters = Vec::new();
    for topic in topics {
        let reader = Reader::open(settings, topic)?;
        letters.extend(reader.waiting()?.iter().map(|incoming| letter(topic, incoming)));
    }
    Ok(letters)
}

/// What was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redriven {
    /// Dead letters that are not listed any more.
    pub letters: usize,
    /// Events sent for them: one for all that several consumers made of the same record.
    pub events: usize,
}

/// Sends the dead letters of `topics` again, each record once whoever gave it up. One whose event was not kept stays, and holds up
/// those behind it in its topic. Consumers that have taken an event already recognise it.
///
/// # Errors
/// The broker cannot be read or written; what was sent until then was sent.
pub async fn redrive(settings: &Settings, topics: &[String]) -> anyhow::Result<Redriven> {
    let link = Link::new(&settings.brokers);
    let producer = Producer::new(settings.clone(), link)?;
    let mut redriven = Redriven::default();
    for topic in topics {
        let (settings, name) = (settings.clone(), topic.clone());
        let (reader, waiting) = tokio::task::spawn_blocking(move || {
            let reader = Reader::open(&settings, &name)?;
            let waiting = reader.waiting()?;
            anyhow::Ok((reader, waiting))
        })
        .await??;
        let mut sent = HashSet::new();
        for incoming in waiting {
            anyhow::ensure!(
                incoming.payload.is_some(),
                "the event of dead letter {} of '{topic}' was too large to be kept: raise the topic's max.message.bytes and \
                 publish it again with `millrace republish`",
                incoming.place.offset
            );
            // A letter that does not say where it was read is one of its own.
            if incoming.buried_from().is_none_or(|place| sent.insert(place)) {
                producer.resend(&incoming, topic).await.map_err(anyhow::Error::msg)?;
                redriven.events += 1;
            }
            reader.done(&incoming)?;
            redriven.letters += 1;
        }
    }
    Ok(redriven)
}

/// Has the dead letters of `topic` listed and sent no more, up to the one at the offset `through` if there is one, and answers how
/// many. Blocks.
///
/// # Errors
/// The broker cannot be read, or has no such letter in the list.
pub fn discard(settings: &Settings, topic: &str, through: Option<i64>) -> anyhow::Result<usize> {
    let reader = Reader::open(settings, topic)?;
    let waiting = reader.waiting()?;
    let count = match through {
        None => waiting.len(),
        Some(offset) => {
            let place = waiting.iter().position(|letter| letter.place.offset == offset);
            1 + place.with_context(|| format!("the list has no dead letter {offset} of '{topic}'"))?
        }
    };
    if let Some(last) = waiting[..count].last() {
        reader.done(last)?;
    }
    Ok(count)
}

fn letter(topic: &str, incoming: &Incoming) -> Letter {
    let header = |name| incoming.header(name).map(str::to_owned);
    Letter {
        topic: topic.to_owned(),
        offset: incoming.place.offset,
        key: String::from_utf8_lossy(incoming.key.as_deref().unwrap_or_default()).into_owned(),
        event_id: header("ce_id"),
        group: header("dlq_group").unwrap_or_default(),
        consumer: header("dlq_consumer").unwrap_or_default(),
        reason: header("dlq_reason").unwrap_or_default(),
        payload: incoming.payload.clone(),
    }
}

/// Reads the dead letters of one topic: there is one partition of them.
struct Reader {
    client: BaseConsumer,
    topic: String,
}

impl Reader {
    fn open(settings: &Settings, topic: &str) -> anyhow::Result<Self> {
        let client: BaseConsumer = settings.reader(&format!("{}.redrive", settings.group_id)).create()?;
        Ok(Self { client, topic: dead_letters_of(topic) })
    }

    /// What was not sent again, up to what is there now.
    fn waiting(&self) -> anyhow::Result<Vec<Incoming>> {
        let metadata = self.client.fetch_metadata(Some(&self.topic), LIMIT).context("Kafka does not answer")?;
        let there = metadata.topics().iter().any(|topic| topic.name() == self.topic && !topic.partitions().is_empty());
        if !there {
            return Ok(Vec::new());
        }
        let (low, high) = self.client.fetch_watermarks(&self.topic, 0, LIMIT).with_context(|| format!("cannot read '{}'", self.topic))?;
        let mut place = TopicPartitionList::new();
        place.add_partition(&self.topic, 0);
        let committed = self.client.committed_offsets(place, LIMIT).context("cannot read what was sent again")?;
        let from = match committed.elements().first().map(rdkafka::topic_partition_list::TopicPartitionListElem::offset) {
            Some(Offset::Offset(offset)) => offset.max(low),
            _ => low,
        };
        self.read(from, high)
    }

    fn read(&self, from: i64, to: i64) -> anyhow::Result<Vec<Incoming>> {
        let mut read = Vec::new();
        if from >= to {
            return Ok(read);
        }
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.topic, 0, Offset::Offset(from))?;
        self.client.assign(&place)?;
        let mut silence = Duration::ZERO;
        while read.last().is_none_or(|last: &Incoming| last.place.offset + 1 < to) {
            match self.client.poll(POLL) {
                Some(message) => {
                    read.push(Incoming::read(&message.with_context(|| format!("cannot read '{}'", self.topic))?));
                    silence = Duration::ZERO;
                }
                None => silence += POLL,
            }
            anyhow::ensure!(silence < LIMIT, "'{}' has {to} dead letters, but Kafka gave no more after {}", self.topic, read.len());
        }
        Ok(read)
    }

    fn done(&self, incoming: &Incoming) -> anyhow::Result<()> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.topic, 0, Offset::Offset(incoming.place.offset + 1))?;
        self.client.commit(&place, CommitMode::Sync).context("cannot remember what was sent again")
    }
}
