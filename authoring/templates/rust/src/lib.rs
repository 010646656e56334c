//! A step: what is over the limit is rejected with a reason, the rest gets a score.

/// The contract of `wit`, made by `millrace bindings rust`.
#[rustfmt::skip]
#[path = "../bindings/step.rs"]
mod bindings;
mod rule;

use bindings::millrace::step::config;
use bindings::millrace::step::log::{self, Level};
use bindings::millrace::step::types::Rejection;
use bindings::{Description, Failure, Guest, Job, Outcome};
use serde_json::{Value, json};

/// The limit, unless the operator sets another one: see `config_schema`.
const USUAL_LIMIT: f64 = 1000.0;

struct Step;

impl Guest for Step {
    fn describe() -> Description {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {"limit": {"type": "number", "exclusiveMinimum": 0, "default": 1000}},
        });
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: schema.to_string(),
            // The host checks what it gives, and what it is answered.
            data_schema: Some(json!({"type": "object", "properties": {"total": {"type": "number"}}}).to_string()),
            answer_schema: Some(json!({"type": "object", "properties": {"score": {"type": "number"}, "checked_by": {"type": "string"}}}).to_string()),
        }
    }

    fn process(job: Job) -> Result<Outcome, Failure> {
        let data: Value = serde_json::from_str(&job.data).map_err(|error| Failure::Permanent(format!("data: {error}")))?;
        let limit = config::get_number("limit").map_err(Failure::Permanent)?.unwrap_or(USUAL_LIMIT);
        let total = data["total"].as_f64().ok_or_else(|| Failure::Permanent("there is no total to look at".to_owned()))?;
        let (is_fine, score) = rule::check(total, limit);
        log::write(Level::Info, &format!("total {total}, score {score}"));
        if is_fine {
            return Ok(Outcome::Accepted(json!({"score": score, "checked_by": env!("CARGO_PKG_NAME")}).to_string()));
        }
        Ok(Outcome::Rejected(Rejection {
            code: "over_limit".to_owned(),
            reason: format!("What is over {limit} needs a person to look at it."),
            details: json!({"score": score}).to_string(),
        }))
    }
}

#[cfg(target_family = "wasm")]
bindings::export!(Step with_types_in bindings);
