//! A component of 0.2 that does what the list `do` of its configuration says, or else that of its data, in its sequence: `count` a key of the component's
//! state and one of the instance's, `set`, `delete` and `get` a key, `publish` an event, read `config`, ask for a `secret`; then it answers, `fail`s,
//! `reject`s or `trap`s; `failAtFirst` fails the first attempt at data with that `reason`. What it found is in its answer.

use serde_json::{Map, Value, json};
use step_sdk::answer::{accepted, permanent, rejected, transient};
use step_sdk::second::kv::{self, Scope};
use step_sdk::second::{Description, Guest, config, publish, secret};
use step_sdk::{Answer, Failure, Job};

/// What it reads and answers. A test makes another component of it by other words of the same length.
const READS: &str = r#"{"type":"object","properties":{"do":{"type":"array"},"keeper_word":{"type":"string"}}}"#;
const ANSWERS: &str = r#"{"type":"object","properties":{"keeper_count":{"type":"integer"},"keeper_answer":{"type":"integer"}}}"#;

/// The component.
pub struct Keeper;

impl Guest for Keeper {
    fn describe() -> Description {
        Description {
            name: "keeper".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: "{}".to_owned(),
            data_schema: Some(READS.to_owned()),
            answer_schema: Some(ANSWERS.to_owned()),
        }
    }

    fn process(job: Job) -> Answer {
        let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| Failure::Permanent(error.to_string()));
        let (data, own) = (parse(&job.data)?, parse(&job.config)?);
        let steps = [&own, &data].into_iter().find_map(|from| from["do"].as_array()).cloned().unwrap_or_default();
        let mut found = Map::new();
        for step in &steps {
            let Some((name, value)) = step.as_object().and_then(|step| step.iter().next()) else { return permanent("no step") };
            match (name.as_str(), value.as_str().unwrap_or_default()) {
                ("fail", why) => return transient(format!("{why} {}", Value::Object(found))),
                ("failAtFirst", reason) if job.attempt == 1 && data["reason"] == reason => return transient("not yet"),
                ("failAtFirst", _) => {}
                ("reject", code) => return rejected(code, "It was told to.", &found),
                ("trap", _) => unreachable!("it was told to"),
                (name, text) => drop(found.insert(format!("keeper_{name}"), done(name, text, value)?)),
            }
        }
        accepted(&found)
    }
}

fn done(name: &str, text: &str, value: &Value) -> Result<Value, Failure> {
    Ok(match name {
        "count" => {
            kv::increment(Scope::Instance, text, 1)?;
            kv::increment(Scope::Component, text, 1)?.into()
        }
        "set" => {
            let kept = value["value"].as_str().unwrap_or_default();
            kv::set(Scope::Component, value["key"].as_str().unwrap_or_default(), kept)?;
            kept.into()
        }
        "delete" => {
            kv::delete(Scope::Component, text)?;
            Value::Null
        }
        "get" => kv::get(Scope::Component, text)?.into(),
        "publish" => {
            publish(text, &json!({"said": "hello"}))?;
            text.into()
        }
        "config" => match value["as"].as_str().unwrap_or_default() {
            "integer" => config::integer(value["key"].as_str().unwrap_or_default())?.into(),
            "list" => config::list(value["key"].as_str().unwrap_or_default())?.into(),
            _ => config::string(value["key"].as_str().unwrap_or_default())?.into(),
        },
        "secret" => secret(text).into(),
        "answer" => value.clone(),
        other => return Err(Failure::Permanent(format!("'{other}' is nothing to do"))),
    })
}

#[cfg(target_family = "wasm")]
step_sdk::second::export!(Keeper with_types_in step_sdk::second_bindings);
