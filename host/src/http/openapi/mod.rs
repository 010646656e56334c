//! `/openapi.json`: the API of this very process, made from the routes of its plan.
//!
//! Knows what routes answer in general; what a resource's body holds comes from its handler's schema.

mod schemas;

use axum::handler::Handler;
use axum::http::header;
use bytes::Bytes;
use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, ResponseBuilder, Schema};

use super::error::PROBLEM;
use crate::plan::{Endpoint, Middleware, Operation, Plan, ResourceHandler, Route};
use schemas::{array_of, text};

const JSON: &str = "application/json";
const BEARER: &str = "bearer";

/// Answers with the document of `plan`, made once.
pub(super) fn handler<S: Clone + Send + Sync + 'static>(plan: &Plan) -> impl Handler<((),), S> + use<S> {
    let document = Bytes::from(document(plan).to_string());
    move || async move { ([(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-cache")], document) }
}

/// The document.
#[must_use]
pub fn document(plan: &Plan) -> Value {
    let document = OpenApiBuilder::new()
        .info(InfoBuilder::new().title("Millrace").version(env!("CARGO_PKG_VERSION")).description(Some(DESCRIPTION)))
        .paths(paths(plan))
        .components(Some(schemas::components()))
        .build();
    with_handler_schemas(document, plan)
}

const DESCRIPTION: &str = "Resources, moved by durable workflows. Errors are RFC 9457 problems; bodies are read strictly.";

fn paths(plan: &Plan) -> Paths {
    let mut paths = Paths::new();
    for route in &plan.routes {
        for method in methods(&route.method) {
            paths.add_path_operation(&route.path, vec![method.clone()], operation(route, &method, plan));
        }
    }
    let mut probe = |path: &str, summary: &str, media: &str, schema: RefOr<Schema>| {
        let ok = ResponseBuilder::new().description(summary).content(media, ContentBuilder::new().schema(Some(schema)).build());
        let operation = OperationBuilder::new().summary(Some(summary)).tag("operation").response("200", ok);
        paths.add_path_operation(path, vec![HttpMethod::Get], operation.build());
    };
    if let Some(health) = &plan.health {
        probe(&health.health_path, "How each part is; 503 when unhealthy", JSON, named("Health"));
        probe(&health.ready_path, "Whether everything is open; 503 when not", JSON, named("Probe"));
        probe(&health.live_path, "Whether the process lives", JSON, named("Probe"));
    }
    if plan.metrics.is_some() {
        probe("/metrics", "Numbers, in Prometheus's text format", "text/plain", text().into());
    }
    paths
}

fn methods(method: &str) -> Vec<HttpMethod> {
    match method {
        "GET" => vec![HttpMethod::Get],
        "POST" => vec![HttpMethod::Post],
        "PUT" => vec![HttpMethod::Put],
        "PATCH" => vec![HttpMethod::Patch],
        "DELETE" => vec![HttpMethod::Delete],
        "OPTIONS" => vec![HttpMethod::Options],
        "HEAD" => vec![HttpMethod::Head],
        _ => vec![HttpMethod::Get, HttpMethod::Post, HttpMethod::Put, HttpMethod::Delete],
    }
}

fn operation(route: &Route, method: &HttpMethod, plan: &Plan) -> utoipa::openapi::path::Operation {
    let shape = Shape::of(&route.endpoint, plan);
    let mut operation = OperationBuilder::new().summary(Some(shape.summary)).tag(shape.tag).operation_id(Some(operation_id(route, method)));
    for name in placeholders(&route.path) {
        operation = operation.parameter(parameter(name, ParameterIn::Path, Required::True, "Id"));
    }
    for (name, place, description) in shape.parameters {
        operation = operation.parameter(parameter(name, place, Required::False, description));
    }
    if let Some((schema, required)) = shape.body {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        operation = operation.request_body(Some(RequestBodyBuilder::new().content(JSON, content).required(Some(required)).build()));
    }
    let (status, description, content) = shape.answer;
    let mut answer = ResponseBuilder::new().description(description);
    if let Some((media, schema)) = content {
        answer = answer.content(media, ContentBuilder::new().schema(Some(schema)).build());
    }
    operation = operation.response(status, answer);
    for (status, description) in shape.errors.into_iter().chain(middleware_errors(route)) {
        let content = ContentBuilder::new().schema(Some(named("Problem"))).build();
        operation = operation.response(status, ResponseBuilder::new().description(description).content(PROBLEM, content));
    }
    if wants_token(route) {
        operation = operation.security(SecurityRequirement::new(BEARER, Vec::<String>::new()));
    }
    operation.build()
}

type Error = (&'static str, &'static str);
const NEEDS_TOKEN: Error = ("401", "No valid token");
const TOO_OFTEN: Error = ("429", "Too many requests; see Retry-After");
const BODY_ERRORS: [Error; 4] = [
    ("400", "The body is not valid JSON"),
    ("413", "The body is larger than 64 KiB"),
    ("415", "The body is not application/json"),
    ("422", "A field is wrong; see errors"),
];
const MISSING: Error = ("404", "Not there, or somebody else's");
const CONFLICT: Error = ("409", "It does not fit what is there now");
const STALE: Error = ("412", "Changed meanwhile (If-Match)");

fn middleware_errors(route: &Route) -> impl Iterator<Item = Error> {
    let limited = route.middlewares.iter().any(|m| matches!(m, Middleware::RateLimit(_)));
    wants_token(route).then_some(NEEDS_TOKEN).into_iter().chain(limited.then_some(TOO_OFTEN))
}

fn wants_token(route: &Route) -> bool {
    route.middlewares.contains(&Middleware::Auth) || matches!(route.endpoint, Endpoint::Profile | Endpoint::UpdateProfile)
}

/// What an endpoint takes and answers.
struct Shape {
    summary: String,
    tag: String,
    parameters: Vec<(&'static str, ParameterIn, &'static str)>,
    body: Option<(RefOr<Schema>, Required)>,
    answer: (&'static str, &'static str, Option<(&'static str, RefOr<Schema>)>),
    errors: Vec<Error>,
}

impl Shape {
    fn of(endpoint: &Endpoint, plan: &Plan) -> Self {
        match endpoint {
            Endpoint::Register => Self::account("Open an account", Some("Registration"), "Session").answering(
                "201",
                "The account and a token",
                vec![CONFLICT, ("403", "Registration is closed")],
            ),
            Endpoint::Login => Self::account("Log in", Some("Credentials"), "Session").answering(
                "200",
                "A token",
                vec![("401", "Invalid credentials"), TOO_OFTEN],
            ),
            Endpoint::Profile => Self::account("The account of the token", None, "User").answering("200", "The account", vec![]),
            Endpoint::UpdateProfile => {
                Self::account("Change name, e-mail or both", Some("ProfileChange"), "User").answering("200", "The account", vec![CONFLICT])
            }
            Endpoint::Resource { handler, operation } => {
                let handler = plan.resources.iter().find(|one| one.name == *handler);
                Self::resource(handler, operation)
            }
            Endpoint::Proxy(name) => Self {
                summary: format!("Passed on by {name}"),
                tag: name.clone(),
                parameters: vec![],
                body: None,
                answer: ("200", "What the service behind answers", None),
                errors: vec![("502", "The service behind is not available")],
            },
        }
    }

    fn account(summary: &str, body: Option<&str>, answer: &str) -> Self {
        let errors = if body.is_some() { BODY_ERRORS.to_vec() } else { vec![] };
        Self {
            summary: summary.to_owned(),
            tag: "accounts".to_owned(),
            parameters: vec![],
            body: body.map(|body| (named(body), Required::True)),
            answer: ("200", "", Some((JSON, named(answer)))),
            errors,
        }
    }

    fn answering(mut self, status: &'static str, description: &'static str, errors: Vec<Error>) -> Self {
        (self.answer.0, self.answer.1) = (status, description);
        self.errors.extend(errors);
        self
    }

    fn resource(handler: Option<&ResourceHandler>, operation: &Operation) -> Self {
        let kind = handler.map_or("resources", |handler| handler.kind.as_str());
        let body =
            handler.filter(|handler| handler.schema.is_some()).map_or_else(schemas::any_object, |handler| named(&schema_name(handler)));
        let one = Some((JSON, named("Resource")));
        let written = || [&BODY_ERRORS[..], &[MISSING, CONFLICT, STALE]].concat();
        let if_match = ("If-Match", ParameterIn::Header, "Only if it still has this ETag");
        let (summary, parameters, body, answer, errors) = match operation {
            Operation::List => {
                let page = vec![
                    ("limit", ParameterIn::Query, "At most this many, 1 to 200"),
                    ("cursor", ParameterIn::Query, "From the Link header"),
                ];
                (
                    "List",
                    page,
                    None,
                    ("200", "A page; Link leads to the next", Some((JSON, array_of("Resource")))),
                    vec![("400", "The query is wrong")],
                )
            }
            Operation::Create => {
                let key = ("Idempotency-Key", ParameterIn::Header, "The same key and body create once");
                let errors = [&BODY_ERRORS[..], &[("503", "Not now; nothing was stored")]].concat();
                ("Create", vec![key], Some((body, Required::True)), ("201", "Created; see Location", one), errors)
            }
            Operation::Get => {
                let cached = ("If-None-Match", ParameterIn::Header, "304 if it still has this ETag");
                ("Read", vec![cached], None, ("200", "It, with its history", one), vec![MISSING])
            }
            Operation::Update => ("Replace", vec![if_match], Some((body, Required::True)), ("200", "Replaced", one), written()),
            Operation::Delete => ("Remove", vec![if_match], None, ("204", "Removed", None), vec![MISSING, CONFLICT, STALE]),
            Operation::Events => {
                let resume = ("Last-Event-ID", ParameterIn::Header, "Go on after this event");
                let stream = Some(("text/event-stream", text().into()));
                ("Follow the transitions of", vec![resume], None, ("200", "Events named transition", stream), vec![MISSING, TOO_OFTEN])
            }
            Operation::Action(_) => {
                let body = Some((schemas::any_object(), Required::False));
                ("Act on", vec![], body, ("200", "Done", one), [&BODY_ERRORS[..], &[MISSING, CONFLICT]].concat())
            }
        };
        let summary = match operation {
            Operation::Action(action) => format!("{summary} {kind}: {action}"),
            _ => format!("{summary} {kind}"),
        };
        Self { summary, tag: kind.to_owned(), parameters, body, answer, errors }
    }
}

fn named(schema: &str) -> RefOr<Schema> {
    Ref::from_schema_name(schema).into()
}

fn parameter(name: &str, place: ParameterIn, required: Required, description: &str) -> utoipa::openapi::path::Parameter {
    ParameterBuilder::new().name(name).parameter_in(place).required(required).description(Some(description)).schema(Some(text())).build()
}

fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Method and path, in words.
fn operation_id(route: &Route, method: &HttpMethod) -> String {
    let method = match method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Patch => "patch",
        HttpMethod::Delete => "delete",
        HttpMethod::Options => "options",
        _ => "head",
    };
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

fn schema_name(handler: &ResourceHandler) -> String {
    format!("New_{}", handler.kind)
}

/// Handlers' schemas are JSON Schema as the config has them, which the builder's types do not hold.
fn with_handler_schemas(document: OpenApi, plan: &Plan) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_else(|error| json!({"error": error.to_string()}));
    for handler in &plan.resources {
        if let Some(schema) = &handler.schema {
            document["components"]["schemas"][schema_name(handler)] = schema.clone();
        }
    }
    document
}
