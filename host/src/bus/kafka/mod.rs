//! Apache Kafka: what is published is acknowledged by every replica, what is received is remembered by its offset.
//!
//! The database moves instances; the broker tells others, and nudges. So nothing here is needed to go on: without a broker
//! everything is refused at once, and the caller keeps it. Whether there is one is asked in the background.

mod consumer;
pub mod dead_letters;
mod link;
mod producer;
mod record;
mod settings;
mod topics;
mod work;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::{BoxFuture, join_all};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::producer::Producer as _;

pub use self::settings::{MAX_EVENT_BYTES, PARTITIONS, Patience, Settings};

use self::consumer::Ended;
use self::link::Link;
use self::producer::{Producer, Published};
use self::work::{Wanted, Work};
use super::{Bus, BusError, BusHealth, Event, Lag, Member, Sink, Subscription, by_key};
use crate::shutdown::Stop;

/// How often the broker is asked whether it is there: while it is, and while it is not.
const QUESTION_INTERVAL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_millis(500));
/// How long it may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long clients may find no broker before it is looked whether another one does, and between two such looks.
const RENEWAL_INTERVAL: Duration = Duration::from_secs(5);
/// Pause before a consumer that failed for good is replaced.
const CONSUMER_PAUSE: Duration = Duration::from_secs(2);
/// Why nothing is received by a process that the database does not hear of.
const UNSURE: &str = "the database hears nothing of this process, so others may have taken its work over: they receive in its place";
/// Pause before one is replaced that may take its place back: connections that go on failing are not to keep a processor busy.
const OUTRUN_PAUSE: Duration = Duration::from_millis(100);

/// See the module's text.
pub struct Kafka {
    settings: Settings,
    patience: Patience,
    link: Link,
    producer: Arc<Producer>,
    member: Member,
    /// What is done with what comes, once it runs.
    work: OnceLock<Arc<Work>>,
}

impl Kafka {
    /// Connects in the background, once it runs.
    ///
    /// # Errors
    /// The settings are not accepted.
    pub fn new(settings: Settings, member: Member) -> anyhow::Result<Self> {
        Self::with_patience(settings, member, Patience::default())
    }

    /// The same with another `patience`: when an event that no consumer takes goes to the dead letters.
    ///
    /// # Errors
    /// The settings are not accepted.
    pub fn with_patience(mut settings: Settings, member: Member, patience: Patience) -> anyhow::Result<Self> {
        settings.take_seat(member.seat);
        let link = Link::new(&settings.brokers);
        let producer = Arc::new(Producer::new(settings.clone(), link.clone())?);
        Ok(Self { settings, patience, link, producer, member, work: OnceLock::new() })
    }

    async fn publish_key(&self, events: Vec<(usize, &Event)>) -> Vec<(usize, Result<(), BusError>)> {
        let mut results = Vec::with_capacity(events.len());
        let mut held_back: Option<String> = None;
        for (index, event) in events {
            if held_back.is_none() {
                held_back = match self.producer.publish(event).await {
                    Ok(Published::Sent) => None,
                    Ok(Published::DeadLetter) => {
                        self.work.get().inspect(|work| work.dead_letter_kept(&event.topic));
                        None
                    }
                    Err(reason) => Some(reason),
                };
            }
            results.push((index, held_back.clone().map_or(Ok(()), |reason| Err(BusError(reason)))));
        }
        results
    }

    /// Asks the broker again and again whether it is there.
    async fn watch(&self) -> anyhow::Result<()> {
        // Since when nobody answers, or since it was last looked whether another client hears more.
        let mut silent_since: Option<Instant> = None;
        loop {
            let (producer, is_reached) = (Arc::clone(&self.producer), self.link.is_reached());
            let answer = tokio::task::spawn_blocking(move || ask(producer.client().client(), is_reached));
            let interval = match answer.await? {
                Answer::Well => {
                    silent_since = None;
                    self.link.up();
                    QUESTION_INTERVAL.0
                }
                unheard => {
                    self.tell(&unheard);
                    if silent_since.get_or_insert_with(Instant::now).elapsed() >= RENEWAL_INTERVAL {
                        silent_since = None;
                        if let Err(error) = self.renew_if_forgetful().await {
                            tracing::warn!(error = format!("{error:#}"), "no other client of Kafka can be made; it is tried again");
                        }
                    }
                    QUESTION_INTERVAL.1
                }
            };
            self.link.until_doubted(interval).await;
        }
    }

