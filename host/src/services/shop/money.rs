//! Money: integer minor units inside, a decimal number in JSON. No floating-point arithmetic anywhere.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

/// An amount in minor units (cents).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cents(i64);

impl Cents {
    /// No larger amount is taken from JSON or given to it: a JSON number holds fifteen digits whatever they are, and no more.
    pub const MAX: Self = Self(999_999_999_999_999);

    /// An amount, if it is within `0..=MAX`.
    #[must_use]
    pub fn new(cents: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&cents).then_some(Self(cents))
    }

    /// Minor units.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }

    /// A JSON number (or a string that holds one) with at most two decimals.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return None,
        };
        let decimal = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&text)).ok()?;
        let cents = decimal.checked_mul(Decimal::ONE_HUNDRED)?;
        if !cents.fract().is_zero() {
            return None;
        }
        Self::new(cents.to_i64()?)
    }

    /// The decimal number, for example `149.99`.
    #[must_use]
    pub fn to_json(self) -> Value {
        if self.0 % 100 == 0 {
            return Value::from(self.0 / 100);
        }
        // One correctly rounded division: the result prints as the decimal that was meant.
        #[expect(clippy::cast_precision_loss, reason = "MAX is less than 2^53: every amount is exact")]
        Number::from_f64(self.0 as f64 / 100.0).map_or(Value::Null, Value::Number)
    }

    /// `self * quantity`, unless it is beyond [`Cents::MAX`].
    #[must_use]
    pub fn times(self, quantity: u64) -> Option<Self> {
        Self::new(self.0.checked_mul(i64::try_from(quantity).ok()?)?)
    }

    /// `self + other`, unless it is beyond [`Cents::MAX`].
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        Self::new(self.0.checked_add(other.0)?)
    }
}

impl Serialize for Cents {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl JsonSchema for Cents {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number", "minimum": 0, "description": "With at most two decimals."})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_amount_has_at_most_two_decimals_and_is_not_negative() {
        assert_eq!(Cents::from_json(&json!(149.99)).map(Cents::get), Some(14_999));
        assert_eq!(Cents::from_json(&json!(150)).map(Cents::get), Some(15_000));
        assert_eq!(Cents::from_json(&json!("9.90")).map(Cents::get), Some(990));
        for wrong in [json!(1.999), json!(-1), json!(null), json!("a"), json!(1e300), json!([1])] {
            assert_eq!(Cents::from_json(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_largest_amount_is_the_largest_that_a_json_number_holds_to_the_cent() {
        let largest = Cents::MAX;
        assert_eq!(largest.to_json().to_string(), "9999999999999.99");
        assert_eq!(largest.plus(Cents(1)), None);
    }

    proptest! {
        #[test]
        fn every_amount_survives_the_way_through_json_text(cents in 0..=Cents::MAX.0) {
            let amount = Cents::new(cents).unwrap();
            let text = serde_json::to_string(&amount.to_json()).unwrap();
            let back: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(Cents::from_json(&back), Some(amount), "{}", text);
        }

        #[test]
        fn a_product_is_exact_or_refused(price in 0..=Cents::MAX.0, quantity in any::<u64>()) {
            let exact = i128::from(price) * i128::from(quantity);
            let got = Cents::new(price).unwrap().times(quantity).map(|amount| i128::from(amount.get()));
            prop_assert_eq!(got, (exact <= i128::from(Cents::MAX.0)).then_some(exact));
        }
    }
}
