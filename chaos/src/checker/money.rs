//! The bank's books against the orders.

use std::collections::{BTreeMap, BTreeSet};

use super::database::Order;
use super::{Case, Found};
use crate::bank::Movement;

/// States in which an order is paid for.
const PAID: [&str; 5] = ["paid", "shipping", "ship_failed", "shipped", "delivered"];

#[derive(Default)]
struct Visit {
    charges: u32,
    amounts: BTreeSet<u64>,
    is_voided: bool,
}

/// I7, I12, I13: each visit has one effect at most; what the bank holds is the total of an order that is paid for, and nothing of another.
pub fn is_the_total_or_nothing(case: &Case, found: &mut Found) {
    let mut orders: BTreeMap<&str, BTreeMap<&str, Visit>> = BTreeMap::new();
    for posting in &case.books {
        let order = posting.key.split(':').next().unwrap_or_default();
        let visit = orders.entry(order).or_default().entry(&posting.key).or_default();
        match posting.what {
            Movement::Charged => visit.charges += 1,
            Movement::Voided => visit.is_voided = true,
            Movement::Asked | Movement::Again => {}
        }
        if posting.what != Movement::Voided {
            visit.amounts.insert(posting.amount);
        }
    }
    for (id, visits) in &orders {
        match case.database.order(id) {
            Some(order) => of_order(id, order, visits, found),
            None => found.of(id, "I7", format!("the bank was asked for money of an order that is not there: {:?}", visits.keys())),
        }
    }
    for (id, order) in &case.database.orders {
        if PAID.contains(&order.state.as_str()) && !orders.contains_key(id.as_str()) {
            found.of(id, "I7", format!("it is '{}', and the bank was never asked", order.state));
        }
    }
}

fn of_order(id: &str, order: &Order, visits: &BTreeMap<&str, Visit>, found: &mut Found) {
    let total = cents(order);
    let paying = order.history.iter().filter(|passed| passed.edge.to == "paying").count();
    for (key, visit) in visits {
        let number = key.rsplit(':').next().and_then(|number| number.parse().ok());
        if key.split(':').count() != 3 || !number.is_some_and(|number: usize| (1..=paying).contains(&number)) {
            found.of(id, "I7", format!("the bank was asked under the key {key}, and the order was in 'paying' {paying} times"));
        }
        if visit.charges > 1 || visit.amounts.len() > 1 || visit.amounts.first().is_some_and(|amount| *amount != total) {
            found.of(id, "I7", format!("{key}: {} charges of {:?}, the total is {total}", visit.charges, visit.amounts));
        }
    }
    let held = visits.values().filter(|visit| visit.charges > 0 && !visit.is_voided).count();
    match (PAID.contains(&order.state.as_str()), held) {
        (true, 1) | (false, 0) => {}
        // It is being paid for: whether it ever ends is for another check.
        (false, 1) if !order.finished => {}
        (true, held) => found.of(id, "I7", format!("it is '{}', and {held} charges are held: {:?}", order.state, visits.keys())),
        (false, held) => {
            found.of(id, "I13", format!("it is '{}', and {held} charges are held: {:?}", order.state, visits.keys()));
        }
    }
}

/// What an order costs. Two digits after the point are exact in a double of this size.
fn cents(order: &Order) -> u64 {
    super::orders::cents(&order.data["total"]).unwrap_or(u64::MAX)
}
