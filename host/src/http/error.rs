//! One error for the whole edge: an RFC 9457 problem, with the status, the words and the headers that belong to it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::services::ServiceError;
use crate::services::error::FieldError;
use crate::text;

/// Media type of every error.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// Wrong fields that one answer lists; of more it tells how many there are. What is refused may be large, the refusal is not.
const MAX_LISTED: usize = 20;
/// Letters of what a client sent that are repeated to it.
const MAX_QUOTED: usize = 100;
/// Letters of one sentence about what is wrong.
const MAX_TOLD: usize = 600;

/// An answer that says why not.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    pub(super) detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What this very error says beyond that; boxed, because few have any.
    members: Option<Box<Map<String, Value>>>,
    to_nobody: bool,
}

/// Marks an answer to a client that did not wait for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToNobody;

/// What a client sent, as a part of a sentence: without what a terminal would act on, and cut where it gets long.
pub(super) fn quoted(text: &str) -> String {
    text::quoted(text, MAX_QUOTED)
}

/// RFC 9457, and `error`, which repeats `detail` for clients that read this.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Problem<'a> {
    /// Always `about:blank`: the status says what kind of problem it is.
    r#type: &'static str,
    /// What the status is called.
    title: &'static str,
    /// The status once more.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// For a person.
    detail: &'a str,
    /// The same as `detail`.
    error: &'a str,
    /// Each thing that is wrong with the request, if it is that.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// What this very error says beyond that, such as `code`.
    #[serde(flatten)]
    members: Option<&'a Map<String, Value>>,
}

impl ApiError {
    /// Any status; `detail` is for the client.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), headers: Vec::new(), members: None, to_nobody: false }
    }

    /// 400
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404 for a path that nothing answers.
    #[must_use]
    pub fn no_such_path(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("nothing answers '{}'", quoted(path)))
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

    /// The same with a word for programs, its member `code`.
    #[must_use]
    pub(super) fn coded(mut self, code: &'static str) -> Self {
        self.members.get_or_insert_default().insert("code".into(), code.into());
        self
    }

    /// The same, and nobody is there to read it: it counts as the client's leaving.
    #[must_use]
    pub(super) fn for_nobody(mut self) -> Self {
        self.to_nobody = true;
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
            ServiceError::Conflict(_) | ServiceError::Moved { .. } => Self::new(StatusCode::CONFLICT, detail),
            ServiceError::Differs { code, mut members, .. } => {
                members.insert("code".into(), code.into());
                Self { members: Some(Box::new(members)), ..Self::new(StatusCode::CONFLICT, detail) }
            }
            ServiceError::Unauthorized(_) => Self::unauthorized(detail),
            ServiceError::SecondFactor { code, .. } => Self::unauthorized(detail).coded(code),
            ServiceError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, detail),
            ServiceError::Unproven(error) => Self { errors: vec![error], ..Self::new(StatusCode::FORBIDDEN, detail) },
            ServiceError::Unavailable { retry_after, .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_after),
            ServiceError::TooMany { retry_after, .. } => Self::too_many(detail, retry_after),
            ServiceError::Full { limit, retry_after, .. } => {
                let members = [("code", Value::from("limit_per_owner")), ("limit", limit.into())];
                let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                Self { members: Some(Box::new(members)), ..Self::too_many(detail, retry_after) }
            }
            ServiceError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        text::cut(&mut self.detail, MAX_TOLD);
        let errors = listed(self.errors);
        let problem = Problem {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            error: &self.detail,
            errors: &errors,
            members: self.members.as_deref(),
        };
        let text = serde_json::to_vec(&problem).unwrap_or_else(|_| br#"{"error":"internal error"}"#.to_vec());
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        if self.to_nobody {
            response.extensions_mut().insert(ToNobody);
        }
        response
    }
}

/// As many as an answer lists, and how many more there are.
fn listed(mut errors: Vec<FieldError>) -> Vec<FieldError> {
    let more = errors.len().saturating_sub(MAX_LISTED);
    errors.truncate(MAX_LISTED);
    for error in &mut errors {
        text::cut(&mut error.pointer, MAX_QUOTED);
        text::cut(&mut error.detail, MAX_TOLD);
    }
    if more > 0 {
        errors.push(FieldError { pointer: String::new(), detail: format!("{more} more are wrong and not listed") });
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(errors: Vec<FieldError>) -> serde_json::Value {
        let body = ApiError::invalid(errors).into_response().into_body();
        serde_json::from_slice(&axum::body::to_bytes(body, usize::MAX).await.unwrap()).unwrap()
    }

    fn wrong(pointer: String) -> FieldError {
        FieldError { pointer, detail: "unknown field; accepted are name, email".into() }
    }

    #[tokio::test]
    async fn a_refusal_lists_the_first_and_counts_the_rest() {
        let few = refusal((0..20).map(|number| wrong(format!("/{number}"))).collect()).await;
        assert_eq!(few["errors"].as_array().unwrap().len(), 20);
        let many = refusal((0..5_000).map(|number| wrong(format!("/{number}"))).collect()).await;
        let listed = many["errors"].as_array().unwrap();
        assert_eq!((listed.len(), &listed[19]["pointer"]), (21, &serde_json::json!("/19")));
        assert_eq!(listed[20], serde_json::json!({"pointer": "", "detail": "4980 more are wrong and not listed"}));
    }

    #[tokio::test]
    async fn a_refusal_is_short_whatever_was_sent() {
        let long = "\u{200b}".repeat(20_000);
        let told = refusal(vec![FieldError { pointer: format!("/{long}"), detail: long }]).await.to_string();
        assert!(told.len() < 10_000, "{} bytes", told.len());
        assert_eq!(quoted(&"a".repeat(101)), format!("{}…", "a".repeat(100)));
        assert_eq!(quoted("a\n"), "a\\n");
    }
}
