//! From what a customer asks for to an order: the lines are checked all at once and priced from the catalogue.

use std::collections::HashSet;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;

use super::catalogue::{Catalogue, Freshness};
use super::money::Cents;
use super::order::{self, Address, Expected, Ignored, MAX_LINES, MAX_TEXT, NewLine, NewOrder, OrderData, OrderLine, Payment, PriceChange};
use crate::services::ServiceError;
use crate::services::error::{FieldError, pointer};
use crate::store::Object;
use crate::text;

const ADDRESS_FIELDS: [&str; 4] = ["address", "city", "state", "zip"];

/// Makes the data of a new order.
///
/// Prices, names and the total come from the catalogue; what the customer says about them is ignored. A line has `max_quantity` units at most.
///
/// # Errors
/// Everything that is wrong with the request, the catalogue cannot be reached, or its sum is not the `expectedTotal` of the request.
pub async fn price(catalogue: &Catalogue, max_quantity: u64, body: &Value) -> Result<Object, ServiceError> {
    let mut problems = Problems::default();
    let request = parse(body, max_quantity, &mut problems);
    problems.check()?;

    let mut priced = priced(catalogue, &request, Freshness::Recent).await?;
    if request.expected_total.as_ref().is_some_and(|expected| !expected.is(priced.total)) {
        // Whoever expects another sum may have seen a price that is newer than one that was kept here.
        priced = self::priced(catalogue, &request, Freshness::Now).await?;
        priced.check(request.expected_total.as_ref())?;
    }
    let NewOrder { shipping, payment, .. } = request;
    Ok(order::object(&OrderData { items: priced.lines, shipping, total: priced.total, payment }))
}

/// The lines of an order as the catalogue has them, and their sum.
struct Priced {
    lines: Vec<OrderLine>,
    total: Cents,
}

impl Priced {
    /// Whether the sum is the one that the customer was shown.
    fn check(&self, expected: Option<&Expected>) -> Result<(), ServiceError> {
        let Some(expected) = expected.filter(|expected| !expected.is(self.total)) else { return Ok(()) };
        let detail = format!("the total is {} now, and {} was expected; nothing was ordered", self.total.to_json(), expected.written);
        let members = order::object(&PriceChange { lines: self.lines.clone(), total: self.total });
        Err(ServiceError::Differs { detail, code: "price_changed", members })
    }
}

async fn priced(catalogue: &Catalogue, request: &NewOrder, freshness: Freshness) -> Result<Priced, ServiceError> {
    let mut problems = Problems::default();
    let mut lines = Vec::with_capacity(request.items.len());
    let mut total = Cents::default();
    for (index, line) in request.items.iter().enumerate() {
        let pointer = format!("/items/{index}");
        let Some(product) = catalogue.product(&line.product_id, freshness).await? else {
            problems.add(format!("{pointer}/productId"), format!("there is no product '{}'", line.product_id));
            continue;
        };
        match product.price.times(line.quantity).and_then(|amount| total.plus(amount)) {
            Some(sum) => total = sum,
            None => problems.add(format!("{pointer}/quantity"), format!("{} units make the total too large", line.quantity)),
        }
        lines.push(OrderLine { product_id: line.product_id.clone(), name: product.name, quantity: line.quantity, price: product.price });
    }
    problems.check()?;
    Ok(Priced { lines, total })
}

/// Reads `{"payment": {"token"}}`, the only thing that a customer may bring to a retry.
///
/// # Errors
/// Anything else is in it.
pub fn payment(body: &Value) -> Result<Option<Value>, ServiceError> {
    let mut problems = Problems::default();
    let payment = body.get("payment").and_then(|payment| parse_payment(payment, &mut problems));
    problems.check()?;
    Ok(payment.map(|payment| Value::Object(order::object(&payment))))
}

#[derive(Default)]
struct Problems(Vec<FieldError>);

impl Problems {
    fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    fn check(&mut self) -> Result<(), ServiceError> {
        if self.0.is_empty() { Ok(()) } else { Err(ServiceError::fields(std::mem::take(&mut self.0))) }
    }

    fn unknown(&mut self, at: &str, object: &Object, known: &[&str]) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            self.add(pointer(at, name), format!("unknown field; expected one of {}", known.join(", ")));
        }
    }
}

