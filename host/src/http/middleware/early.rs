//! What is answered before any route is asked. It goes through the router all the same, so that it gets the headers, the line in
//! the log and the count that every answer gets.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::request_id;
use crate::http::error::ApiError;

/// Methods that some path may allow.
const METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS");

/// An answer for a request that no route is to see.
#[derive(Debug, Clone)]
pub(in crate::http) enum Early {
    /// The connection ends with it.
    Refused(ApiError),
    /// `OPTIONS *`: what the server can do at all.
    Server,
}

impl Early {
    /// `request`, without its target and body, to be answered with this.
    pub(in crate::http) fn instead_of(self, request: Request) -> Request {
        let (mut parts, _) = request.into_parts();
        parts.uri = Uri::from_static("/");
        parts.extensions.insert(self);
        Request::from_parts(parts, Body::empty())
    }

    /// What such requests are called in metrics and in the log.
    pub(super) fn route(&self) -> &'static str {
        match self {
            Self::Refused(_) => "<refused>",
            Self::Server => "*",
        }
    }

    pub(super) fn answer(self, asked: &HeaderMap) -> Response {
        let mut response = match self {
            Self::Refused(error) => error.with(header::CONNECTION, HeaderValue::from_static("close")).into_response(),
            Self::Server => (StatusCode::NO_CONTENT, [(header::ALLOW, METHODS)]).into_response(),
        };
        response.headers_mut().insert(request_id::NAME, request_id::of(asked));
        response
    }
}
