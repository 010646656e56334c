//! What a model's answer has to be before anybody is shown it: an object with an explanation and edits, none of which touches a secret.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::services::console::outward::Outward;

/// Edits of one answer, and bytes of what each writes.
const MAX_EDITS: usize = 100;
const MAX_VALUE: usize = 64 << 10;
/// Bytes of an explanation, of which more is left out.
const MAX_EXPLANATION: usize = 8_000;

/// What is done at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CopilotOp")]
pub enum Op {
    /// The value is put there; what is missing on the way is made.
    Set,
    /// The value is put at the end of the list there.
    Append,
    /// What is there is taken away.
    Remove,
}

/// One edit of a config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CopilotEdit")]
pub struct Edit {
    /// What is done.
    pub op: Op,
    /// Where, as a JSON pointer into what the edits before leave.
    pub pointer: String,
    /// What is written; nothing where something is taken away.
    #[serde(default)]
    pub value: Value,
}

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
        flaws.extend(edits.iter().take(MAX_EDITS).enumerate().filter_map(|(index, edit)| {
            self.flaw(edit).map(|flaw| format!("edit {} at '{}' {flaw}", index + 1, crate::text::quoted(&edit.pointer, 100)))
        }));
        if !flaws.is_empty() {
            return Err(flaws);
        }
        crate::text::cut(&mut explanation, MAX_EXPLANATION);
        let look = self.look(&edits);
        Ok(Answer { explanation, edits, look })
    }

    fn flaw(&self, Edit { op, pointer, value }: &Edit) -> Option<String> {
        if !pointer.starts_with('/') {
            return Some("is at no JSON pointer below the top, such as /modules/0/config/address".to_owned());
        }
        let (is_above, is_at) = (format!("{pointer}/"), |secret: &String| secret == pointer);
        let has_secret = |secret: &String| is_at(secret) || secret.starts_with(&is_above);
        if *op != Op::Append && self.outward.secrets.iter().any(has_secret) {
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

    /// What of the edits is about who may do what: each place once.
    fn look(&self, edits: &[Edit]) -> Vec<Look> {
        let mut seen = BTreeSet::new();
        let all = edits.iter().flat_map(|edit| {
            let places = places(&edit.pointer, &edit.value);
            places.into_iter().filter_map(move |words| self.why(edit, &words).map(|why| Look { pointer: edit.pointer.clone(), why }))
        });
        all.filter(|look| seen.insert((look.pointer.clone(), look.why))).collect()
    }

    fn why(&self, edit: &Edit, words: &str) -> Option<&'static str> {
        let has = |names: &[&str]| words.split('/').any(|step| names.contains(&step));
        let module_type = edit.pointer.strip_prefix("/modules/").and_then(|rest| {
            let index = rest.split('/').next()?;
            self.outward.config.pointer(&format!("/modules/{index}/type"))?.as_str()
        });
        match module_type {
            Some("operator.api") => Some("it changes who may look after the process, and how"),
            Some("auth.jwt" | "http.middleware.auth") => Some("it changes who is let in"),
            _ if has(&["capabilities"]) => Some("it changes what a component may reach"),
            _ if has(&["middlewares", "roles", "scope", "access", "sudo"]) => Some("it changes who may call what"),
            _ if has(&["allowedOrigins", "hosts", "targets", "signatures", "compiledKeys"]) => Some("it changes whom the process trusts"),
            _ => None,
        }
    }
}

/// The pointers of everything that an edit writes.
fn places(pointer: &str, value: &Value) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(entries) => entries.iter().map(|(key, value)| (crate::services::error::pointer(pointer, key), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (format!("{pointer}/{index}"), item)).collect(),
        _ => Vec::new(),
    };
    let below = below.into_iter().flat_map(|(pointer, value)| places(&pointer, value));
    std::iter::once(pointer.to_owned()).chain(below).collect()
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
            is_secret: Box::new(|pointer| pointer.ends_with("/secret")),
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

    #[test]
    fn what_is_about_who_may_do_what_is_said() {
        let why = |one: Value| edit(&one).unwrap().look.into_iter().map(|look| look.why).collect::<Vec<_>>();
        assert_eq!(why(json!({"op": "set", "pointer": "/modules/0/config/tokenExpiry", "value": "99h"})), ["it changes who is let in"]);
        let route = json!({"method": "GET", "path": "/x", "handler": "a", "middlewares": []});
        assert_eq!(why(json!({"op": "append", "pointer": "/workflows/http/routes", "value": route})), ["it changes who may call what"]);
        let grant = json!({"capabilities": {"http": []}});
        assert_eq!(why(json!({"op": "set", "pointer": "/modules/1/config", "value": grant})), ["it changes what a component may reach"]);
        assert!(why(json!({"op": "set", "pointer": "/modules/1/name", "value": "b"})).is_empty());
    }
}
