//! What is different in two configs, by their parts: modules by name, routes by method and path, machines by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::blotted::{self, HIDDEN};
use super::env::Environment;
use super::tree::{EXTENSION, Tree, Unset};

/// Changes that are told apart; of more the first ones are.
const MOST: usize = 1_000;

/// Something that is different.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The part that it is in: `module web-server`, `route GET /api/things`, `workflow return-processing`, or the name of a section.
    pub part: String,
    /// Where in that part, as a JSON pointer; empty where the part itself came or went.
    pub pointer: String,
    /// What was there, with variables filled in and secrets hidden; `None` where nothing was.
    pub from: Option<Value>,
    /// What is there now.
    pub to: Option<Value>,
}

/// What is different in `new`, in the sequence of its parts' names. What is no YAML has no parts.
#[must_use]
pub fn between(old: &str, new: &str, environment: &Environment) -> Vec<Change> {
    let [old, new] = [old, new].map(|text| parts(Tree::parse(text, environment, Unset::Open).value));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let mut changes = Vec::new();
    for name in names {
        compare(name, &Place::default(), (old.get(name), new.get(name)), &mut changes);
    }
    changes.truncate(MOST);
    changes
}

/// Where something is in a part.
#[derive(Default)]
struct Place {
    pointer: String,
    /// The same without the numbers of lists: it says whether a secret is there.
    keys: String,
}

impl Place {
    fn below(&self, key: &str) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{key}", self.pointer), keys: format!("{}/{key}", self.keys) }
    }

    fn entry(&self, number: usize) -> Self {
        Self { pointer: format!("{}/{number}", self.pointer), keys: self.keys.clone() }
    }
}

fn compare(part: &str, place: &Place, (old, new): (Option<&Value>, Option<&Value>), changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) {
        let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            compare(part, &place.below(key), (old.get(key), new.get(key)), changes);
        }
        return;
    }
    if let (Some(Value::Array(old)), Some(Value::Array(new))) = (old, new)
        && old.iter().chain(new).all(Value::is_object)
        && !is_secret(&place.keys)
        && compare_lists(part, place, (old, new), changes)
    {
        return;
    }
    // What is beside the modules may be named anywhere in them, also where a secret is.
    let is_hidden = |value: &Value| part.starts_with(EXTENSION) || hides(&place.keys, value);
    let shown = |value: &Value| if is_hidden(value) { Value::from(HIDDEN) } else { without_secrets(&place.keys, value) };
    changes.push(Change { part: part.to_owned(), pointer: place.pointer.clone(), from: old.map(shown), to: new.map(shown) });
}

/// Between what two lists begin and end with alike: as many entries are compared one by one, others came or went. False, and nothing is told, where
/// entries have changed places as well.
fn compare_lists(part: &str, place: &Place, (old, new): (&[Value], &[Value]), changes: &mut Vec<Change>) -> bool {
    let begun = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[begun..], &new[begun..]);
    let ended = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - ended], &new[..new.len() - ended]);
    let at = |index: usize| place.entry(begun + index);
    if old.len() == new.len() {
        for (index, (old, new)) in old.iter().zip(new).enumerate() {
            compare(part, &at(index), (Some(old), Some(new)), changes);
        }
        return true;
    }
    let (gone, stayed): (BTreeMap<_, _>, BTreeMap<_, _>) = old.iter().enumerate().partition(|(_, entry)| !new.contains(entry));
    let (come, stay): (BTreeMap<_, _>, BTreeMap<_, _>) = new.iter().enumerate().partition(|(_, entry)| !old.contains(entry));
    if !stayed.values().eq(stay.values()) {
        return false;
    }
    let indexes: BTreeSet<usize> = gone.keys().chain(come.keys()).copied().collect();
    for index in indexes {
        compare(part, &at(index), (gone.get(&index).copied(), come.get(&index).copied()), changes);
    }
    true
}

