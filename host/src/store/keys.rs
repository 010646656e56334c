//! What resources are found by beside their id: values of their data, which a store keeps beside them, and what is asked with them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Object, Resource};

/// Values of one resource that are kept, at most: a list in its data may be long.
const MAX_VALUES: usize = 500;
/// Characters of an id that people are shown.
const SHOWN_OF_ID: usize = 8;
/// Bytes of a text that is kept; nothing is found by a longer one.
const MAX_TEXT: usize = 200;

/// What the resources of one kind are found by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeysOf {
    /// The kind.
    pub kind: String,
    /// Each with a name of its own.
    pub keys: Vec<Key>,
    /// What is counted of them, if anything is.
    pub counted: Option<Counted>,
}

/// A field that resources are found by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// What it is asked for by.
    pub name: String,
    /// The field in the data, `a.b` for `b` within `a`. Of a list each entry counts.
    pub path: String,
    /// What its values are.
    pub form: Form,
}

/// What of the resources of a kind is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Field of the data with their amount, `a.b` for `b` within `a`.
    pub amount: String,
    /// What is in it, a number.
    pub form: Form,
    /// States in which they count.
    pub states: BTreeSet<String>,
}

/// What the values of a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Form {
    /// Texts, found as a whole.
    Text,
    /// Whole numbers, found by a range.
    Number,
    /// Decimal numbers with two places at most, kept as hundredths and found by a range of these.
    Hundredths,
    /// No field: the end of the resource's id, see [`end_of_id`].
    IdEnd,
}

/// A value that a resource is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyValue {
    /// Of a number.
    Number(i64),
    /// Of a text.
    Text(String),
}

/// The keys of a resource: name and value.
pub(super) type Keyed = BTreeSet<(String, KeyValue)>;

/// What is noted of a kind whose resources are given keys: the kind, the [text](KeysOf::text) of its keys, and where it goes on if not all have
/// theirs.
pub(super) type Keying = (String, String, Option<i64>);

impl KeysOf {
    /// Whether every resource has the keys that `specs` say, and nothing else is kept up.
    pub(super) fn are_given(specs: &[Self], noted: &[Keying]) -> bool {
        let is_up_to_date = |spec: &Self| {
            let text = spec.text();
            noted.iter().any(|(kind, noted, next)| *kind == spec.kind && *noted == text && next.is_none())
        };
        noted.len() == specs.len() && specs.iter().all(is_up_to_date)
    }

    /// The keys as they are noted.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&self.keys).unwrap_or_default()
    }

    /// The keys of a resource with this data. What has no such field, or is of another form there, is not found by it.
    pub(super) fn of(&self, id: &str, data: &Object) -> Keyed {
        let mut found = Keyed::new();
        let ends = self.keys.iter().filter(|key| key.form == Form::IdEnd);
        found.extend(ends.filter_map(|key| Some((key.name.clone(), KeyValue::Text(end_of_id(id)?)))));
        for key in &self.keys {
            let (first, rest) = key.path.split_once('.').map_or((key.path.as_str(), None), |(first, rest)| (first, Some(rest)));
            if let Some(value) = data.get(first) {
                key.collect(value, rest, &mut found);
            }
        }
        found
    }
}

impl Key {
    fn collect(&self, value: &Value, path: Option<&str>, found: &mut Keyed) {
        if found.len() >= MAX_VALUES {
            return;
        }
        match (value, path) {
            (Value::Array(entries), _) => entries.iter().for_each(|entry| self.collect(entry, path, found)),
            (Value::Object(object), Some(path)) => {
                let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
                if let Some(value) = object.get(first) {
                    self.collect(value, rest, found);
                }
            }
            (_, Some(_)) => {}
            (value, None) => found.extend(self.form.of(value).map(|value| (self.name.clone(), value))),
        }
    }
}

/// The first value at a path of some data that is of this form.
pub(super) fn first_value(data: &Object, path: &str, form: Form) -> Option<KeyValue> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let mut found = Keyed::new();
    Key { name: String::new(), path: path.to_owned(), form }.collect(data.get(first)?, rest, &mut found);
    found.into_iter().next().map(|(_, value)| value)
}

impl Form {
    fn of(self, value: &Value) -> Option<KeyValue> {
        match self {
            Self::Text => {
                value.as_str().filter(|text| !text.is_empty() && text.len() <= MAX_TEXT).map(|text| KeyValue::Text(text.to_owned()))
            }
            Self::Number => value.as_i64().map(KeyValue::Number),
            Self::Hundredths => hundredths(value).map(KeyValue::Number),
            Self::IdEnd => None,
        }
    }
}

/// The last eight characters of an id, which people are shown, in small letters; `None` of a shorter one.
#[must_use]
pub fn end_of_id(id: &str) -> Option<String> {
    let (at, _) = id.char_indices().rev().nth(SHOWN_OF_ID - 1)?;
    Some(id[at..].to_lowercase())
}

/// A JSON number (or a string that holds one) with at most two decimals, in hundredths.
#[must_use]
pub fn hundredths(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let decimal = text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(&text)).ok()?;
    let hundredths = decimal.checked_mul(Decimal::ONE_HUNDRED)?;
    if hundredths.fract().is_zero() { hundredths.to_i64() } else { None }
}

