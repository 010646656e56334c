//! Values against the schema: every key that is unknown, missing or of the wrong kind, in words. What is wrong is then taken
//! out, so that the rest can be decoded and checked too: an empty name stands for "already reported".

use std::collections::{BTreeMap, HashSet};

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::{Map, Value};

use super::finding::Finding;
use super::report::{Code, Severity};
use super::schema::{STRICT, Strict};
use super::suggest;
use super::tree::child;

/// Rounds of taking out and filling in; each goes one level deeper.
const ROUNDS: usize = 16;

/// One error of the validator, owned.
struct Mismatch {
    pointer: String,
    /// Pointer of the failed keyword's schema.
    schema: String,
    kind: Kind,
    instance: Value,
}

/// Reports what does not fit and makes `value` fit. Pointers in `known` were reported before and are only repaired.
/// `expanded_text` is what stands behind values that came from an expansion, for where text is wanted after all.
pub(super) fn check(value: &mut Value, known: &HashSet<String>, expanded_text: &BTreeMap<String, String>) -> Vec<Finding> {
    let strict = &*STRICT;
    complete_modules(value);
    settle(value, expanded_text, strict);
    let mismatches = validate(value, strict);
    let mut findings: Vec<Finding> = Vec::new();
    let mut told = HashSet::new();
    for mismatch in mismatches.iter().filter(|m| !known.contains(&m.pointer)) {
        for finding in describe(mismatch, strict) {
            if told.insert((finding.pointer.clone(), finding.message.clone())) {
                findings.push(finding);
            }
        }
    }
    repair(value, mismatches, strict);
    findings
}

/// A module without settings has empty ones, so that a missing key is reported as such.
fn complete_modules(value: &mut Value) {
    let modules = value.get_mut("modules").and_then(Value::as_array_mut);
    for module in modules.into_iter().flatten().filter_map(Value::as_object_mut) {
        if module.get("config").is_none_or(Value::is_null) {
            module.insert("config".to_owned(), Value::Object(Map::new()));
        }
    }
}

/// Where text is wanted, a variable's value is text even if it looks like a number; where a list or a mapping is, a key with nothing
/// behind it has an empty one.
fn settle(value: &mut Value, expanded_text: &BTreeMap<String, String>, strict: &Strict) {
    for mismatch in validate(value, strict).into_iter().filter(|mismatch| matches!(mismatch.kind, Kind::Type { .. })) {
        let Some(place) = value.pointer_mut(&mismatch.pointer) else { continue };
        match (type_of(&mismatch.schema, strict), expanded_text.get(&mismatch.pointer)) {
            (Some("string"), Some(text)) => *place = Value::String(text.clone()),
            (Some("array"), _) if place.is_null() => *place = Value::Array(Vec::new()),
            (Some("object"), _) if place.is_null() && has_key(&mismatch.pointer) => *place = Value::Object(Map::new()),
            _ => {}
        }
    }
}

/// Whether a value stands behind a key, rather than in a list or alone.
fn has_key(pointer: &str) -> bool {
    pointer.rsplit('/').next().is_some_and(|last| !last.is_empty() && last.parse::<usize>().is_err())
}

fn validate(value: &Value, strict: &Strict) -> Vec<Mismatch> {
    let Some(validator) = &strict.validator else { return Vec::new() };
    validator.iter_errors(value).flat_map(leaves).collect()
}

/// An optional value fails as `anyOf` with null: what counts is what the other alternative says.
fn leaves(error: ValidationError<'_>) -> Vec<Mismatch> {
    let parts = error.into_parts();
    let schema = parts.schema_path.as_str().rsplit_once('/').map_or_else(String::new, |(parent, _)| parent.to_owned());
    match parts.kind {
        Kind::AnyOf { context } if context.len() == 2 => {
            let meant = context.into_iter().find(|errors| !errors.iter().any(|e| is_null_type(e)));
            meant.into_iter().flatten().flat_map(leaves).collect()
        }
        kind => vec![Mismatch { pointer: parts.instance_path.as_str().to_owned(), schema, kind, instance: parts.instance.into_owned() }],
    }
}

