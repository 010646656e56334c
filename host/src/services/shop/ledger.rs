//! Moves of the stock that people make: what a request for one says.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::services::ServiceError;
use crate::services::error::{FieldError, pointer};
pub use crate::store::StockMove;
use crate::store::{MoveBy, Object};
use crate::text;

/// Why somebody changes what is on hand.
pub const REASONS: [&str; 5] = ["received", "damaged", "counted", "returned", "correction"];
/// Characters of a note.
pub const MAX_NOTE: usize = 500;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 40;

/// A move as it is asked for: either `delta`, or `counted` with `expected`.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "camelCase", rename = "NewStockMove", deny_unknown_fields)]
pub struct Asked {
    /// Units that came (more than 0) or left.
    #[schemars(default, skip_serializing_if = "Option::is_none", with = "i64")]
    pub delta: Option<i64>,
    /// Units that were counted, reserved ones included. The reason is `counted` then.
    #[schemars(default, skip_serializing_if = "Option::is_none", with = "u64")]
    pub counted: Option<u64>,
    /// Units that were on hand by the ledger when they were counted: if it says something else by now, nothing is written (409).
    #[schemars(default, skip_serializing_if = "Option::is_none", with = "u64")]
    pub expected: Option<u64>,
    /// Why.
    #[schemars(extend("enum" = REASONS))]
    pub reason: String,
    /// In words.
    #[schemars(default, skip_serializing_if = "Option::is_none", with = "String", length(max = MAX_NOTE))]
    pub note: Option<String>,
}

/// What is on hand of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "StockLevel")]
pub struct LevelBody {
    /// Id of the product.
    pub sku: String,
    /// Its name; `null` if it is gone.
    pub name: Option<String>,
    /// Units in the warehouse, reserved ones included.
    pub on_hand: u64,
    /// Units that belong to a reservation.
    pub reserved: u64,
    /// Units that can be bought.
    pub available: u64,
}

impl Asked {
    /// Reads a body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(body: &Object) -> Result<Self, ServiceError> {
        let mut errors = Vec::new();
        let mut wrong = |name: &str, detail: String| errors.push(FieldError { pointer: pointer("", name), detail });
        const KNOWN: [&str; 5] = ["delta", "counted", "expected", "reason", "note"];
        for name in body.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            wrong(name, format!("unknown field; expected one of {}", KNOWN.join(", ")));
        }
        let given = |name: &str| body.get(name).filter(|value| !value.is_null());
        let shown = |value: &Value| text::quoted(&value.to_string(), MAX_SHOWN);
        let delta = given("delta").and_then(Value::as_i64);
        if let Some(value) = given("delta").filter(|value| value.as_i64().is_none_or(|delta| delta == 0)) {
            wrong("delta", format!("expected a whole number of units other than 0, got {}", shown(value)));
        }
        let units = |name: &str| given(name).and_then(Value::as_u64).filter(|units| i64::try_from(*units).is_ok());
        for name in ["counted", "expected"] {
            if let Some(value) = given(name).filter(|_| units(name).is_none()) {
                wrong(name, format!("expected a whole number of units, 0 or more, got {}", shown(value)));
            }
        }
        match (given("delta").is_some(), given("counted").is_some()) {
            (true, true) => wrong("counted", "either delta or counted, not both".into()),
            (false, false) => wrong("delta", "is missing: give delta, or counted with expected".into()),
            (false, true) if given("expected").is_none() => {
                wrong("expected", "is missing: the units on hand that the count was made against".into());
            }
            _ => {}
        }
        let reason = given("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !REASONS.contains(&reason.as_str()) {
            wrong("reason", format!("expected one of {}, got {}", REASONS.join(", "), shown(given("reason").unwrap_or(&Value::Null))));
        } else if given("counted").is_some() && reason != "counted" {
            wrong("reason", format!("units that were counted have the reason counted, got {reason}"));
        } else if let Some(delta) = delta.filter(|_| given("counted").is_none()) {
            match reason.as_str() {
                "counted" => wrong("reason", "the reason counted is for counted, not for delta".into()),
                "received" | "returned" if delta < 0 => wrong("delta", format!("what was {reason} is more than 0, got {delta}")),
                "damaged" if delta > 0 => wrong("delta", format!("what was damaged is less than 0, got {delta}")),
                _ => {}
            }
        }
        let note = given("note").and_then(Value::as_str).map(str::to_owned);
        let is_note = |note: &str| text::length(note) <= MAX_NOTE && !note.chars().any(|c| c.is_control() && c != '\n');
        if let Some(value) = given("note").filter(|value| !value.as_str().is_some_and(is_note)) {
            wrong("note", format!("expected a text of {MAX_NOTE} characters at most, got {}", shown(value)));
        }
        let (counted, expected) = (units("counted"), units("expected"));
        if errors.is_empty() { Ok(Self { delta, counted, expected, reason, note }) } else { Err(ServiceError::fields(errors)) }
    }

    /// What it does.
    #[must_use]
    pub fn by(&self) -> MoveBy {
        match (self.counted, self.expected) {
            (Some(units), Some(expected)) => MoveBy::Counted { units, expected },
            _ => MoveBy::Delta(self.delta.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(body: Value) -> Vec<String> {
        match Asked::read(body.as_object().unwrap()) {
            Err(ServiceError::Invalid { errors, .. }) => errors.into_iter().map(|error| error.pointer).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_move_says_how_many_and_why() {
        let read = |body: Value| Asked::read(body.as_object().unwrap()).unwrap().by();
        assert_eq!(read(json!({"delta": 12, "reason": "received", "note": "a pallet"})), MoveBy::Delta(12));
        assert_eq!(read(json!({"delta": -1, "reason": "damaged"})), MoveBy::Delta(-1));
        assert_eq!(read(json!({"counted": 0, "expected": 3, "reason": "counted"})), MoveBy::Counted { units: 0, expected: 3 });
    }

    #[test]
    fn everything_that_is_wrong_with_a_move_is_told() {
        assert_eq!(wrong(json!({})), ["/delta", "/reason"]);
        assert_eq!(wrong(json!({"delta": 0, "reason": "found", "why": 1})), ["/why", "/delta", "/reason"]);
        assert_eq!(wrong(json!({"delta": 1, "counted": 1, "expected": 1, "reason": "counted"})), ["/counted"]);
        assert_eq!(wrong(json!({"counted": 1, "reason": "counted"})), ["/expected"]);
        assert_eq!(wrong(json!({"counted": 1, "expected": 1, "reason": "received"})), ["/reason"]);
        assert_eq!(wrong(json!({"delta": -1, "reason": "received"})), ["/delta"]);
        assert_eq!(wrong(json!({"delta": 1, "reason": "damaged"})), ["/delta"]);
        assert_eq!(wrong(json!({"delta": 1, "reason": "counted"})), ["/reason"]);
        assert_eq!(wrong(json!({"delta": 1.5, "reason": "received", "note": 7})), ["/delta", "/note"]);
        assert_eq!(wrong(json!({"delta": 1, "reason": "received", "note": "x".repeat(501)})), ["/note"]);
    }
}