fn parse(body: &Value, max_quantity: u64, problems: &mut Problems) -> NewOrder {
    let Some(body) = body.as_object() else {
        problems.add("", format!("expected an object with items and shipping, got {}", kind(body)));
        return NewOrder { items: Vec::new(), shipping: Address::default(), payment: None, expected_total: None, total: Ignored };
    };
    problems.unknown("", body, &["items", "shipping", "payment", "total", "expectedTotal"]);
    NewOrder {
        items: parse_lines(body.get("items"), max_quantity, problems),
        shipping: parse_shipping(body.get("shipping"), problems),
        payment: body.get("payment").and_then(|payment| parse_payment(payment, problems)),
        expected_total: body.get("expectedTotal").and_then(|total| parse_expected_total(total, problems)),
        total: Ignored,
    }
}

fn parse_lines(items: Option<&Value>, max_quantity: u64, problems: &mut Problems) -> Vec<NewLine> {
    let Some(items) = items.and_then(Value::as_array) else {
        problems.add("/items", format!("expected 1 to {MAX_LINES} items, got {}", items.map_or("nothing", kind)));
        return Vec::new();
    };
    if items.is_empty() || items.len() > MAX_LINES {
        problems.add("/items", format!("expected 1 to {MAX_LINES} items, got {}", items.len()));
        return Vec::new();
    }
    let mut seen = HashSet::new();
    items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| {
            let line = parse_line(&format!("/items/{index}"), item, max_quantity, problems)?;
            if !seen.insert(line.product_id.clone()) {
                problems.add(
                    format!("/items/{index}/productId"),
                    format!("'{}' is in the list already: add up the quantities", line.product_id),
                );
            }
            Some(line)
        })
        .collect()
}

fn parse_line(at: &str, item: &Value, max_quantity: u64, problems: &mut Problems) -> Option<NewLine> {
    let Some(item) = item.as_object() else {
        problems.add(at, format!("expected an object with productId and quantity, got {}", kind(item)));
        return None;
    };
    problems.unknown(at, item, &["productId", "quantity", "name", "price"]);
    let product = item.get("productId").and_then(Value::as_str).filter(|id| may_be_id(id));
    if product.is_none() {
        problems
            .add(format!("{at}/productId"), format!("expected the id of a product: 1 to {MAX_TEXT} characters without control characters"));
    }
    let quantity = item.get("quantity").and_then(whole).filter(|quantity| (1..=max_quantity).contains(quantity));
    if quantity.is_none() {
        let got = item.get("quantity").map_or_else(|| "nothing".to_owned(), shorten);
        problems.add(format!("{at}/quantity"), format!("expected a whole number from 1 to {max_quantity}, got {got}"));
    }
    Some(NewLine { product_id: product?.to_owned(), quantity: quantity?, name: Ignored, price: Ignored })
}

/// A number without a fraction, also where it is written with one: to JSON Schema 2.0 is an integer.
fn whole(value: &Value) -> Option<u64> {
    let number = value.as_number()?;
    number.as_u64().or_else(|| Decimal::from_f64_retain(number.as_f64()?).filter(|decimal| decimal.fract().is_zero())?.to_u64())
}

/// Whether a product may be called that, wherever the catalogue is.
fn may_be_id(id: &str) -> bool {
    (1..=MAX_TEXT).contains(&id.chars().count()) && !id.contains(char::is_control)
}

fn parse_shipping(shipping: Option<&Value>, problems: &mut Problems) -> Address {
    let Some(shipping) = shipping.and_then(Value::as_object) else {
        let got = shipping.map_or("nothing", kind);
        problems.add("/shipping", format!("expected an object with {}, got {got}", ADDRESS_FIELDS.join(", ")));
        return Address::default();
    };
    problems.unknown("/shipping", shipping, &ADDRESS_FIELDS);
    let [address, city, state, zip] = ADDRESS_FIELDS.map(|field| {
        let read = match shipping.get(field) {
            Some(Value::String(text)) => text::line(text, MAX_TEXT).map_err(|flaw| flaw.to_string()),
            other => Err(format!("must be a text of 1 to {MAX_TEXT} characters, is {}", other.map_or("missing", kind))),
        };
        read.and_then(|text| if field == "zip" { zip_code(&text) } else { Ok(text) }).unwrap_or_else(|detail| {
            problems.add(format!("/shipping/{field}"), detail);
            String::new()
        })
    });
    Address { address, city, state, zip }
}

