//! What a model's answer has to be before anybody is shown it: an object with an explanation and edits, none of which touches a secret.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::draft::{Draft, Edit, Op};
use crate::services::console::outward::Outward;

/// Edits of one answer, and bytes of what each writes.
const MAX_EDITS: usize = 100;
const MAX_VALUE: usize = 64 << 10;
/// Bytes of an explanation, of which more is left out.
const MAX_EXPLANATION: usize = 8_000;

/// Something that deserves a second look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "CopilotLook")]
pub struct Look {
    /// Where.
    pub pointer: String,
    /// Why.
    pub why: &'static str,
}

/// An answer that can be shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub explanation: String,
    pub edits: Vec<Edit>,
    pub look: Vec<Look>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    explanation: String,
    #[serde(default)]
    edits: Vec<Edit>,
}

/// What holds for the answers about one config.
pub(super) struct Rules<'a> {
    pub outward: &'a Outward,
}

impl Rules<'_> {
    /// What a model says, or what is wrong with it.
    pub fn read(&self, content: &str) -> Result<Answer, Vec<String>> {
        let Written { mut explanation, edits } = written(content)?;
        let mut flaws: Vec<String> = Vec::new();
        if explanation.trim().is_empty() && edits.is_empty() {
            flaws.push("it has neither an explanation nor edits".to_owned());
        }
        if edits.len() > MAX_EDITS {
            flaws.push(format!("it has {} edits, and {MAX_EDITS} are accepted", edits.len()));
        }
        let mut draft = Draft::of(self.outward);
        let mut look: Vec<Look> = Vec::new();
        for (index, edit) in edits.iter().take(MAX_EDITS).enumerate() {
            let said = |flaw: &str| format!("edit {} at '{}' {flaw}", index + 1, crate::text::quoted(&edit.pointer, 100));
            flaws.extend(self.flaw(&draft, edit).map(|flaw| said(&flaw)));
            match looked(&mut draft, edit) {
                Ok(more) => look.extend(more),
                Err(flaw) => {
                    flaws.push(said(flaw));
                    // The places of the others are not known.
                    break;
                }
            }
        }
        if !flaws.is_empty() {
            return Err(flaws);
        }
        crate::text::cut(&mut explanation, MAX_EXPLANATION);
        let mut seen = BTreeSet::new();
        look.retain(|one| seen.insert((one.pointer.clone(), one.why)));
        Ok(Answer { explanation, edits, look })
    }

    /// What is wrong with an edit of what those before have left, other than that it cannot be made.
    fn flaw(&self, draft: &Draft<'_>, Edit { op, pointer, value }: &Edit) -> Option<String> {
        if (self.outward.is_blot)(pointer) {
            return Some("names a place by what stands for something that it was not told".to_owned());
        }
        if *op != Op::Append && draft.has_secret(pointer) {
            return Some("would change or take away a secret, which a person does".to_owned());
        }
        if value.to_string().len() > MAX_VALUE {
            return Some(format!("writes more than {MAX_VALUE} bytes"));
        }
        (*op != Op::Remove).then(|| self.flaw_of_value(pointer, value)).flatten()
    }

    fn flaw_of_value(&self, pointer: &str, value: &Value) -> Option<String> {
        match value {
            Value::Object(entries) => {
                entries.iter().find_map(|(key, value)| self.flaw_of_value(&crate::services::error::pointer(pointer, key), value))
            }
            Value::Array(items) => {
                items.iter().enumerate().find_map(|(index, item)| self.flaw_of_value(&format!("{pointer}/{index}"), item))
            }
            Value::String(text) if (self.outward.is_blot)(text) => Some("writes what stands for something that it was not told".to_owned()),
            Value::Null => None,
            scalar => {
                let is_open = scalar.as_str().is_some_and(self.outward.is_open);
                ((self.outward.is_secret)(pointer) && !is_open)
                    .then(|| "writes a secret, which a config names as a variable, such as ${NAME}".to_owned())
            }
        }
    }
}