/// Names of the variables that a config reads, and of those that are secret by where it reads them.
#[must_use]
pub fn variables(text: &str, environment: &Environment) -> (BTreeSet<String>, BTreeSet<String>) {
    let tree = Tree::parse(text, environment, Unset::Open);
    let names = |of: &dyn Fn(&str) -> bool| {
        let scalars = tree.variables.iter().filter(|(pointer, _)| of(pointer));
        scalars.flat_map(|(_, names)| names.iter().map(ToString::to_string)).collect()
    };
    (names(&|_| true), names(&is_secret))
}

fn is_secret(pointer: &str) -> bool {
    let last = pointer.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    // The keys of `signatures` are public ones.
    let is_named =
        ["secret", "token", "password", "key", "secrets", "tokens", "passwords", "apikeys"].iter().any(|word| last.ends_with(word));
    is_named || pointer.contains("/headers/") || blotted::is_secret(pointer)
}

fn hides(pointer: &str, value: &Value) -> bool {
    is_secret(pointer) || value.as_str().is_some_and(|value| blotted::is_server(pointer, value))
}

fn without_secrets(pointer: &str, value: &Value) -> Value {
    let below = |key: &str, value: &Value| {
        let pointer = format!("{pointer}/{key}");
        if hides(&pointer, value) && !value.is_object() { Value::from(HIDDEN) } else { without_secrets(&pointer, value) }
    };
    match value {
        Value::Object(object) => Value::Object(object.iter().map(|(key, value)| (key.clone(), below(key, value))).collect()),
        Value::Array(list) => Value::Array(list.iter().map(|value| without_secrets(pointer, value)).collect()),
        other => other.clone(),
    }
}

