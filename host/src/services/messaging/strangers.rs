//! Events that came from another shop: who takes them loses events of its own to that shop, and nobody there misses them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// For how long after the last such event it is told.
const TOLD_FOR: Duration = Duration::from_secs(5 * 60);
/// Topics that are named.
const MAX_TOPICS: usize = 8;

/// What is known of other shops that take part.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<Option<Seen>>);

#[derive(Debug)]
struct Seen {
    events: u64,
    topics: BTreeSet<String>,
    last: Instant,
}

impl Strangers {
    /// An event of another shop came on `topic`.
    pub(super) fn note(&self, topic: &str) {
        let mut known = self.0.lock();
        let seen = known.get_or_insert_with(|| Seen { events: 0, topics: BTreeSet::new(), last: Instant::now() });
        if seen.last.elapsed() >= TOLD_FOR {
            (seen.events, seen.topics) = (0, BTreeSet::new());
        }
        seen.events += 1;
        seen.last = Instant::now();
        if seen.topics.len() < MAX_TOPICS {
            seen.topics.insert(topic.to_owned());
        }
    }

    /// How many events of other shops came, and on which topics, if the last one came in the last minutes.
    #[must_use]
    pub fn lately(&self) -> Option<String> {
        let known = self.0.lock();
        let Seen { events, topics, .. } = known.as_ref().filter(|seen| seen.last.elapsed() < TOLD_FOR)?;
        let topics = topics.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Some(format!("{events} events on {topics} are of a shop with another database"))
    }
}