    /// Says why no broker can be used.
    fn tell(&self, unheard: &Answer) {
        match unheard {
            Answer::Well => {}
            Answer::FromElsewhere { brokers, error } => self.link.unreachable(&self.settings.brokers, brokers, error),
            Answer::None(error) => match self.link.unreached() {
                named if named.is_empty() => self.link.unanswered(&self.settings.brokers, error),
                named => self.link.unreachable(&self.settings.brokers, &named, error),
            },
        }
    }

    /// Replaces the clients if another one hears brokers where they say that they are.
    ///
    /// A broker that has just come back, and is not in service yet, names no broker at all, not even itself. librdkafka (2.12) takes its
    /// word: it lets go of all brokers, those of the settings too, and may look for none again. It does the same when a broker names an
    /// address where nobody is, and hears nothing of a better one that it is given later.
    async fn renew_if_forgetful(&self) -> anyhow::Result<()> {
        let (producer, link, client) = (Arc::clone(&self.producer), self.link.clone(), self.settings.client());
        let looked = tokio::task::spawn_blocking(move || {
            let another: BaseConsumer = client.create()?;
            if !matches!(ask(another.client(), false), Answer::Well) {
                return Ok(());
            }
            tracing::warn!("the broker answers a new client, and not those that lost it: they are replaced");
            producer.renew()?;
            link.renewed();
            Ok(())
        });
        looked.await?
    }

    /// Makes the topics, then receives; again from the start when the consumer has failed.
    async fn receive(&self, work: &Work, stop: &Stop) {
        while !stop.is_requested() {
            if !self.is_sure() {
                tracing::warn!("receiving ends: {UNSURE}");
                self.until_sure(true, stop).await;
                continue;
            }
            match self.receive_while_sure(work, stop).await {
                Ok(()) => {}
                Err(Ended::Forgetful) => tracing::info!("a new client receives"),
                Err(Ended::Outrun(error)) => {
                    let member = self.settings.member_name();
                    tracing::warn!(
                        member,
                        error = format!("{error:#}"),
                        "the group gave the place of this process to somebody, most likely to itself: connections to the broker had failed; \
                         it takes the place back"
                    );
                    let _ = tokio::time::timeout(OUTRUN_PAUSE, stop.requested()).await;
                }
                Err(Ended::Failed(error)) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "receiving starts again");
                    self.link.note_deaf(error);
                    let _ = tokio::time::timeout(CONSUMER_PAUSE, stop.requested()).await;
                }
            }
        }
    }

    /// Receives until `stop`, or until others may have taken over: whoever does not receive any more is no member after some seconds, and the
    /// others have its partitions.
    async fn receive_while_sure(&self, work: &Work, stop: &Stop) -> Result<(), Ended> {
        let ending = Stop::new();
        let receiving = self.receive_once(work, &ending);
        tokio::pin!(receiving);
        tokio::select! {
            ended = &mut receiving => return ended,
            () = self.until_sure(false, stop) => ending.request(),
        }
        receiving.await
    }

    fn is_sure(&self) -> bool {
        self.member.sure.as_ref().is_none_or(|sure| *sure.borrow())
    }

    /// Waits until it is so, or until `stop`.
    async fn until_sure(&self, wanted: bool, stop: &Stop) {
        let changed = async {
            if let Some(mut sure) = self.member.sure.clone()
                && sure.wait_for(|sure| *sure == wanted).await.is_ok()
            {
                return;
            }
            // Who would tell is gone, or nobody ever tells.
            std::future::pending().await
        };
        tokio::select! {
            () = changed => {}
            () = stop.requested() => {}
        }
    }

    async fn receive_once(&self, work: &Work, stop: &Stop) -> Result<(), Ended> {
        tokio::select! {
            () = self.link.until_up() => {}
            () = stop.requested() => return Ok(()),
        }
        let mut wanted = work.topics();
        let first = wanted.borrow_and_update().clone();
        let subscribed = self.made(&first).await.map_err(anyhow::Error::msg)?;
        if subscribed.is_empty() {
            self.link.follow(&BTreeSet::new());
            tokio::select! {
                Ok(()) = wanted.changed() => {}
                () = stop.requested() => {}
            }
            return Ok(());
        }
        let made = |wanted: Wanted| -> BoxFuture<'_, Result<Vec<String>, String>> { Box::pin(async move { self.made(&wanted).await }) };
        consumer::run(&self.settings, (work, &self.producer, &self.link), (subscribed, &mut wanted, &made), stop).await
    }

    /// Makes the topics that are not there; answers which are to be received, by their names at the broker.
    async fn made(&self, wanted: &Wanted) -> Result<Vec<String>, String> {
        let at_broker = |topics: &BTreeSet<String>| topics.iter().map(|topic| self.settings.at_broker(topic)).collect::<Vec<_>>();
        let (made, subscribed) = (at_broker(&wanted.made), at_broker(&wanted.subscribed));
        let topics: Vec<&str> = made.iter().chain(&subscribed).map(String::as_str).collect();
        self.producer.ensure(&topics).await?;
        self.producer.try_dead_letters(&subscribed).await;
        Ok(subscribed)
    }
}

