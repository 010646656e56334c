//! The import `config` of 0.2: the component's configuration by key and type.

use std::sync::Arc;

use serde_json::Value;

use super::text::tamed;

/// Bytes of a key that are told again.
const MAX_SHOWN: usize = 64;

/// A configuration, which is parsed at the first question.
#[derive(Clone, Default)]
pub(super) struct TypedConfig {
    text: String,
    parsed: Option<Arc<Value>>,
}

impl TypedConfig {
    /// Of a JSON object as text.
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), parsed: None }
    }

    /// What is under a key, or at the place of a JSON Pointer; none for null.
    pub fn at(&mut self, key: &str) -> Option<&Value> {
        // It is what the host itself has written.
        let parsed = self.parsed.get_or_insert_with(|| Arc::new(serde_json::from_str(&self.text).unwrap_or_default()));
        let found = if key.starts_with('/') { parsed.pointer(key) } else { parsed.get(key) };
        found.filter(|value| !value.is_null())
    }

    /// What is there, as `read` reads it; else what it is in its place, and that `wanted` was wanted.
    ///
    /// # Errors
    /// It is of another type.
    pub fn typed<T>(&mut self, key: &str, wanted: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<Option<T>, String> {
        let Some(value) = self.at(key) else { return Ok(None) };
        // The value may be secret: it is not shown.
        read(value).map(Some).ok_or_else(|| format!("`{}` of the configuration is {}, not {wanted}", tamed(key, MAX_SHOWN), kind(value)))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_i64() => "a whole number",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A list of texts, if it is one.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_found_by_key_or_pointer_and_another_type_is_named_without_the_value() {
        let text = json!({"a/b": 1, "limits": {"daily": 2.5, "list": ["x", 7]}, "off": null, "key": "s3cret"}).to_string();
        let mut config = TypedConfig::of(&text);
        assert_eq!(config.typed("a/b", "a whole number", Value::as_i64), Ok(Some(1)));
        assert_eq!(config.typed("/limits/daily", "a number", Value::as_f64), Ok(Some(2.5)));
        assert_eq!(config.typed("/limits/list/1", "a whole number", Value::as_i64), Ok(Some(7)));
        for absent in ["limits/daily", "/limits/none", "off", "nothing"] {
            assert_eq!(config.typed(absent, "a number", Value::as_f64), Ok(None), "{absent}");
        }
        let told = [
            config.typed("key", "a whole number", Value::as_i64).unwrap_err(),
            config.typed("/limits/daily", "a whole number", Value::as_i64).unwrap_err(),
            config.typed("/limits/list", "a list of texts", texts).unwrap_err(),
        ];
        assert_eq!(told[0], "`key` of the configuration is a text, not a whole number");
        assert_eq!(told[1], "`/limits/daily` of the configuration is a number, not a whole number");
        assert_eq!(told[2], "`/limits/list` of the configuration is a list, not a list of texts");
    }
}
