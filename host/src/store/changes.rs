//! What a transition has changed in the data of its instance: for each field, what it held before.
//!
//! What a field holds since is told by what changed it next, or by the data itself; so nothing is kept twice, and of a field that was not there
//! only the name.

use serde_json::Value;

use super::Object;

/// Bytes of a value, as JSON, that is kept. Of a larger one it is only known that it was there.
const MAX_VALUE: usize = 512;
/// Fields of one transition that are told.
const MAX_FIELDS: usize = 50;

/// A field that a transition has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Its name.
    pub name: String,
    /// What it held before.
    pub was: Was,
}

/// What a field held before a transition.
#[derive(Debug, Clone, PartialEq)]
pub enum Was {
    /// It was not there.
    Absent,
    /// This.
    Value(Value),
    /// Something that is private, or large.
    NotKept,
}

/// What `names` held before, where that is not what they hold after; of those that are private no value is kept.
#[must_use]
pub fn changed<'a>(
    before: &Object,
    after: &Object,
    names: impl IntoIterator<Item = &'a str>,
    is_private: impl Fn(&str) -> bool,
) -> Vec<FieldChange> {
    let was = |name: &str| match before.get(name) {
        None => Was::Absent,
        Some(_) if is_private(name) => Was::NotKept,
        Some(value) if value.to_string().len() > MAX_VALUE => Was::NotKept,
        Some(value) => Was::Value(value.clone()),
    };
    let differ = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differ.take(MAX_FIELDS).map(|name| FieldChange { name: name.to_owned(), was: was(name) }).collect()
}

/// As a store keeps them: a JSON array with a string for a field that was not there, `[name]` for one that is not kept, else `[name, value]`.
pub(super) fn to_text(changes: &[FieldChange]) -> String {
    let entry = |FieldChange { name, was }: &FieldChange| match was {
        Was::Absent => Value::from(name.as_str()),
        Was::NotKept => Value::from(vec![name.as_str()]),
        Was::Value(value) => Value::from(vec![Value::from(name.as_str()), value.clone()]),
    };
    Value::from(changes.iter().map(entry).collect::<Vec<_>>()).to_string()
}

/// The other way round.
pub(super) fn from_text(text: &str) -> serde_json::Result<Vec<FieldChange>> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Entry {
        Absent(String),
        NotKept((String,)),
        Value((String, Value)),
    }
    let entries: Vec<Entry> = serde_json::from_str(text)?;
    let change = |entry| match entry {
        Entry::Absent(name) => FieldChange { name, was: Was::Absent },
        Entry::NotKept((name,)) => FieldChange { name, was: Was::NotKept },
        Entry::Value((name, value)) => FieldChange { name, was: Was::Value(value) },
    };
    Ok(entries.into_iter().map(change).collect())
}

/// Whether a value is among them: those without are alike for many instances.
pub(super) fn has_values(changes: &[FieldChange]) -> bool {
    changes.iter().any(|change| matches!(change.was, Was::Value(_)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_fields_held_is_told_and_of_what_is_private_or_large_only_that_there_was_something() {
        let before = object(json!({"same": 1, "total": 2, "card": "4242", "long": "x".repeat(MAX_VALUE), "gone": null, "other": 1}));
        let after = object(json!({"same": 1, "total": 3, "card": "0002", "long": "", "new": [], "other": 2}));
        let changes = changed(&before, &after, ["same", "total", "card", "long", "gone", "new"], |name| name == "card");
        let change = |name: &str, was: Was| FieldChange { name: name.into(), was };
        let expected = [
            change("total", Was::Value(json!(2))),
            change("card", Was::NotKept),
            change("long", Was::NotKept),
            change("gone", Was::Value(Value::Null)),
            change("new", Was::Absent),
        ];
        assert_eq!(changes, expected, "what nobody has written is not looked at");
        assert_eq!(to_text(&changes), r#"[["total",2],["card"],["long"],["gone",null],"new"]"#);
        assert_eq!(from_text(&to_text(&changes)).unwrap(), changes);
    }
}
