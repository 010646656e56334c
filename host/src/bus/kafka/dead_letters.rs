//! Looking at dead letters and sending them again, from beside the process that made them.
//!
//! What was sent again is remembered as the offset of a group of its own, so a letter is listed until then, and once.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::link::Link;
use super::producer::Producer;
use super::record::{Incoming, Place};
use super::settings::Settings;
use super::topics::dead_letters_of;

/// How long the broker may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

/// An event that was moved to the dead-letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Topic it belongs to.
    pub topic: String,
    /// Partition of the topic of dead letters: 0, unless somebody else has made that topic.
    pub partition: i32,
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
    /// The event; none if there never was one, or if it is lost.
    pub payload: Option<Vec<u8>>,
    /// The event was too large to be kept.
    pub lost: bool,
}

/// A topic of which something could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// As the config names it.
    pub topic: String,
    /// Why, in words.
    pub reason: String,
}

/// The dead letters of some topics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// Those that were not sent again yet, by topic.
    pub letters: Vec<DeadLetter>,
    /// Topics whose dead letters cannot be read.
    pub failed: Vec<Failed>,
}

/// The dead letters of `topics` that were not sent again yet. Blocks.
///
/// # Errors
/// No broker answers.
pub fn list(settings: &Settings, topics: &[String]) -> anyhow::Result<Listed> {
    reach(settings)?;
    let mut listed = Listed::default();
    for topic in topics {
        match Reader::open(settings, topic).and_then(|reader| reader.waiting()) {
            Ok(waiting) => listed.letters.extend(waiting.iter().map(|incoming| letter(topic, incoming))),
            Err(error) => listed.failed.push(failed(topic, &error)),
        }
    }
    Ok(listed)
}

/// The same for who must not be blocked.
///
/// # Errors
/// No broker answers.
pub async fn listed(settings: &Settings, topics: &[String]) -> anyhow::Result<Listed> {
    let (settings, topics) = (settings.clone(), topics.to_vec());
    tokio::task::spawn_blocking(move || list(&settings, &topics)).await?
}

/// What was sent again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redriven {
    /// Dead letters that are not listed any more.
    pub letters: usize,
    /// Events sent for them: one for all that several consumers made of the same record.
    pub events: usize,
    /// Topics of which not all was sent.
    pub failed: Vec<Failed>,
}

/// Sends the dead letters of `topics` again, each record once whoever gave it up. One whose event was not kept stays, and holds up
/// those behind it in its topic, but no other topic. Consumers that have taken an event already recognise it.
///
/// # Errors
/// No broker answers.
pub async fn redrive(settings: &Settings, topics: &[String]) -> anyhow::Result<Redriven> {
    let asking = settings.clone();
    tokio::task::spawn_blocking(move || reach(&asking)).await??;
    let producer = Producer::new(settings.clone(), Link::new(&settings.brokers))?;
    let mut redriven = Redriven::default();
    for topic in topics {
        if let Err(error) = redrive_topic(settings, topic, &producer, &mut redriven).await {
            redriven.failed.push(failed(topic, &error));
        }
    }
    Ok(redriven)
}

async fn redrive_topic(settings: &Settings, topic: &str, producer: &Producer, redriven: &mut Redriven) -> anyhow::Result<()> {
    let at_broker = settings.at_broker(topic);
    let (settings, name) = (settings.clone(), topic.to_owned());
    let (reader, waiting) = tokio::task::spawn_blocking(move || {
        let reader = Reader::open(&settings, &name)?;
        let waiting = reader.waiting()?;
        anyhow::Ok((reader, waiting))
    })
    .await??;
    let mut sent = HashSet::new();
    for incoming in waiting {
        anyhow::ensure!(
            !incoming.has_lost_its_event(),
            "the event of dead letter {} of '{topic}' was too large to be kept: raise the topic's max.message.bytes and \
             publish it again with `millrace republish`",
            incoming.place.offset
        );
        // A letter that does not say where it was read is one of its own.
        if incoming.buried_from().is_none_or(|place| sent.insert(place)) {
            producer.resend(&incoming, &at_broker).await.map_err(anyhow::Error::msg)?;
            redriven.events += 1;
        }
        reader.done(&incoming)?;
        redriven.letters += 1;
    }
    Ok(())
}