/// What no carrier can read must not be sold to: it would be found out when the money is taken. Digits and hyphens of other keyboards are
/// what they mean.
fn zip_code(text: &str) -> Result<String, String> {
    let zip: String = text::half_width(text).chars().map(|c| if is_hyphen(c) { '-' } else { c }).collect();
    let (five, four) = zip.split_once('-').map_or((zip.as_str(), None), |(five, four)| (five, Some(four)));
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(five, 5) && four.is_none_or(|four| digits(four, 4)) {
        return Ok(zip);
    }
    Err(format!("a ZIP code has five digits, or nine as 97201-1234, and not {}", shorten(&text.into())))
}

/// Hyphens, the minus and the dashes that are as short as one.
fn is_hyphen(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2013}' | '\u{2212}')
}

fn parse_payment(payment: &Value, problems: &mut Problems) -> Option<Payment> {
    let Some(payment) = payment.as_object() else {
        problems.add("/payment", format!("expected an object with token, got {}", kind(payment)));
        return None;
    };
    problems.unknown("/payment", payment, &["token"]);
    let token = payment.get("token").and_then(Value::as_str);
    let token = token.filter(|token| !token.is_empty() && token.len() <= MAX_TEXT && token.chars().all(|c| c.is_ascii_graphic()));
    if token.is_none() {
        problems.add("/payment/token", format!("expected 1 to {MAX_TEXT} visible ASCII characters, for example tok_visa"));
    }
    token.map(|token| Payment { token: token.to_owned() })
}

/// An amount that no sum can be is neither rounded nor left out: who sends it wants not to pay anything else.
fn parse_expected_total(total: &Value, problems: &mut Problems) -> Option<Expected> {
    let written = total.as_number().filter(|number| number.as_f64().is_some_and(|number| number >= 0.0));
    let Some(written) = written else {
        problems.add("/expectedTotal", format!("expected an amount of 0 or more, such as 149.99, got {}", shorten(total)));
        return None;
    };
    Some(Expected { written: written.to_string(), amount: Cents::from_json(total) })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn shorten(value: &Value) -> String {
    let mut text = value.to_string();
    text::cut(&mut text, 40);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shipping(field: &str, text: &str) -> Result<String, String> {
        let mut address = json!({"address": "123 Main St", "city": "Portland", "state": "OR", "zip": "97201"});
        address[field] = text.into();
        let mut problems = Problems::default();
        let read = parse_shipping(Some(&address), &mut problems);
        match problems.0.pop() {
            None => Ok(order::object(&read)[field].as_str().unwrap_or_default().to_owned()),
            Some(problem) => {
                assert_eq!(problem.pointer, format!("/shipping/{field}"));
                Err(problem.detail)
            }
        }
    }

    #[test]
    fn an_address_is_the_same_from_every_keyboard() {
        for (field, written, kept) in [
            ("city", " Ko\u{308}ln\u{3000}", "K\u{F6}ln"),
            ("city", "\u{5EA}\u{5DC} \u{5D0}\u{5D1}\u{5D9}\u{5D1}", "\u{5EA}\u{5DC} \u{5D0}\u{5D1}\u{5D9}\u{5D1}"),
            ("zip", "97201", "97201"),
            ("zip", "97201-1234", "97201-1234"),
            ("zip", "\u{FF19}\u{FF17}\u{FF12}\u{FF10}\u{FF11}", "97201"),
            ("zip", " 97201\u{2013}1234\u{200B}", "97201-1234"),
            ("zip", "97201\u{FF0D}1234", "97201-1234"),
        ] {
            assert_eq!(shipping(field, written), Ok(kept.to_owned()), "{written:?}");
        }
    }

    #[test]
    fn an_address_has_characters_and_not_bytes() {
        for letter in ["a", "u\u{308}", "\u{7530}", "\u{1F600}"] {
            assert!(shipping("city", &letter.repeat(200)).is_ok(), "{letter}");
            assert_eq!(shipping("city", &letter.repeat(201)), Err("must have 1 to 200 characters, has 201".into()), "{letter}");
        }
        assert_eq!(shipping("state", "\u{200B}"), Err("must have 1 to 200 characters, has 0".into()));
    }

    #[test]
    fn what_is_no_zip_code_is_told_what_one_is() {
        for written in ["abc", "9720", "972011", "97201-12", "97201-12345", "97201 1234", "97201--1234", "-1234", "97201-", "9720l"] {
            let said = format!("a ZIP code has five digits, or nine as 97201-1234, and not \"{written}\"");
            assert_eq!(shipping("zip", written), Err(said));
        }
    }
}
