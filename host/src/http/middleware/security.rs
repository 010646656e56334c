//! What every answer tells a browser, and what a panic becomes.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;

use crate::http::error::ApiError;

/// Pages load from here only. Styles may be inline: the editor's canvas positions its nodes that way.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
     connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
);
/// What is no page must not become one.
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Sets the headers.
pub(super) fn set_headers(headers: &mut HeaderMap) {
    let policy = policy(headers);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    set(headers, header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    if let Some(policy) = policy {
        set(headers, header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.remove(header::SERVER);
}

/// What a handler answers; a panic becomes an answer too, and the process goes on.
pub(super) async fn unless_panicked(answering: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(panicked)
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned())).unwrap_or_else(|| "no text".into());
    ApiError::internal(anyhow::anyhow!("a handler panicked: {text}")).into_response()
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    headers.entry(name).or_insert(value);
}

/// Pages and data have one; scripts, styles and pictures fall under that of the page that loads them.
fn policy(headers: &HeaderMap) -> Option<HeaderValue> {
    let media = headers.get(header::CONTENT_TYPE)?.as_bytes();
    if media.starts_with(b"text/html") {
        return Some(PAGE_POLICY);
    }
    media.windows(4).any(|part| part == b"json").then_some(DATA_POLICY)
}