/// Makes an edit, and tells what of it is about who may do what.
///
/// # Errors
/// It cannot be made, and why.
fn looked(draft: &mut Draft<'_>, edit: &Edit) -> Result<Vec<Look>, &'static str> {
    let Edit { op, pointer, value } = edit;
    if !pointer.starts_with('/') {
        return Err("is at no JSON pointer below the top, such as /modules/0/config/address");
    }
    let mut types: Vec<String> = draft.module_type(pointer).map(str::to_owned).into_iter().collect();
    let old = if *op == Op::Append { None } else { draft.at(pointer).cloned() };
    draft.make(edit)?;
    if *op == Op::Set {
        // It may have said of what type its module is.
        types.extend(draft.module_type(pointer).map(str::to_owned));
    }
    let new = if *op == Op::Remove { None } else { Some(value) };
    let mut places = Vec::new();
    changed(pointer, (old.as_ref(), new), &mut places, &mut types);
    if places.is_empty() {
        // It says what was there before.
        return Ok(Vec::new());
    }
    let of_types = types.iter().filter_map(|one| why_of_type(one));
    let of_places = places.iter().filter_map(|place| why_of_place(place, &types));
    Ok(of_types.chain(of_places).map(|why| Look { pointer: pointer.clone(), why }).collect())
}

/// Why an edit of a module of this type deserves a second look, wherever it is.
fn why_of_type(name: &str) -> Option<&'static str> {
    match name {
        "operator.api" => Some("it changes who may look after the process, and how"),
        "auth.jwt" | "http.middleware.auth" => Some("it changes who is let in"),
        _ => None,
    }
}

/// Why an edit of this place deserves one; `types` are those of the modules around it and in it.
fn why_of_place(place: &str, types: &[String]) -> Option<&'static str> {
    let has = |names: &[&str]| place.split('/').any(|step| names.contains(&step));
    let is_of_component = types.iter().any(|one| one == "dynamic.component");
    if has(&["capabilities"]) {
        Some("it changes what a component may reach")
    } else if has(&["source", "registry"]) || (is_of_component && place.ends_with("/path")) {
        Some("it changes what code is run, or where that comes from")
    } else if has(&["issuer"]) {
        Some("it changes who is let in")
    } else if has(&["middlewares", "roles", "scope", "access", "sudo"]) {
        Some("it changes who may call what")
    } else if has(&["allowedOrigins", "hosts", "targets", "signatures", "compiledKeys"]) {
        Some("it changes whom the process trusts")
    } else if has(&["url", "baseUrl", "host", "brokers"]) {
        Some("it changes whom the process talks to")
    } else {
        None
    }
}

/// The pointers of everything that is not what it was, where what is not written again is gone; and the types that such parts name, as
/// modules do.
fn changed(pointer: &str, (old, new): (Option<&Value>, Option<&Value>), places: &mut Vec<String>, types: &mut Vec<String>) {
    if old == new {
        return;
    }
    places.push(pointer.to_owned());
    types.extend(old.into_iter().chain(new).filter_map(|value| value.get("type")?.as_str()).map(str::to_owned));
    let all: BTreeSet<String> = old.into_iter().chain(new).flat_map(keys).collect();
    for key in all {
        let (was, is) = (old.and_then(|old| item(old, &key)), new.and_then(|new| item(new, &key)));
        changed(&crate::services::error::pointer(pointer, &key), (was, is), places, types);
    }
}

/// Keys of a map, or the numbers of the items of a list.
fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(entries) => entries.keys().cloned().collect(),
        Value::Array(items) => (0..items.len()).map(|index| index.to_string()).collect(),
        _ => Vec::new(),
    }
}

