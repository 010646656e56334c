//! Secrets that are written in a config: hidden where its text is shown, and put back where a text that was shown comes back changed.
//!
//! A secret is known by its place: the name and the type of its module and where it is in that, whatever else was moved or changed. Where its
//! place is gone, nothing is guessed: then it has to be written anew.

use std::collections::{HashMap, HashSet};

use super::report::{Code, Position, Problem, Severity};
use super::written::{Written, scalars};

/// What is shown in the place of a secret.
pub(super) const HIDDEN: &str = "[hidden]";
/// Settings that are secret.
const SETTINGS: [&str; 3] = ["secret", "token", "password"];
/// The key of the copilot's model, which is one more of them where it stands beside the modules.
const API_KEY: &str = "apikey";
/// Where a component's secrets are by their names, each with its value and where it goes.
const NAMED: [&str; 2] = ["capabilities", "secrets"];
/// Keys whose plain values are shown though nobody knows where in the config they are.
const HARMLESS: [&str; 10] = ["name", "type", "method", "path", "handler", "server", "router", "workflow", "component", "service"];

/// The text with stars for its secrets: every line and column is where it was.
pub(super) fn starred(text: &str) -> String {
    let star = |part: &str| part.chars().map(|c| if matches!(c, '\n' | '\r') { c } else { '*' }).collect::<String>();
    let Some(scalars) = scalars(text) else { return unread(text, star) };
    let edits = scalars.iter().filter(|one| hides(one)).map(|one| (one.range.clone(), star(&text[one.range.clone()])));
    edited(text, edits.collect())
}

/// The text without its secrets: YAML that says the same otherwise, with every line where it was.
#[must_use]
pub fn shown(text: &str) -> String {
    let all_hidden = || unread(text, |_| format!("\"{HIDDEN}\""));
    let Some(before) = scalars(text) else { return all_hidden() };
    let edit = |one: &Written| {
        let lines = text[one.range.clone()].matches('\n').count();
        let hidden = if one.block { HIDDEN.to_owned() } else { format!("\"{HIDDEN}\"") };
        (one.range.clone(), hidden + &"\n".repeat(lines))
    };
    let result = edited(text, before.iter().filter(|one| hides(one)).map(edit).collect());
    let as_meant = |(old, new): (&Written, &Written)| if hides(old) { new.text.trim() == HIDDEN } else { old.text == new.text };
    let is_good = scalars(&result).is_some_and(|after| after.len() == before.len() && before.iter().zip(&after).all(as_meant));
    if is_good { result } else { all_hidden() }
}

/// `text`, which was made from what `current` is [shown] as, with the secrets of `current` where they were.
///
/// # Errors
/// Each place at which a secret is hidden that is not known by its place.
pub fn restored(text: &str, current: &str) -> Result<String, Vec<Problem>> {
    // What is no YAML is told by those who judge it.
    let Some(new) = scalars(text) else { return Ok(text.to_owned()) };
    let current_scalars = scalars(current).unwrap_or_default();
    let known = Known::of(&current_scalars);
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    for (index, one) in new.iter().enumerate().filter(|(_, one)| is_blot(one)) {
        match known.secret_of(one) {
            Some(secret) => found.push((index, secret)),
            None => lost.push(problem(one)),
        }
    }
    if !lost.is_empty() {
        return Err(lost);
    }
    if found.is_empty() {
        return Ok(text.to_owned());
    }
    let secrets: HashMap<usize, &Written> = found.iter().copied().collect();
    let as_meant = |(index, (old, new)): (usize, (&Written, &Written))| {
        new.text == secrets.get(&index).map_or(old.text.as_str(), |secret| secret.text.as_str()) && old.places == new.places
    };
    for form in [Form::AsWritten { closes_up: true }, Form::AsWritten { closes_up: false }, Form::Quoted] {
        let edits = found.iter().map(|(index, secret)| form.edit(text, &new[*index], current, secret)).collect();
        let result = edited(text, edits);
        let after = scalars(&result).filter(|after| after.len() == new.len());
        if after.is_some_and(|after| new.iter().zip(&after).enumerate().all(as_meant)) {
            return Ok(result);
        }
    }
    Err(found.iter().map(|(index, _)| problem(&new[*index])).collect())
}

/// How a secret is put in its place.
#[derive(Clone, Copy)]
enum Form {
    /// As it is in the file. One of several lines was shown with empty lines behind it: they may have to go.
    AsWritten { closes_up: bool },
    /// In quotes: where it stands now, it cannot be written as it was.
    Quoted,
}