/// What came of asking.
enum Answer {
    /// The broker is there.
    Well,
    /// Somebody answers at the address of the settings, and nobody at those that the brokers say they have.
    FromElsewhere {
        /// Those addresses.
        brokers: Vec<String>,
        /// What came of asking one of them.
        error: KafkaError,
    },
    /// Nobody answers.
    None(KafkaError),
}

/// Asks at the address of the settings which brokers there are; and, unless one of them was reached before, one of them: they have the
/// addresses that they give themselves, and everything goes there.
fn ask<C: ClientContext>(client: &Client<C>, is_reached: bool) -> Answer {
    let metadata = match client.fetch_metadata(None, ANSWER_LIMIT) {
        Ok(metadata) => metadata,
        Err(error) => return Answer::None(error),
    };
    // Who has just come back names none until it is in service, and takes nothing either.
    if metadata.brokers().is_empty() {
        return Answer::None(KafkaError::MetadataFetch(RDKafkaErrorCode::BrokerNotAvailable));
    }
    if is_reached {
        return Answer::Well;
    }
    let led = |topic: &MetadataTopic| topic.partitions().iter().find(|one| one.leader() >= 0).map(MetadataPartition::id);
    let place = metadata.topics().iter().find_map(|topic| Some((topic.name(), led(topic)?)));
    let asked = match place {
        Some((topic, partition)) => client.fetch_watermarks(topic, partition, ANSWER_LIMIT).map(drop),
        None => client.fetch_group_list(None, ANSWER_LIMIT).map(drop),
    };
    match asked {
        Err(error) if is_silence(&error) => {
            let brokers = metadata.brokers().iter().map(|broker| format!("{}:{}", broker.host(), broker.port())).collect();
            Answer::FromElsewhere { brokers, error }
        }
        // Whatever it answers, it does.
        Ok(()) | Err(_) => Answer::Well,
    }
}

/// Whether an error says that nobody has answered.
fn is_silence(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, RequestTimedOut, Resolve};
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| matches!(code, AllBrokersDown | BrokerTransportFailure | OperationTimedOut | RequestTimedOut | Resolve))
}

#[async_trait]
impl Bus for Kafka {
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), BusError>> {
        let mut results = join_all(by_key(events).into_iter().map(|batch| self.publish_key(batch))).await.concat();
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    async fn run(self: Arc<Self>, subscriptions: Vec<Subscription>, sink: Arc<dyn Sink>, stop: Stop) -> anyhow::Result<()> {
        // It runs once.
        let work = self.work.get_or_init(|| Arc::new(Work::new(subscriptions, sink, self.patience.clone(), self.settings.clone())));
        tokio::select! {
            result = self.watch() => result?,
            () = self.receive(work, &stop) => {}
        }
        if self.link.health() == BusHealth::Up {
            let producer = Arc::clone(&self.producer);
            tokio::task::spawn_blocking(move || producer.flush()).await?;
        }
        self.link.down("stopped".into());
        Ok(())
    }

    fn resubscribe(&self, topics: &[String], subscriptions: Vec<Subscription>) {
        if let Some(work) = self.work.get() {
            work.resubscribe(topics, subscriptions);
        }
    }

    fn lag(&self) -> Vec<Lag> {
        let of_broker = self.link.lag();
        of_broker.into_iter().map(|lag| Lag { topic: self.settings.name_here(&lag.topic).to_owned(), ..lag }).collect()
    }

    fn deaf(&self) -> Option<String> {
        if self.is_sure() { self.link.deaf() } else { Some(UNSURE.to_owned()) }
    }

    fn system(&self) -> &'static str {
        "kafka"
    }

    fn is_private(&self) -> bool {
        false
    }

    fn health(&self) -> BusHealth {
        self.link.health()
    }
}
