//! The invariants, held against what is there when all is at rest: the database, the bank's books, and what anybody was told.
//!
//! Each check looks at everything; none stops at the first thing that is wrong.

pub mod database;
mod events;
mod money;
mod orders;
mod stock;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::bank::Posting;
use crate::journal::{Entry, Line};
use crate::topics::Record;
use database::Database;

pub use orders::COMPONENTS;

/// Something that was promised and does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Its name in `docs/durability.md`.
    pub invariant: String,
    /// Of which order, if of one.
    pub order: Option<String>,
    /// What is wrong.
    pub why: String,
}

/// Everything that is known of a run.
pub struct Case {
    /// What anybody was told and what was done, in sequence.
    pub told: Vec<Line>,
    /// The bank's books.
    pub books: Vec<Posting>,
    /// What the program has kept.
    pub database: Database,
    /// By the name of a module: the digests that may serve as it.
    pub good: BTreeMap<String, BTreeSet<String>>,
    /// What Kafka has of orders, if the shop has Kafka.
    pub topics: Option<Vec<Record>>,
}

/// What looks for violations of some invariants.
type Check = fn(&Case, &mut Found);

/// All of them; what comes first is what a person should look at first.
const CHECKS: [Check; 12] = [
    told::acknowledged_orders_are_there,
    told::one_key_is_one_order,
    told::what_was_told_is_so,
    money::is_the_total_or_nothing,
    orders::histories_are_whole,
    orders::all_have_ended,
    orders::prices_are_those_of_the_catalogue,
    orders::steps_ran_on_what_may_serve,
    stock::adds_up,
    events::one_for_each_transition,
    events::each_had_its_effect_once,
    events::topics_are_complete,
];

/// What was found so far.
#[derive(Default)]
pub struct Found(Vec<Violation>);

impl Found {
    /// Something of an order is wrong.
    pub fn of(&mut self, order: &str, invariant: &str, why: impl Into<String>) {
        self.0.push(Violation { invariant: invariant.to_owned(), order: Some(order.to_owned()), why: why.into() });
    }

    /// Something else is wrong.
    pub fn add(&mut self, invariant: &str, why: impl Into<String>) {
        self.0.push(Violation { invariant: invariant.to_owned(), order: None, why: why.into() });
    }
}

/// All that is wrong, in the sequence in which a person should look at it. What was seen to be wrong while the run went on comes first.
pub fn check(case: &Case) -> Vec<Violation> {
    let mut found = Found::default();
    for line in &case.told {
        if let Entry::Broken { invariant, order, why } = &line.entry {
            found.0.push(Violation { invariant: invariant.clone(), order: order.clone(), why: why.clone() });
        }
    }
    for look in CHECKS {
        look(case, &mut found);
    }
    found.0
}

/// What is wrong with a copy of the database that was made while it was written. `told` is what anybody was told before it was begun.
pub fn check_copy(file: &Path, told: &[Line]) -> Vec<Violation> {
    let database = match Database::read(file) {
        Ok(database) => database,
        Err(problem) => {
            let why = format!("the copy {} cannot be read: {problem:#}", file.display());
            return vec![Violation { invariant: "I24".into(), order: None, why }];
        }
    };
    let case = Case { told: told.to_vec(), books: Vec::new(), database, good: BTreeMap::new(), topics: None };
    let mut found = Found::default();
    let of_a_copy: [Check; 5] = [
        told::acknowledged_orders_are_there,
        told::what_was_told_is_so,
        orders::histories_are_whole,
        stock::moves_are_what_is_on_hand,
        events::one_for_each_transition,
    ];
    for look in of_a_copy {
        look(&case, &mut found);
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let is_of_the_copy = |violation: Violation| Violation {
        why: format!("in {name}: {}: {}", violation.invariant, violation.why),
        invariant: "I24".into(),
        ..violation
    };
    found.0.into_iter().map(is_of_the_copy).collect()
}