impl Form {
    fn edit(self, text: &str, blot: &Written, current: &str, secret: &Written) -> (std::ops::Range<usize>, String) {
        let written = &current[secret.range.clone()];
        match self {
            Self::AsWritten { closes_up } if blot.block == secret.block => {
                let empty = if closes_up { empty_lines(&text[blot.range.end..], written.matches('\n').count()) } else { 0 };
                (blot.range.start..blot.range.end + empty, written.to_owned())
            }
            _ if blot.block => (blot.range.clone(), secret.text.clone()),
            _ => (blot.range.clone(), serde_json::Value::from(secret.text.as_str()).to_string()),
        }
    }
}

/// Bytes of the first line breaks of a text with nothing but blanks between them, at most `count` of them.
fn empty_lines(text: &str, count: usize) -> usize {
    let lines = text.split_inclusive('\n').take(count).take_while(|line| line.trim().is_empty() && line.ends_with('\n'));
    lines.map(str::len).sum()
}

/// The secrets of the file by their places.
struct Known<'a> {
    scalars: &'a [Written],
    /// Nothing where several values have the same place.
    by_key: HashMap<&'a str, Option<usize>>,
}

impl<'a> Known<'a> {
    fn of(scalars: &'a [Written]) -> Self {
        let mut by_key: HashMap<&str, Option<usize>> = HashMap::new();
        for (index, one) in scalars.iter().enumerate() {
            for key in one.places.iter().filter_map(|place| place.key.as_deref()) {
                by_key.entry(key).and_modify(|known| *known = known.filter(|known| *known == index)).or_insert(Some(index));
            }
        }
        Self { scalars, by_key }
    }

    /// The secret that was where `blot` is now. None where it would be shown there.
    fn secret_of(&self, blot: &Written) -> Option<&'a Written> {
        if blot.text.trim() != HIDDEN {
            return None;
        }
        let at = |key: &Option<String>| self.by_key.get(key.as_deref()?).copied();
        let found: HashSet<Option<usize>> = blot.places.iter().filter_map(|place| at(&place.key)).collect();
        let mut found = found.into_iter();
        let (Some(Some(index)), None) = (found.next(), found.next()) else { return None };
        let secret = self.scalars.get(index).filter(|one| hides(one))?;
        let stays = |pointer: &str| is_secret(pointer) || is_beside(pointer);
        blot.places.iter().all(|place| stays(&place.pointer) || at(&place.key) == Some(Some(index))).then_some(secret)
    }
}

fn problem(one: &Written) -> Problem {
    let start = Position { line: one.line, column: one.column };
    Problem {
        severity: Severity::Error,
        line: start.line,
        column: start.column,
        end: None,
        module: None,
        pointer: one.places.first().map(|place| place.pointer.clone()).unwrap_or_default(),
        code: Code::InvalidValue,
        message: format!("the secret of line {} is hidden here; write it anew", one.line),
        help: Some("name a variable, such as ${NAME}, or write the secret itself".to_owned()),
    }
}

/// Whether a value is in the place of a secret that was shown.
fn is_blot(one: &Written) -> bool {
    let text = one.text.trim();
    let is_stars = !text.is_empty() && text.chars().all(|c| c == '*');
    text == HIDDEN || ((text.contains(HIDDEN) || is_stars) && one.places.iter().any(|place| is_secret(&place.pointer)))
}

/// Whether a value is a secret that is written here: what only names a variable tells nothing.
pub(super) fn hides(one: &Written) -> bool {
    let hides = |pointer: &str| is_secret(pointer) || is_server(pointer, &one.text);
    !one.text.is_empty() && !names_a_variable(&one.text) && one.places.iter().any(|place| hides(&place.pointer))
}

/// Whether a value says where a database is on a server: its password may be in it.
pub(super) fn is_server(pointer: &str, value: &str) -> bool {
    pointer.ends_with("/dsn") && value.trim_start().starts_with("postgres")
}

