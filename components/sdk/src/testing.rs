//! Jobs for the native tests of components.

use serde_json::Value;

use crate::{Failure, Job, Outcome, Rejection};

/// A first attempt at a first visit with this data and configuration; its deadline is far away.
pub fn job(data: &Value, config: &Value) -> Job {
    Job {
        workflow: "order-processing".to_owned(),
        instance_id: "order-1".to_owned(),
        step: "step-under-test".to_owned(),
        transition: "start".to_owned(),
        from_state: "before".to_owned(),
        to_state: "during".to_owned(),
        attempt: 1,
        visit: 1,
        idempotency_key: "order-1:step-under-test:1".to_owned(),
        deadline: u64::MAX,
        data: data.to_string(),
        config: config.to_string(),
    }
}

/// The JSON object of an accepted answer.
///
/// # Panics
/// If it was another answer, or its JSON is not an object: both fail the test that asked.
pub fn accepted(answer: Result<Outcome, Failure>) -> Value {
    match answer {
        Ok(Outcome::Accepted(json)) => object(&json),
        other => panic!("expected an accepted answer, got {other:?}"),
    }
}

/// Code, reason and details of a rejection.
///
/// # Panics
/// If it was another answer, or the details are not an object: both fail the test that asked.
pub fn rejected(answer: Result<Outcome, Failure>) -> (String, String, Value) {
    match answer {
        Ok(Outcome::Rejected(Rejection { code, reason, details })) => (code, reason, object(&details)),
        other => panic!("expected a rejection, got {other:?}"),
    }
}

fn object(json: &str) -> Value {
    match serde_json::from_str(json) {
        Ok(value @ Value::Object(_)) => value,
        other => panic!("expected a JSON object, got {other:?} from {json}"),
    }
}