/// Which resources are wanted, the newest first (by `created_at`, then `id`, descending): those for which all of it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Kind of the resource.
    pub kind: String,
    /// Only the one of this id.
    pub id: Option<String>,
    /// Only those of this user.
    pub owner: Option<String>,
    /// Only those in this state.
    pub state: Option<String>,
    /// Only those that ask for a person's attention.
    pub attention: bool,
    /// Only those created then or later.
    pub from: Option<Timestamp>,
    /// Only those created before.
    pub to: Option<Timestamp>,
    /// Only those that have all of these keys.
    pub keys: Vec<Wanted>,
    /// Start after this `(created_at, id)`.
    pub after: Option<(Timestamp, String)>,
    /// At most this many.
    pub limit: usize,
}

/// A key that a resource has to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This text.
    Text {
        /// Name of the key.
        name: String,
        /// The text.
        is: String,
    },
    /// A number from `least` to `most`.
    Number {
        /// Name of the key.
        name: String,
        /// The smallest that counts.
        least: i64,
        /// The largest that counts.
        most: i64,
    },
}

impl Wanted {
    pub(super) fn is_in(&self, keyed: &Keyed) -> bool {
        match self {
            Self::Text { name, is } => keyed.contains(&(name.clone(), KeyValue::Text(is.clone()))),
            Self::Number { name, least, most } => keyed
                .iter()
                .any(|(other, value)| other == name && matches!(value, KeyValue::Number(number) if (least..=most).contains(&number))),
        }
    }
}

/// What was found. A store looks at a certain number of resources at a time: there may be fewer than were asked for, and more to come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matches {
    /// The newest first.
    pub resources: Vec<Resource>,
    /// Where to go on; `None` if there is nothing more.
    pub next: Option<(Timestamp, String)>,
}

/// Where an entry of an index of keys is in the sequence of a search: when its resource was created, in microseconds, and the id.
type Place = (i64, String);

/// Entries of an index of keys as a search comes by them, the newest first.
#[derive(Default)]
pub(super) struct Seen {
    wanted: Vec<Place>,
    count: usize,
    last: Option<Place>,
}

impl Seen {
    /// The next one. False once more fit than are asked for.
    pub(super) fn take(&mut self, place: Place, fits: bool, limit: usize) -> bool {
        self.count += 1;
        if fits && self.wanted.last() != Some(&place) {
            self.wanted.push(place.clone());
        }
        self.last = Some(place);
        self.wanted.len() <= limit
    }

    /// Those that fit, at most `limit`, and where to go on if `looked_at` entries were read or more fit.
    pub(super) fn found(mut self, limit: usize, looked_at: usize) -> (Vec<Place>, Option<Place>) {
        let next = if self.wanted.len() > limit {
            self.wanted.truncate(limit);
            self.wanted.last().cloned()
        } else {
            self.last.filter(|_| self.count >= looked_at)
        };
        (self.wanted, next)
    }
}

/// What somebody has noted of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its number, among those of all resources; given by the store.
    pub seq: u64,
    /// Kind of the resource.
    pub kind: String,
    /// Id of the resource.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Id of the user who has written it.
    pub author: String,
    /// What it says.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keyed(path: &str, form: Form, data: &Value) -> Vec<KeyValue> {
        let key = Key { name: "key".into(), path: path.into(), form };
        let keys = KeysOf { kind: "things".into(), keys: vec![key], counted: None };
        keys.of("id", data.as_object().unwrap()).into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn a_key_is_found_wherever_its_path_leads() {
        let text = |text: &str| KeyValue::Text(text.to_owned());
        let data =
            json!({"code": "c-1", "lines": [{"sku": "b"}, {"sku": "a"}, {"sku": 3}, {}, "x", {"sku": "a"}], "deep": {"er": {"er": "d"}}});
        assert_eq!(keyed("code", Form::Text, &data), [text("c-1")]);
        assert_eq!(keyed("lines.sku", Form::Text, &data), [text("a"), text("b")]);
        assert_eq!(keyed("deep.er.er", Form::Text, &data), [text("d")]);
        for path in ["none", "code.within", "deep.er", "lines", "lines.none"] {
            assert_eq!(keyed(path, Form::Text, &data), if path == "lines" { vec![text("x")] } else { vec![] }, "{path}");
        }
        assert!(keyed("code", Form::Text, &json!({"code": "x".repeat(MAX_TEXT + 1)})).is_empty());
        assert!(keyed("code", Form::Text, &json!({"code": ""})).is_empty());
    }

    #[test]
    fn numbers_are_whole_or_hundredths() {
        let number = |number| vec![KeyValue::Number(number)];
        assert_eq!(keyed("n", Form::Number, &json!({"n": -3})), number(-3));
        assert_eq!(keyed("n", Form::Number, &json!({"n": 1.5})), vec![]);
        for (given, hundredths) in [(json!(149.99), 14_999), (json!("9.9"), 990), (json!(1e3), 100_000), (json!(-0.01), -1)] {
            assert_eq!(keyed("n", Form::Hundredths, &json!({ "n": given })), number(hundredths), "{given}");
        }
        for other in [json!(1.001), json!(null), json!("a"), json!(1e300)] {
            assert_eq!(keyed("n", Form::Hundredths, &json!({ "n": other })), vec![], "{other}");
        }
    }
}