/// [`discard`] for who must not be blocked.
///
/// # Errors
/// As there.
pub async fn discarded(settings: &Settings, topic: &str, through: Option<i64>) -> anyhow::Result<usize> {
    let (settings, topic) = (settings.clone(), topic.to_owned());
    tokio::task::spawn_blocking(move || discard(&settings, &topic, through)).await?
}

/// Has the dead letters of `topic` listed and sent no more, up to the one at the offset `through` if there is one, and answers how
/// many. Blocks.
///
/// # Errors
/// The broker cannot be read, or has no such letter in the list.
pub fn discard(settings: &Settings, topic: &str, through: Option<i64>) -> anyhow::Result<usize> {
    reach(settings)?;
    let reader = Reader::open(settings, topic)?;
    let waiting = reader.waiting()?;
    let count = match through {
        None => waiting.len(),
        Some(offset) => {
            let partitions = reader.partitions.len();
            anyhow::ensure!(
                partitions <= 1,
                "'{}' has {partitions} partitions, so an offset does not say which dead letter is meant: discard all of them, without --through",
                reader.topic
            );
            let place = waiting.iter().position(|letter| letter.place.offset == offset);
            1 + place.with_context(|| format!("the list has no dead letter {offset} of '{topic}'"))?
        }
    };
    let last_of_each: BTreeMap<i32, &Incoming> = waiting[..count].iter().map(|letter| (letter.place.partition, letter)).collect();
    last_of_each.values().try_for_each(|last| reader.done(last))?;
    Ok(count)
}

fn failed(topic: &str, error: &anyhow::Error) -> Failed {
    Failed { topic: topic.to_owned(), reason: format!("{error:#}") }
}

/// Asks once, so that a broker that is away is not waited for with every topic.
fn reach(settings: &Settings) -> anyhow::Result<()> {
    let client: BaseConsumer = settings.client().create()?;
    let brokers = || format!("no broker answers at {}", settings.brokers.join(", "));
    client.fetch_metadata(None, LIMIT).map(drop).with_context(brokers)
}

fn letter(topic: &str, incoming: &Incoming) -> DeadLetter {
    let header = |name| incoming.header(name).map(str::to_owned);
    DeadLetter {
        topic: topic.to_owned(),
        partition: incoming.place.partition,
        offset: incoming.place.offset,
        key: String::from_utf8_lossy(incoming.key.as_deref().unwrap_or_default()).into_owned(),
        event_id: header("ce_id"),
        group: header("dlq_group").unwrap_or_default(),
        consumer: header("dlq_consumer").unwrap_or_default(),
        reason: header("dlq_reason").unwrap_or_default(),
        payload: incoming.payload.clone(),
        lost: incoming.has_lost_its_event(),
    }
}

/// Reads the dead letters of one topic. There is one partition of them, unless somebody else has made the topic.
struct Reader {
    client: BaseConsumer,
    topic: String,
    partitions: Vec<i32>,
}

