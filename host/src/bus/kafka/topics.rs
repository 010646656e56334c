//! Makes topics at the start, and the topic of the dead letters of one when there is the first.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

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

/// Says once in a warning which topics of dead letters are not there and may not be made: the first dead letter would hold up what
/// comes after it.
pub(super) async fn try_dead_letters(settings: &Settings, link: &Link, topics: &[String]) {
    let Ok((admin, there)) = look(settings, link).await else { return };
    let names: BTreeSet<String> = topics.iter().map(|topic| dead_letters_of(topic)).filter(|name| !there.contains(name)).collect();
    let wanted: Vec<NewTopic<'_>> = names.iter().map(|name| NewTopic::new(name, 1, CLUSTER_DEFAULT)).collect();
    if wanted.is_empty() {
        return;
    }
    let Ok(tried) = admin.create_topics(&wanted, &options().validate_only(true)).await else { return };
    let refused: Vec<String> =
        tried.into_iter().filter_map(Result::err).filter(|(_, code)| is_refusal(*code)).map(|(topic, _)| topic).collect();
    if !refused.is_empty() {
        let topics = refused.join(", ");
        tracing::warn!(
            topics,
            "topics of dead letters are not there, and this program may not make them: an event that nobody can take will hold up those \
             after it. Have them made with 1 partition and retention.ms=-1, or grant Create"
        );
    }
}

async fn make(settings: &Settings, link: &Link, wanted: &[NewTopic<'_>]) -> Result<(), String> {
    let (admin, there) = look(settings, link).await?;
    let missing: Vec<&NewTopic<'_>> = wanted.iter().filter(|topic| !there.contains(topic.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let results = admin.create_topics(missing, &options()).await.map_err(|error| error.to_string())?;
    for result in results {
        match result {
            Ok(topic) => tracing::info!(topic, "topic made"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) if is_refusal(code) => {
                let partitions = wanted.iter().find(|wanted| wanted.name == topic).map_or(PARTITIONS, |wanted| wanted.num_partitions);
                return Err(format!(
                    "topic '{topic}' is not there, and this program may not make it ({code}): have it made with {partitions} partitions, \
                     or grant it Create"
                ));
            }
            Err((topic, code)) => return Err(format!("topic '{topic}' could not be made: {code}")),
        }
    }
    Ok(())
}

/// Who makes topics, and those that are there, as far as they may be seen. A broker that is asked to make one looks at rights before names,
/// so what is there is not asked for.
async fn look(settings: &Settings, link: &Link) -> Result<(Arc<AdminClient<Link>>, HashSet<String>), String> {
    let admin: AdminClient<Link> = settings.client().create_with_context(link.clone()).map_err(|error| error.to_string())?;
    let admin = Arc::new(admin);
    let asked = Arc::clone(&admin);
    let listed = tokio::task::spawn_blocking(move || {
        let metadata = asked.inner().fetch_metadata(None, LIMIT)?;
        Ok::<_, KafkaError>(metadata.topics().iter().filter(|topic| topic.error().is_none()).map(|topic| topic.name().to_owned()).collect())
    });
    let there = listed.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok((admin, there))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
}

/// Whether topics are made by others here.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, PolicyViolation, TopicAuthorizationFailed};
    matches!(code, TopicAuthorizationFailed | ClusterAuthorizationFailed | PolicyViolation)
}