/// The parts of a config by name; what has no name of its own is a part by its place.
fn parts(mut config: Value) -> BTreeMap<String, Value> {
    let mut parts = BTreeMap::new();
    let lists = [
        ("/modules", "module", &["name"][..]),
        ("/workflows/http/routes", "route", &["method", "path"]),
        ("/workflows/statemachine/definitions", "workflow", &["name"]),
    ];
    for (pointer, kind, names) in lists {
        let Some(Value::Array(list)) = config.pointer_mut(pointer).map(Value::take) else { continue };
        for (index, item) in list.into_iter().enumerate() {
            let words: Vec<&str> = names.iter().filter_map(|name| item.get(name)?.as_str()).collect();
            let name = if words.is_empty() { format!("number {}", index + 1) } else { words.join(" ") };
            parts.insert(format!("{kind} {name}"), item);
        }
    }
    let sections = match config {
        Value::Object(sections) => sections,
        _ => Map::new(),
    };
    parts.extend(sections.into_iter().filter(|(_, value)| !value.is_null()));
    parts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str =
        "modules:\n- {name: a, type: http.server, config: {address: ':1'}}\n- {name: auth, type: auth.jwt, config: {secret: one}}\n";

    fn told(new: &str) -> Vec<(String, String, Option<Value>, Option<Value>)> {
        let changes = between(OLD, new, &Environment::default()).into_iter();
        changes.map(|change| (change.part, change.pointer, change.from, change.to)).collect()
    }

    #[test]
    fn a_module_that_moved_is_no_change_and_one_setting_is_one() {
        assert_eq!(told(OLD), []);
        let moved = "# words\nmodules:\n  - {name: auth, type: auth.jwt, config: {secret: one}}\n  - {type: http.server, name: a, config: {address: ':2'}}\n";
        let expected = [("module a".to_owned(), "/config/address".to_owned(), Some(json!(":1")), Some(json!(":2")))];
        assert_eq!(told(moved), expected);
    }

    #[test]
    fn one_entry_of_a_long_list_is_one_change() {
        let hooks = |names: &[&str]| {
            let hooks: Vec<String> = names.iter().map(|name| format!("{{handler: {name}, token: secret-{name}}}")).collect();
            format!("workflows: {{statemachine: {{hooks: [{}]}}}}\n", hooks.join(", "))
        };
        let told = |old: &[&str], new: &[&str]| {
            let changes = between(&hooks(old), &hooks(new), &Environment::default());
            assert!(!format!("{changes:?}").contains("secret-"), "{changes:?}");
            let name =
                |value: Option<Value>| value.map(|value| value.get("handler").unwrap_or(&value).as_str().unwrap_or_default().to_owned());
            changes.into_iter().map(|change| (change.pointer, name(change.from), name(change.to))).collect::<Vec<_>>()
        };
        let at = |number: usize| format!("/statemachine/hooks/{number}");
        assert_eq!(told(&["a", "b"], &["a", "new", "b"]), [(at(1), None, Some("new".to_owned()))]);
        assert_eq!(told(&["a", "b", "c"], &["a", "c"]), [(at(1), Some("b".to_owned()), None)]);
        let renamed = told(&["a", "b", "c"], &["a", "other", "c"]);
        assert!(renamed.contains(&(format!("{}/handler", at(1)), Some("b".to_owned()), Some("other".to_owned()))), "{renamed:?}");
        let both = told(&["a", "b", "c"], &["a", "other", "c", "new"]);
        assert!(both.contains(&(format!("{}/handler", at(1)), Some("b".to_owned()), Some("other".to_owned()))), "{both:?}");
        assert!(both.contains(&(at(3), None, Some("new".to_owned()))), "{both:?}");
    }

    #[test]
    fn a_list_whose_entries_have_changed_places_is_told_as_a_whole() {
        let hooks = |names: &[&str]| {
            let hooks: Vec<String> = names.iter().map(|name| format!("{{handler: {name}}}")).collect();
            format!("workflows: {{statemachine: {{hooks: [{}]}}}}\n", hooks.join(", "))
        };
        for (old, new) in [(vec!["a", "b"], vec!["b", "a", "c"]), (vec!["a", "a", "b"], vec!["b", "a"])] {
            let changes = between(&hooks(&old), &hooks(&new), &Environment::default());
            assert_eq!(changes.len(), 1, "{changes:?}");
            assert_eq!(changes[0].pointer, "/statemachine/hooks");
            let length = |value: &Option<Value>| value.as_ref().and_then(Value::as_array).map(Vec::len);
            assert_eq!((length(&changes[0].from), length(&changes[0].to)), (Some(old.len()), Some(new.len())));
        }
    }

    #[test]
    fn what_comes_and_goes_is_a_change_of_the_whole_part_and_secrets_are_never_told() {
        let new = "modules:\n- {name: auth, type: auth.jwt, config: {secret: two}}\nworkflows: {http: {router: r, server: a, routes: [{method: GET, path: /x, handler: y}]}}\n";
        let changes = told(new);
        assert_eq!(changes.len(), 4, "{changes:?}");
        assert!(changes.iter().any(|(part, pointer, from, to)| part == "module a" && pointer.is_empty() && from.is_some() && to.is_none()));
        assert!(changes.iter().any(|(part, _, from, to)| part == "route GET /x" && from.is_none() && to.is_some()));
        let secret = changes.iter().find(|(part, _, _, _)| part == "module auth").unwrap();
        assert_eq!((&secret.1, &secret.2), (&"/config/secret".to_owned(), &Some(json!("[hidden]"))));
        assert!(!format!("{changes:?}").contains("two"), "{changes:?}");
    }

    #[test]
    fn secrets_of_components_and_the_password_of_a_database_are_never_told() {
        let config = |secret: &str| {
            format!(
                "modules:\n- {{name: bank, type: dynamic.component, config: {{capabilities: {{secrets: {{bank: {{value: {secret}, services: [x]}}}}}}}}}}\n\
                 - {{name: db, type: database.workflow, config: {{driver: postgres, dsn: 'postgres://shop:{secret}@db/shop'}}}}\n\
                 x-beside: {{of: {secret}}}\n"
            )
        };
        let changes = between(&config("hunter2"), &config("hunter3"), &Environment::default());
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert!(!format!("{changes:?}").contains("hunter"), "{changes:?}");
        let appeared = between("modules: []\n", &config("hunter2"), &Environment::default());
        assert!(!appeared.is_empty() && !format!("{appeared:?}").contains("hunter"), "{appeared:?}");
    }
}
