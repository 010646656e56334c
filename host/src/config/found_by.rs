//! `searchable` and `filterable` of an `api.handler`: what its resources are found by.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::context::At;
use super::finding::Findings;
use super::report::Code;
use crate::plan::{FieldForm, Filterable};

/// Parameters that every list has.
const TAKEN: [&str; 7] = ["state", "from", "to", "attention", "search", "limit", "cursor"];
/// A field, or one within another.
const FIELD_PATTERN: &str = r"^[^.]+(\.[^.]+)*$";

/// One entry of `filterable`: a field with a text, or `{field: total, form: money}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterEntry {
    /// The field.
    pub field: String,
    /// What is in it.
    pub form: FormName,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FormName {
    /// A text, found as a whole.
    #[default]
    Text,
    /// A whole number, found by a range.
    Number,
    /// An amount as a decimal number, found by a range in minor units.
    Money,
}

impl<'de> Deserialize<'de> for FilterEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            field: String,
            #[serde(default)]
            form: FormName,
        }
        match Value::deserialize(deserializer)? {
            Value::String(field) => Ok(Self { field, form: FormName::Text }),
            whole => Whole::deserialize(whole).map(|Whole { field, form }| Self { field, form }).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for FormName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FieldForm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["text", "number", "money"], "x-noun": "form" })
    }
}

impl JsonSchema for FilterEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Filter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let form = generator.subschema_for::<FormName>();
        json_schema!({
            "type": ["string", "object"], "pattern": FIELD_PATTERN,
            "properties": { "field": { "type": "string", "pattern": FIELD_PATTERN }, "form": form },
            "required": ["field"], "additionalProperties": false,
            "x-expected": "the name of a field, or {field: ..., form: text, number or money}"
        })
    }
}

/// What is meant, each by its name.
pub(super) fn filterable(entries: &BTreeMap<String, FilterEntry>, at: At<'_>, findings: &mut Findings) -> Vec<Filterable> {
    let mut known: Vec<Filterable> = Vec::new();
    for (name, entry) in entries {
        let pointer = at.setting(&format!("filterable/{name}"));
        let is_word = name.chars().all(|c| c.is_ascii_alphanumeric()) && name.starts_with(|c: char| c.is_ascii_lowercase());
        if TAKEN.contains(&name.as_str()) || !is_word {
            let message = format!("'{name}' cannot be the name of a filter");
            let help =
                format!("accepted: letters and digits, the first of them small, and none of {}, which every list has", TAKEN.join(", "));
            findings.error(pointer, Code::InvalidValue, message, help);
            continue;
        }
        let form = match entry.form {
            FormName::Text => FieldForm::Text,
            FormName::Number => FieldForm::Number,
            FormName::Money => FieldForm::Money,
        };
        known.push(Filterable { name: name.clone(), field: entry.field.clone(), form });
    }
    known
}
