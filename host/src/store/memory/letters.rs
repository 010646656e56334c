//! Dead letters in memory: sent again, or taken from the list.

use std::collections::{HashMap, HashSet};

use super::super::Redriven;
use super::state::State;

impl State {
    pub(super) fn redrive(&mut self, topics: &[String]) -> Redriven {
        let positions: HashMap<&str, u64> = self.outbox.iter().map(|(position, aged)| (aged.row.event_id.as_str(), *position)).collect();
        let wanted = self.dead_letters.values().filter(|letter| topics.contains(&letter.event.topic));
        let wanted: Vec<(u64, Option<u64>)> =
            wanted.map(|letter| (letter.id, positions.get(letter.event.event_id.as_str()).copied())).collect();
        let (mut events, mut redriven) = (HashSet::new(), Redriven::default());
        for (letter, position) in wanted {
            let Some(position) = position else {
                redriven.forgotten += 1;
                continue;
            };
            self.dead_letters.remove(&letter);
            self.unpublished.insert(position);
            redriven.letters += 1;
            events.insert(position);
        }
        Redriven { events: events.len(), ..redriven }
    }

    pub(super) fn discard(&mut self, topic: &str, through: Option<u64>) -> u64 {
        let there = self.dead_letters.len();
        self.dead_letters.retain(|id, letter| letter.event.topic != topic || through.is_some_and(|through| *id > through));
        (there - self.dead_letters.len()) as u64
    }
}
