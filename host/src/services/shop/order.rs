//! An order of the shop: what a customer asks for, and what is kept and shown of it. These types are also how the API describes orders.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use super::money::Cents;
use crate::store::Object;
use crate::text;

/// Lines of one order.
pub(super) const MAX_LINES: usize = 100;
/// Characters of one field of the address, of the id of a product, and of a payment token.
pub(super) const MAX_TEXT: usize = 200;
/// How a ZIP code is written, on most keyboards.
const ZIP_PATTERN: &str = "^[0-9]{5}(-[0-9]{4})?$";

/// What a customer asks for. That no product is named twice, and which products there are, is found out when it is priced.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, example = example())]
pub struct NewOrder {
    /// Each product once.
    #[schemars(length(min = 1, max = MAX_LINES))]
    pub items: Vec<NewLine>,
    /// Where it goes.
    pub shipping: Address,
    /// What it is paid with.
    #[schemars(with = "Payment", default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
    /// The total that the customer was shown: if it is another now, nothing is ordered and the answer is 409 `price_changed`.
    #[schemars(with = "Cents", default, skip_serializing_if = "Option::is_none")]
    pub expected_total: Option<Expected>,
    /// Ignored: the catalogue's counts.
    #[schemars(default, skip_serializing_if = "Ignored::is_ignored")]
    pub total: Ignored,
}

/// A line as it is asked for.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewLine {
    /// Identifier of a product; each once in an order.
    #[schemars(length(min = 1, max = MAX_TEXT), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"))]
    pub product_id: String,
    /// Units.
    #[schemars(range(min = 1))]
    pub quantity: u64,
    /// Ignored: the catalogue's counts.
    #[schemars(default, skip_serializing_if = "Ignored::is_ignored")]
    pub name: Ignored,
    /// Ignored: the catalogue's counts.
    #[schemars(default, skip_serializing_if = "Ignored::is_ignored")]
    pub price: Ignored,
}

/// What clients may say, and nobody reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ignored;

impl Ignored {
    fn is_ignored(&self) -> bool {
        true
    }
}

impl JsonSchema for Ignored {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Ignored".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// The sum that a customer was shown.
pub struct Expected {
    /// As it was sent.
    pub written: String,
    /// Without one it is no amount that a sum can be.
    pub amount: Option<Cents>,
}

impl Expected {
    /// Whether that is the sum.
    #[must_use]
    pub fn is(&self, total: Cents) -> bool {
        self.amount == Some(total)
    }
}

/// The data of an order before any step has added to it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OrderData {
    /// In the sequence in which they were asked for.
    pub items: Vec<OrderLine>,
    /// Where it goes.
    pub shipping: Address,
    /// What all lines come to.
    pub total: Cents,
    /// What it is paid with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Payment")]
    pub payment: Option<Payment>,
}

/// A line as the catalogue had it when it was ordered.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// Of the catalogue.
    pub product_id: String,
    /// What the product is called.
    pub name: String,
    /// Units, 1 or more.
    pub quantity: u64,
    /// Of one unit.
    pub price: Cents,
}

/// An address that a carrier can read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Address {
    /// Street and number.
    #[schemars(length(min = 1, max = MAX_TEXT), regex(pattern = text::LINE_PATTERN))]
    pub address: String,
    /// City.
    #[schemars(length(min = 1, max = MAX_TEXT), regex(pattern = text::LINE_PATTERN))]
    pub city: String,
    /// State.
    #[schemars(length(min = 1, max = MAX_TEXT), regex(pattern = text::LINE_PATTERN))]
    pub state: String,
    /// Such as 97201 or 97201-1234.
    #[schemars(regex(pattern = ZIP_PATTERN))]
    pub zip: String,
}

/// What an order is paid with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Payment {
    /// Of the payment gateway.
    #[schemars(length(min = 1, max = MAX_TEXT), regex(pattern = "^[!-~]+$"))]
    pub token: String,
}

/// What an order that was refused because of its sum would cost now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PriceChange {
    /// With the prices of now.
    pub lines: Vec<OrderLine>,
    /// What they come to.
    pub total: Cents,
}

/// As it is kept and sent.
pub(super) fn object(of: &impl Serialize) -> Object {
    match serde_json::to_value(of) {
        Ok(Value::Object(object)) => object,
        // The types of this file are objects whose keys are texts.
        _ => Object::new(),
    }
}

fn example() -> Value {
    serde_json::json!({
        "items": [{"productId": "prod-001", "quantity": 1}],
        "shipping": {"address": "1 Mill Lane", "city": "Portland", "state": "OR", "zip": "97201"},
        "payment": {"token": "tok_visa"},
    })
}
