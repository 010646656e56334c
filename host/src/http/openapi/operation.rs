//! One route and one method: what they take, and what they answer.

use serde_json::{Value, json};

use super::accounts;
use super::answers::{Answers, Header};
use super::schemas::{Schemas, array_of};
use super::shape::{MISSING, Shape, idempotency_key, parameter};
use super::shop::of_shop;
use super::{BEARER, JSON};
use crate::http::back_office::{NewNote, NotesBody};
use crate::http::proxy::Unanswered;
use crate::http::table::{self, Entry, Table, Who};
use crate::plan::{Access, Endpoint, Operation, Plan, ResourceHandler, Route, Scope, ShopOperation};
use crate::services::audit;
use crate::services::resources::view::CURSOR_PATTERN;
use crate::services::resources::{FiguresBody, MAX_PAGE, MAX_TERM, NoteBody, Parameter, Takes, parameters, usual_page};

/// Any request.
const ALWAYS: [(u16, &str); 3] = [
    (400, "The request is not well-formed: its path, a header or its query"),
    (500, "Internal error; the log names the cause"),
    (503, "Not available now, or a time limit has run out"),
];
/// A request with a body.
const OF_BODIES: [(u16, &str); 5] = [
    (400, "The request is not well-formed: its path, a header or its body"),
    (408, "The body did not come in time"),
    (413, "The body is larger than 64 KiB"),
    (415, "The body is not application/json"),
    (422, "A field is wrong; `errors` names it"),
];
/// A request with a table.
const OF_TABLES: [(u16, &str); 5] = [
    (400, "The request is not well-formed: its path, a header or its body"),
    (408, "The body did not come in time"),
    (413, "The body is larger than 1 MiB"),
    (415, "The body is not text/csv"),
    (422, "A parameter or, where it was to be done, a row is wrong; `errors` names it as /<line>/<column>"),
];
const CONFLICT: (u16, &str) = (409, "Conflicts with the current state");
const KEY_OF_WHAT_IS_GONE: &str = "What this Idempotency-Key has created is not kept any more; nothing was created again";
const PRICE_CHANGED: &str = "The total differs from expectedTotal: code is price_changed, and lines and total are the current ones; or what this Idempotency-Key has created is not kept any more";
const PER_OWNER: &str =
    "Too many requests; or, with the code limit_per_owner, the caller has reached the limit of resources in the states that count";
const TOO_SOON: (u16, &str) = (429, "The action was requested too often");
const STALE: (u16, &str) = (412, "Changed since the version that If-Match names");
const NEEDS_TOKEN: (u16, &str) = (401, "No valid token");
const TOO_OFTEN: (u16, &str) = (429, "Too many requests");

/// The description of `route` under one of its names.
pub(super) fn operation(route: &Route, (entry, id): (&Entry, &str), (plan, table): (&Plan, &Table), schemas: &mut Schemas) -> Value {
    let shape = shape(route, (plan, table), schemas);
    let placeholders = placeholders(&route.path).map(|name| parameter(name, "path", true, "Identifier", segment()));
    let mut answers = shape.answers;
    if shape.body.is_some() {
        answers = answers.problems(schemas, &OF_BODIES);
    }
    let is_table = matches!(&route.endpoint, Endpoint::Resource { operation: Operation::Shop(ShopOperation::Import), .. });
    if is_table {
        answers = answers.problems(schemas, &OF_TABLES);
    }
    let is_open = entry.who == Who::Users(Access::Anyone);
    if !is_open {
        answers = answers.problem(schemas, NEEDS_TOKEN.0, NEEDS_TOKEN.1);
    }
    let roles = entry.roles().map(|roles| format!("Only for the roles {}", roles.joined(", ")));
    let sudo =
        entry.sudo.map(|seconds| format!("With the code sudo-required: the password was not shown again within the last {seconds} s"));
    let much = route.sudo_above.as_ref().map(|much| {
        let (field, above, within) = (&much.field, much.above, much.within.as_secs());
        format!(
            "With the code sudo-required: `{field}` is more than {above}, and the password was not shown again within the last {within} s"
        )
    });
    let needs_factor = !is_open && plan.auth.as_ref().is_some_and(|auth| !auth.second_factor.is_empty());
    let factor = needs_factor.then(|| "With the code second-factor-enrolment-required: a second factor has to be set up first".to_owned());
    let refused: Vec<String> = roles.into_iter().chain(sudo).chain(much).chain(factor).collect();
    if !refused.is_empty() {
        answers = answers.problem(schemas, 403, &refused.join(". "));
    }
    if entry.limits.burst.is_some() {
        answers = answers.problem(schemas, TOO_OFTEN.0, TOO_OFTEN.1);
    }
    let mut operation = json!({
        "summary": shape.summary, "tags": [shape.tag], "operationId": id,
        "parameters": placeholders.chain(shape.parameters).collect::<Vec<_>>(),
        "responses": answers.problems(schemas, &ALWAYS).finish(),
        "security": if is_open { json!([]) } else { json!([{BEARER: []}]) },
    });
    if let Some((schema, required)) = shape.body {
        operation["requestBody"] = json!({"required": required, "content": {JSON: {"schema": schema}}});
    }
    if is_table {
        operation["requestBody"] = json!({"required": true, "content": {"text/csv": {"schema": {"type": "string"}}}});
    }
    operation
}

