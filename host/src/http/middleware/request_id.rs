//! `http.middleware.requestid`: one name for a request, in its answer and in the log.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// The header.
pub(in crate::http) const NAME: HeaderName = HeaderName::from_static("x-request-id");
const MAX_BYTES: usize = 128;

/// Keeps the client's id if it is harmless in a log line, else makes one; the answer carries it.
pub(in crate::http) async fn echo(mut request: Request, next: Next) -> Response {
    let id = of(request.headers());
    request.headers_mut().insert(NAME, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(NAME, id);
    response
}

/// The client's own id if it is harmless, else a new one.
pub(in crate::http) fn of(headers: &HeaderMap) -> HeaderValue {
    headers.get(NAME).filter(|id| is_harmless(id)).cloned().unwrap_or_else(fresh)
}

fn is_harmless(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=@".contains(b))
}

fn fresh() -> HeaderValue {
    HeaderValue::from_str(&uuid::Uuid::now_v7().to_string()).unwrap_or_else(|_| HeaderValue::from_static("-"))
}
