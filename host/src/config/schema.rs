//! The JSON Schema of a config: the strict one that `structure` checks values against, and the published one, in which any
//! scalar may also be a `${...}` that is not expanded yet.

use std::sync::LazyLock;

use jsonschema::Validator;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform, transform_subschemas};
use serde_json::{Value, json};

use super::document::Document;

/// Values are checked against this after expansion.
pub(super) struct Strict {
    pub schema: Value,
    /// `None` only if the schema itself is wrong, which a test rules out.
    pub validator: Option<Validator>,
}

/// Compiled once: it depends on nothing but the types.
pub(super) static STRICT: LazyLock<Strict> = LazyLock::new(|| {
    let schema = generate().to_value();
    let validator = jsonschema::validator_for(&schema).ok();
    Strict { schema, validator }
});

/// The published schema, for editors.
#[must_use]
pub fn schema() -> Value {
    let mut schema = generate();
    AllowExpansion.transform(&mut schema);
    let mut schema = schema.to_value();
    if let Some(defs) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        let description = "An environment variable: ${NAME}, or ${NAME:-default}.";
        defs.insert(
            "Expansion".to_owned(),
            json!({ "type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}", "description": description }),
        );
    }
    schema
}

fn generate() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    RecursiveTransform(bound_integers).transform(&mut schema);
    schema
}

/// Says as a bound what `uint32` says only to Rust.
fn bound_integers(schema: &mut Schema) {
    if schema.remove("format").is_some_and(|format| format == "uint32") && schema.get("maximum").is_none() {
        schema.insert("maximum".to_owned(), json!(u32::MAX));
    }
}

/// Text without further rules takes an expansion as it is; numbers, booleans and patterns need to be told.
struct AllowExpansion;

impl Transform for AllowExpansion {
    // The inner schemas first: what is put around one is not looked at again.
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let plain_text = schema.get("type").is_some_and(|t| t == "string") && schema.get("pattern").is_none();
        let scalar = schema.get("type").is_some_and(|t| match t {
            Value::Array(types) => !types.iter().any(|t| t == "object" || t == "array"),
            t => t != "object" && t != "array" && t != "null",
        });
        if scalar && !plain_text {
            relax(schema);
        }
        // A key with nothing behind it is an empty list or mapping.
        if let Some(kind) = schema.get("type").filter(|kind| *kind == "array" || *kind == "object").cloned() {
            schema.insert("type".to_owned(), json!([kind, "null"]));
        }
    }
}

fn relax(schema: &mut Schema) {
    let mut strict = std::mem::take(schema);
    for keyword in ["description", "default"] {
        if let Some(value) = strict.remove(keyword) {
            schema.insert(keyword.to_owned(), value);
        }
    }
    schema.insert("anyOf".to_owned(), json!([strict, { "$ref": "#/$defs/Expansion" }]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_itself_valid() {
        assert!(STRICT.validator.is_some());
        jsonschema::validator_for(&schema()).unwrap();
    }
}
