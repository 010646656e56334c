//! A config as the edits of an answer leave it, one after the other: each names its place in what those before have left, as the page makes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::services::console::outward::Outward;

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

/// What stands where the config has a secret: it goes with what holds it, also where that is moved.
const SECRET: &str = "\0";
/// Why a value cannot be put somewhere.
const NO_SUCH_PLACE: &str = "is in what has no such place: a single value, or a list without such an item";

/// The values of a config that is being edited.
pub(super) struct Draft<'a> {
    outward: &'a Outward,
    config: Value,
}

impl<'a> Draft<'a> {
    /// Before the first edit.
    pub fn of(outward: &'a Outward) -> Self {
        let mut config = outward.config.clone();
        for pointer in &outward.secrets {
            if let Some(secret) = config.pointer_mut(pointer) {
                *secret = SECRET.into();
            }
        }
        Self { outward, config }
    }

    /// What is at a place now.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.config.pointer(pointer)
    }

    /// Whether a secret is at a place now, or below it.
    pub fn has_secret(&self, pointer: &str) -> bool {
        self.at(pointer).is_some_and(|value| self.holds_secret(pointer, value))
    }

    fn holds_secret(&self, pointer: &str, value: &Value) -> bool {
        match value {
            Value::Object(entries) => {
                entries.iter().any(|(key, value)| self.holds_secret(&crate::services::error::pointer(pointer, key), value))
            }
            Value::Array(items) => items.iter().enumerate().any(|(index, item)| self.holds_secret(&format!("{pointer}/{index}"), item)),
            Value::Null => false,
            single => single.as_str() == Some(SECRET) || (self.outward.is_secret)(pointer),
        }
    }

    /// Type of the module that a place is in, if it is in one now.
    pub fn module_type(&self, pointer: &str) -> Option<&str> {
        let index = pointer.strip_prefix("/modules/")?.split('/').next()?;
        self.at(&format!("/modules/{index}/type"))?.as_str()
    }

    /// Makes an edit.
    ///
    /// # Errors
    /// The page could not make it either, and why; what it goes on with is of no use then.
    pub fn make(&mut self, Edit { op, pointer, value }: &Edit) -> Result<(), &'static str> {
        match op {
            Op::Remove => self.remove(pointer).ok_or("takes away what is not there"),
            Op::Set => {
                let place = reached(&mut self.config, &steps(pointer)).ok_or(NO_SUCH_PLACE)?;
                *place = value.clone();
                Ok(())
            }
            Op::Append => {
                let place = reached(&mut self.config, &steps(pointer)).ok_or(NO_SUCH_PLACE)?;
                if place.is_null() {
                    *place = Value::Array(Vec::new());
                }
                place.as_array_mut().ok_or("is at no list, so that nothing can be put at its end")?.push(value.clone());
                Ok(())
            }
        }
    }

    fn remove(&mut self, pointer: &str) -> Option<()> {
        let steps = steps(pointer);
        let (above, _) = pointer.rsplit_once('/')?;
        let last = steps.last()?;
        match self.config.pointer_mut(above)? {
            Value::Object(entries) => entries.remove(last.as_str()).map(drop),
            Value::Array(items) => {
                let index = index(last).filter(|index| *index < items.len())?;
                items.remove(index);
                Some(())
            }
            _ => None,
        }
    }
}

/// Steps of a JSON pointer.
fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// A place, made where it is missing: maps on the way, and an item behind the last of a list.
fn reached<'a>(value: &'a mut Value, steps: &[String]) -> Option<&'a mut Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(entries) => reached(entries.entry(step.as_str()).or_insert(Value::Null), rest),
        Value::Array(items) => {
            let index = index(step)?;
            if index >= items.len() {
                // The page puts it at the end, whatever its number is, and as a whole.
                if !rest.is_empty() {
                    return None;
                }
                items.push(Value::Null);
                return items.last_mut();
            }
            reached(items.get_mut(index)?, rest)
        }
        _ => None,
    }
}

/// The number of an item, as a JSON pointer writes it.
fn index(step: &str) -> Option<usize> {
    let is_number = step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    is_number.then(|| step.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outward(config: Value, secrets: &[&str]) -> Outward {
        Outward {
            config,
            secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
            is_secret: |pointer| pointer.ends_with("/secret"),
            is_open: |text| text.starts_with("${"),
            is_blot: |text| text.contains("[hidden]"),
            blotted: Box::new(str::to_owned),
        }
    }

    fn edit(op: Op, pointer: &str, value: Value) -> Edit {
        Edit { op, pointer: pointer.to_owned(), value }
    }

    #[test]
    fn edits_are_made_as_the_page_makes_them() {
        let outward = outward(json!({"modules": [{"name": "a"}, {"name": "b", "config": null}], "x/y": 1}), &[]);
        let mut draft = Draft::of(&outward);
        for one in [
            edit(Op::Set, "/modules/1/config/targets/~1x", json!("http://x")),
            edit(Op::Append, "/modules/0/dependsOn", json!("b")),
            edit(Op::Append, "/modules", json!({"name": "c"})),
            edit(Op::Set, "/modules/9", json!({"name": "d"})),
            edit(Op::Remove, "/modules/2", Value::Null),
            edit(Op::Remove, "/x~1y", Value::Null),
        ] {
            assert_eq!(draft.make(&one), Ok(()), "{one:?}");
        }
        let wanted = json!({"modules": [
            {"name": "a", "dependsOn": ["b"]},
            {"name": "b", "config": {"targets": {"/x": "http://x"}}},
            {"name": "d"},
        ]});
        assert_eq!(draft.config, wanted);
        for (one, why) in [
            (edit(Op::Remove, "/modules/3", Value::Null), "takes away what is not there"),
            (edit(Op::Remove, "/nothing", Value::Null), "takes away what is not there"),
            (edit(Op::Set, "/modules/a/name", json!("x")), "has no such place"),
            (edit(Op::Set, "/modules/00", json!("x")), "has no such place"),
            (edit(Op::Set, "/modules/3/name", json!("x")), "has no such place"),
            (edit(Op::Set, "/modules/0/name/x", json!("x")), "has no such place"),
            (edit(Op::Append, "/modules/0/name", json!("x")), "is at no list"),
        ] {
            assert!(Draft { outward: &outward, config: wanted.clone() }.make(&one).is_err_and(|said| said.contains(why)), "{one:?}");
        }
    }

    #[test]
    fn a_secret_goes_with_what_holds_it() {
        let modules =
            json!([{"name": "a"}, {"type": "auth.jwt", "config": {"secret": "${S}"}}, {"config": {"dsn": "[hidden]", "secret": null}}]);
        let outward = outward(json!({"modules": modules}), &["/modules/1/config/secret", "/modules/2/config/dsn"]);
        let mut draft = Draft::of(&outward);
        let found = |draft: &Draft<'_>| [0, 1, 2].map(|index| draft.has_secret(&format!("/modules/{index}")));
        assert_eq!((found(&draft), draft.module_type("/modules/1/config")), ([false, true, true], Some("auth.jwt")));
        draft.make(&edit(Op::Remove, "/modules/0", Value::Null)).unwrap();
        assert_eq!((found(&draft), draft.module_type("/modules/0/config")), ([true, true, false], Some("auth.jwt")));
        assert!(draft.has_secret("/modules/1/config/dsn") && !draft.has_secret("/modules/1/config/secret"), "nothing is no secret");
    }
}
