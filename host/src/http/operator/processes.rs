//! The processes of an installation, as one of them sees it: itself, and those that its config passes requests on to.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use futures::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::instances::private;
use super::session::process_name;
use crate::http::error::ApiError;
use crate::http::health::{self, About, Verdict};
use crate::http::proxy::health_of;
use crate::http::state::Serving;
use crate::plan::peers::{self, Asked};

/// For the answers of all of them.
const LIMIT: Duration = Duration::from_secs(2);

/// The processes of an installation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Processes")]
pub(super) struct ProcessesBody {
    /// This one first, then those that it asks, by their address.
    items: Vec<ProcessBody>,
}

/// A process.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Process")]
struct ProcessBody {
    /// Name of its config file; null of one that does not tell it.
    name: Option<String>,
    /// Where it is asked; null of this one.
    address: Option<String>,
    /// `healthy`, `degraded` or `unhealthy`; `away` if it does not answer.
    health: &'static str,
    /// What is not as it should be, by the part.
    problems: BTreeMap<String, String>,
    /// Version of its program; null of one that does not tell it.
    version: Option<String>,
    /// SHA-256 of the config that it runs, in hex; null of one that does not tell it.
    digest: Option<String>,
    /// Whether that is what its file says; null of others than this one.
    runs_file: Option<bool>,
    /// Names of its modules; null of others than this one, which do not tell them.
    modules: Option<Vec<String>>,
    /// What is asked of it: which module of this process does so, and for what.
    asked: Vec<AskedBody>,
}

/// What one process asks of another.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AskedOfProcess")]
struct AskedBody {
    /// Module that asks.
    module: String,
    /// Paths of requests that it passes on begin with this, or a component asks for this service.
    what: String,
}

/// As `/healthz` tells it; another program may tell anything.
#[derive(Deserialize)]
struct Told {
    status: String,
    #[serde(default)]
    checks: BTreeMap<String, ToldCheck>,
}

#[derive(Deserialize)]
struct ToldCheck {
    status: String,
    #[serde(default)]
    message: String,
}

pub(super) async fn list(State(serving): State<Serving>) -> Result<Response, ApiError> {
    let plan = &serving.app.plan;
    let (own, others) = tokio::join!(own(&serving), join_all(peers::of(plan).into_iter().map(|(address, asked)| other(address, asked))));
    Ok(private(Json(ProcessesBody { items: [own].into_iter().chain(others).collect() })))
}

async fn own(serving: &Serving) -> ProcessBody {
    let plan = &serving.app.plan;
    let found = serving.app.health.ask(LIMIT).await;
    let written = serving.app.configs.as_ref().and_then(|configs| configs.read().ok());
    let problems = found.iter().filter(|(_, check)| check.status != health::Status::Up);
    ProcessBody {
        name: Some(process_name(plan)),
        address: None,
        health: Verdict::of(found.values()).name(),
        problems: problems.map(|(part, check)| (part.clone(), check.message.clone())).collect(),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        digest: serving.app.running_digest(),
        runs_file: written.map(|written| written.runs),
        modules: Some(plan.modules.iter().map(|module| module.name.clone()).collect()),
        asked: Vec::new(),
    }
}

async fn other(address: String, asked: impl IntoIterator<Item = Asked>) -> ProcessBody {
    let told = health_of(&address, LIMIT).await;
    let mut process = ProcessBody {
        name: None,
        address: Some(address),
        health: "away",
        problems: BTreeMap::new(),
        version: None,
        digest: None,
        runs_file: None,
        modules: None,
        asked: asked.into_iter().map(|Asked { module, what }| AskedBody { module, what }).collect(),
    };
    match told.map(|(headers, body)| serde_json::from_slice::<Told>(&body).map(|told| (About::heard(&headers), told))) {
        Err(why) => drop(process.problems.insert("process".to_owned(), why)),
        Ok(Err(_)) => drop(process.problems.insert("process".to_owned(), "answers, and does not tell how it is".to_owned())),
        Ok(Ok((about, Told { status, checks }))) => {
            process.health = Verdict::named(&status).map_or("away", Verdict::name);
            let problems = checks.into_iter().filter(|(_, check)| check.status != "up");
            process.problems = problems.map(|(part, check)| (part, check.message)).collect();
            (process.name, process.version, process.digest) = (about.process, about.version, about.config);
        }
    }
    process
}
