//! Makes topics, each with the topic of its dead letters.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::link::Link;
use super::settings::{MAX_EVENT_BYTES, PARTITIONS, Settings};

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
        if missing.is_empty() {
            return Ok(());
        }
        make(settings, link, &missing).await?;
        self.there.lock().extend(missing.into_iter().map(str::to_owned));
        Ok(())
    }

    /// The broker says that it is not there after all: somebody has deleted it.
    pub(super) fn gone(&self, topic: &str) {
        self.there.lock().remove(topic);
    }
}

async fn make(settings: &Settings, link: &Link, topics: &BTreeSet<&str>) -> Result<(), String> {
    let size = MAX_EVENT_BYTES.to_string();
    let dead: Vec<String> = topics.iter().map(|topic| dead_letters_of(topic)).collect();
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| NewTopic::new(topic, PARTITIONS, CLUSTER_DEFAULT).set("max.message.bytes", &size))
        .chain(dead.iter().map(|topic| {
            // A dead letter waits for a person, however long.
            NewTopic::new(topic, 1, CLUSTER_DEFAULT).set("max.message.bytes", &size).set("retention.ms", "-1")
        }))
        .collect();
    let admin: AdminClient<Link> = settings.client().create_with_context(link.clone()).map_err(|error| error.to_string())?;
    let options = AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT));
    let results = admin.create_topics(&wanted, &options).await.map_err(|error| error.to_string())?;
    for result in results {
        match result {
            Ok(topic) => tracing::info!(topic, "topic made"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(format!("topic '{topic}' could not be made: {code}")),
        }
    }
    Ok(())
}
