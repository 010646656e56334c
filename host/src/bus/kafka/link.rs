//! Whether the broker can be reached: asked of the broker itself, again at once when a client complains.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::{Partition, Statistics};
use tokio::sync::Notify;
use tokio::sync::watch;

use crate::bus::{BusHealth, Lag};

/// How long a group may be without a broker that looks after it: brokers take turns at a restart.
const LOST_FOR: Duration = Duration::from_secs(15);
/// How long it is told that receiving has ended.
const DEAF_FOR: Duration = Duration::from_secs(30);

/// What is known of the broker. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    health: watch::Sender<BusHealth>,
    /// The last thing that a client complained of: it knows more than a question that times out.
    complaint: Mutex<Option<String>>,
    doubted: Notify,
    /// Addresses that brokers have given themselves, and where nobody was found. Empty once one was reached.
    unreached: Mutex<BTreeSet<String>>,
    /// A broker has answered at the address that it gives itself, so it expects no other words than ours.
    reached: AtomicBool,
    /// Events of each topic that this member has not handled yet.
    lag: Mutex<BTreeMap<String, u64>>,
    /// When and why receiving ended last.
    deaf: Mutex<Option<(Instant, String)>>,
    /// Since when no broker looks after the group of this member.
    lost: Mutex<Option<Instant>>,
    /// How often clients had to be replaced.
    renewals: watch::Sender<u64>,
}

impl Link {
    pub(super) fn new(brokers: &[String]) -> Self {
        let (health, _) = watch::channel(BusHealth::Down(format!("no broker has answered yet at {}", brokers.join(", "))));
        Self(Arc::new(Shared {
            health,
            complaint: Mutex::default(),
            doubted: Notify::new(),
            unreached: Mutex::default(),
            reached: AtomicBool::new(false),
            lag: Mutex::default(),
            deaf: Mutex::default(),
            lost: Mutex::default(),
            renewals: watch::Sender::default(),
        }))
    }

    pub(super) fn health(&self) -> BusHealth {
        self.0.health.borrow().clone()
    }

    /// Events of each topic that this member has not handled yet.
    pub(super) fn lag(&self) -> Vec<Lag> {
        self.0.lag.lock().iter().map(|(topic, events)| Lag { topic: topic.clone(), events: *events }).collect()
    }

    /// Receiving has ended, and starts again soon.
    pub(super) fn note_deaf(&self, reason: String) {
        *self.0.deaf.lock() = Some((Instant::now(), reason));
    }

    /// Why receiving ended, for a while: two that take each other's place in the group receive in turns.
    pub(super) fn deaf(&self) -> Option<String> {
        self.0.deaf.lock().as_ref().filter(|(at, _)| at.elapsed() < DEAF_FOR).map(|(_, reason)| reason.clone())
    }

    /// These topics are subscribed to; of new ones nothing is known yet.
    pub(super) fn follow(&self, topics: &BTreeSet<&str>) {
        let mut lag = self.0.lag.lock();
        lag.retain(|topic, _| topics.contains(topic.as_str()));
        for topic in topics {
            lag.entry((*topic).to_owned()).or_default();
        }
    }

    /// What the client says of itself. Of topics that are not followed nothing is kept.
    pub(super) fn measured(&self, statistics: &Statistics) {
        for (topic, events) in self.0.lag.lock().iter_mut() {
            *events = statistics.topics.get(topic).map_or(0, |topic| topic.partitions.values().map(behind).sum());
        }
    }

    /// What the client says of its group. Where no broker looks after that, nothing is received, and nothing fails either. `joined` is
    /// whether this client has ever had one that does: then it has lost it, and another client looks for it from the start.
    pub(super) fn grouped(&self, group: &str, statistics: &Statistics, joined: &AtomicBool) {
        let Some(state) = statistics.cgrp.as_ref().map(|group| group.state.as_str()) else { return };
        joined.fetch_or(state == "up", Ordering::Relaxed);
        let mut lost = self.0.lost.lock();
        if state == "up" || self.health() != BusHealth::Up {
            *lost = None;
            return;
        }
        let since = lost.get_or_insert_with(Instant::now).elapsed();
        if since < LOST_FOR {
            return;
        }
        if joined.load(Ordering::Relaxed) {
            *lost = None;
            self.renewed();
            return;
        }
        if self.deaf().is_none() {
            tracing::warn!(group, state, "no broker looks after the group of this process: no event is received");
        }
        self.note_deaf(format!(
            "no broker has looked after the group '{group}' for {} s. The topic `__consumer_offsets` may lack brokers: with fewer than three, \
             set `offsets.topic.replication.factor` to as many as there are",
            since.as_secs()
        ));
    }

    /// The clients that there are have lost the brokers: who has one makes another.
    pub(super) fn renewed(&self) {
        self.0.renewals.send_modify(|renewals| *renewals += 1);
    }

    /// Changes with each [`Link::renewed`] from now on.
    pub(super) fn renewals(&self) -> watch::Receiver<u64> {
        self.0.renewals.subscribe()
    }

    /// Whether a broker has ever answered at the address that it gives itself.
    pub(super) fn is_reached(&self) -> bool {
        self.0.reached.load(Ordering::Relaxed)
    }

