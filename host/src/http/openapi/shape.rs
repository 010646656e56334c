//! What operations have in common.

use serde_json::{Value, json};

use super::answers::Answers;
use crate::http::extract::MAX_KEY_BYTES;

pub(super) const MISSING: (u16, &str) = (404, "Not found, or it belongs to somebody else");

/// What an endpoint takes and answers, middlewares aside.
pub(super) struct Shape {
    pub(super) summary: String,
    pub(super) tag: String,
    pub(super) parameters: Vec<Value>,
    /// Its schema, and whether it has to be there.
    pub(super) body: Option<(Value, bool)>,
    pub(super) answers: Answers,
}

pub(super) fn idempotency_key() -> Value {
    let key = json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES, "pattern": "^[!-~]+$"});
    parameter(
        "Idempotency-Key",
        "header",
        false,
        "Requests with the same key and body create one resource; the same key with another body is refused with 422",
        key,
    )
}

pub(super) fn parameter(name: &str, place: &str, required: bool, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": place, "required": required, "description": description, "schema": schema})
}
