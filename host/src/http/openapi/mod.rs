//! `/openapi.json`: the API of this very process, made from the routes of its plan and from the types that its handlers read and write.
//!
//! Knows what routes answer in general; what a resource holds comes from its handler's settings and, for a shop, from the shop.

mod accounts;
mod answers;
mod operation;
mod operator;
mod schemas;
mod shape;
mod shop;

use axum::handler::Handler;
use axum::http::header;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::health::{HealthBody, ProbeBody};
use super::table::{self, Table, Who};
use crate::plan::{MetricsAccess, Plan, paths};
use answers::Answers;
pub(super) use operator::any_object;
pub use operator::document as operator_document;
pub(super) use schemas::Schemas;

const JSON: &str = "application/json";
/// Name of the security scheme: a bearer token.
const BEARER: &str = "bearer";
const DESCRIPTION: &str = "Resources, moved by durable workflows. Errors are RFC 9457 problems; bodies are read strictly.";

/// Answers with the document of `plan`, made once.
pub(super) fn handler<S: Clone + Send + Sync + 'static>(plan: &Plan) -> impl Handler<((),), S> + use<S> {
    let document = Bytes::from(document(plan).to_string());
    move || async move { ([(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-cache")], document) }
}

/// The document: OpenAPI 3.1, with every operation that a process of `plan` answers.
#[must_use]
pub fn document(plan: &Plan) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Paths(Map::new());
    let table = Table::of(plan);
    for entry in &table.entries {
        let table::Answers::Route(route) = &entry.answers else { continue };
        for (method, id) in table::methods(&route.method).iter().zip(&entry.operation_ids) {
            paths.add(&route.path, method, operation::operation(route, (entry, id), (plan, &table), &mut schemas));
        }
    }
    add_probes(&mut paths, (plan, &table), &mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Millrace", "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION},
        "paths": paths.0,
        "components": {"schemas": schemas.finish(), "securitySchemes": {BEARER: {"type": "http", "scheme": "bearer"}}},
    })
}

struct Paths(Map<String, Value>);

impl Paths {
    /// The first route of a method and a path is the one that answers.
    fn add(&mut self, path: &str, method: &str, operation: Value) {
        let methods = self.0.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.entry(method).or_insert(operation);
        }
    }
}

/// What every process answers, whatever its routes are.
fn add_probes(paths: &mut Paths, (plan, table): (&Plan, &Table), schemas: &mut Schemas) {
    let (health, state) = (schemas.answer::<HealthBody>(), schemas.answer::<ProbeBody>());
    let told = |schema: &Value, well: &str, not: &str| {
        Answers::default().content(200, well, JSON, schema.clone()).content(503, not, JSON, schema.clone())
    };
    let mut probes = Vec::new();
    if let Some(settings) = &plan.health {
        probes.push((settings.health_path.as_str(), "Health of each part", told(&health, "Healthy, or degraded", "Unhealthy")));
        probes.push((&settings.ready_path, "Readiness: whether requests are served", told(&state, "Ready", "Not ready, and why")));
        probes.push((&settings.live_path, "Liveness: whether the process makes progress", told(&state, "Alive", "Stuck, and why")));
    }
    if let Some(settings) = &plan.metrics {
        let numbers = Answers::default().content(200, "Metrics, in the text format of Prometheus", "text/plain", json!({"type": "string"}));
        let answers = match &settings.access {
            MetricsAccess::Private { .. } => {
                numbers.problem(schemas, 403, "The caller is neither on this machine nor in a private network")
            }
            MetricsAccess::Token(_) => numbers.problem(schemas, 401, "The token is missing or wrong"),
            MetricsAccess::Open => numbers,
        };
        probes.push((paths::METRICS, "Metrics", answers));
    }
    let document = json!({"type": "object", "required": ["openapi", "info", "paths"]});
    probes.push((paths::OPENAPI, "This document", Answers::default().content(200, "OpenAPI 3.1", JSON, document)));
    for (path, summary, answers) in probes {
        let entry = table.entries.iter().find(|entry| entry.path == path && !matches!(entry.answers, table::Answers::Route(_)));
        let security = if entry.is_some_and(|entry| entry.who == Who::Collector) { json!([{BEARER: []}]) } else { json!([]) };
        let id = entry.and_then(|entry| entry.operation_ids.first());
        let answers =
            answers.problems(schemas, &[(400, "The request is not well-formed"), (500, "Internal error; the log names the cause")]);
        let operation = json!({
            "summary": summary, "tags": ["operation"], "operationId": id,
            "responses": answers.finish(), "security": security,
        });
        paths.add(path, "get", operation);
    }
}
