//! Characters that nobody means in a setting: line ends, blanks around it, a BOM. Editors, shells, secret stores and Windows
//! leave them, and they change a path, a URL or a name without being seen. And what is written for a shell where there is none: quotes
//! around a value, and what only a shell expands.
//!
//! What is only shown to people, and what is handed to a component as it is, may have lines.

use super::env::Environment;
use super::expand::Expanded;
use super::finding::{Span, TextProblem, problem};
use super::report::Code;

/// What is wrong with a scalar that is written out in the file.
pub(super) fn of_text(text: &str, span: Span, pointer: &str) -> Option<TextProblem> {
    if is_free(pointer) {
        return None;
    }
    let (flaw, help) = match unseen(text) {
        Some(unseen) => (unseen, "write it on one line, without that character"),
        None => (home(text).filter(|_| is_path(pointer))?, WHOLE_PATH),
    };
    let message = format!("`{}` {flaw}", key_of(pointer));
    Some(problem(span, pointer.to_owned(), Code::InvalidValue, message, Some(help.to_owned())))
}

/// What is wrong with the variables that a scalar names, or with the rest of it. No value is shown, since it may be a secret.
pub(super) fn of_expanded(text: &str, expanded: &Expanded, environment: &Environment, span: Span, pointer: &str) -> Vec<TextProblem> {
    if is_free(pointer) {
        return Vec::new();
    }
    let in_variables: Vec<TextProblem> = expanded
        .names
        .iter()
        .filter_map(|name| {
            let value = environment.variables.get(name)?;
            let unexpanded = || home(value).or_else(|| dollar(value)).filter(|_| is_path(pointer));
            let (flaw, help) = if let Some(flaw) = unseen(value).or_else(|| around(value)) {
                (flaw, help(name, environment))
            } else if let Some(flaw) = quotes(value) {
                (flaw, "set it without them: a shell takes quotes away, and docker's --env-file and Kubernetes keep them".to_owned())
            } else {
                (unexpanded()?, WHOLE_PATH.to_owned())
            };
            let message = format!("`{}` needs the environment variable {name}, which {flaw}", key_of(pointer));
            Some(problem(span, pointer.to_owned(), Code::Expansion, message, Some(help)))
        })
        .collect();
    if in_variables.is_empty() { of_text(text, span, pointer).into_iter().collect() } else { in_variables }
}

fn help(name: &str, environment: &Environment) -> String {
    let file = format!("{name}_FILE");
    match environment.variables.get(&file).filter(|file| !file.is_empty()) {
        Some(path) => format!("remove that from the file {path}, which {file} names"),
        None => "set it without that; a file that it was read from may have Windows line ends".to_owned(),
    }
}

/// A character within `text` that no editor shows as one.
fn unseen(text: &str) -> Option<String> {
    let found = text
        .chars()
        .find(|c| c.is_control() || matches!(c, '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}' | '\u{feff}' | '\u{fffd}'))?;
    let name = match found {
        '\r' => "a carriage return (\\r), as Windows ends lines with".to_owned(),
        '\n' => "a line break (\\n)".to_owned(),
        '\t' => "a tab (\\t)".to_owned(),
        '\u{feff}' => "a BOM (U+FEFF), with which Windows editors begin files".to_owned(),
        '\u{fffd}' => "a byte that is no UTF-8 text".to_owned(),
        other => format!("the invisible character U+{:04X}", u32::from(other)),
    };
    let place = if text.starts_with(found) {
        "begins with"
    } else if text.trim_end_matches(['\r', '\n']).contains(found) {
        "has within it"
    } else {
        "ends with"
    };
    Some(format!("{place} {name}"))
}

fn around(value: &str) -> Option<String> {
    (value.trim().len() < value.len()).then(|| "begins or ends with a blank".to_owned())
}

/// Quotes that were meant for a shell. The value itself is not shown.
fn quotes(value: &str) -> Option<String> {
    let within = |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    (within('"') || within('\'')).then(|| "begins and ends with quotes".to_owned())
}

/// A home folder that nobody looks up: `~/data`, `~ada/data`.
fn home(path: &str) -> Option<String> {
    path.starts_with('~').then(|| "begins with '~', which only a shell expands".to_owned())
}

/// A variable within a variable.
fn dollar(path: &str) -> Option<String> {
    path.contains('$').then(|| "has '$' in it, which only a shell expands".to_owned())
}

/// What to do about both.
const WHOLE_PATH: &str = "write the whole path, such as /var/lib/millrace";

/// Whether a scalar says where something is on the disk.
fn is_path(pointer: &str) -> bool {
    pointer.starts_with("/modules/") && matches!(key_of(pointer), "dsn" | "source" | "root" | "archive" | "seedFile")
}

/// Whether a scalar may have lines: descriptions, what components are given, JSON Schemas.
fn is_free(pointer: &str) -> bool {
    let given = ["/config/config/", "/config/capabilities/config/", "/config/schema/"];
    pointer.ends_with("/description") || pointer.starts_with("/x-") || given.iter().any(|part| pointer.contains(part))
}

fn key_of(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_told_with_its_place() {
        for (text, expected) in [
            ("./data\r", "ends with a carriage return"),
            ("./data\r\n", "ends with a carriage return"),
            ("./data\n", "ends with a line break"),
            ("./da\nta", "has within it a line break"),
            ("\u{feff}./data", "begins with a BOM"),
            ("./da\u{200b}ta", "has within it the invisible character U+200B"),
        ] {
            assert!(unseen(text).is_some_and(|flaw| flaw.starts_with(expected)), "{text:?}: {:?}", unseen(text));
        }
        assert!(unseen("./données/ß – 東京").is_none() && around("./my data").is_none());
        assert!(around("./data ").is_some());
    }

    #[test]
    fn what_only_a_shell_understands_is_told() {
        assert!(["\"/var/lib/shop\"", "'a'"].iter().all(|value| quotes(value).is_some()));
        assert!(["\"", "it's", "\"a\" or 'b'", ""].iter().all(|value| quotes(value).is_none()));
        assert!(home("~/data").is_some() && home("~").is_some() && home("./~data").is_none());
        assert!(dollar("$HOME/data").is_some() && dollar("./data").is_none());
        assert!(is_path("/modules/3/config/dsn") && !is_path("/modules/3/config/secret") && !is_path("/workflows/http/source"));
    }

    #[test]
    fn what_people_read_and_what_components_are_given_may_have_lines() {
        for free in ["/modules/1/config/description", "/modules/1/config/config/text", "/modules/1/config/capabilities/config/key"] {
            assert!(is_free(free), "{free}");
        }
        assert!(!is_free("/modules/1/config/dsn") && !is_free("/modules/1/config/capabilities/http/0/url"));
    }
}
