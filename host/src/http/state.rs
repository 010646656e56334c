//! What handlers share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use bytes::Bytes;

use super::error::ApiError;
use super::events::Streams;
use super::lists::Lists;
use super::{HttpParts, bearer};
use crate::plan::{Access, Plan, Scope, SudoAbove};
use crate::services::audit::AuditLog;
use crate::services::console::{ConfigDesk, Console};
use crate::services::resources::Resources;
use crate::services::users::{CurrentUser, TokenVerifier, Users};
use crate::shutdown::Stop;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// Used when the plan has no listener, for routers that are called without one.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// One route, as those see it who answer it.
pub(super) struct Route {
    /// The module that answers.
    pub(super) handler: String,
    /// What is done, as the module counts it; of a resource's action its name.
    pub(super) operation: String,
    /// Method and path, with placeholders.
    pub(super) name: String,
    /// Who may call it.
    pub(super) access: Access,
    /// Which resources it reaches.
    pub(super) scope: Scope,
    /// How long ago the caller was asked for the password again, at most.
    pub(super) sudo: Option<Duration>,
    /// What needs the password again because of how much it is.
    pub(super) sudo_above: Option<SudoAbove>,
    /// Whether it is also for who has to set up the second factor first.
    pub(super) enrols: bool,
}

/// What a handler answers from: the process, and the route that it is called by.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) app: Arc<AppState>,
    pub(super) route: Arc<Route>,
}

/// What handlers share.
pub(super) struct AppState {
    pub(super) plan: Arc<Plan>,
    pub(super) console: Option<Console>,
    pub(super) configs: Option<ConfigDesk>,
    /// What the operator's API is, as OpenAPI; empty where there is none.
    pub(super) operator_description: Bytes,
    pub(super) tokens: Option<TokenVerifier>,
    pub(super) users: Option<Users>,
    pub(super) resources: Option<Resources>,
    pub(super) audit: Option<AuditLog>,
    pub(super) metrics: Metrics,
    pub(super) health: super::HealthChecks,
    pub(super) writes: Tasks,
    pub(super) streams: Streams,
    pub(super) lists: Lists,
    pub(super) stop: Stop,
    pub(super) read_timeout: Duration,
    /// Reverse proxies by module name.
    pub(super) proxies: BTreeMap<String, Router>,
}

impl AppState {
    /// From what the process is made of, with the description of what is for operators.
    pub(super) fn new(parts: HttpParts, operator_description: Bytes) -> Self {
        // Those of the accounts know at once what this process changes about them.
        let tokens = parts.users.as_ref().map(|users| users.tokens().clone()).or(parts.tokens);
        let read_timeout = parts.plan.server.as_ref().map_or(DEFAULT_TIMEOUT, |server| server.read_timeout);
        let streams_per_user = parts.plan.server.as_ref().map_or(usize::MAX, |server| server.streams_per_user);
        let readers = parts.plan.database.as_ref().map_or(1, |database| database.max_open_conns);
        Self {
            plan: Arc::clone(&parts.plan),
            console: parts.console,
            configs: parts.configs,
            operator_description,
            tokens,
            users: parts.users,
            resources: parts.resources,
            audit: parts.audit,
            metrics: parts.metrics,
            health: parts.health,
            writes: parts.writes,
            streams: Streams::new(streams_per_user),
            lists: Lists::new(usize::try_from(readers / 2).unwrap_or(1).max(1)),
            stop: parts.stop,
            read_timeout,
            proxies: parts.proxies,
        }
    }

    /// Who the headers speak for; an error is 401.
    pub(super) async fn authenticate(&self, headers: &HeaderMap) -> Result<CurrentUser, ApiError> {
        match &self.tokens {
            Some(tokens) => bearer::authenticate(tokens, headers).await,
            None => Err(ApiError::internal(anyhow::anyhow!("a route needs tokens, and this process cannot check any"))),
        }
    }

    /// SHA-256 of the config that the process runs, in hex, if it knows that.
    pub(super) fn running_digest(&self) -> Option<String> {
        self.configs.as_ref().and_then(ConfigDesk::running_digest)
    }
}
