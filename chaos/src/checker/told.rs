//! What customers were told, against what is there.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Found};
use crate::journal::Entry;

/// I1: every order that was answered 201 is there, of the same owner, with the lines and the total that were answered.
pub fn acknowledged_orders_are_there(case: &Case, found: &mut Found) {
    for line in &case.told {
        let Entry::Created { account, order: id, items, total, .. } = &line.entry else { continue };
        let Some(order) = case.database.order(id) else {
            found.of(id, "I1", "it was answered 201, and is not in the database");
            continue;
        };
        for (field, was, is) in [("items", items, &order.data["items"]), ("total", total, &order.data["total"])] {
            if was != is {
                found.of(id, "I1", format!("the {field} that were answered are {was}, those in the database {is}"));
            }
        }
        if order.owner != *account {
            found.of(id, "I1", format!("it was answered to {account}, and belongs to {}", order.owner));
        }
    }
}

/// I2: of each account and key there is one order, and no order without a key that was asked for.
pub fn one_key_is_one_order(case: &Case, found: &mut Found) {
    let mut answered: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut asked: BTreeSet<(&str, &str)> = BTreeSet::new();
    for line in &case.told {
        match &line.entry {
            Entry::Asked { account, key } => drop(asked.insert((account, key))),
            Entry::Created { account, key, order, .. } => drop(answered.entry((account, key)).or_default().insert(order)),
            _ => {}
        }
    }
    for ((_, key), orders) in answered.iter().filter(|(_, orders)| orders.len() > 1) {
        found.of(orders.first().unwrap_or(&""), "I2", format!("the key {key} was answered with {orders:?}"));
    }
    let mut of_key: BTreeMap<&str, &str> = BTreeMap::new();
    for ((account, key), order) in &case.database.keys {
        if !asked.contains(&(account.as_str(), key.as_str())) {
            found.of(order, "I2", format!("nobody has asked for it under the key {key}"));
        }
        of_key.insert(order, key);
    }
    for id in case.database.orders.keys().filter(|id| !of_key.contains_key(id.as_str())) {
        found.of(id, "I2", "no key stands for it: it was made twice");
    }
}

/// I1: no transition that anybody was told of is undone, and who was told that an action is done has it done.
pub fn what_was_told_is_so(case: &Case, found: &mut Found) {
    for line in &case.told {
        match &line.entry {
            Entry::Seen { order: id, seq, state } => {
                let Some(order) = case.database.order(id) else { continue };
                match order.history.iter().find(|passed| passed.seq == *seq) {
                    Some(passed) if passed.edge.to == *state => {}
                    other => found.of(id, "I1", format!("transition {seq} was told to lead to '{state}'; there it is {other:?}")),
                }
            }
            Entry::Acted { order: id, action, state } => {
                let Some(order) = case.database.order(id) else { continue };
                let is_there = order.history.iter().any(|passed| passed.edge.to == *state);
                if !is_there || (action == "cancel" && order.state != "cancelled") {
                    found.of(id, "I1", format!("'{action}' was answered with '{state}'; it is '{}'", order.state));
                }
            }
            _ => {}
        }
    }
}
