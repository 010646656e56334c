//! `http.middleware.auth`: a bearer token, or 401.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::error::ApiError;
use crate::http::routes::Edge;
use crate::services::users::{CurrentUser, TokenVerifier};

/// Lets only requests with a valid token through, with a [`CurrentUser`] among their extensions.
pub(in crate::http) async fn require(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    match edge.authenticate(request.headers()) {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// Who the `Authorization` header speaks for.
pub(in crate::http) fn authenticate(tokens: &TokenVerifier, headers: &HeaderMap) -> Result<CurrentUser, ApiError> {
    tokens.verify(bearer(headers)?).map_err(|reason| ApiError::unauthorized(reason.to_string()))
}

/// The token of the `Authorization` header; an error is 401.
pub(in crate::http) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (sent.next(), sent.next()) else {
        return Err(ApiError::unauthorized("send one Authorization header with a Bearer token"));
    };
    let text = value.to_str().map_err(|_| ApiError::unauthorized("the token is not valid"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(ApiError::unauthorized("send the token as 'Authorization: Bearer <token>'")),
    }
}
