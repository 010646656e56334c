//! The config: as it is, what is wrong with another one, what that would change, and another one in its place.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use super::instances::{Body, private};
use crate::http::body::{self, Presence};
use crate::http::error::ApiError;
use crate::http::extract::{Id, IfNoneMatch};
use crate::http::state::Serving;
use crate::http::writes;
use crate::services::ServiceError;
use crate::services::console::{Actor, CONFIG_CHANGED, ConfigDesk, RollbackBody, SaveBody, SaveResult, TextBody};
use crate::services::error::FieldError;

/// Bytes of a body with a whole config, which may be a megabyte, and takes more as JSON.
const MAX_TEXT: u64 = 3 << 20;

impl FromRequestParts<Serving> for ConfigDesk {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, serving: &Serving) -> Result<Self, ApiError> {
        let none = || ApiError::new(StatusCode::NOT_FOUND, "this process does not know its config");
        serving.app.configs.clone().ok_or_else(none)
    }
}

/// A body with a text.
pub(super) struct Sent(String);

impl FromRequest<Serving> for Sent {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        sent(request, serving, "/text").await.map(|TextBody { text }| Self(text))
    }
}

pub(super) async fn read(desk: ConfigDesk, known: IfNoneMatch) -> Result<Response, ApiError> {
    let written = desk.read()?;
    let tag = format!("\"{}\"", written.digest);
    let etag = HeaderValue::try_from(&tag).map_err(ApiError::internal)?;
    if known.has(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    Ok(private(([(header::ETAG, etag)], Json(written))))
}

pub(super) async fn schema(desk: ConfigDesk) -> Response {
    Json(desk.schema()).into_response()
}

/// Digest of the file that a change was made from.
pub(super) struct MadeFrom(Option<String>);

impl FromRequestParts<Serving> for MadeFrom {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        let Some(sent) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let digest = sent.to_str().ok().and_then(|tag| tag.trim().strip_prefix('"')?.strip_suffix('"'));
        let strange = || ApiError::new(StatusCode::PRECONDITION_FAILED, "If-Match is not an ETag that was given out here");
        digest.map(|digest| Self(Some(digest.to_owned()))).ok_or_else(strange)
    }
}

/// What is read of a body with a whole config; `pointer` is what an error is told to be about.
pub(super) async fn sent<T: DeserializeOwned>(request: Request, serving: &Serving, pointer: &str) -> Result<T, ApiError> {
    let object = body::object_within(request, Presence::Required, (MAX_TEXT, serving.app.read_timeout)).await?;
    let wrong = |error: serde_json::Error| ApiError::invalid(vec![FieldError { pointer: pointer.to_owned(), detail: error.to_string() }]);
    serde_json::from_value(serde_json::Value::Object(object)).map_err(wrong)
}

pub(super) async fn save(
    State(serving): State<Serving>,
    desk: ConfigDesk,
    actor: Actor,
    MadeFrom(expected): MadeFrom,
    request: Request,
) -> Result<Response, ApiError> {
    let body: SaveBody = sent(request, &serving, "").await?;
    if expected.is_none() {
        let detail = "If-Match is missing: send the ETag of GET .../config, so that nobody's change is written over";
        return Err(ApiError::new(StatusCode::PRECONDITION_REQUIRED, detail));
    }
    let write = async move { desk.save(&actor, &body, expected.as_deref()).await };
    saved(writes::finish(&serving.app.writes, write).await)
}

pub(super) async fn rollback(
    State(serving): State<Serving>,
    desk: ConfigDesk,
    actor: Actor,
    MadeFrom(expected): MadeFrom,
    Body(body): Body<RollbackBody>,
) -> Result<Response, ApiError> {
    let write = async move { desk.roll_back(&actor, &body, expected.as_deref()).await };
    saved(writes::finish(&serving.app.writes, write).await)
}

fn saved(result: Result<SaveResult, ServiceError>) -> Result<Response, ApiError> {
    let result = result.map_err(|error| {
        let has_changed = matches!(&error, ServiceError::Differs { code, .. } if *code == CONFIG_CHANGED);
        let error = ApiError::from(error);
        if has_changed { error.with_status(StatusCode::PRECONDITION_FAILED) } else { error }
    })?;
    let etag = HeaderValue::try_from(format!("\"{}\"", result.digest)).map_err(ApiError::internal)?;
    Ok(private(([(header::ETAG, etag)], Json(result))))
}

pub(super) async fn history(desk: ConfigDesk) -> Result<Response, ApiError> {
    Ok(private(Json(desk.history()?)))
}

pub(super) async fn earlier(desk: ConfigDesk, Id(digest): Id) -> Result<Response, ApiError> {
    Ok(private(Json(desk.earlier(&digest)?)))
}

pub(super) async fn plan_earlier(desk: ConfigDesk, Id(digest): Id) -> Result<Response, ApiError> {
    Ok(private(Json(desk.plan_earlier(&digest).await?)))
}

pub(super) async fn check(State(_): State<Serving>, desk: ConfigDesk, Sent(text): Sent) -> Response {
    private(Json(desk.check(&text).await))
}

pub(super) async fn plan(State(_): State<Serving>, desk: ConfigDesk, Sent(text): Sent) -> Result<Response, ApiError> {
    Ok(private(Json(desk.plan(&text).await?)))
}
