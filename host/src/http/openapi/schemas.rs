//! The bodies that every process speaks of.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ArrayBuilder, Components, ComponentsBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};

use super::BEARER;
use crate::http::accounts::{CredentialsBody, ProfileChangeBody, RegistrationBody, SessionBody, UserBody};
use crate::http::health::{Check, Status};

pub(super) fn components() -> Components {
    ComponentsBuilder::new()
        .schema_from::<Problem>()
        .schema_from::<WrongField>()
        .schema_from::<Resource>()
        .schema_from::<HistoryEntry>()
        .schema_from::<Next>()
        .schema_from::<PricedLine>()
        .schema_from::<Health>()
        .schema_from::<Check>()
        .schema_from::<Status>()
        .schema_from::<Probe>()
        .schema_from::<UserBody>()
        .schema_from::<SessionBody>()
        .schema_from::<RegistrationBody>()
        .schema_from::<CredentialsBody>()
        .schema_from::<ProfileChangeBody>()
        .security_scheme(BEARER, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .build()
}

pub(super) fn any_object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::Object).build().into()
}

pub(super) fn text() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}

pub(super) fn array_of(schema: &str) -> RefOr<Schema> {
    ArrayBuilder::new().items(Ref::from_schema_name(schema)).build().into()
}

/// RFC 9457, and `error`, which repeats `detail`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what error.rs writes")]
struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    error: String,
    errors: Option<Vec<WrongField>>,
    /// A word for programs, for example `price_changed`.
    code: Option<String>,
    /// With `price_changed`: the lines as they are now.
    lines: Option<Vec<PricedLine>>,
    /// With `price_changed`: their sum.
    total: Option<f64>,
}

/// A line as the catalogue has it.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what pricing.rs makes")]
struct PricedLine {
    product_id: String,
    name: String,
    quantity: u64,
    price: f64,
}

/// One thing that is wrong with a request.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what error.rs writes")]
struct WrongField {
    /// JSON pointer into the body.
    pointer: String,
    detail: String,
}

/// A resource of any kind.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what the resource service makes")]
struct Resource {
    id: String,
    /// Business data, results of steps included.
    data: BTreeMap<String, Value>,
    state: String,
    #[schema(format = "date-time")]
    last_update: String,
    #[schema(format = "date-time")]
    created_at: Option<String>,
    version: Option<u64>,
    /// Only where one resource is read: the last 100, the oldest first.
    history: Option<Vec<HistoryEntry>>,
    /// There is more history: what `historyBefore` asks for it with.
    history_next: Option<String>,
    /// What waits to happen by itself; only where one resource is read.
    next: Option<Next>,
    /// Why a person should look at it.
    attention: Option<String>,
}

/// A transition that a timer makes.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what the resource service makes")]
struct Next {
    transition: String,
    #[schema(format = "date-time")]
    at: String,
    /// Which time it will be, from 1, those that somebody asked for included.
    attempt: u32,
    /// How many there are at most; without end if not given.
    of: Option<u32>,
}

/// One transition that was made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what the resource service makes")]
struct HistoryEntry {
    seq: u64,
    from: String,
    to: String,
    transition: String,
    #[schema(format = "date-time")]
    at: String,
    cause: String,
    component: Option<String>,
    /// SHA-256 of the component's file.
    digest: Option<String>,
    attempt: Option<u32>,
    reason: Option<String>,
}

/// How the process is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what health.rs writes")]
struct Health {
    /// `healthy`, `degraded` or `unhealthy`.
    status: String,
    checks: BTreeMap<String, Check>,
}

/// One word.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what health.rs writes")]
struct Probe {
    status: String,
    reason: Option<String>,
}
