//! The fraud check: large totals are looked at by a person.

use serde_json::{Value, json};
use step_sdk::{Answer, Description, Guest, Job, answer, input};

/// The component.
pub struct FraudChecker;

impl Guest for FraudChecker {
    fn describe() -> Description {
        Description {
            name: "fraud-checker".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: env!("CARGO_PKG_DESCRIPTION").to_owned(),
            config_schema: json!({"type": "object", "additionalProperties": false}).to_string(),
        }
    }

    fn process(job: Job) -> Answer {
        let data: Value = input::data(&job)?;
        match data["total"].as_f64() {
            Some(total) if total > 5000.0 => answer::rejected("suspicious", "This purchase needs a closer look.", &json!({})),
            Some(_) => answer::accepted(&json!({"fraud_checked": true})),
            None => answer::permanent("there is no total to look at"),
        }
    }
}

#[cfg(target_family = "wasm")]
step_sdk::export!(FraudChecker with_types_in step_sdk::bindings);

#[cfg(test)]
mod tests {
    use step_sdk::testing;

    use super::*;

    fn looked_at(data: &Value) -> Answer {
        FraudChecker::process(testing::job(data, &json!({})))
    }

    #[test]
    fn what_is_dear_is_for_a_person_to_look_at() {
        assert_eq!(testing::accepted(looked_at(&json!({"total": 5000.0})))["fraud_checked"], true);
        assert_eq!(testing::rejected(looked_at(&json!({"total": 5000.01}))).0, "suspicious");
    }
}