    /// Addresses that brokers have given themselves, and where nobody is; none once one was reached. A client that asked at the address of
    /// the settings knows of no other than these any more, and hears nothing.
    pub(super) fn unreached(&self) -> Vec<String> {
        if self.is_reached() { Vec::new() } else { self.0.unreached.lock().iter().cloned().collect() }
    }

    /// The broker answered.
    pub(super) fn up(&self) {
        self.0.reached.store(true, Ordering::Relaxed);
        *self.0.complaint.lock() = None;
        self.0.unreached.lock().clear();
        self.change(BusHealth::Up);
    }

    /// The broker did not answer, or this process is not to be served.
    pub(super) fn down(&self, reason: String) {
        self.change(BusHealth::Down(reason));
    }

    /// Somebody answers at `given`, and nobody at `named`, where the brokers say that they are.
    pub(super) fn unreachable(&self, given: &[String], named: &[String], error: &KafkaError) {
        let complaint = self.0.complaint.lock().clone().unwrap_or_else(|| error.to_string());
        let (given, named) = (given.join(", "), named.join(", "));
        self.down(format!(
            "a broker answers at {given}, and says that the brokers are at {named} (their `advertised.listeners`), where this process \
             reaches none: {complaint}"
        ));
    }

    /// The brokers did not answer; says why as well as it is known.
    pub(super) fn unanswered(&self, brokers: &[String], error: &KafkaError) {
        // Who cannot connect is told so by the client. Who can, and hears nothing, talks to somebody who expects other words.
        let unheard = || {
            if self.is_reached() {
                return error.to_string();
            }
            format!("{error}. If something listens there, it may want TLS or a password, which this program does not speak")
        };
        let complaint = self.0.complaint.lock().clone().unwrap_or_else(unheard);
        self.down(format!("no broker answers at {}: {complaint}", brokers.join(", ")));
    }

    fn change(&self, health: BusHealth) {
        self.0.health.send_if_modified(|before| {
            let changed = *before != health;
            if changed {
                match &health {
                    BusHealth::Up => tracing::info!("Kafka answers"),
                    BusHealth::Down(reason) => tracing::warn!(reason, "Kafka is not available"),
                }
                *before = health.clone();
            }
            changed
        });
    }

    /// Something failed: the broker should be asked now. `None` when nothing is known but that it failed.
    pub(super) fn doubt(&self, complaint: Option<String>) {
        if complaint.is_some() {
            *self.0.complaint.lock() = complaint;
        }
        self.0.doubted.notify_one();
    }

    /// Waits until the broker answers.
    pub(super) async fn until_up(&self) {
        let mut health = self.0.health.subscribe();
        // The sender is in `self`, so it cannot be gone.
        let _ = health.wait_for(|health| *health == BusHealth::Up).await;
    }

    /// Waits until the broker does not answer, and says why.
    pub(super) async fn until_down(&self) -> String {
        let mut health = self.0.health.subscribe();
        match health.wait_for(|health| *health != BusHealth::Up).await.as_deref() {
            Ok(BusHealth::Down(reason)) => reason.clone(),
            _ => "stopped".to_owned(),
        }
    }

    /// Waits until the broker should be asked again, at the latest after `interval`.
    pub(super) async fn until_doubted(&self, interval: Duration) {
        let _ = tokio::time::timeout(interval, self.0.doubted.notified()).await;
    }
}

/// The address of the broker that an error is about, if it is one that brokers have told of: `host:port/id`, where one of the settings is
/// `host:port/bootstrap`.
fn given_by_itself(reason: &str) -> Option<&str> {
    let (broker, _) = reason.split_once(": ")?;
    let (address, id) = broker.rsplit_once('/')?;
    id.parse::<u32>().ok()?;
    Some(address.split_once("://").map_or(address, |(_, address)| address))
}

/// Events of a partition that are not handled yet. One of another member has none here; one of which nothing was ever handled is behind by
/// all that it has.
fn behind(partition: &Partition) -> u64 {
    if partition.partition < 0 || ["none", "stopping", "stopped"].contains(&partition.fetch_state.as_str()) {
        return 0;
    }
    let lag = match (partition.consumer_lag_stored, partition.consumer_lag) {
        (stored @ 0.., _) => stored,
        (_, committed @ 0..) => committed,
        _ => partition.hi_offset - partition.lo_offset.max(0),
    };
    u64::try_from(lag).unwrap_or(0)
}

/// What librdkafka tells goes to our log, and its errors to the link.
impl ClientContext for Link {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        if let Some(address) = given_by_itself(reason) {
            self.0.unreached.lock().insert(address.to_owned());
        }
        // That all are down says nothing that the complaint about one of them did not say better.
        let known = error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown);
        self.doubt(known.then(|| reason.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_client_says_whether_it_is_about_an_address_that_a_broker_has_given_itself() {
        for (reason, address) in [
            ("kafka-1.invalid:9092/1: Failed to resolve 'kafka-1.invalid:9092'", Some("kafka-1.invalid:9092")),
            ("sasl_ssl://[::1]:9093/204: Connect to ipv6#[::1]:9093 failed: Connection refused", Some("[::1]:9093")),
            ("127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused", None),
            ("GroupCoordinator: 127.0.0.1:9092: Connect failed", None),
            ("1/1 brokers are down", None),
        ] {
            assert_eq!(given_by_itself(reason), address, "{reason}");
        }
    }
}