/// `${NAME}`, or `${NAME:-}`, and nothing else.
pub(super) fn names_a_variable(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(|name| name.strip_suffix(":-").unwrap_or(name));
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Whether a place is in what is only there to be named elsewhere.
fn is_beside(pointer: &str) -> bool {
    pointer.strip_prefix('/').is_some_and(|rest| rest.starts_with(super::tree::EXTENSION))
}

/// Whether what is at this place of a config, or of a module of it, is a secret.
pub(super) fn is_secret(pointer: &str) -> bool {
    let steps = pointer.split('/').skip(1);
    if is_beside(pointer) {
        let steps: Vec<String> = steps.map(str::to_ascii_lowercase).collect();
        // Where a secret goes is shown beside the modules as it is in them.
        let is_service = |at: usize| steps.get(at + 2).is_some_and(|step| step == "services");
        let hides = |(at, step): (usize, &String)| {
            SETTINGS.iter().any(|word| step.ends_with(word))
                || step == API_KEY
                || step.ends_with("headers")
                || (step.ends_with("secrets") && !is_service(at))
        };
        return steps.iter().enumerate().any(hides);
    }
    let steps: Vec<&str> = steps.collect();
    let is_setting = |pair: &[&str]| matches!(pair[0], "config" | "stock") && SETTINGS.contains(&pair[1]);
    let of_part = |three: &[&str]| matches!(three, ["config", "registry", "password"] | ["config", "copilot", "apiKey"]);
    let named = |four: &[&str]| four[..2] == NAMED && four[3] == "value";
    let has = steps.windows(2).any(is_setting) || steps.windows(3).any(of_part) || steps.windows(4).any(named);
    has || steps.iter().skip_while(|step| **step != "capabilities").any(|step| *step == "headers")
}

/// The same of what is no YAML, so that nobody knows what is where: of each line its key, and its value only if that cannot be a secret.
fn unread(text: &str, hide: impl Fn(&str) -> String) -> String {
    // Behind a line that names one of these, whatever the keys are called.
    let is_outer = |rest: &str| ["headers", "secrets"].iter().any(|word| rest.contains(word));
    let mut outer: Option<usize> = None;
    let line = |line: &str| {
        let bare = line.trim_end();
        let begin = bare.len() - bare.trim_start_matches([' ', '-']).len();
        let (head, rest) = bare.split_at(begin);
        outer = outer.filter(|outer| rest.is_empty() || begin > *outer);
        let within = outer.is_some();
        if !within && is_outer(&rest.to_ascii_lowercase()) {
            outer = Some(begin);
        }
        let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
        let (key, value) = match rest.split_once(':') {
            Some((key, value)) if is_word(key) && (value.is_empty() || value.starts_with(' ')) => rest.split_at(key.len() + 1),
            _ => ("", rest),
        };
        let begin = value.len() - value.trim_start().len();
        let (blank, value) = value.split_at(begin);
        let is_harmless = value.is_empty() || (!within && HARMLESS.contains(&key.trim_end_matches(':')) && is_word(value));
        let value = if is_harmless { value.to_owned() } else { hide(value) };
        format!("{head}{key}{blank}{value}{}", &line[bare.len()..])
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The text with each of these parts, none of which overlap, as something else.
fn edited(text: &str, mut edits: Vec<(std::ops::Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let (mut result, mut at) = (String::with_capacity(text.len()), 0);
    for (range, new) in edits {
        result.push_str(&text[at..range.start]);
        result.push_str(&new);
        at = range.end;
    }
    result + &text[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two components that call with keys of the same length, and a secret of two lines.
    const CONFIG: &str = r#"modules:
  - name: auth
    type: auth.jwt
    config:
      secret: "of this process" # mine
  - name: a
    type: dynamic.component
    config: {capabilities: {http: [{service: x, url: 'http://x', headers: {X-Api-Key: "key-of-a"}}]}}
  - name: b
    type: dynamic.component
    config: {capabilities: {http: [{service: x, url: 'http://x', headers: {X-Api-Key: "key-of-b"}}]}}
  - name: r
    type: dynamic.component
    config:
      source: oci://registry.example/acme/fraud
      registry: {username: ada, password: "of the registry"}
      capabilities:
        secrets:
          bank: {value: "of the bank", services: [x]}
          services: {value: "of one called so", services: [x]}
  - name: o
    type: operator.api
    config: {server: s, copilot: {baseUrl: 'https://x/v1', model: m, apiKey: "key of the model"}}
  - name: m
    type: metrics
    config:
      token: |-
        first line
        second line
      access: token
"#;

    fn lines(text: &str, current: &str) -> Vec<usize> {
        restored(text, current).unwrap_err().into_iter().map(|problem| problem.line).collect()
    }

    fn module(text: &str, name: &str) -> String {
        let begin = text.find(&format!("  - name: {name}\n")).unwrap();
        let end = text[begin + 4..].find("  - name: ").map_or(text.len(), |end| begin + 4 + end);
        text[begin..end].to_owned()
    }

    #[test]
    fn what_is_shown_has_no_secret_and_comes_back_as_it_was() {
        let shown = shown(CONFIG);
        for secret in [
            "of this process",
            "key-of",
            "of the registry",
            "of the bank",
            "of one called so",
            "key of the model",
            "first line",
            "second line",
        ] {
            assert!(!shown.contains(secret) && !starred(CONFIG).contains(secret), "{shown}");
        }
        for open in ["username: ada, password: \"[hidden]\"}", "bank: {value: \"[hidden]\", services: [x]}"] {
            assert!(shown.contains(open), "{shown}");
        }
        assert!(shown.contains("secret: \"[hidden]\" # mine\n"), "{shown}");
        assert_eq!(shown.lines().count(), CONFIG.lines().count(), "{shown}");
        assert_eq!(starred(CONFIG).chars().count(), CONFIG.chars().count());
        assert_eq!(restored(&shown, CONFIG).unwrap(), CONFIG);
        let changed = |text: &str| text.replace("'http://x'", "'http://y'");
        assert_eq!(restored(&changed(&shown), CONFIG).unwrap(), changed(CONFIG));
        assert_eq!(restored("modules: []\n", CONFIG).unwrap(), "modules: []\n");
    }

    #[test]
    fn secrets_go_with_their_modules() {
        let moved = |text: &str| {
            let (a, b) = (module(text, "a"), module(text, "b"));
            text.replacen(&format!("{a}{b}"), &format!("{b}{a}"), 1)
        };
        assert_ne!(moved(CONFIG), CONFIG);
        assert_eq!(restored(&moved(&shown(CONFIG)), CONFIG).unwrap(), moved(CONFIG));
    }

    #[test]
    fn a_secret_whose_place_is_gone_or_could_be_two_has_to_be_written_anew() {
        let shown = shown(CONFIG);
        assert_eq!(lines(&shown.replace("name: a\n", "name: c\n"), CONFIG), [8]);
        assert_eq!(lines(&shown.replace("type: auth.jwt", "type: metrics"), CONFIG), [5]);
        assert_eq!(lines(&format!("{shown}x-notes: \"[hidden]\"\n"), CONFIG), [31]);
        let twice = CONFIG.replace("name: b\n", "name: a\n");
        assert_eq!(lines(&super::shown(&twice), &twice), [8, 11]);
        let problem = restored("modules: [{name: z, type: auth.jwt, config: {secret: '[hidden]'}}]", CONFIG).unwrap_err().remove(0);
        assert_eq!(problem.message, "the secret of line 1 is hidden here; write it anew");
    }

    #[test]
    fn a_secret_does_not_come_back_where_it_would_be_shown() {
        let current = "x-s: &s hunter2\nmodules:\n  - {name: auth, type: auth.jwt, config: {secret: *s}}\n";
        let shown = shown(current);
        assert!(!shown.contains("hunter2") && !starred(current).contains("hunter2"), "{shown}");
        assert_eq!(restored(&shown, current).unwrap(), current);
        let tagged = "x-s: &s !!str |-\n  hunter2\n  hunter3\nmodules:\n  - {name: auth, type: auth.jwt, config: {secret: *s}}\n";
        assert!(super::shown(tagged).starts_with("x-s: &s !!str |-\n  [hidden]\n\nmodules:\n  - {name: auth,"), "{}", super::shown(tagged));
        assert_eq!(restored(&super::shown(tagged), tagged).unwrap(), tagged);
        let told = format!("{shown}  - {{name: web, type: http.server, config: {{address: *s}}}}\n");
        assert_eq!(lines(&told, current), [1]);
    }

    #[test]
    fn secrets_of_components_that_are_written_beside_the_modules_are_hidden_too() {
        let beside = "x-c: &c {capabilities: {secrets: {bank: {value: hunter2, services: [x]}}}, registry: {password: hunter3}}\n\
                      modules: [{name: a, type: dynamic.component, config: *c}]\n";
        assert!(!shown(beside).contains("hunter") && !starred(beside).contains("hunter"), "{}", shown(beside));
        assert_eq!(restored(&shown(beside), beside).unwrap(), beside);
        let broken = "modules:\n  - name: a\n    config:\n      registry: {password: hunter1\n      capabilities:\n        secrets:\n          \
                      bank:\n            value: hunter2\n            name: hunter3\n            component: hunter4\n";
        assert!(!shown(broken).contains("hunter") && !starred(broken).contains("hunter"), "{}", shown(broken));
    }

    #[test]
    fn only_what_names_a_variable_is_shown_in_the_place_of_a_secret() {
        let text = |secret: &str| format!("modules:\n  - {{name: auth, type: auth.jwt, config: {{secret: \"{secret}\"}}}}\n");
        for open in ["${NAME}", "${NAME:-}"] {
            assert_eq!(shown(&text(open)), text(open));
            assert_eq!(starred(&text(open)), text(open));
        }
        for secret in ["pa$$word", "$ecret", "${NAME:-hunter2}", "Bearer sk${X:-}", "${A}${B-c}", "${unclosed"] {
            let (shown, starred) = (shown(&text(secret)), starred(&text(secret)));
            assert!(!shown.contains(secret) && !starred.contains(secret), "{shown}");
            assert_eq!(restored(&shown, &text(secret)).unwrap(), text(secret));
        }
    }

    #[test]
    fn what_a_config_may_not_have_hides_its_secrets_too() {
        let twice = "modules:\n  - name: auth\n    type: auth.jwt\n    config:\n      secret: hunter2\n      secret: hunter3\n---\n\
                     modules: [{config: {secret: hunter4}}]\n";
        let merged = "x-a: &a {secret: hunter2}\nmodules: [{name: auth, type: auth.jwt, config: {<<: *a, secret: hunter3}}]\n";
        for text in [twice, merged] {
            assert!(!shown(text).contains("hunter") && !starred(text).contains("hunter"), "{}", shown(text));
        }
        assert_eq!(restored(&shown(merged), merged).unwrap(), merged);
    }

    #[test]
    fn of_what_is_no_yaml_nothing_is_shown_that_could_be_a_secret() {
        let text = "modules:\n  - name: auth # hunter0\n    config: {secret: hunter1,\n    hunter2\n  - {name: a, token: hunter3\n    \
                    headers:\n      name: hunter4\n      X-Key: |\n        hunter5\n  - name: b\n    address: hunter6\n";
        let (shown, starred) = (shown(text), starred(text));
        assert!(!shown.contains("hunter") && !starred.contains("hunter"), "{shown}");
        assert!(starred.contains("  - name: b\n    address: *******\n"), "{starred}");
        assert_eq!(starred.chars().count(), text.chars().count());
        assert_eq!(lines("modules:\n  - {name: web, config: {address: '[hidden]'}}\n", text), [2]);
    }

    #[test]
    fn stars_are_no_secret() {
        let text = CONFIG.replace("\"of this process\"", "\"***************\"");
        assert_eq!(lines(&text, CONFIG), [5]);
        let part = CONFIG.replace("\"of this process\"", "\"Bearer [hidden]\"");
        assert_eq!(lines(&part, CONFIG), [5]);
        let elsewhere = CONFIG.replace("'http://x'", "'*'");
        assert_eq!(restored(&elsewhere, CONFIG).unwrap(), elsewhere);
    }

    #[test]
    fn one_secret_is_added_changed_or_taken_away_and_the_others_stay() {
        let both = |change: &dyn Fn(&str) -> String| {
            let saved = restored(&change(&shown(CONFIG)), CONFIG).unwrap();
            assert_eq!(saved, change(CONFIG));
        };
        both(&|text| format!("{text}  - {{name: other, type: auth.jwt, config: {{secret: a new one}}}}\n"));
        both(&|text| text.replace(&module(text, "a"), ""));
        both(&|text| text.replace(" # mine", " # of us, and another comment"));
        let rotated = shown(CONFIG).replacen("X-Api-Key: \"[hidden]\"", "X-Api-Key: \"another\"", 1);
        assert_eq!(restored(&rotated, CONFIG).unwrap(), CONFIG.replace("key-of-a", "another"));
    }

    #[test]
    fn a_secret_that_cannot_stand_as_it_was_is_put_in_quotes() {
        let current = "modules:\n  - name: auth\n    type: auth.jwt\n    config:\n      secret: one, two\n";
        let flow = "modules:\n  - {name: auth, type: auth.jwt, config: {secret: \"[hidden]\"}}\n";
        assert_eq!(restored(flow, current).unwrap(), flow.replace("[hidden]", "one, two"));
        let flow = "modules:\n  - {name: m, type: metrics, config: {token: \"[hidden]\"}}\n";
        assert_eq!(restored(flow, CONFIG).unwrap(), flow.replace("[hidden]", "first line\\nsecond line"));
        // Without the empty lines that it was shown with.
        let shorter = shown(CONFIG).replace("[hidden]\n\n", "[hidden]\n");
        assert_eq!(restored(&shorter, CONFIG).unwrap(), CONFIG);
    }
}
