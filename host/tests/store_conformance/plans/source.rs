//! The statements of the store on PostgreSQL, as its source has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What begins a statement in the source.
const SITES: [&str; 3] = ["sql!(", "sqlx::query(", "raw_sql("];

/// All statements of a folder of source files.
pub struct Source {
    files: BTreeMap<String, String>,
}

/// What a place of the source comes to.
pub enum Found {
    /// This statement.
    Text(String),
    /// One that is put together when it is needed.
    MadeThen,
}

impl Source {
    pub fn read() -> Self {
        let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/postgres");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let named = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap());
        Self { files: files.map(named).collect() }
    }

    /// Each place that has a statement: its file, and what it comes to.
    pub fn places(&self) -> Vec<(&str, Found)> {
        let mut places = Vec::new();
        for (file, text) in &self.files {
            let mut sites: Vec<usize> = SITES.iter().flat_map(|site| text.match_indices(site).map(|(at, _)| at + site.len())).collect();
            sites.sort_unstable();
            for at in sites {
                let found = self.expression(file, at, &[]).map_or(Found::MadeThen, |(text, _)| Found::Text(text));
                places.push((file.as_str(), found));
            }
        }
        places
    }

    /// The text that the expression at `at` is, and where it ends; nothing if it is no text. `arguments` are those of the macro it is in.
    fn expression(&self, file: &str, at: usize, arguments: &[String]) -> Option<(String, usize)> {
        let text = &self.files[file];
        let at = skip(text, at);
        let rest = &text[at..];
        if rest.starts_with('"') {
            return Some(literal(text, at));
        }
        if let Some(argument) = rest.strip_prefix('$') {
            return Some((arguments.first()?.clone(), at + word(argument).len() + 1));
        }
        // A macro may be named with the file that it is of.
        let (of, rest) = match rest.strip_prefix("super::").and_then(|path| path.split_once("::")) {
            Some((of, rest)) => (Some(format!("{of}.rs")), rest),
            None => (None, rest),
        };
        let name = word(rest);
        let after = at + text[at..].find(rest).unwrap_or_default() + name.len();
        if !text[after..].starts_with("!(") {
            // What has this name here, and is no answer to a statement, or a constant of this file.
            let is_text = |value: &usize| !SITES.iter().any(|site| text[*value..].starts_with(site));
            let bound = format!("let {name} =");
            let mut before = text[..at].rmatch_indices(&bound).map(|(place, bound)| skip(text, place + bound.len())).filter(is_text);
            let constant = format!("const {name}: &str =");
            let value = before.next().or_else(|| text.find(&constant).map(|place| place + constant.len()))?;
            return self.expression(file, value, arguments).map(|(found, _)| (found, after));
        }
        let (parts, end) = self.arguments(file, after + 2, arguments)?;
        if name == "concat" {
            return Some((parts.concat(), end));
        }
        let (other, body) = self.macro_named(name, of.as_deref(), file)?;
        let inside = body + self.files[&other][body..].find("=>")?;
        let inside = inside + self.files[&other][inside..].find('{')? + 1;
        self.expression(&other, inside, &parts).map(|(found, _)| (found, end))
    }

    /// Where the macro of a name is that `file` means: in the file that it is said to be `of`, in this one, or where it is taken from.
    fn macro_named(&self, name: &str, of: Option<&str>, file: &str) -> Option<(String, usize)> {
        let definition = format!("macro_rules! {name} ");
        let is_taken_from = |other: &str| {
            let from = format!("use super::{}::", other.trim_end_matches(".rs"));
            self.files[file].lines().any(|line| line.starts_with(&from) && line.contains(name))
        };
        let is_meant = |other: &str| of.map_or_else(|| other == file || is_taken_from(other), |of| other == of);
        let mut found = self.files.iter().filter_map(|(other, text)| Some((other.clone(), text.find(&definition)?)));
        found.find(|(other, _)| is_meant(other))
    }

    /// The texts between parentheses, and where these end.
    fn arguments(&self, file: &str, mut at: usize, outer: &[String]) -> Option<(Vec<String>, usize)> {
        let text = &self.files[file];
        let mut parts = Vec::new();
        loop {
            at = skip(text, at);
            match text[at..].chars().next()? {
                ')' => return Some((parts, at + 1)),
                ',' => at += 1,
                _ => {
                    let (part, end) = self.expression(file, at, outer)?;
                    parts.push(part);
                    at = end;
                }
            }
        }
    }
}

/// Past white space and comments.
fn skip(text: &str, mut at: usize) -> usize {
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if !text[at..].starts_with("//") {
            return at;
        }
        at += text[at..].find('\n').unwrap_or(text.len() - at);
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(text.len());
    &text[..end]
}

/// The literal at `at`, and where it ends.
fn literal(text: &str, at: usize) -> (String, usize) {
    let (mut value, mut escaped) = (String::new(), false);
    for (offset, character) in text[at + 1..].char_indices() {
        match character {
            _ if escaped => {
                value.push(if character == '\n' { ' ' } else { character });
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, at + offset + 2),
            other => value.push(other),
        }
    }
    panic!("a literal without an end: {value}")
}
