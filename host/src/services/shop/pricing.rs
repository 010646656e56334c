//! From what a customer asks for to an order: the lines are checked all at once and priced from the catalogue.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::catalogue::Catalogue;
use super::money::Cents;
use crate::services::ServiceError;
use crate::services::error::FieldError;
use crate::store::Object;

/// Lines of one order.
const MAX_LINES: usize = 100;
/// Units of one line.
const MAX_QUANTITY: u64 = 100_000;
/// Bytes of one field of the address, and of a payment token.
const MAX_TEXT_BYTES: usize = 200;

const ADDRESS_FIELDS: [&str; 4] = ["address", "city", "state", "zip"];

/// Makes the data of a new order.
///
/// Prices, names and the total come from the catalogue; what the customer says about them is ignored.
///
/// # Errors
/// Everything that is wrong with the request, or the catalogue cannot be reached.
pub async fn price(catalogue: &Catalogue, body: &Value) -> Result<Object, ServiceError> {
    let mut problems = Problems::default();
    let request = parse(body, &mut problems);
    problems.check()?;

    let mut lines = Vec::with_capacity(request.lines.len());
    let mut total = Cents::default();
    for (index, line) in request.lines.iter().enumerate() {
        let pointer = format!("/items/{index}");
        let Some(product) = catalogue.product(&line.product).await? else {
            problems.add(format!("{pointer}/productId"), format!("there is no product '{}'", line.product));
            continue;
        };
        match product.price.times(line.quantity).and_then(|amount| total.plus(amount)) {
            Some(sum) => total = sum,
            None => problems.add(format!("{pointer}/quantity"), format!("{} units make the total too large", line.quantity)),
        }
        lines.push(json!({"productId": line.product, "name": product.name, "quantity": line.quantity, "price": product.price.to_json()}));
    }
    problems.check()?;

    let mut data = Object::new();
    data.insert("items".into(), Value::Array(lines));
    data.insert("shipping".into(), Value::Object(request.shipping));
    data.insert("total".into(), total.to_json());
    if let Some(token) = request.payment_token {
        data.insert("payment".into(), json!({ "token": token }));
    }
    Ok(data)
}

/// Reads `{"payment": {"token"}}`, the only thing that a customer may bring to a retry.
///
/// # Errors
/// Anything else is in it.
pub fn payment(body: &Value) -> Result<Option<Value>, ServiceError> {
    let mut problems = Problems::default();
    let token = body.get("payment").and_then(|payment| parse_payment(payment, &mut problems));
    problems.check()?;
    Ok(token.map(|token| json!({ "token": token })))
}

#[derive(Default)]
struct Request {
    lines: Vec<Line>,
    shipping: Object,
    payment_token: Option<String>,
}

struct Line {
    product: String,
    quantity: u64,
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
            self.add(format!("{at}/{name}"), format!("unknown field; expected one of {}", known.join(", ")));
        }
    }
}

fn parse(body: &Value, problems: &mut Problems) -> Request {
    let Some(body) = body.as_object() else {
        problems.add("", format!("expected an object with items and shipping, got {}", kind(body)));
        return Request::default();
    };
    problems.unknown("", body, &["items", "shipping", "payment", "total", "expectedTotal"]);
    Request {
        lines: parse_lines(body.get("items"), problems),
        shipping: parse_shipping(body.get("shipping"), problems),
        payment_token: body.get("payment").and_then(|payment| parse_payment(payment, problems)),
    }
}

fn parse_lines(items: Option<&Value>, problems: &mut Problems) -> Vec<Line> {
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
            let line = parse_line(&format!("/items/{index}"), item, problems)?;
            if !seen.insert(line.product.clone()) {
                problems
                    .add(format!("/items/{index}/productId"), format!("'{}' is in the list already: add up the quantities", line.product));
            }
            Some(line)
        })
        .collect()
}

fn parse_line(at: &str, item: &Value, problems: &mut Problems) -> Option<Line> {
    let Some(item) = item.as_object() else {
        problems.add(at, format!("expected an object with productId and quantity, got {}", kind(item)));
        return None;
    };
    problems.unknown(at, item, &["productId", "quantity", "name", "price"]);
    let product = item.get("productId").and_then(Value::as_str).filter(|id| !id.is_empty() && id.len() <= MAX_TEXT_BYTES);
    if product.is_none() {
        problems.add(format!("{at}/productId"), "expected the id of a product");
    }
    let quantity = item.get("quantity").and_then(Value::as_u64).filter(|quantity| (1..=MAX_QUANTITY).contains(quantity));
    if quantity.is_none() {
        let got = item.get("quantity").map_or_else(|| "nothing".to_owned(), shorten);
        problems.add(format!("{at}/quantity"), format!("expected a whole number from 1 to {MAX_QUANTITY}, got {got}"));
    }
    Some(Line { product: product?.to_owned(), quantity: quantity? })
}

fn parse_shipping(shipping: Option<&Value>, problems: &mut Problems) -> Object {
    let Some(shipping) = shipping.and_then(Value::as_object) else {
        let got = shipping.map_or("nothing", kind);
        problems.add("/shipping", format!("expected an object with {}, got {got}", ADDRESS_FIELDS.join(", ")));
        return Object::new();
    };
    problems.unknown("/shipping", shipping, &ADDRESS_FIELDS);
    let mut address = Object::new();
    for field in ADDRESS_FIELDS {
        match shipping.get(field).and_then(Value::as_str).map(str::trim) {
            Some(text) if !text.is_empty() && text.len() <= MAX_TEXT_BYTES && !text.contains(char::is_control) => {
                address.insert(field.into(), text.into());
            }
            _ => problems
                .add(format!("/shipping/{field}"), format!("expected a text of 1 to {MAX_TEXT_BYTES} bytes without control characters")),
        }
    }
    if let Some(zip) = address.get("zip").and_then(Value::as_str).filter(|zip| !is_zip_code(zip)) {
        problems.add("/shipping/zip", format!("'{zip}' is not a ZIP code: five digits, such as 97201, or nine, such as 97201-1234"));
    }
    address
}

/// What no carrier can read must not be sold to: it would be found out when the money is taken.
fn is_zip_code(zip: &str) -> bool {
    let (five, four) = zip.split_once('-').map_or((zip, None), |(five, four)| (five, Some(four)));
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(five, 5) && four.is_none_or(|four| digits(four, 4))
}

fn parse_payment(payment: &Value, problems: &mut Problems) -> Option<String> {
    let Some(payment) = payment.as_object() else {
        problems.add("/payment", format!("expected an object with token, got {}", kind(payment)));
        return None;
    };
    problems.unknown("/payment", payment, &["token"]);
    let token = payment.get("token").and_then(Value::as_str);
    let token = token.filter(|token| !token.is_empty() && token.len() <= MAX_TEXT_BYTES && token.chars().all(|c| c.is_ascii_graphic()));
    if token.is_none() {
        problems.add("/payment/token", format!("expected 1 to {MAX_TEXT_BYTES} visible ASCII characters, for example tok_visa"));
    }
    token.map(str::to_owned)
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
    let text = value.to_string();
    if text.chars().count() <= 40 { text } else { text.chars().take(40).chain(['…']).collect() }
}
