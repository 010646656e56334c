//! Events: one for each transition that is told, in sequence, with one effect.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Found};
use crate::topics::Record;

/// States whose entry is told, by the topic `order.<state>`. `order.created` tells of the creation.
const TOLD: [&str; 5] = ["validated", "paid", "shipped", "delivered", "cancelled"];
/// Who hears of all of them.
pub const CONSUMER: &str = "handler:notification-handler";

/// I4: for each transition that is told there is one event, and no other; those of an order are in the sequence of its history.
pub fn one_for_each_transition(case: &Case, found: &mut Found) {
    let mut events: BTreeMap<&str, Vec<(String, u64)>> = BTreeMap::new();
    for event in &case.database.events {
        events.entry(&event.order).or_default().push((event.topic.clone(), event.seq));
    }
    for (id, order) in &case.database.orders {
        let told = order.history.iter().filter(|passed| TOLD.contains(&passed.edge.to.as_str()));
        let told = told.map(|passed| (format!("order.{}", passed.edge.to), passed.seq));
        let expected: Vec<_> = std::iter::once(("order.created".to_owned(), 0)).chain(told).collect();
        let written = events.remove(id.as_str()).unwrap_or_default();
        if written != expected {
            found.of(id, "I4", format!("its events should be {expected:?} and are {written:?}"));
        }
    }
    for (id, events) in events {
        found.of(id, "I4", format!("events of an order that is not there: {events:?}"));
    }
}

/// I5, I6: each event has come to who hears of it, those of an order in sequence, and had its effect once.
pub fn each_had_its_effect_once(case: &Case, found: &mut Found) {
    let heard: BTreeMap<&str, usize> = case
        .database
        .inbox
        .iter()
        .enumerate()
        .filter(|(_, (consumer, _))| consumer == CONSUMER)
        .map(|(place, (_, event))| (event.as_str(), place))
        .collect();
    let runs: BTreeSet<&str> = case.database.runs.iter().map(|run| run.key.as_str()).collect();
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &case.database.events {
        let Some(&place) = heard.get(event.id.as_str()) else {
            found.of(&event.order, "I5", format!("nobody has heard of {} {}", event.topic, event.id));
            continue;
        };
        // Each topic of Kafka comes to its readers by itself.
        if last.insert(&event.order, place).is_some_and(|before| before > place) && case.topics.is_none() {
            found.of(&event.order, "I5", format!("{} came before what was told before it", event.topic));
        }
        if !runs.contains(format!("{}:notification-handler:{}", event.order, event.id).as_str()) {
            found.of(&event.order, "I6", format!("{} was heard of, and nothing was done", event.topic));
        }
    }
}

/// I5: each event is in its topic, and no other message; the first ones of an order came there in the sequence of its history.
pub fn topics_are_complete(case: &Case, found: &mut Found) {
    let Some(records) = &case.topics else { return };
    let mut first: BTreeMap<&str, &Record> = BTreeMap::new();
    for record in records {
        let before = first.entry(&record.event).or_insert(record);
        if record.at < before.at {
            *before = record;
        }
    }
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for event in &case.database.events {
        let Some(record) = first.remove(event.id.as_str()) else {
            found.of(&event.order, "I5", format!("{} {} is not in its topic", event.topic, event.id));
            continue;
        };
        if record.topic != event.topic || record.order != event.order {
            found.of(&event.order, "I5", format!("{} {} is in {} under the key {}", event.topic, event.id, record.topic, record.order));
        }
        if last.insert(&event.order, record.at).is_some_and(|before| before > record.at) {
            found.of(&event.order, "I5", format!("{} came to Kafka before what was told before it", event.topic));
        }
    }
    for record in first.values() {
        found.of(&record.order, "I5", format!("{} has the event {}, and nobody has written it", record.topic, record.event));
    }
}
