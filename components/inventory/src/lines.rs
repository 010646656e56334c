//! What is to be reserved, from the lines of the instance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One of `items` in the instance's data.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Id of the product.
    pub product_id: String,
    /// How many of it.
    pub quantity: u32,
    /// What people call it.
    pub name: Option<String>,
}

/// One line of a reservation; a product is in one line only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Stock keeping unit: the id of the product.
    pub sku: String,
    /// How many of it.
    pub quantity: u64,
}

/// Adds up the items of a product, sorted by product, so that the same items always make the same request.
pub fn aggregate(items: &[Item]) -> Vec<Line> {
    let mut quantities: BTreeMap<&str, u64> = BTreeMap::new();
    for item in items {
        *quantities.entry(&item.product_id).or_default() += u64::from(item.quantity);
    }
    quantities.into_iter().map(|(sku, quantity)| Line { sku: sku.to_owned(), quantity }).collect()
}

/// What people call the product `sku`: the name in the items, or the id itself.
pub fn name<'a>(items: &'a [Item], sku: &'a str) -> &'a str {
    items.iter().find(|item| item.product_id == sku).and_then(|item| item.name.as_deref()).unwrap_or(sku)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_in_two_items_is_one_line_and_lines_are_sorted() {
        let item = |id: &str, quantity| Item { product_id: id.into(), quantity, name: None };
        let lines = aggregate(&[item("b", 2), item("a", 1), item("b", u32::MAX)]);
        assert_eq!(lines, [Line { sku: "a".into(), quantity: 1 }, Line { sku: "b".into(), quantity: u64::from(u32::MAX) + 2 }]);
    }
}
