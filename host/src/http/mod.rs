//! The HTTP edge: what comes in is bounded and checked here, handed to the services, and answered.
//!
//! [`router`] is the whole surface as one value that tests can call without a socket; [`server`] puts it behind a listener
//! that slow, greedy and malformed clients cannot hurt. Handlers call services and never see a store; the only part of the
//! program that names axum (besides `app/`, where it is put together).

mod access;
mod accounts;
mod address;
mod audit;
mod back_office;
mod bearer;
mod body;
mod current;
mod error;
mod events;
mod extract;
mod files;
mod health;
mod hosts;
mod internal;
mod lists;
mod metrics;
mod middleware;
mod number;
mod openapi;
mod operator;
mod proxy;
mod resources;
mod routes;
pub mod server;
mod serves;
mod shop;
mod staff;
mod state;
mod table;
mod writes;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::plan::Plan;
use crate::services::audit::AuditLog;
use crate::services::console::{ConfigDesk, Console};
use crate::services::resources::Resources;
use crate::services::users::{TokenVerifier, Users};
use crate::shutdown::Stop;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

pub use axum::Router;
pub use current::Current;
pub use error::ApiError;
pub use health::{Check, HealthChecks, Status};
pub use internal::{InternalService, agreement, internal};
pub use openapi::{document as openapi_document, operator_document};
pub use proxy::{Backends, Probe, proxy};
pub use routes::{Routers, router, routers};
pub use server::{bind, serve};
pub use table::{Entry, Here, Limits, Table, Who};

/// What the edge is made of. A part that the plan names and that is missing here answers 500. Clones share what can be shared.
#[derive(Clone)]
pub struct HttpParts {
    /// What to answer where.
    pub plan: Arc<Plan>,
    /// Checks bearer tokens; also in a process without users.
    pub tokens: Option<TokenVerifier>,
    /// Accounts.
    pub users: Option<Users>,
    /// Resources.
    pub resources: Option<Resources>,
    /// What people with a role have done; of a process with a database.
    pub audit: Option<AuditLog>,
    /// Its config, for those who want to change it.
    pub configs: Option<ConfigDesk>,
    /// What those who run the process look at and do.
    pub console: Option<Console>,
    /// Reverse proxies by module name; each gets requests with their whole path.
    pub proxies: BTreeMap<String, Router>,
    /// Routes below `/internal/` and without a fallback, for other processes of the same installation.
    pub internal: Option<Router>,
    /// Where requests and operations are counted; shown at `/metrics` if the plan has a collector.
    pub metrics: Metrics,
    /// What `/healthz` and `/readyz` tell.
    pub health: HealthChecks,
    /// Writes under way: they go on when their client hangs up. Drain them after the server has ended.
    pub writes: Tasks,
    /// Ends event streams, and readiness.
    pub stop: Stop,
}