/// What a map has by a key, or a list by a number.
fn item<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(entries) => entries.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The object in an answer, also where a model puts it between words or marks.
fn written(content: &str) -> Result<Written, Vec<String>> {
    let shape =
        r#"answer with one JSON object {"explanation": "...", "edits": [{"op": "set", "pointer": "/...", "value": ...}]} and nothing else"#;
    let (begin, end) = (content.find('{'), content.rfind('}'));
    let Some(object) = begin.zip(end).and_then(|(begin, end)| content.get(begin..=end)) else {
        return Err(vec![format!("it has no JSON object; {shape}")]);
    };
    serde_json::from_str(object).map_err(|error| vec![format!("its JSON cannot be read ({error}); {shape}")])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outward() -> Outward {
        Outward {
            config: json!({"modules": [{"name": "auth", "type": "auth.jwt", "config": {"secret": "[hidden]"}}, {"name": "a", "type": "x"}]}),
            secrets: vec!["/modules/0/config/secret".to_owned()],
            is_secret: |pointer| pointer.ends_with("/secret"),
            is_open: |text| text.starts_with("${"),
            is_blot: |text| text.contains("[hidden]"),
            blotted: Box::new(str::to_owned),
        }
    }

    fn read(content: &str) -> Result<Answer, Vec<String>> {
        Rules { outward: &outward() }.read(content)
    }

    fn edit(edit: &Value) -> Result<Answer, Vec<String>> {
        read(&json!({"explanation": "so", "edits": [edit]}).to_string())
    }

    #[test]
    fn an_object_is_found_between_marks_and_words_and_nothing_else_is_taken() {
        let answer = read("Sure!\n```json\n{\"explanation\": \"so\", \"edits\": []}\n```").unwrap();
        assert_eq!((answer.explanation.as_str(), answer.edits.len()), ("so", 0));
        for (content, flaw) in [
            ("", "it has no JSON object"),
            ("I cannot do that", "it has no JSON object"),
            ("{\"explanation\": \"so\", \"edits\": [{\"op\": \"se", "it has no JSON object"),
            ("{\"explanation\": }", "its JSON cannot be read"),
            ("{\"edits\": [{\"op\": \"run\", \"pointer\": \"/x\"}]}", "its JSON cannot be read (unknown variant `run`"),
            ("{}", "it has neither an explanation nor edits"),
        ] {
            let flaws = read(content).unwrap_err().join("; ");
            assert!(flaws.starts_with(flaw), "{content}: {flaws}");
        }
    }

    #[test]
    fn nothing_touches_a_secret_or_writes_one() {
        for (wrong, flaw) in [
            (json!({"op": "set", "pointer": "/modules/0/config/secret", "value": "${OTHER}"}), "would change or take away a secret"),
            (json!({"op": "remove", "pointer": "/modules/0"}), "would change or take away a secret"),
            (json!({"op": "set", "pointer": "/modules/0/config", "value": {}}), "would change or take away a secret"),
            (json!({"op": "set", "pointer": "/modules/1/config/secret", "value": "hunter2"}), "writes a secret"),
            (json!({"op": "append", "pointer": "/modules", "value": {"config": {"secret": 7}}}), "writes a secret"),
            (json!({"op": "set", "pointer": "/modules/1/name", "value": "x [hidden]"}), "writes what stands for something"),
            (json!({"op": "set", "pointer": "modules", "value": 1}), "is at no JSON pointer"),
            (json!({"op": "set", "pointer": "/x", "value": "x".repeat(MAX_VALUE)}), "writes more than"),
        ] {
            let flaws = edit(&wrong).unwrap_err().join("; ");
            assert!(flaws.contains(flaw), "{wrong}: {flaws}");
        }
        edit(&json!({"op": "append", "pointer": "/modules", "value": {"type": "auth.jwt", "config": {"secret": "${NEW_SECRET}"}}}))
            .unwrap();
    }

    /// The config of the others, with a module before the one that has a secret, and a database.
    fn shifted() -> Outward {
        let mut outward = outward();
        let modules = outward.config["modules"].as_array_mut().unwrap();
        modules.insert(0, json!({"name": "web", "type": "http.server"}));
        modules.push(json!({"name": "db", "config": {"dsn": "[hidden]"}}));
        outward.secrets = vec!["/modules/1/config/secret".to_owned(), "/modules/3/config/dsn".to_owned()];
        outward
    }

    fn flaws(edits: &Value) -> String {
        let content = json!({"explanation": "so", "edits": edits}).to_string();
        Rules { outward: &shifted() }.read(&content).map(|answer| answer.edits.len()).unwrap_err().join("; ")
    }

    #[test]
    fn a_secret_is_one_also_where_edits_have_moved_it() {
        let first = json!({"op": "remove", "pointer": "/modules/0"});
        for second in [
            json!({"op": "set", "pointer": "/modules/0/config/secret", "value": "${HOME}"}),
            json!({"op": "remove", "pointer": "/modules/0"}),
            json!({"op": "set", "pointer": "/modules/0", "value": {"name": "auth"}}),
            json!({"op": "set", "pointer": "/modules/2/config/dsn", "value": "shop.db"}),
            json!({"op": "remove", "pointer": "/modules"}),
        ] {
            let said = flaws(&json!([first, second]));
            assert!(said.starts_with("edit 2 at") && said.contains("would change or take away a secret"), "{second}: {said}");
        }
        // And what has come to the place of a secret is none.
        let edits = json!([first, {"op": "set", "pointer": "/modules/1/name", "value": "b"}, {"op": "remove", "pointer": "/modules/1"}]);
        let content = json!({"explanation": "so", "edits": edits}).to_string();
        let answer = Rules { outward: &shifted() }.read(&content).unwrap();
        assert!(answer.edits.len() == 3 && answer.look.is_empty(), "{answer:?}");
        let edits = json!([first, {"op": "set", "pointer": "/modules/0/config/tokenExpiry", "value": "99h"}]);
        let content = json!({"explanation": "so", "edits": edits}).to_string();
        let look = Rules { outward: &shifted() }.read(&content).unwrap().look;
        assert_eq!(look, [Look { pointer: "/modules/0/config/tokenExpiry".to_owned(), why: "it changes who is let in" }]);
    }

    #[test]
    fn what_cannot_be_made_is_said_with_what_is_wrong_before_it() {
        for (wrong, flaw) in [
            (json!({"op": "remove", "pointer": "/nothing"}), "takes away what is not there"),
            (json!({"op": "set", "pointer": "/modules/auth/name", "value": 1}), "has no such place"),
            (json!({"op": "append", "pointer": "/modules/0/name", "value": 1}), "is at no list"),
            (json!({"op": "set", "pointer": "/modules/0/[hidden]", "value": 1}), "names a place by what stands for something"),
        ] {
            let said = flaws(&json!([{"op": "set", "pointer": "/x", "value": "[hidden]"}, wrong]));
            assert!(said.starts_with("edit 1 at '/x' writes what stands for") && said.contains(flaw), "{wrong}: {said}");
        }
    }

    #[test]
    fn what_is_about_who_may_do_what_is_said() {
        let why = |one: Value| edit(&one).unwrap().look.into_iter().map(|look| look.why).collect::<Vec<_>>();
        assert_eq!(why(json!({"op": "set", "pointer": "/modules/0/config/tokenExpiry", "value": "99h"})), ["it changes who is let in"]);
        let route = json!({"method": "GET", "path": "/x", "handler": "a", "middlewares": []});
        assert_eq!(why(json!({"op": "append", "pointer": "/workflows/http/routes", "value": route})), ["it changes who may call what"]);
        let grant = json!({"capabilities": {"http": []}});
        assert_eq!(why(json!({"op": "set", "pointer": "/modules/1/config", "value": grant})), ["it changes what a component may reach"]);
        assert!(why(json!({"op": "set", "pointer": "/modules/1/name", "value": "b"})).is_empty());
        // Also where the type is in what is written, however deep.
        let module = |name: &str| json!({"name": "n", "type": name});
        for (name, reason) in [
            ("operator.api", "it changes who may look after the process, and how"),
            ("auth.jwt", "it changes who is let in"),
            ("http.middleware.auth", "it changes who is let in"),
        ] {
            assert_eq!(why(json!({"op": "append", "pointer": "/modules", "value": module(name)})), [reason]);
            assert_eq!(why(json!({"op": "set", "pointer": "/modules/1/type", "value": name})), [reason]);
            assert_eq!(why(json!({"op": "set", "pointer": "/x-more", "value": [[module("x"), module(name)]]})), [reason]);
        }
        let code = "it changes what code is run, or where that comes from";
        let talks = "it changes whom the process talks to";
        for (config, reasons) in [
            (json!({"source": "oci://elsewhere.example/x"}), vec![code]),
            (json!({"registry": {"username": "ada"}}), vec![code]),
            (json!({"url": "http://elsewhere.example"}), vec![talks]),
            (json!({"host": "elsewhere.example"}), vec![talks]),
            (json!({"brokers": ["elsewhere.example:9092"]}), vec![talks]),
            (json!({"issuer": "somebody"}), vec!["it changes who is let in"]),
            (json!({"path": "x.wasm"}), vec![]),
        ] {
            assert_eq!(why(json!({"op": "set", "pointer": "/modules/1/config", "value": config})), reasons, "{config}");
        }
        let component = json!({"name": "c", "type": "dynamic.component", "config": {"path": "x.wasm"}});
        assert_eq!(why(json!({"op": "append", "pointer": "/modules", "value": component})), [code]);
        // What was there and is not written again is gone.
        let bare = json!([
            {"op": "set", "pointer": "/routes", "value": [{"path": "/x", "middlewares": ["auth"]}]},
            {"op": "set", "pointer": "/routes/0", "value": {"path": "/x"}}
        ]);
        let look = read(&json!({"explanation": "so", "edits": bare}).to_string()).unwrap().look;
        let pointers: Vec<&str> = look.iter().map(|look| look.pointer.as_str()).collect();
        assert_eq!(pointers, ["/routes", "/routes/0"]);
        // And what says the same again changes nothing.
        assert!(why(json!({"op": "set", "pointer": "/modules/1/type", "value": "x"})).is_empty());
        assert!(why(json!({"op": "set", "pointer": "/modules/0/type", "value": "auth.jwt"})).is_empty());
    }
}