fn find<'p>(plan: &'p Plan, handler: &str) -> Option<&'p ResourceHandler> {
    plan.resources.iter().find(|one| one.name == handler)
}

fn shape(route: &Route, (plan, table): (&Plan, &Table), schemas: &mut Schemas) -> Shape {
    match &route.endpoint {
        Endpoint::Account(operation) => accounts::shape(*operation, schemas),
        Endpoint::Resource { handler, operation } => match find(plan, handler) {
            Some(handler) => of_resource(handler, operation, (route.scope, table), schemas),
            None => Shape {
                summary: "No such handler".to_owned(),
                tag: handler.clone(),
                parameters: vec![],
                body: None,
                answers: Answers::default(),
            },
        },
        Endpoint::Audit(_) => of_audit(schemas),
        Endpoint::Proxy(name) => {
            let unanswered = schemas.answer::<Unanswered<'_>>();
            let answers =
                Answers::default().any("The answer of the service behind").problem(schemas, 404, "No service is behind this path");
            let answers = answers.content(502, "The service behind is not available", JSON, unanswered.clone());
            let answers = answers.content(504, "The service behind takes too long", JSON, unanswered);
            Shape { summary: format!("Passed on by {name}"), tag: name.clone(), parameters: vec![], body: None, answers }
        }
    }
}

fn of_audit(schemas: &mut Schemas) -> Shape {
    let text = || json!({"type": "string"});
    let limit = json!({"type": "integer", "minimum": 1, "maximum": audit::MAX_PAGE, "default": audit::USUAL_PAGE});
    let parameters = vec![
        parameter("actor", "query", false, "Only of this account, or of `cli:<user>`", text()),
        parameter("action", "query", false, "Only this action, for example `products.update`", text()),
        parameter("subject", "query", false, "Only about this, for example `products/prod-001`", text()),
        parameter(
            "cursor",
            "query",
            false,
            "The nextCursor of the page before, unchanged",
            json!({"type": "string", "pattern": "^[0-9]+$"}),
        ),
        parameter("limit", "query", false, "Maximum number of items", limit),
    ];
    let answers = Answers::default().content(200, "A page, newest first", JSON, schemas.answer::<audit::AuditPage>());
    let answers = answers.problem(schemas, 422, "`limit` or `cursor` is wrong; `errors` names it");
    Shape { summary: "What people with a role have done".to_owned(), tag: "audit".to_owned(), parameters, body: None, answers }
}

