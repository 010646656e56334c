//! The audit log, for who may read it.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::ApiError;
use super::extract::Asked;
use super::number::parse_limit;
use super::state::Serving;
use crate::services::audit::{AuditLog, AuditQuery, MAX_PAGE};
use crate::services::resources::Caller;

#[derive(Deserialize)]
pub(super) struct Query {
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

impl FromRequestParts<Serving> for AuditLog {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, serving: &Serving) -> Result<Self, ApiError> {
        let missing = || ApiError::internal(anyhow::anyhow!("'{}' needs a store, and this process has none", serving.route.handler));
        serving.app.audit.clone().ok_or_else(missing)
    }
}

pub(super) async fn list(
    State(serving): State<Serving>,
    log: AuditLog,
    caller: Caller,
    Asked(query): Asked<Query>,
) -> Result<Response, ApiError> {
    let Query { actor, action, subject, cursor, limit } = query;
    let limit = limit.as_deref().map(|limit| parse_limit(limit, MAX_PAGE)).transpose()?;
    let _turn = serving.app.lists.turn(&caller.user.map(|user| user.id).unwrap_or_default()).await?;
    let page = log.list(AuditQuery { actor, action, subject, cursor, limit }).await?;
    let mut response = Json(page).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
