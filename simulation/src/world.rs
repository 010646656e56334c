//! What is there whatever becomes of the process: rows that are committed, the broker, the services behind the components, customers and what they
//! were told. And what everybody has in common: the dice, the faults that are due, and the trace.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use millrace::clock::Clock;
use millrace::plan::Plan;
use millrace::store::memory::Memory;
use millrace::store::{Commit, Object, OutboxRow};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;

use crate::broker::Broker;
use crate::machine;
use crate::schedule::{Due, Fault, Place, Schedule};
use crate::services::Services;

/// Events of an episode, at most.
const MOST_EVENTS: usize = 200_000;

/// See the module's text.
pub struct World {
    /// What the process is made from.
    pub plan: Arc<Plan>,
    /// The folder of the process.
    pub folder: PathBuf,
    /// The machine's clock.
    pub clock: Clock,
    /// What was committed.
    pub memory: Mutex<Arc<Memory>>,
    /// What Kafka is to the program.
    pub broker: Mutex<Broker>,
    /// Told when something was published.
    pub published: Notify,
    /// What components ask.
    pub services: Mutex<Services>,
    /// What is kept of commits.
    pub durable: Mutex<Durable>,
    /// What customers were told.
    pub journal: Mutex<Journal>,
    dice: Mutex<StdRng>,
    faults: Mutex<Faults>,
    trace: Mutex<Trace>,
    /// Nothing goes wrong any more.
    is_calm: AtomicBool,
}

/// What commits have had in them that the store does not tell.
#[derive(Default)]
pub struct Durable {
    /// Every event, in the sequence of the commits.
    pub events: Vec<OutboxRow>,
    /// How often it was committed that a consumer has handled an event.
    pub handled: BTreeMap<(String, String), u32>,
    /// Ids of what was created for a customer's key.
    pub by_key: BTreeMap<(String, String), Vec<String>>,
}

/// What customers were told, as they would prove it.
#[derive(Default)]
pub struct Journal {
    /// By customer, the id and the data of the booking.
    pub acknowledged: BTreeMap<u32, (String, Object)>,
    /// Bookings that are cancelled.
    pub cancelled: BTreeSet<String>,
    /// Customers who want nothing more.
    pub done: BTreeSet<u32>,
    /// Answers that must not be.
    pub wrong: Vec<(String, String)>,
}

struct Faults {
    due: BTreeMap<(Place, u64), Fault>,
    counted: BTreeMap<Place, u64>,
}

/// What happened, one line each.
#[derive(Default)]
struct Trace {
    lines: Vec<String>,
    hash: DefaultHasher,
    faults: u64,
}

impl World {
    /// Before anything has happened.
    #[must_use]
    pub fn new(schedule: &Schedule, plan: Plan, folder: PathBuf) -> Self {
        let clock = Clock::of_instants();
        let due = schedule.faults.iter().map(|Due { place, nth, fault }| ((*place, *nth), *fault)).collect();
        Self {
            plan: Arc::new(plan),
            folder,
            memory: Mutex::new(Arc::new(Memory::with_clock(clock.clone()))),
            clock,
            broker: Mutex::default(),
            published: Notify::new(),
            services: Mutex::default(),
            durable: Mutex::default(),
            journal: Mutex::default(),
            // Other dice than those of the schedule: what is left out of it changes no other draw.
            dice: Mutex::new(StdRng::seed_from_u64(!schedule.seed)),
            faults: Mutex::new(Faults { due, counted: BTreeMap::new() }),
            trace: Mutex::default(),
            is_calm: AtomicBool::new(false),
        }
    }

    /// Counts that something comes to a place, and answers what goes wrong with it.
    pub fn comes_to(&self, place: Place) -> Option<Fault> {
        if self.is_calm.load(Ordering::Relaxed) {
            return None;
        }
        let fault = {
            let mut faults = self.faults.lock();
            let count = faults.counted.entry(place).or_default();
            *count += 1;
            let here = (place, *count);
            faults.due.get(&here).copied()
        };
        if let Some(fault) = fault {
            self.trace.lock().faults += 1;
            self.note("fault", format_args!("{place:?} {fault:?}"));
        }
        fault
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        self.is_calm.store(true, Ordering::Relaxed);
        self.note("calm", format_args!(""));
    }

    /// Notes that something happened.
    pub fn note(&self, what: &str, more: std::fmt::Arguments<'_>) {
        let line = format!("{:>12.3} {what:<9} {more}", machine::passed() as f64 / 1e9);
        let mut trace = self.trace.lock();
        line.hash(&mut trace.hash);
        trace.lines.push(line);
        if trace.lines.len() > MOST_EVENTS {
            // Whoever runs in a circle lets no time pass, and nobody else has a turn.
            for line in trace.lines.iter().rev().take(40).rev() {
                eprintln!("{line}");
            }
            eprintln!("there is no end to it: {MOST_EVENTS} events");
            std::process::exit(3);
        }
    }

    /// What happened with this in it.
    pub fn about(&self, text: &str) -> Vec<String> {
        let trace = self.trace.lock();
        trace.lines.iter().filter(|line| line.contains(text) || line.contains("process") || line.contains("fault")).cloned().collect()
    }

    /// All that happened.
    pub fn lines(&self) -> Vec<String> {
        self.trace.lock().lines.clone()
    }

    /// How much happened, how much of it went wrong, and a number of all of it.
    pub fn figures(&self) -> (u64, u64, u64) {
        let trace = self.trace.lock();
        (trace.lines.len() as u64, trace.faults, trace.hash.finish())
    }

    /// A time between the two, in milliseconds; rarely much more.
    pub fn a_while(&self, from: u64, to: u64) -> Duration {
        let mut dice = self.dice.lock();
        let longer = if dice.random_range(0..50) == 0 { 20 } else { 1 };
        Duration::from_millis(dice.random_range(from..=to) * longer)
    }

    /// One of so many, from 0.
    pub fn one_of(&self, many: u64) -> u64 {
        self.dice.lock().random_range(0..many)
    }

    /// What was committed, for who looks from outside.
    pub fn rows(&self) -> Arc<Memory> {
        Arc::clone(&self.memory.lock())
    }

    /// Keeps what a commit has in it.
    pub fn committed(&self, commit: &Commit) {
        let mut durable = self.durable.lock();
        for part in std::iter::once(commit).chain(&commit.also) {
            durable.events.extend(part.outbox.iter().cloned());
            if let Some(row) = &part.inbox {
                *durable.handled.entry((row.consumer.clone(), row.event_id.clone())).or_default() += 1;
            }
            if let Some(row) = &part.idempotency {
                durable.by_key.entry((row.user.clone(), row.key.clone())).or_default().push(row.resource_id.clone());
            }
        }
    }
}