fn is_null_type(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::Type { .. })
        && error.schema_path().as_str().rsplit_once('/').and_then(|(parent, _)| type_of(parent, &STRICT)).is_some_and(|t| t == "null")
}

/// The first type that a schema names.
fn type_of<'s>(schema: &str, strict: &'s Strict) -> Option<&'s str> {
    match strict.schema.pointer(schema)?.get("type")? {
        Value::Array(types) => types.first()?.as_str(),
        one => one.as_str(),
    }
}

fn describe(mismatch: &Mismatch, strict: &Strict) -> Vec<Finding> {
    let schema = strict.schema.pointer(&mismatch.schema).unwrap_or(&Value::Null);
    let name = name_of(&mismatch.pointer);
    let shown = if schema.get("x-secret").is_some() { "something else".to_owned() } else { show(&mismatch.instance) };
    let at = |code, message, help| {
        vec![Finding { severity: Severity::Error, pointer: mismatch.pointer.clone(), at_key: false, code, message, help }]
    };
    let expected = schema.get("x-expected").and_then(Value::as_str);
    match &mismatch.kind {
        Kind::AdditionalProperties { unexpected } => unexpected.iter().map(|key| unknown_key(&mismatch.pointer, key, schema)).collect(),
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            at(Code::MissingKey, format!("{name} needs the key `{key}`"), description(schema, key))
        }
        Kind::Enum { options } => {
            let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let noun = schema.get("x-noun").and_then(Value::as_str).unwrap_or("value");
            let given = mismatch.instance.as_str().unwrap_or_default();
            at(Code::UnknownName, format!("unknown {noun} {shown}"), Some(suggest::help(given, options)))
        }
        Kind::Type { .. } => {
            let wanted = expected.map_or_else(|| types(schema) + &bounds(schema), str::to_owned);
            let help = quotes(&wanted, &mismatch.instance).map(str::to_owned);
            at(Code::WrongType, format!("{name} must be {wanted}, but is {shown}"), help)
        }
        Kind::MinLength { .. } => at(Code::InvalidValue, format!("{name} must not be empty"), None),
        Kind::Minimum { .. } | Kind::Maximum { .. } => {
            let wanted = expected.map_or_else(|| types(schema) + &bounds(schema), str::to_owned);
            at(Code::InvalidValue, format!("{name} must be {wanted}, but is {shown}"), None)
        }
        Kind::MaxItems { limit } => at(Code::InvalidValue, format!("{name} has more than {limit} entries"), None),
        Kind::MinItems { .. } => {
            let help = expected.map(|expected| format!("expected {expected}"));
            at(Code::InvalidValue, format!("{name} must not be empty"), help)
        }
        _ => match expected {
            Some(expected) => at(Code::InvalidValue, format!("{name} must be {expected}, but is {shown}"), None),
            None => at(Code::InvalidValue, format!("{name} has an unusable value, {shown}"), None),
        },
    }
}

fn unknown_key(pointer: &str, key: &str, schema: &Value) -> Finding {
    let keys: Vec<&str> = schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    let help = if keys.is_empty() { "no keys are accepted here".to_owned() } else { suggest::help(key, keys) };
    let message = format!("unknown key `{key}`");
    Finding { severity: Severity::Error, pointer: child(pointer, key), at_key: true, code: Code::UnknownKey, message, help: Some(help) }
}

/// What a key is for.
fn description(schema: &Value, key: &str) -> Option<String> {
    let text = schema.get("properties")?.get(key)?.get("description")?.as_str()?;
    Some(format!("`{key}`: {text}"))
}

/// How a message calls the value at a pointer.
fn name_of(pointer: &str) -> String {
    let mut steps = pointer.rsplit('/');
    let last = steps.next().unwrap_or_default();
    match (last, last.parse::<usize>()) {
        ("", _) => "the config".to_owned(),
        (_, Ok(_)) => format!("an entry of `{}`", steps.next().unwrap_or_default()),
        (key, Err(_)) => format!("`{}`", key.replace("~1", "/").replace("~0", "~")),
    }
}

