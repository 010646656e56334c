//! Goods: nothing is sold that is not there, and nothing is lost.

use std::collections::BTreeMap;

use super::{Case, Found};
use crate::shop::STOCK;

/// I10: what is on hand is what was there at the start less what was sold; nothing is kept back for orders that have ended.
pub fn adds_up(case: &Case, found: &mut Found) {
    moves_are_what_is_on_hand(case, found);
    let mut sold: BTreeMap<&str, i64> = BTreeMap::new();
    let mut reserved: BTreeMap<&str, i64> = BTreeMap::new();
    for (key, reservation) in &case.database.reservations {
        let Some(order) = case.database.order(key) else {
            found.of(key, "I10", "goods are kept back for an order that is not there");
            continue;
        };
        let expected = match order.state.as_str() {
            "delivered" => "sold",
            "cancelled" | "failed" => "released",
            _ => "reserved",
        };
        if reservation.status != expected {
            found.of(key, "I10", format!("it is '{}', and its goods are {}", order.state, reservation.status));
        }
        let sum = match reservation.status.as_str() {
            "sold" => &mut sold,
            "reserved" => &mut reserved,
            _ => continue,
        };
        for (sku, quantity) in &reservation.lines {
            *sum.entry(sku).or_default() += quantity;
        }
    }
    for (id, order) in case.database.orders.iter().filter(|(_, order)| order.state == "delivered") {
        let ordered = case.database.reservations.get(id).map(|reservation| reservation.lines.values().sum::<i64>());
        let items = order.data["items"].as_array().map_or(&[][..], Vec::as_slice);
        let delivered: i64 = items.iter().filter_map(|item| item["quantity"].as_i64()).sum();
        if ordered != Some(delivered) {
            found.of(id, "I10", format!("{delivered} units were delivered, {ordered:?} reserved"));
        }
    }
    for (sku, _, start) in STOCK {
        let (sold, kept) = (sold.get(sku).copied().unwrap_or(0), reserved.get(sku).copied().unwrap_or(0));
        match case.database.stock.get(sku) {
            Some(&(on_hand, reserved)) if on_hand == start - sold && reserved == kept => {}
            level => {
                found.add("I10", format!("of {sku} there were {start}, {sold} were sold and {kept} are kept back; the level is {level:?}"))
            }
        }
    }
}

/// I10: 0 <= reserved <= on hand, and of each product the moves are what is on hand.
pub fn moves_are_what_is_on_hand(case: &Case, found: &mut Found) {
    for (sku, &(on_hand, reserved)) in &case.database.stock {
        let moves = case.database.moves.get(sku).copied();
        if !(0..=on_hand).contains(&reserved) || moves != Some(on_hand) {
            found.add("I10", format!("of {sku} {on_hand} are on hand, {reserved} reserved, the moves are {moves:?}"));
        }
    }
}
