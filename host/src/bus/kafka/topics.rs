//! Makes topics at the start, and the topic of the dead letters of one when there is the first.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::link::Link;
use super::settings::{MAX_MESSAGE_BYTES, PARTITIONS, Settings};

/// How long the broker may take to make topics.
const LIMIT: Duration = Duration::from_secs(10);
/// As many copies as the cluster makes of a topic by itself.
const CLUSTER_DEFAULT: TopicReplication<'static> = TopicReplication::Fixed(-1);

/// Topic of the dead letters of `topic`.
pub(super) fn dead_letters_of(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// The topics that are known to be there.
#[derive(Debug, Default)]
pub(super) struct Topics {
    there: Mutex<HashSet<String>>,
}

impl Topics {
    /// Makes those of `topics` that are not there. Those that are stay as they are.
    ///
    /// # Errors
    /// Why one could not be made, in words.
    pub(super) async fn ensure(&self, settings: &Settings, link: &Link, topics: &[&str]) -> Result<(), String> {
        // librdkafka crashes on a request that names a topic twice.
        let missing: BTreeSet<&str> = {
            let there = self.there.lock();
            topics.iter().copied().filter(|topic| !there.contains(*topic)).collect()
        };
        self.make(settings, link, &missing.into_iter().map(ordinary).collect::<Vec<_>>()).await
    }

    /// Makes the topic of the dead letters of `topic`, if it is not there.
    ///
    /// # Errors
    /// Why it could not be made, in words.
    pub(super) async fn ensure_dead_letters(&self, settings: &Settings, link: &Link, topic: &str) -> Result<(), String> {
        let name = dead_letters_of(topic);
        if self.there.lock().contains(&name) {
            return Ok(());
        }
        // A dead letter waits for a person, however long.
        let wanted = NewTopic::new(&name, 1, CLUSTER_DEFAULT).set("max.message.bytes", MAX_MESSAGE_BYTES).set("retention.ms", "-1");
        self.make(settings, link, &[wanted]).await
    }

    async fn make(&self, settings: &Settings, link: &Link, wanted: &[NewTopic<'_>]) -> Result<(), String> {
        if wanted.is_empty() {
            return Ok(());
        }
        make(settings, link, wanted).await?;
        self.there.lock().extend(wanted.iter().map(|topic| topic.name.to_owned()));
        Ok(())
    }

    /// The broker says that it is not there after all: somebody has deleted it.
    pub(super) fn gone(&self, topic: &str) {
        self.there.lock().remove(topic);
    }
}

fn ordinary(topic: &str) -> NewTopic<'_> {
    NewTopic::new(topic, PARTITIONS, CLUSTER_DEFAULT).set("max.message.bytes", MAX_MESSAGE_BYTES)
}

async fn make(settings: &Settings, link: &Link, wanted: &[NewTopic<'_>]) -> Result<(), String> {
    let admin: AdminClient<Link> = settings.client().create_with_context(link.clone()).map_err(|error| error.to_string())?;
    let options = AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT));
    let results = admin.create_topics(wanted, &options).await.map_err(|error| error.to_string())?;
    for result in results {
        match result {
            Ok(topic) => tracing::info!(topic, "topic made"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(format!("topic '{topic}' could not be made: {code}")),
        }
    }
    Ok(())
}
