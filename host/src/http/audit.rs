//! The audit log, for who may read it.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::{ApiError, quoted};
use super::extract::Asked;
use super::number::whole_number;
use super::state::Serving;
use crate::services::ServiceError;
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
    let limit = limit.as_deref().map(parse_limit).transpose()?;
    let _turn = serving.app.lists.turn(&caller.user.map(|user| user.id).unwrap_or_default()).await?;
    let page = log.list(AuditQuery { actor, action, subject, cursor, limit }).await?;
    let mut response = Json(page).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn parse_limit(text: &str) -> Result<usize, ApiError> {
    let limit = whole_number(text).and_then(|limit| usize::try_from(limit).ok());
    let wrong = || ServiceError::field("limit", format!("expected a whole number from 1 to {MAX_PAGE}, got '{}'", quoted(text)));
    limit.ok_or_else(|| wrong().into())
}
