//! A product of the shop: what it may hold, and whether customers see it.

use serde_json::Value;

use super::catalogue;
use super::money::Cents;
use super::status::Status;
use crate::services::error::{FieldError, pointer};
use crate::store::{Object, PriceRow, Resource};
use crate::text;

/// The field that prices are in.
pub const PRICE: &str = "price";

/// What keeps `data` from being a product whose status is in the field `status`.
#[must_use]
pub fn wrong(data: &Object, status: &str) -> Vec<FieldError> {
    let mut wrong: Vec<FieldError> = catalogue::flaws(data, true)
        .into_iter()
        .map(|flaw| {
            let (field, detail) = flaw.split_once(": ").unwrap_or(("", &flaw));
            FieldError { pointer: pointer("", field), detail: detail.to_owned() }
        })
        .collect();
    let known = |value: &Value| value.as_str().is_some_and(|name| Status::from_name(name).is_some());
    if let Some(value) = data.get(status).filter(|value| !known(value)) {
        let detail = format!("{}; accepted: draft, active, retired", catalogue::what_is(Some(value), "status"));
        wrong.push(FieldError { pointer: pointer("", status), detail });
    }
    wrong
}

/// Its price, if it has one that can be sold at.
#[must_use]
pub fn price(data: &Object) -> Option<Cents> {
    data.get(PRICE).and_then(Cents::from_json)
}

/// What is to be written of the price of a product that is `after` and was `before`, none of whose prices may be `known` yet.
#[must_use]
pub fn prices(before: Option<&Resource>, after: &Resource, known: bool, actor: Option<&str>) -> Vec<PriceRow> {
    let (was, is) = (before.and_then(|before| price(&before.data)), price(&after.data));
    if was == is {
        return Vec::new();
    }
    let row = |resource: &Resource, price: Cents, actor: Option<&str>| PriceRow {
        version: resource.version,
        price: price.get(),
        actor: actor.map(str::to_owned),
        at: resource.updated_at,
    };
    let earlier = before.zip(was).filter(|_| !known).map(|(before, was)| row(before, was, None));
    earlier.into_iter().chain(is.map(|is| row(after, is, actor))).collect()
}

/// Whether a product is found by a text: its id has it, or its name, however they are written.
#[must_use]
pub fn matches(resource: &Resource, folded: &str) -> bool {
    let name = resource.data.get("name").and_then(Value::as_str).unwrap_or_default();
    folded.is_empty() || fold(&resource.id).contains(folded) || fold(name).contains(folded)
}

/// A text without what does not matter when it is searched for.
#[must_use]
pub fn fold(text: &str) -> String {
    text::half_width(text).to_lowercase()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn product(version: u64, data: Value) -> Resource {
        Resource {
            kind: "products".into(),
            id: "prod-ÄB".into(),
            owner: None,
            state: "active".into(),
            version,
            data: std::sync::Arc::new(data.as_object().unwrap().clone()),
            workflow: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn each_wrong_field_of_a_product_is_named() {
        let pointers = |data: Value| wrong(data.as_object().unwrap(), "status").into_iter().map(|e| e.pointer).collect::<Vec<_>>();
        assert!(pointers(json!({"name": "A", "price": 1.5, "status": "draft"})).is_empty());
        assert_eq!(pointers(json!({"price": -1, "status": "gone"})), ["/price", "/name", "/status"]);
    }

    #[test]
    fn a_price_is_written_when_it_changes_and_the_first_change_writes_the_one_before() {
        let (before, same) = (product(3, json!({"price": 10})), product(4, json!({"price": 10, "name": "b"})));
        let after = product(4, json!({"price": 9.99}));
        let told = |rows: Vec<PriceRow>| rows.into_iter().map(|row| (row.version, row.price, row.actor)).collect::<Vec<_>>();
        assert_eq!(told(prices(Some(&before), &same, false, Some("ada"))), []);
        let ada = Some("ada".to_owned());
        assert_eq!(told(prices(Some(&before), &after, false, Some("ada"))), [(3, 1_000, None), (4, 999, ada.clone())]);
        assert_eq!(told(prices(Some(&before), &after, true, Some("ada"))), [(4, 999, ada)]);
        assert_eq!(told(prices(None, &before, false, None)), [(3, 1_000, None)]);
    }

    #[test]
    fn a_product_is_found_however_it_is_written() {
        let found = |text: &str| matches(&product(1, json!({"name": "Straße ＵＳＢ"})), &fold(text));
        assert!(found("") && found("usb") && found("STRASSE") == found("strasse") && found("prod-äb") && found("STRAß"));
        assert!(!found("mouse"));
    }
}
