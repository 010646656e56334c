//! What counts as a text that a person writes: something that can be seen, and no control characters.

/// The rule as a regular expression that JSON Schemas can hold.
pub const PATTERN: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$";

/// Whether `text` keeps the rule.
#[must_use]
pub fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn the_pattern_is_the_rule(text in "[\u{0}-\u{ff}\u{1680}\u{2000}-\u{206f}\u{3000}\u{feff}]{0,6}") {
            let validator = jsonschema::validator_for(&json!({"type": "string", "pattern": PATTERN})).unwrap();
            prop_assert_eq!(validator.is_valid(&json!(text)), is_text(&text), "{:?}", text);
        }
    }
}