fn of_resource(handler: &ResourceHandler, operation: &Operation, (scope, table): (Scope, &Table), schemas: &mut Schemas) -> Shape {
    let kind = handler.kind.as_str();
    let one = schemas.resource(handler);
    let shown = |status, description: &str| Answers::default().content(status, description, JSON, one.clone()).header(status, Header::ETag);
    let (summary, parameters, body, answers) = match operation {
        Operation::List => {
            let page = Answers::default().content(200, "A page; Link leads to the next", JSON, array_of(&one)).header(200, Header::Link);
            let answers = page.problem(schemas, 422, "A parameter is wrong; `errors` names it");
            (format!("List {kind}"), page_parameters(handler), None, answers)
        }
        Operation::Search | Operation::Export | Operation::Figures | Operation::Notes | Operation::AddNote => {
            of_staff(handler, operation, schemas)
        }
        Operation::Create => {
            let created = shown(201, "Created; with a key that was used before, what was created then");
            let priced = handler.pricing.is_some();
            let created = created.problem(schemas, 409, if priced { PRICE_CHANGED } else { KEY_OF_WHAT_IS_GONE });
            let created = if handler.per_owner.is_some() { created.problem(schemas, TOO_OFTEN.0, PER_OWNER) } else { created };
            let created = created.header(201, Header::Location).header(201, Header::Replayed).links(201, operations_on_one(table, handler));
            let body = schemas.new_resource(handler);
            (format!("Create {kind}"), vec![idempotency_key()], Some((body, true)), created)
        }
        Operation::Get => {
            let answers = shown(200, "The resource, with the last 100 rows of its history; Link leads to earlier ones")
                .header(200, Header::Link)
                .empty(304, "Not modified: the ETag is still this one")
                .header(304, Header::ETag);
            let known =
                parameter("If-None-Match", "header", false, "Answered with 304 if the ETag is still this one", json!({"type": "string"}));
            let earlier = json!({"type": "integer", "minimum": 1, "maximum": i64::MAX});
            let earlier = parameter("historyBefore", "query", false, "Only history before this number, as given by historyNext", earlier);
            let answers = answers.problem(schemas, 422, "historyBefore is no number");
            (format!("Read {kind}"), vec![known, earlier], None, answers.problem(schemas, MISSING.0, MISSING.1))
        }
        Operation::Update => {
            let answers = shown(200, "Replaced").problems(schemas, &[MISSING, CONFLICT, STALE]);
            (format!("Replace {kind}"), vec![if_match()], Some((schemas.new_resource(handler), true)), answers)
        }
        Operation::Delete => {
            let answers = Answers::default().empty(204, "Removed").problems(schemas, &[MISSING, CONFLICT, STALE]);
            (format!("Remove {kind}"), vec![if_match()], None, answers)
        }
        Operation::Events => {
            let stream = Answers::default().content(200, "The transitions, as they are made", "text/event-stream", schemas.event(handler));
            let answers = stream.empty(204, "No event can follow").problems(schemas, &[MISSING, TOO_OFTEN]);
            let id = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
            let resume = parameter("Last-Event-ID", "header", false, "Continue after this event", id);
            (format!("Follow the transitions of {kind}"), vec![resume], None, answers)
        }
        Operation::Shop(operation) => return of_shop(handler, *operation, schemas),
        Operation::Action(action) => {
            let body = schemas.action(handler, scope);
            let answers = shown(200, "Done").problems(schemas, &[MISSING, CONFLICT, TOO_SOON]);
            (format!("Act on {kind}: {action}"), vec![], Some((body, scope == Scope::All)), answers)
        }
    };
    Shape { summary, tag: kind.to_owned(), parameters, body, answers }
}

