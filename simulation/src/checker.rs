//! What was promised, held against what is there. The numbers are those of `docs/durability.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millrace::store::memory::Memory;
use millrace::store::{HistoryRow, Instances as _, Listing, OutboxRow, Resource, Resources as _, RunStatus};
use serde::{Deserialize, Serialize};

use crate::world::World;

/// What is booked.
pub const KIND: &str = "bookings";
/// The consumer that a component is told by.
const TELLING: &str = "handler:telling";
/// Processes that may die in a run before it is set aside.
const PARK_AFTER: u32 = 3;
/// States of which the world is told.
const TOLD: [&str; 4] = ["held", "paid", "sent", "cancelled"];

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// Number of the invariant.
    pub invariant: String,
    /// Id of the booking, if it is about one.
    pub about: String,
    /// In words.
    pub what: String,
}

impl Broken {
    /// That this does not hold.
    #[must_use]
    pub fn new(invariant: &str, about: &str, what: String) -> Self {
        Self { invariant: invariant.to_owned(), about: about.to_owned(), what }
    }
}

/// All bookings.
///
/// # Errors
/// The rows cannot be read.
pub async fn bookings(rows: &Memory) -> anyhow::Result<Vec<Resource>> {
    Ok(rows.resources(&Listing { kind: KIND.to_owned(), by_id: true, limit: usize::MAX, ..Listing::default() }).await?)
}

/// What holds at any moment.
///
/// # Errors
/// The rows cannot be read.
pub async fn always(world: &Arc<World>) -> anyhow::Result<Vec<Broken>> {
    let rows = world.rows();
    let mut found = Vec::new();
    let all: BTreeMap<String, Resource> = bookings(&rows).await?.into_iter().map(|resource| (resource.id.clone(), resource)).collect();
    told(world, &all, &mut found);
    for resource in all.values() {
        let history = rows.history(KIND, &resource.id, 0, usize::MAX).await?;
        course(world, resource, &history, &mut found);
        events(world, resource, &history, &mut found);
        for run in rows.runs(KIND, &resource.id).await? {
            let key = run.key.strip_suffix(":undo").unwrap_or(&run.key);
            let deaths = world.services.lock().deaths.get(key).copied().unwrap_or_default();
            if run.crashes > deaths {
                let what = format!("run {} counts {} deaths, and was inside a component in {deaths}", run.key, run.crashes);
                found.push(Broken::new("I15", &resource.id, what));
            }
            if run.status == RunStatus::Quarantined && run.crashes < PARK_AFTER {
                found.push(Broken::new("I15", &resource.id, format!("run {} was set aside after {} deaths", run.key, run.crashes)));
            }
        }
    }
    money(world, &all, &mut found);
    Ok(found)
}

/// What holds as well when nothing is to be done any more.
///
/// # Errors
/// The rows cannot be read.
pub async fn at_rest(world: &Arc<World>) -> anyhow::Result<Vec<Broken>> {
    let rows = world.rows();
    let mut found = Vec::new();
    for resource in bookings(&rows).await? {
        ended(world, &resource, &mut found);
    }
    published(world, &mut found);
    handled(world, &mut found);
    let broker = world.broker.lock();
    let letters: BTreeSet<&str> = broker.dead_letters.iter().map(|(_, id)| id.as_str()).collect();
    let strange: BTreeSet<&str> = broker.strange.iter().map(String::as_str).collect();
    if letters != strange {
        found.push(Broken::new("I20", "", format!("the dead letters are {letters:?}, and what makes no sense is {strange:?}")));
    }
    Ok(found)
}

/// I1, I2, I12: what customers were told is so.
fn told(world: &World, all: &BTreeMap<String, Resource>, found: &mut Vec<Broken>) {
    let journal = world.journal.lock();
    found.extend(journal.wrong.iter().map(|(invariant, what)| Broken::new(invariant, "", what.clone())));
    for (number, (id, data)) in &journal.acknowledged {
        let Some(resource) = all.get(id) else {
            found.push(Broken::new("I1", id, format!("customer {number} was told of it, and it is not there")));
            continue;
        };
        if let Some((name, value)) = data.iter().find(|(name, value)| resource.data.get(*name) != Some(value)) {
            found.push(Broken::new("I1", id, format!("'{name}' was {value}, and is {:?}", resource.data.get(name))));
        }
    }
    for ((account, key), ids) in world.durable.lock().by_key.iter().filter(|(_, ids)| ids.len() > 1) {
        found.push(Broken::new("I2", &ids[0], format!("{account} has several for '{key}': {}", ids.join(", "))));
    }
    for id in &journal.cancelled {
        match all.get(id) {
            Some(resource) if resource.state == "cancelled" => {}
            other => {
                let state = other.map(|resource| resource.state.as_str());
                found.push(Broken::new("I12", id, format!("somebody was told that it is cancelled, and it is {state:?}")));
            }
        }
    }
}

