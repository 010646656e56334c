//! What counts as a text that a person writes: something that can be seen, and no control characters.

/// The rule as a regular expression that JSON Schemas can hold. White space is listed, because not every reader means the same by `\s`.
pub const PATTERN: &str = concat!(
    r"^[^\x00-\x1f\x7f-\x9f]*",
    r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"[^\x00-\x1f\x7f-\x9f]*$"
);

/// Whether `text` keeps the rule.
#[must_use]
pub fn is_text(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    static VALIDATOR: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::validator_for(&json!({"type": "string", "pattern": PATTERN})).unwrap());

    fn matches(text: &str) -> bool {
        VALIDATOR.is_valid(&json!(text))
    }

    #[test]
    fn the_pattern_is_the_rule_for_each_character() {
        for character in ('\u{0}'..='\u{3100}').chain(['\u{feff}', '\u{1f600}']) {
            let text = character.to_string();
            assert_eq!(matches(&text), is_text(&text), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn the_pattern_is_the_rule(text in "[\u{0}-\u{ff}\u{1680}\u{2000}-\u{206f}\u{3000}\u{feff}]{0,6}") {
            prop_assert_eq!(matches(&text), is_text(&text), "{:?}", text);
        }
    }
}