/// What only staff do with resources.
fn of_staff(
    handler: &ResourceHandler,
    operation: &Operation,
    schemas: &mut Schemas,
) -> (String, Vec<Value>, Option<(Value, bool)>, Answers) {
    const WRONG: (u16, &str) = (422, "A parameter is wrong or unknown; `errors` names it");
    let kind = handler.kind.as_str();
    match operation {
        Operation::Export => {
            let text = json!({"type": "string", "description": "A line with the names of the columns, then a line for each."});
            let answers = Answers::default().content(200, "All that the parameters ask for", "text/csv", text).problems(schemas, &[WRONG]);
            let narrowed = parameters(handler).into_iter().map(|one| narrowing(&one)).collect();
            (format!("Export {kind}"), narrowed, None, answers)
        }
        Operation::Figures => {
            let counted = "What was counted, each bucket of the time that is asked for";
            let answers = Answers::default().content(200, counted, JSON, schemas.answer::<FiguresBody>()).problems(schemas, &[WRONG]);
            let time = json!({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]});
            let bucket = json!({"type": "string", "enum": ["minute", "hour"], "default": "minute"});
            let parameters = vec![
                parameter("from", "query", false, "Where it begins, in the last eight days; an hour ago if not given", time.clone()),
                parameter("to", "query", false, "Where it ends; now if not given", time),
                parameter("bucket", "query", false, "How long a bucket is; there are 1500 at most", bucket),
            ];
            (format!("Figures of {kind}"), parameters, None, answers)
        }
        Operation::Notes => {
            let answers = Answers::default().content(200, "A page of notes, the newest first", JSON, schemas.answer::<NotesBody>());
            let answers = answers.problems(schemas, &[MISSING, (422, "`limit` or `cursor` is wrong; `errors` names it")]);
            let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": usual_page(handler)});
            let cursor = json!({"type": "string", "pattern": "^[0-9]{1,19}$"});
            let parameters = vec![
                parameter("limit", "query", false, "Maximum number of notes", limit),
                parameter("cursor", "query", false, "The nextCursor of a page, unchanged", cursor),
            ];
            (format!("Read what was noted of {kind}"), parameters, None, answers)
        }
        Operation::AddNote => {
            let answers = Answers::default().content(
                201,
                "Noted; with a key that was used before, what was noted then",
                JSON,
                schemas.answer::<NoteBody>(),
            );
            let answers = answers.header(201, Header::Replayed).problems(schemas, &[MISSING]);
            (format!("Note something of {kind}"), vec![idempotency_key()], Some((schemas.request::<NewNote>(), true)), answers)
        }
        _ => {
            let page = Answers::default().content(200, "A page; nextCursor leads to the next", JSON, schemas.page(handler));
            (format!("Search {kind}"), page_parameters(handler), None, page.problems(schemas, &[WRONG]))
        }
    }
}

/// Operations on one resource of `handler`: their name, and their parameter for its id.
fn operations_on_one(table: &Table, handler: &ResourceHandler) -> impl Iterator<Item = (String, String)> {
    table.entries.iter().filter_map(|entry| {
        let table::Answers::Route(route) = &entry.answers else { return None };
        let Endpoint::Resource { handler: name, operation } = &route.endpoint else { return None };
        let of_one = *name == handler.name && !matches!(operation, Operation::List | Operation::Create);
        let parameter = placeholders(&route.path).last().filter(|_| of_one)?;
        Some((entry.operation_ids.first()?.clone(), parameter.to_owned()))
    })
}

/// A parameter that narrows a list.
fn narrowing(one: &Parameter) -> Value {
    let takes = match one.takes {
        Takes::Text => json!({"type": "string", "maxLength": MAX_TERM}),
        Takes::Number => json!({"type": "integer", "minimum": i64::MIN, "maximum": i64::MAX}),
        Takes::Time => json!({"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}),
        Takes::Flag => json!({"type": "boolean"}),
    };
    parameter(&one.name, "query", false, &one.about, takes)
}

fn page_parameters(handler: &ResourceHandler) -> Vec<Value> {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": usual_page(handler)});
    let cursor = json!({"type": "string", "pattern": CURSOR_PATTERN});
    let narrowed = handler.is_searched().then(|| parameters(handler)).into_iter().flatten();
    let paged = [
        parameter("limit", "query", false, "Maximum number of items", limit),
        parameter("cursor", "query", false, "The cursor of the Link header, unchanged", cursor),
    ];
    paged.into_iter().chain(narrowed.map(|one| narrowing(&one))).collect()
}

fn if_match() -> Value {
    parameter("If-Match", "header", false, "Only if the ETag is still this one", json!({"type": "string"}))
}

/// One segment of a path. What two servers could read as another path is refused before it reaches a route (`server/guard.rs`).
pub(super) fn segment() -> Value {
    json!({"type": "string", "minLength": 1, "pattern": r"^[^/\\\x00]+$", "not": {"enum": [".", ".."]}})
}

pub(super) fn placeholders(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}
