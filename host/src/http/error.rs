//! One error for the whole edge: an RFC 9457 problem, with the status, the words and the headers that belong to it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use problem_details::ProblemDetails;
use serde::Serialize;

use crate::services::ServiceError;
use crate::services::error::FieldError;

/// Media type of every error.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// An answer that says why not.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    pub(super) detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Members beyond the standard ones.
#[derive(Serialize)]
struct Extra {
    /// Repeats `detail`, for clients that read this.
    error: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
}

impl ApiError {
    /// Any status; `detail` is for the client.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// 400
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404 for a path that nothing answers.
    #[must_use]
    pub fn no_such_path(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("nothing answers '{}'", path.escape_debug()))
    }

    /// 401, asking for a bearer token.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail).with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 422
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        ServiceError::fields(errors).into()
    }

    /// 429
    pub fn too_many(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after)
    }

    /// 500; the cause goes to the log, never to the client.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let cause = cause.into();
        tracing::error!(cause = format!("{cause:#}"), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with a header more.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.with(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let detail = error.to_string();
        match error {
            ServiceError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, detail),
            ServiceError::Invalid { errors, .. } => Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) },
            ServiceError::Conflict(_) => Self::new(StatusCode::CONFLICT, detail),
            ServiceError::Unauthorized(_) => Self::unauthorized(detail),
            ServiceError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, detail),
            ServiceError::Unavailable { retry_after, .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_after),
            ServiceError::TooMany { retry_after, .. } => Self::too_many(detail, retry_after),
            ServiceError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let extra = Extra { error: self.detail.clone(), errors: self.errors };
        let problem = ProblemDetails::from_status_code(self.status)
            .with_type(Uri::from_static("about:blank"))
            .with_detail(self.detail)
            .with_extensions(extra);
        let text = serde_json::to_vec(&problem).unwrap_or_else(|_| br#"{"error":"internal error"}"#.to_vec());
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}