/// I3: a history has no gap, and goes only where the machine goes.
fn course(world: &World, resource: &Resource, history: &[HistoryRow], found: &mut Vec<Broken>) {
    let Some(machine) = world.plan.workflows.first().map(|workflow| workflow.machine.definition()) else { return };
    let mut state = machine.initial_state.as_str();
    for (seq, row) in (1..).zip(history) {
        let is_edge = machine.transitions.get(&row.transition).is_some_and(|edge| edge.from == row.from && edge.to == row.to);
        if row.seq != seq || row.from != state || !is_edge {
            found.push(Broken::new("I3", &resource.id, format!("after '{state}' comes {row:?}")));
            return;
        }
        state = &row.to;
    }
    if state != resource.state {
        found.push(Broken::new("I3", &resource.id, format!("its history ends in '{state}', and it is '{}'", resource.state)));
    }
}

/// I4: one event for each transition that tells the world, and none for others.
fn events(world: &World, resource: &Resource, history: &[HistoryRow], found: &mut Vec<Broken>) {
    let durable = world.durable.lock();
    let of_it = durable.events.iter().filter(|event| event.key == resource.id && event.seq > 0);
    let mut there: Vec<(u64, String)> = of_it.map(|event| (event.seq, event.topic.clone())).collect();
    there.sort();
    let told = history.iter().filter(|row| TOLD.contains(&row.to.as_str()));
    let wanted: Vec<(u64, String)> = told.map(|row| (row.seq, format!("booking.{}", row.to))).collect();
    if there != wanted {
        found.push(Broken::new("I4", &resource.id, format!("its events are {there:?}, and its history asks for {wanted:?}")));
    }
}

/// I7: one payment at most is left of all that were made for a booking.
fn money(world: &World, all: &BTreeMap<String, Resource>, found: &mut Vec<Broken>) {
    let services = world.services.lock();
    for id in all.keys() {
        let left = services.payments.iter().filter(|(_, payment)| payment.booking == *id && !payment.is_void);
        let keys: Vec<&str> = left.map(|(key, _)| key.as_str()).collect();
        if keys.len() > 1 {
            found.push(Broken::new("I7", id, format!("it was paid under several keys: {}", keys.join(", "))));
        }
    }
}

/// I7, I13: what has ended well is paid for, and nothing else is; what was held is given back.
fn ended(world: &World, resource: &Resource, found: &mut Vec<Broken>) {
    let services = world.services.lock();
    let paid: u64 =
        services.payments.values().filter(|payment| payment.booking == resource.id && !payment.is_void).map(|payment| payment.amount).sum();
    let price = resource.data.get("amount").and_then(serde_json::Value::as_u64).unwrap_or_default();
    let is_sent = resource.state == "sent";
    if paid != if is_sent { price } else { 0 } {
        let invariant = if is_sent { "I7" } else { "I13" };
        found.push(Broken::new(invariant, &resource.id, format!("it is '{}', costs {price}, and {paid} was paid", resource.state)));
    }
    let has_seats = services.seats.get(&resource.id).copied().unwrap_or_default();
    if has_seats != is_sent {
        found.push(Broken::new("I10", &resource.id, format!("it is '{}', and has seats: {has_seats}", resource.state)));
    }
    if is_sent && !services.sent.contains(&resource.id) {
        found.push(Broken::new("I8", &resource.id, "it was never sent".to_owned()));
    }
}

/// I5: every event is in its topic, those of a booking first in their sequence.
fn published(world: &World, found: &mut Vec<Broken>) {
    let (durable, broker) = (world.durable.lock(), world.broker.lock());
    let place = |event: &OutboxRow| broker.topics.get(&event.topic)?.iter().position(|there| there.id == event.event_id);
    let sequence: BTreeMap<&str, usize> = broker.firsts();
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &durable.events {
        if place(event).is_none() {
            found.push(Broken::new("I5", &event.key, format!("{} {} is in no topic", event.topic, event.event_id)));
            continue;
        }
        let at = sequence.get(event.event_id.as_str()).copied().unwrap_or_default();
        if last.insert(&event.key, at).is_some_and(|before| before > at) {
            found.push(Broken::new("I5", &event.key, format!("{} {} came before an earlier one", event.topic, event.event_id)));
        }
    }
}

/// I6: each event has had its effect once.
fn handled(world: &World, found: &mut Vec<Broken>) {
    let (durable, services) = (world.durable.lock(), world.services.lock());
    for ((consumer, id), times) in durable.handled.iter().filter(|(_, times)| **times > 1) {
        found.push(Broken::new("I6", id, format!("{consumer} has handled it {times} times")));
    }
    for event in durable.events.iter().filter(|event| event.seq > 0) {
        let key = format!("{}:telling:{}", event.key, event.event_id);
        if !durable.handled.contains_key(&(TELLING.to_owned(), event.event_id.clone())) {
            found.push(Broken::new("I6", &event.key, format!("nobody has handled {} {}", event.topic, event.event_id)));
        } else if !services.letters.contains_key(&key) {
            found.push(Broken::new("I6", &event.key, format!("nobody was told of {} {}", event.topic, event.event_id)));
        }
    }
    if services.letters.len() > durable.events.iter().filter(|event| event.seq > 0).count() {
        found.push(Broken::new("I6", "", "there are more letters than events".to_owned()));
    }
}
