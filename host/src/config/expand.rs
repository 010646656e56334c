//! `${NAME}`, `${NAME:-default}` and `$$` inside one scalar. What is put in is never read again: neither as YAML nor for
//! further expansions.

use super::env::Environment;

/// The text with every expansion made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expanded {
    /// The new text.
    pub text: String,
    /// The scalar was one expansion and nothing else, so that it may stand for a number or a boolean.
    pub whole: bool,
    /// Variables that it names, set or not.
    pub names: Vec<String>,
}

/// Why a scalar cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExpandError {
    /// No such variable, and no default.
    Unset(String),
    /// Not one of the three forms; what was found.
    Malformed(String),
}

/// Expands `text`. An empty variable counts as unset where there is a default, as in a shell.
///
/// # Errors
/// Every expansion that cannot be made.
pub(super) fn expand(text: &str, environment: &Environment) -> Result<Expanded, Vec<ExpandError>> {
    let mut expanded = String::with_capacity(text.len());
    let (mut errors, mut names) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(escaped) = after.strip_prefix('$') {
            expanded.push('$');
            rest = escaped;
        } else if let Some(inner) = after.strip_prefix('{') {
            let end = inner.find('}').unwrap_or(inner.len());
            match value_of(&inner[..end], inner.len() > end, environment) {
                Ok((name, value)) => {
                    expanded.push_str(&value);
                    names.push(name);
                }
                Err(error) => errors.push(error),
            }
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    let whole = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
    if errors.is_empty() { Ok(Expanded { text: expanded, whole, names }) } else { Err(errors) }
}

/// Name and value of one expansion.
fn value_of(expression: &str, closed: bool, environment: &Environment) -> Result<(String, String), ExpandError> {
    let (name, default) = match expression.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (expression, None),
    };
    let named =
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !closed || !named || default.is_some_and(|d| d.contains("${")) {
        return Err(ExpandError::Malformed(format!("${{{expression}{}", if closed { "}" } else { "" })));
    }
    let found = |value: &str| Ok((name.to_owned(), value.to_owned()));
    match (environment.variables.get(name), default) {
        (Some(value), None) => found(value),
        (Some(value), Some(_)) if !value.is_empty() => found(value),
        (_, Some(default)) => found(default),
        (None, None) => Err(ExpandError::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::default().with("PORT", "8080").with("EMPTY", "").with("TRICK", "${PORT}: [x]")
    }

    fn text(input: &str) -> String {
        expand(input, &environment()).unwrap().text
    }

    #[test]
    fn variables_and_defaults_are_put_in() {
        assert_eq!(text("0.0.0.0:${PORT}"), "0.0.0.0:8080");
        assert_eq!(text("${HOST:-kafka:9092}"), "kafka:9092");
        assert_eq!(text("${EMPTY:-other}|${EMPTY}"), "other|");
    }

    #[test]
    fn what_is_put_in_is_not_expanded_again() {
        assert_eq!(text("${TRICK}"), "${PORT}: [x]");
    }

    #[test]
    fn two_dollars_are_one_and_a_lone_one_stays() {
        assert_eq!(text("$${PORT} $5 $"), "${PORT} $5 $");
    }

    #[test]
    fn only_a_scalar_that_is_one_expansion_is_whole() {
        assert!(expand("${PORT}", &environment()).unwrap().whole);
        assert!(!expand("${PORT}${PORT}", &environment()).unwrap().whole);
        assert!(!expand("x${PORT}", &environment()).unwrap().whole);
    }

    #[test]
    fn the_variables_that_are_named_are_told_set_or_not() {
        assert_eq!(expand("${PORT}/${HOST:-kafka}", &environment()).unwrap().names, ["PORT", "HOST"]);
    }

    #[test]
    fn every_bad_expansion_is_reported() {
        let errors = expand("${A} ${B-c} ${C:-${D}} ${unclosed", &environment()).unwrap_err();
        let malformed = |text: &str| ExpandError::Malformed(text.to_owned());
        assert_eq!(errors, vec![ExpandError::Unset("A".to_owned()), malformed("${B-c}"), malformed("${C:-${D}"), malformed("${unclosed")]);
    }
}