fn types(schema: &Value) -> String {
    let word = |name: &str| match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        _ => "empty",
    };
    match schema.get("type") {
        Some(Value::Array(types)) => {
            let words: Vec<&str> = types.iter().filter_map(Value::as_str).filter(|t| *t != "null").map(word).collect();
            words.join(" or ")
        }
        Some(Value::String(name)) => word(name).to_owned(),
        _ => "something else".to_owned(),
    }
}

/// Quotes are what makes text of a number, and the other way round.
fn quotes(wanted: &str, given: &Value) -> Option<&'static str> {
    match given {
        Value::Number(_) | Value::Bool(_) if wanted == "text" => Some("put it in quotes"),
        Value::String(text) if wanted != "text" && (text.parse::<f64>().is_ok() || text == "true" || text == "false") => {
            Some("remove the quotes")
        }
        _ => None,
    }
}

/// The bounds of a number, as far as they say more than its type does.
fn bounds(schema: &Value) -> String {
    let most = schema.get("maximum").filter(|most| most.as_u64() != Some(u32::MAX.into()));
    match (schema.get("minimum"), most) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(", {least} or more"),
        (None, Some(most)) => format!(" up to {most}"),
        (None, None) => String::new(),
    }
}

/// A value as a message shows it.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "empty".to_owned(),
        Value::String(text) => format!("'{}'", text.chars().take(80).collect::<String>()),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

/// Takes out what is wrong, fills in what is missing, until everything fits.
fn repair(value: &mut Value, first: Vec<Mismatch>, strict: &Strict) {
    let mut mismatches = first;
    for _ in 0..ROUNDS {
        if mismatches.is_empty() {
            return;
        }
        for mismatch in mismatches {
            match &mismatch.kind {
                Kind::AdditionalProperties { unexpected } => {
                    let unexpected: HashSet<&String> = unexpected.iter().collect();
                    if let Some(object) = value.pointer_mut(&mismatch.pointer).and_then(Value::as_object_mut) {
                        object.retain(|key, _| !unexpected.contains(key));
                    }
                }
                Kind::Required { property } => {
                    let key = property.as_str().unwrap_or_default();
                    let filler = filler(&format!("{}/properties/{key}", mismatch.schema), strict);
                    if let Some(object) = value.pointer_mut(&mismatch.pointer).and_then(Value::as_object_mut) {
                        object.entry(key).or_insert(filler);
                    }
                }
                _ => take_out(value, &mismatch, strict),
            }
        }
        // An empty name, path or the like breaks its own rule, which is as it should be by now.
        mismatches = validate(value, strict).into_iter().filter(|m| m.instance != Value::String(String::new())).collect();
    }
}

/// Removes a bad value, or puts a harmless one in its place where its index or its key still matters.
fn take_out(value: &mut Value, mismatch: &Mismatch, strict: &Strict) {
    let filler = filler(&mismatch.schema, strict);
    let Some((parent, last)) = mismatch.pointer.rsplit_once('/') else {
        *value = filler;
        return;
    };
    let key = last.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(object)) if filler.is_object() => {
            object.insert(key, filler);
        }
        Some(Value::Object(object)) => {
            object.remove(&key);
        }
        Some(Value::Array(items)) => {
            if let Some(item) = key.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                *item = filler;
            }
        }
        _ => {}
    }
}

/// A value of the right type that says nothing.
fn filler(schema: &str, strict: &Strict) -> Value {
    let mut at = schema.to_owned();
    while let Some(reference) = strict.schema.pointer(&at).and_then(|s| s.get("$ref")).and_then(Value::as_str) {
        at = reference.trim_start_matches('#').to_owned();
    }
    match type_of(&at, strict) {
        Some("object") => Value::Object(Map::new()),
        Some("array") => Value::Array(Vec::new()),
        _ => Value::String(String::new()),
    }
}
