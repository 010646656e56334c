//! Orders by themselves: what they have passed, where they are, what they cost.

use serde_json::Value;

use super::{Case, Found};
use crate::shop::STOCK;

/// Modules of the config, and the files that are their components.
pub const COMPONENTS: [(&str, &str); 4] = [
    ("inventory-checker", "inventory"),
    ("payment-processor", "payment"),
    ("shipping-service", "shipping"),
    ("notification-sender", "notify"),
];

/// I3: a history has no gap, begins in `new`, ends where the order is, and has nothing but transitions of its machine.
pub fn histories_are_whole(case: &Case, found: &mut Found) {
    for (id, order) in &case.database.orders {
        let Some(machine) = case.database.machines.get(&order.machine) else {
            found.of(id, "I3", format!("its machine {} is not there", order.machine));
            continue;
        };
        let mut state = "new";
        for (place, passed) in (1..).zip(&order.history) {
            if passed.seq != place {
                found.of(id, "I3", format!("its history has {} in the place of {place}", passed.seq));
            }
            if passed.edge.from != state || !machine.contains(&passed.edge) {
                found.of(id, "I3", format!("from '{state}' there is no {:?}", passed.edge));
            }
            state = &passed.edge.to;
        }
        if order.state != state {
            found.of(id, "I3", format!("its history ends in '{state}', and it is '{}'", order.state));
        }
    }
}

/// I9: none rests where something has to follow, and no run and no event was left behind.
pub fn all_have_ended(case: &Case, found: &mut Found) {
    for (id, order) in case.database.orders.iter().filter(|(_, order)| !order.finished) {
        let runs: Vec<_> = case.database.runs.iter().filter(|run| run.order == *id && run.status != "done").collect();
        let why = order.attention.as_deref().unwrap_or("nobody was told");
        found.of(id, "I9", format!("it rests in '{}' ({why}); its runs: {runs:?}", order.state));
    }
    for run in case.database.runs.iter().filter(|run| run.status != "done") {
        if case.database.order(&run.order).is_some_and(|order| order.finished) {
            found.of(&run.order, "I9", format!("it has ended, and a run has not: {run:?}"));
        }
    }
    if case.database.unpublished > 0 {
        found.add("I5", format!("{} events are not published", case.database.unpublished));
    }
    if case.database.dead_letters > 0 {
        found.add("I20", format!("{} messages went to the dead letters", case.database.dead_letters));
    }
}

/// I11: the total is the sum of the catalogue's prices.
pub fn prices_are_those_of_the_catalogue(case: &Case, found: &mut Found) {
    for (id, order) in &case.database.orders {
        let price = |item: &Value| {
            let (_, cents, _) = STOCK.iter().find(|(product, ..)| item["productId"] == *product)?;
            item["quantity"].as_u64()?.checked_mul(*cents)
        };
        let items = order.data["items"].as_array().map_or(&[][..], Vec::as_slice);
        let sum: Option<u64> = items.iter().map(price).sum();
        if sum.is_none() || sum != cents(&order.data["total"]) {
            found.of(id, "I11", format!("its lines are {sum:?} cents, its total is {}", order.data["total"]));
        }
    }
}

/// I14: whatever was put in the place of a file, answers came from versions that may serve, and such a version is to serve next.
pub fn steps_ran_on_what_may_serve(case: &Case, found: &mut Found) {
    let may = |component: &str, digest: &str| {
        let file = COMPONENTS.iter().find(|(module, _)| *module == component).map_or("", |(_, file)| file);
        case.good.get(file).is_some_and(|good| good.contains(digest))
    };
    for (id, order) in &case.database.orders {
        for passed in &order.history {
            match (&passed.component, &passed.digest) {
                (Some(component), Some(digest)) if may(component, digest) => {}
                (None, None) => {}
                // A run that never began says nothing of a version.
                (Some(_), None) if passed.cause != "accepted" && passed.cause != "rejected" => {}
                (component, digest) => {
                    found.of(id, "I14", format!("transition {} was answered by {component:?} of the version {digest:?}", passed.seq));
                }
            }
        }
    }
    for (component, digest) in &case.database.components {
        if !may(component, digest) {
            found.add("I14", format!("{digest} is to serve as {component} after a restart"));
        }
    }
}

/// A sum of money in JSON, in cents. Two digits after the point are exact in a number of this size.
pub fn cents(value: &Value) -> Option<u64> {
    let text = value.as_number()?.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = format!("{part:0<2}");
    if part.len() != 2 {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn money_is_whole_cents_or_nothing() {
        let sums = [json!(9.99), json!(10), json!(0.5), json!(149.99), json!(1.999), json!("1"), json!(-1)];
        assert_eq!(sums.map(|sum| cents(&sum)), [Some(999), Some(1000), Some(50), Some(14_999), None, None, None]);
    }
}
