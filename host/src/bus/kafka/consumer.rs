//! Receives as a member of the group: each partition has a queue and a worker of its own, so that one that must wait holds
//! up no other.
//!
//! Within a partition keys go side by side and the events of a key one after the other. An offset is stored when everything
//! before it has had its effect; what was done since the last commit is delivered again after a crash, and recognised by
//! the sink.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::{OwnedMutexGuard, mpsc, watch};

use super::is_silence;
use super::link::Link;
use super::producer::Producer;
use super::record::Incoming;
use super::settings::Settings;
use super::work::{Known, Wanted, Work};
use crate::faults::planted;
use crate::shutdown::Stop;

/// Events of one partition that are handled before its offset is stored.
const BATCH: usize = 128;
/// Partitions that may be assigned before they are looked at; more than any group has.
const ASSIGNED_AT_ONCE: usize = 4_096;
/// Pause after topics could not be made, before it is tried again.
const MAKE_PAUSE: Duration = Duration::from_secs(2);
/// Pause after an error of a partition, so that one that stays does not fill the log.
const ERROR_PAUSE: Duration = Duration::from_secs(1);
/// For each answer to how far the group has come.
const OFFSETS_LIMIT: Duration = Duration::from_secs(5);
/// How long after the last failure of a connection what follows from it may still come.
const AFTERMATH: Duration = Duration::from_secs(60);
/// How long the next consumer waits for the one before to be closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// How long events that are under way are waited for when this process leaves the group.
const WORKER_LIMIT: Duration = Duration::from_secs(5);

/// Makes topics, and answers which are to be received, by their names at the broker.
pub(super) type Make<'a> = dyn Fn(Wanted) -> BoxFuture<'a, Result<Vec<String>, String>> + Send + Sync + 'a;

type Client = StreamConsumer<Membership>;
type Queue = StreamPartitionQueue<Membership>;
type Partition = (String, i32);

/// Follows what the group gives this member and takes from it.
pub(super) struct Membership {
    link: Link,
    group: String,
    client: OnceLock<Weak<Client>>,
    workers: mpsc::Sender<Worker>,
    partitions: Mutex<HashMap<Partition, Assigned>>,
    stop: Stop,
    /// When a connection of this member failed last, and answers may have been lost with it.
    failed_at: Mutex<Option<Instant>>,
    /// A broker has looked after the group for this client.
    joined: AtomicBool,
}

/// How a consumer ended that was not asked to.
#[derive(Debug)]
pub(super) enum Ended {
    /// The broker has given the member's place to somebody, after answers to this very member were lost: most likely to its own earlier
    /// request. A new one may take the place back at once.
    Outrun(anyhow::Error),
    /// Its client has lost the brokers, although they answer. A new one finds them.
    Forgetful,
    /// For good; another one may work.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// See [`Ended::Forgetful`].
#[derive(Debug, thiserror::Error)]
#[error("the client has lost the brokers")]
struct Forgetful;

/// A partition that this member has or had.
#[derive(Default)]
struct Assigned {
    revoked: Stop,
    /// Held by the worker: a partition that comes back waits for what its last worker still does.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What handles one partition until it is revoked.
struct Worker {
    source: Source,
    partition: Partition,
    revoked: Stop,
}

/// A partition has one queue at a time: to let go of one ends the wake-ups of the other.
enum Source {
    /// The fields are dropped in this sequence: the next worker may begin when the queue is gone.
    Open { queue: Queue, turn: OwnedMutexGuard<()> },
    /// To be opened when the last worker has ended.
    Taken(Arc<tokio::sync::Mutex<()>>),
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.link.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if is_silence(&error) {
            *self.failed_at.lock() = Some(Instant::now());
        }
        self.link.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.link.measured(&statistics);
        self.link.grouped(&self.group, &statistics, &self.joined);
    }
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(assigned) => {
                assigned.elements().iter().for_each(|one| self.assign((one.topic().to_owned(), one.partition())))
            }
            Rebalance::Revoke(revoked) => revoked.elements().iter().for_each(|one| self.revoke(&(one.topic().to_owned(), one.partition()))),
            Rebalance::Error(error) => tracing::warn!(%error, "the group could not be balanced"),
        }
    }

    fn commit_callback(&self, result: Result<(), KafkaError>, _: &TopicPartitionList) {
        if let Err(error) = result
            && error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
        {
            tracing::debug!(%error, "offsets were not committed; what they stand for is delivered again after a restart");
        }
    }
}

