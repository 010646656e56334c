//! The config: as it is, what is wrong with another one, and what that would change.

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::instances::private;
use crate::http::body::{self, Presence};
use crate::http::error::ApiError;
use crate::http::extract::IfNoneMatch;
use crate::http::state::Serving;
use crate::services::console::{ConfigDesk, TextBody};
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
        let object = body::object_within(request, Presence::Required, (MAX_TEXT, serving.app.read_timeout)).await?;
        let read: Result<TextBody, _> = serde_json::from_value(serde_json::Value::Object(object));
        let wrong = |error: serde_json::Error| ApiError::invalid(vec![FieldError { pointer: "/text".into(), detail: error.to_string() }]);
        read.map(|body| Self(body.text)).map_err(wrong)
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

pub(super) async fn check(State(_): State<Serving>, desk: ConfigDesk, Sent(text): Sent) -> Response {
    private(Json(desk.check(&text).await))
}

pub(super) async fn plan(State(_): State<Serving>, desk: ConfigDesk, Sent(text): Sent) -> Result<Response, ApiError> {
    Ok(private(Json(desk.plan(&text).await?)))
}
