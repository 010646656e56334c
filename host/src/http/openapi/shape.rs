//! What an operation is made of, whatever it is about.

use serde_json::{Value, json};

use super::answers::Answers;

/// Of what there is not, or not for who asks.
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

/// A part of the path, the query or the head.
pub(super) fn parameter(name: &str, place: &str, required: bool, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": place, "required": required, "description": description, "schema": schema})
}
