//! The description of what is for those who run the process: made from the one list of it.

use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::operation::{placeholders, segment};
use super::schemas::Schemas;
use super::shape::parameter;
use super::{BEARER, JSON, Paths};
use crate::http::extract::MAX_KEY_BYTES;
use crate::http::operator::{Need, OPERATIONS, Operation};
use crate::plan::Plan;
use crate::services::console::MAX_SIGNATURE_BYTES;

const DESCRIPTION: &str =
    "What those who run a process look at and do, at an address of its own. Errors are RFC 9457 problems; bodies are read strictly.";

/// The document: OpenAPI 3.1, with every operation of the `operator.api` of `plan`; of none where it has none.
#[must_use]
pub fn document(plan: &Plan) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Paths(Map::new());
    if let Some(settings) = &plan.operator {
        for operation in OPERATIONS {
            let path = format!("{}{}", settings.prefix, operation.path);
            paths.add(&path, &operation.method.to_ascii_lowercase(), described(operation, &mut schemas));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Millrace for operators", "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION},
        "paths": paths.0,
        "components": {"schemas": schemas.finish(), "securitySchemes": {BEARER: {"type": "http", "scheme": "bearer"}}},
    })
}

/// What is an object, whatever it holds.
pub(in crate::http) fn any_object() -> Value {
    json!({"type": "object"})
}

fn described(operation: &Operation, schemas: &mut Schemas) -> Value {
    let of_path = placeholders(operation.path).map(|name| parameter(name, "path", true, "From the list", segment()));
    let mut parameters: Vec<Value> = of_path.collect();
    let of_query = operation.parameters.iter().map(|one| parameter(one.name, "query", false, one.description, json!({"type": one.schema})));
    parameters.extend(of_query);
    if operation.path.ends_with("/bulk") {
        let key = json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES, "pattern": "^[!-~]+$"});
        parameters.push(parameter("Idempotency-Key", "header", false, "Requests with the same key and body are done once", key));
    }
    if operation.path.ends_with("/upload") {
        let description = "The text of its `.sig` file, where only signed files are taken";
        parameters.push(parameter(
            "X-Signature",
            "header",
            false,
            description,
            json!({"type": "string", "maxLength": MAX_SIGNATURE_BYTES}),
        ));
    }
    if operation.need == Need::Deploy {
        let tag = json!({"type": "string", "pattern": "^\"[0-9a-f]{64}\"$"});
        let description = "The ETag of the config that the change was made from";
        parameters.push(parameter("If-Match", "header", operation.method == "PUT", description, tag));
    }
    let (answer, media) = operation.answer;
    let answers = Answers::default().content(200, "Done", media, answer(schemas));
    let mut refused = vec![
        (400, "The request is not well-formed"),
        (401, "No valid token, and this machine is not enough"),
        (403, "No role that is needed, a foreign name, or changes are off"),
        (404, "Not found"),
        (500, "Internal error; the log names the cause"),
        (503, "Not available now, or a time limit has run out"),
    ];
    if operation.need != Need::See || operation.body.is_some() {
        refused.extend([
            (409, "It does not fit what is there now"),
            (413, "The body is too large"),
            (415, "The body is not application/json"),
        ]);
    }
    if operation.need == Need::Deploy {
        refused.push((412, "The config has changed since; `text`, `digest`, `who` and `at` say what it is now"));
    }
    if operation.method == "PUT" {
        refused.push((428, "If-Match is missing"));
    }
    if operation.need == Need::Consult {
        refused.push((429, "Asked too often, or somebody's question is under way"));
        refused.push((502, "The model does not answer, or nothing of use; nothing was changed"));
        refused.push((504, "The model has not answered in time"));
    }
    refused.push((422, "A field or a parameter is wrong; `errors` names it"));
    let mut described = json!({
        "summary": operation.summary,
        "description": format!("For the roles {}.", operation.need.roles().joined(", ")),
        "tags": ["operator"],
        "operationId": operation.id,
        "parameters": parameters,
        "responses": answers.problems(schemas, &refused).finish(),
        // Who is on this machine may look without a token, if the config does not ask for roles.
        "security": if operation.need == Need::See { json!([{}, {BEARER: []}]) } else { json!([{BEARER: []}]) },
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({"required": true, "content": {JSON: {"schema": body(schemas)}}});
    }
    described
}