impl Reader {
    fn open(settings: &Settings, topic: &str) -> anyhow::Result<Self> {
        let mut config = settings.reader(&format!("{}.redrive", settings.group_id));
        // The last offset may belong to no record: only the broker knows where the end is.
        let client: BaseConsumer = config.set("enable.partition.eof", "true").create()?;
        let topic = dead_letters_of(&settings.at_broker(topic));
        let metadata = client.fetch_metadata(Some(&topic), LIMIT).context("Kafka does not answer")?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let partitions = match found.map(|found| (found, found.error().map(RDKafkaErrorCode::from))) {
            None | Some((_, Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic))) => Vec::new(),
            Some((_, Some(error))) => anyhow::bail!("cannot read '{topic}': {error}"),
            Some((found, None)) => found.partitions().iter().map(MetadataPartition::id).collect(),
        };
        Ok(Self { client, topic, partitions })
    }

    /// What was not sent again, up to what is there now, by partition and offset. Records of a transaction that was aborted or is not
    /// committed yet do not count.
    fn waiting(&self) -> anyhow::Result<Vec<Incoming>> {
        let mut places = TopicPartitionList::new();
        for partition in &self.partitions {
            places.add_partition(&self.topic, *partition);
        }
        if self.partitions.is_empty() {
            return Ok(Vec::new());
        }
        let committed = answered(|| self.client.committed_offsets(places.clone(), LIMIT)).context("cannot read what was sent again")?;
        let mut stretches = BTreeMap::new();
        for partition in &self.partitions {
            let marks = answered(|| self.client.fetch_watermarks(&self.topic, *partition, LIMIT));
            let (low, high) = marks.with_context(|| format!("cannot read '{}'", self.topic))?;
            let from = match committed.find_partition(&self.topic, *partition).map(|place| place.offset()) {
                Some(Offset::Offset(offset)) => offset.max(low),
                _ => low,
            };
            if from < high {
                stretches.insert(*partition, (from, high));
            }
        }
        let mut read = self.read(&stretches)?;
        read.sort_by_key(|incoming| (incoming.place.partition, incoming.place.offset));
        Ok(read)
    }

    /// The records of these stretches, each from an offset to below another. Between them there may be offsets without a record: what
    /// was compacted away, and the marks of transactions.
    fn read(&self, stretches: &BTreeMap<i32, (i64, i64)>) -> anyhow::Result<Vec<Incoming>> {
        let mut read = Vec::new();
        let mut places = TopicPartitionList::new();
        for (partition, (from, _)) in stretches {
            places.add_partition_offset(&self.topic, *partition, Offset::Offset(*from))?;
        }
        self.client.assign(&places)?;
        let mut unread: BTreeMap<i32, i64> = stretches.iter().map(|(partition, (_, to))| (*partition, *to)).collect();
        let mut heard = Instant::now();
        while !unread.is_empty() {
            match self.client.poll(POLL) {
                Some(Ok(message)) => {
                    let incoming = Incoming::read(&message);
                    let Place { partition, offset, .. } = incoming.place;
                    let to = unread.get(&partition).copied().unwrap_or_default();
                    if offset + 1 >= to {
                        unread.remove(&partition);
                    }
                    if offset < to {
                        read.push(incoming);
                    }
                    heard = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(unread.remove(&partition)),
                Some(Err(error)) if !passes(&error) => return Err(error).with_context(|| format!("cannot read '{}'", self.topic)),
                Some(Err(_)) | None => {}
            }
            anyhow::ensure!(heard.elapsed() < LIMIT, "Kafka gave no more of '{}' after {} records", self.topic, read.len());
        }
        Ok(read)
    }

    fn done(&self, incoming: &Incoming) -> anyhow::Result<()> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.topic, incoming.place.partition, Offset::Offset(incoming.place.offset + 1))?;
        self.client.commit(&place, CommitMode::Sync).context("cannot remember what was sent again")
    }
}

/// Asks until there is an answer: of a broker that has just started, or a topic that was just made, nobody may be in charge yet.
fn answered<T>(mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    use RDKafkaErrorCode::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, LeaderNotAvailable, NotCoordinator, NotLeaderForPartition,
        WaitingForCoordinator,
    };
    let begun = Instant::now();
    loop {
        let answer = ask();
        let soon = matches!(
            answer.as_ref().err().and_then(KafkaError::rdkafka_error_code),
            Some(
                CoordinatorLoadInProgress
                    | CoordinatorNotAvailable
                    | LeaderNotAvailable
                    | NotCoordinator
                    | NotLeaderForPartition
                    | WaitingForCoordinator
            )
        );
        if !soon || begun.elapsed() > LIMIT {
            return answer;
        }
        std::thread::sleep(POLL);
    }
}

/// Whether the client goes on by itself.
fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut))
}