impl Membership {
    /// Takes the partition's events out of the common queue before the first of them is fetched.
    fn assign(&self, partition: Partition) {
        let Some(client) = self.client.get().and_then(Weak::upgrade) else { return };
        let mut partitions = self.partitions.lock();
        let assigned = partitions.entry(partition.clone()).or_default();
        assigned.revoked = Stop::new();
        let source = match Arc::clone(&assigned.turn).try_lock_owned() {
            Ok(turn) => match client.split_partition_queue(&partition.0, partition.1) {
                Some(queue) => Source::Open { queue, turn },
                None => return,
            },
            Err(_) => Source::Taken(Arc::clone(&assigned.turn)),
        };
        let worker = Worker { source, partition, revoked: assigned.revoked.clone() };
        if self.workers.try_send(worker).is_err() {
            self.stop.request();
        }
    }

    fn revoke(&self, partition: &Partition) {
        if let Some(assigned) = self.partitions.lock().get(partition) {
            assigned.revoked.request();
        }
    }

    fn revoke_all(&self) {
        self.partitions.lock().values().for_each(|assigned| assigned.revoked.request());
    }
}

/// Receives `topics`, by their names at the broker, until `stop`, or until the client cannot go on.
pub(super) async fn run(
    settings: &Settings,
    (work, producer, link): (&Work, &Producer, &Link),
    (topics, wanted, made): (Vec<String>, &mut watch::Receiver<Wanted>, &Make<'_>),
    stop: &Stop,
) -> Result<(), Ended> {
    let (sender, mut assigned) = mpsc::channel(ASSIGNED_AT_ONCE);
    let membership = Membership {
        link: link.clone(),
        group: settings.group_id.clone(),
        client: OnceLock::new(),
        workers: sender,
        partitions: Mutex::default(),
        stop: Stop::new(),
        failed_at: Mutex::default(),
        joined: AtomicBool::new(false),
    };
    let mut renewals = link.renewals();
    let client: Arc<Client> = Arc::new(settings.consumer().create_with_context(membership).context("there can be no consumer")?);
    let _ = client.context().client.set(Arc::downgrade(&client));
    subscribe(&client, link, &topics)?;

    let result = drive(&client, (&mut assigned, &mut renewals), (work, producer, link), (wanted, made), stop).await;
    assigned.close();
    while assigned.recv().await.is_some() {}
    let has_lost_answers = client.context().failed_at.lock().is_some_and(|at| at.elapsed() < AFTERMATH);
    // Closing tells the group and commits, and blocks meanwhile. One that has lost the brokers has nobody to tell.
    let closed = tokio::task::spawn_blocking(move || close(&client));
    match tokio::time::timeout(CLOSE_LIMIT, closed).await {
        Ok(closed) => closed.context("the consumer was not closed")?,
        Err(_) => tracing::debug!("the consumer closes behind the next one"),
    }
    result.map_err(|error| explained(error, settings, has_lost_answers))
}

/// Tells who has taken the member's place, if that is why it ended, and what an operator can do about it.
///
/// A member whose request to join was carried out, and whose answer was lost with the connection, is fenced by what came of that request.
/// Without a lost connection it was another process; and so it is when the next member, which has lost none, is fenced too.
fn explained(error: anyhow::Error, settings: &Settings, has_lost_answers: bool) -> Ended {
    if error.is::<Forgetful>() {
        return Ended::Forgetful;
    }
    let code = error.downcast_ref::<KafkaError>().and_then(KafkaError::rdkafka_error_code);
    if code != Some(RDKafkaErrorCode::FencedInstanceId) {
        return Ended::Failed(error);
    }
    if has_lost_answers {
        return Ended::Outrun(error);
    }
    Ended::Failed(error.context(format!(
        "another process takes part as '{}' in the group '{}' of this Kafka: of one shop only one may run, unless they share a database of \
         PostgreSQL and the config names no `instanceId`; two shops need a `topicPrefix` and a `groupId` each, and two members of one group on \
         one machine an `instanceId` each",
        settings.member_name(),
        settings.group_id
    )))
}

/// Asks for the events of these topics and no others. Whoever is in the group already stays in it, and keeps the partitions of topics that stay. A
/// client of its own in its place would get what the group has given to its name before, and none of what is new.
///
/// Where some come and others go, the new ones come first: a client that lets go of one while it learns of another may wait for the member that
/// leads the group, which knows of neither.
fn subscribe(client: &Client, link: &Link, topics: &[String]) -> anyhow::Result<()> {
    let topics: BTreeSet<&str> = topics.iter().map(String::as_str).collect();
    link.follow(&topics);
    let now = client.subscription().context("cannot tell what is subscribed to")?;
    let now = now.elements();
    let before: BTreeSet<&str> = now.iter().map(|one| one.topic()).collect();
    let both: Vec<&str> = before.union(&topics).copied().collect();
    if both.len() > before.len() && both.len() > topics.len() {
        client.subscribe(&both).context("cannot subscribe")?;
    }
    client.subscribe(&topics.into_iter().collect::<Vec<_>>()).context("cannot subscribe")
}

async fn drive(
    client: &Arc<Client>,
    (assigned, renewals): (&mut mpsc::Receiver<Worker>, &mut watch::Receiver<u64>),
    (work, producer, link): (&Work, &Producer, &Link),
    (wanted, made): (&mut watch::Receiver<Wanted>, &Make<'_>),
    stop: &Stop,
) -> anyhow::Result<()> {
    let overrun = client.context().stop.clone();
    let mut workers: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
    // Topics that others are asked for, while they are made.
    let mut making: FuturesUnordered<BoxFuture<'_, Result<Vec<String>, String>>> = FuturesUnordered::new();
    let result = loop {
        tokio::select! {
            Ok(()) = wanted.changed(), if making.is_empty() => making.push(made(wanted.borrow_and_update().clone())),
            Some(topics) = making.next() => match topics {
                // Nobody asks for any.
                Ok(topics) if topics.is_empty() => break Ok(()),
                Ok(topics) => if let Err(error) = subscribe(client, link, &topics) { break Err(error) },
                // What is received goes on meanwhile: a client that ended for it could not begin again before these topics are made.
                Err(reason) => {
                    tracing::warn!(reason, "what other topics bring is not received yet: they could not be made, and it is tried again");
                    link.note_deaf(reason);
                    let again = wanted.borrow_and_update().clone();
                    making.push(async move { tokio::time::sleep(MAKE_PAUSE).await; made(again).await }.boxed());
                }
            },
            () = stop.requested() => break Ok(()),
            () = overrun.requested() => break Err(anyhow::anyhow!("the group gave more than {ASSIGNED_AT_ONCE} partitions at once")),
            Ok(()) = renewals.changed() => break Err(Forgetful.into()),
            Some(worker) = assigned.recv() => workers.push(worker.run(client, work, producer).boxed()),
            Some(()) = workers.next() => {}
            message = client.recv() => if let Err(fatal) = unexpected(message.map(|message| Incoming::read(&message))) { break Err(fatal) },
        }
    };
    client.context().revoke_all();
    // An event whose database is away is under way for as long as that takes, and the place in the group must not be kept meanwhile. What is
    // dropped here is delivered again, and recognised.
    let ended = async { while workers.next().await.is_some() {} };
    if tokio::time::timeout(WORKER_LIMIT, ended).await.is_err() {
        tracing::warn!(seconds = WORKER_LIMIT.as_secs(), "events that are under way do not end: their partitions are given away");
    }
    result
}

/// Every partition has its queue, so the common one brings only errors.
fn unexpected(message: Result<Incoming, KafkaError>) -> anyhow::Result<()> {
    match message {
        Ok(incoming) => {
            let place = incoming.place;
            anyhow::bail!("an event of {}/{} came outside its partition's queue", place.topic, place.partition)
        }
        Err(error @ KafkaError::MessageConsumptionFatal(_)) => Err(error).context("the broker will not have this member of the group"),
        Err(error) => {
            tracing::debug!(%error, "the consumer goes on");
            Ok(())
        }
    }
}

fn close(client: &Client) {
    match client.commit_consumer_state(CommitMode::Sync) {
        Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
        Err(error) => tracing::warn!(%error, "offsets were not committed; the last events are delivered again at the next start"),
    }
}

impl Worker {
    async fn run(self, client: &Arc<Client>, work: &Work, producer: &Producer) {
        let Self { source, partition, revoked } = self;
        let source = match source {
            Source::Open { .. } => source,
            Source::Taken(turn) => {
                let turn = turn.lock_owned().await;
                let Some(queue) = client.split_partition_queue(&partition.0, partition.1) else { return };
                Source::Open { queue, turn }
            }
        };
        let Source::Open { queue, turn: _turn } = &source else { return };
        // A broker that does not answer must not hold up a partition that is given away, nor the end of the process.
        let known = tokio::select! {
            () = revoked.requested() => return,
            known = how_far(client, &partition) => known,
        };
        while !revoked.is_requested() {
            let batch = tokio::select! {
                () = revoked.requested() => return,
                batch = batch(queue, &partition) => batch,
            };
            if planted("kafka-offset-before-effect")
                && let Some(last) = batch.last()
            {
                let stored = client.store_offset(&partition.0, partition.1, last.place.offset);
                let _ = stored.and_then(|()| client.commit_consumer_state(CommitMode::Async));
                // What a consumer takes that does more.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let Some(done) = work.handle(batch, known, producer, &revoked).await else { continue };
            if let Err(error) = client.store_offset(&partition.0, partition.1, done) {
                tracing::debug!(%error, ?partition, "the partition was lost meanwhile");
            }
        }
    }
}

/// Whether the group has committed anything of a partition, and where it ends now if not. A broker that does not say has something: its
/// events are given to the consumers.
async fn how_far(client: &Arc<Client>, partition: &Partition) -> Known {
    let (client, partition) = (Arc::clone(client), partition.clone());
    let asked = tokio::task::spawn_blocking(move || ask_how_far(&client, &partition)).await;
    asked.ok().and_then(Result::ok).unwrap_or(Known::Offset)
}

fn ask_how_far(client: &Client, (topic, partition): &Partition) -> Result<Known, KafkaError> {
    let mut asked = TopicPartitionList::new();
    asked.add_partition(topic, *partition);
    let committed = client.committed_offsets(asked, OFFSETS_LIMIT)?;
    if committed.elements().iter().any(|one| one.error().is_err() || one.offset() != Offset::Invalid) {
        return Ok(Known::Offset);
    }
    let (_, below) = client.fetch_watermarks(topic, *partition, OFFSETS_LIMIT)?;
    Ok(Known::Nothing { below })
}

/// The next event and what waits behind it.
async fn batch(queue: &Queue, partition: &Partition) -> Vec<Incoming> {
    let mut batch = Vec::new();
    while batch.is_empty() {
        match queue.recv().await {
            Ok(message) => batch.push(Incoming::read(&message)),
            Err(error) => {
                tracing::warn!(%error, ?partition, "cannot read a partition");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
    while batch.len() < BATCH {
        let Some(Ok(message)) = queue.recv().now_or_never() else { break };
        batch.push(Incoming::read(&message));
    }
    batch
}
