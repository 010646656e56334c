//! The bearer token of a request.

use axum::http::{HeaderMap, header};

use super::error::ApiError;
use crate::services::users::{CurrentUser, TokenVerifier};

/// Who the `Authorization` header speaks for.
pub(super) async fn authenticate(tokens: &TokenVerifier, headers: &HeaderMap) -> Result<CurrentUser, ApiError> {
    Ok(tokens.recognise(bearer(headers)?).await?)
}

/// The token of the `Authorization` header; an error is 401.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
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
