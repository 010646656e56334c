//! Who asks, and what the process is.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::need::Need;
use crate::http::error::ApiError;
use crate::http::state::Serving;
use crate::http::table::{Entry, Table};
use crate::plan::{OperatorReaders, Plan, Runs};
use crate::services::console::Actor;

impl FromRequestParts<Serving> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        let unasked = || ApiError::internal(anyhow::anyhow!("a handler was called without asking who may call it"));
        parts.extensions.remove().ok_or_else(unasked)
    }
}

/// Who asks, and what they may do here.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OperatorSession")]
pub(in crate::http) struct SessionBody {
    /// Id of the user, or `local` for somebody on this machine without a token.
    who: String,
    /// Names of their roles.
    roles: Vec<&'static str>,
    /// What they may do: some of `see`, `act`, `mend`, `design`, `deploy`, `consult`.
    may: Vec<&'static str>,
    /// The config allows changes.
    write: bool,
    /// The model that the copilot may ask; null where it works by rules alone.
    copilot: Option<String>,
    /// Version of the program.
    version: &'static str,
    /// Name of the config file, which the process is called by.
    process: String,
}

pub(super) async fn session(State(serving): State<Serving>, actor: Actor) -> Json<SessionBody> {
    let plan = &serving.app.plan;
    let operator = plan.operator.as_ref();
    let write = operator.is_some_and(|operator| operator.write);
    let trusts_local = operator.is_some_and(|operator| !operator.knows_tokens);
    let is_local = actor.is_local();
    let sees_local = operator.is_some_and(|operator| operator.readers == OperatorReaders::Local);
    let copilot = operator.and_then(|operator| operator.copilot.as_ref()).map(|copilot| copilot.model.clone());
    let is_on = |need: Need| (write || !need.writes()) && (copilot.is_some() || need != Need::Consult);
    let may = |need: Need| match (need, is_local) {
        (Need::See, true) => sees_local,
        (_, true) => is_on(need) && trusts_local,
        (_, false) => is_on(need) && !need.roles().and(actor.of.roles).is_empty(),
    };
    let needs = [
        ("see", Need::See),
        ("act", Need::Act),
        ("mend", Need::Mend),
        ("design", Need::Design),
        ("deploy", Need::Deploy),
        ("consult", Need::Consult),
    ];
    Json(SessionBody {
        may: needs.into_iter().filter(|(_, need)| may(*need)).map(|(name, _)| name).collect(),
        roles: actor.of.roles.iter().map(crate::plan::access::Role::name).collect(),
        who: actor.who().to_owned(),
        write,
        copilot,
        version: env!("CARGO_PKG_VERSION"),
        process: process_name(plan),
    })
}

pub(in crate::http) fn process_name(plan: &Plan) -> String {
    plan.source.file_stem().map_or_else(|| "millrace".to_owned(), |name| name.to_string_lossy().into_owned())
}

pub(super) async fn description(State(serving): State<Serving>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, serving.app.operator_description.clone()).into_response()
}

/// What a process is made of.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunningPlan")]
pub(in crate::http) struct PlanBody {
    /// Name of the config file.
    process: String,
    /// The config file.
    source: String,
    /// Its modules, in the sequence in which they have started.
    modules: Vec<ModuleBody>,
    /// Names of its workflows.
    workflows: Vec<String>,
    /// What answers where, as `millrace routes --output json` tells it.
    #[schemars(with = "Vec<serde_json::Value>")]
    routes: Vec<Entry>,
}

/// A module of a running process.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunningModule")]
struct ModuleBody {
    name: String,
    /// What starts and stops with it: `nothing`, `store`, `engine`, `component`, `bus` or `consumer`.
    runs: &'static str,
}

pub(super) async fn plan(State(serving): State<Serving>) -> Json<PlanBody> {
    let plan: &Arc<Plan> = &serving.app.plan;
    let module = |module: &crate::plan::Module| ModuleBody {
        name: module.name.clone(),
        runs: match module.runs {
            Runs::Nothing => "nothing",
            Runs::Store => "store",
            Runs::Engine => "engine",
            Runs::Component => "component",
            Runs::Bus => "bus",
            Runs::Consumer => "consumer",
        },
    };
    let mut routes = Table::of(plan).entries;
    routes.extend(Table::of_operator(plan).entries);
    routes.extend(Table::of_console(plan).entries);
    Json(PlanBody {
        process: process_name(plan),
        source: plan.source.display().to_string(),
        modules: plan.modules.iter().map(module).collect(),
        workflows: plan.workflows.iter().map(|workflow| workflow.machine.name().to_owned()).collect(),
        routes,
    })
}
