//! Headers that end here: those of one connection, those that only a proxy may write, and those of the installation.
//!
//! The library that forwards drops what is meant for one connection, and what `Connection` names, in both directions.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use crate::http::error::ApiError;
use crate::http::middleware::request_id;
use crate::http::server::{MAX_HEADER_BYTES, MAX_HEADERS};

/// Headers of the installation begin with this; nobody outside may send or see one.
const INTERNAL: &str = "x-internal-";

/// Headers that are added on the way to a backend: `Forwarded`, four `X-Forwarded-*`, `Via`, `traceparent`, `X-Request-ID`.
const ADDED: usize = 8;
/// And how long they may be together, names included.
const ADDED_BYTES: usize = 2 * 1024;

/// What a client may not say of itself. The library writes the true ones; what a client invents would become the address of
/// whoever is limited or logged behind us. `Upgrade` goes too: nothing behind us changes the protocol.
const NOT_FROM_CLIENTS: [HeaderName; 9] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
    header::PROXY_AUTHORIZATION,
    header::UPGRADE,
];

/// What tells clients nothing they should act on.
const NOT_FROM_BACKENDS: [HeaderName; 3] = [header::SERVER, header::PROXY_AUTHENTICATE, HeaderName::from_static("x-powered-by")];

/// Leaves what may go to a backend.
pub(super) fn clean_request(headers: &mut HeaderMap) {
    drop_all(headers, &NOT_FROM_CLIENTS);
}

/// Refuses a head that could not be passed on: with what is added here, a backend that has the limits of this process would refuse it.
pub(super) fn check_head(request: &Request) -> Result<(), ApiError> {
    let refused = |detail: String| Err(ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail));
    let (headers, most, most_bytes) = (request.headers(), MAX_HEADERS - ADDED, MAX_HEADER_BYTES - ADDED_BYTES);
    // Its own name for the request has been added already, or replaced.
    let count = headers.len() - usize::from(headers.contains_key(request_id::NAME));
    if count > most {
        return refused(format!("the request has {count} headers; {most} can be passed on"));
    }
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    // A name and its value stand between them with a colon, a blank and the end of the line.
    let bytes = headers.iter().fold(target, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4);
    if bytes > most_bytes {
        return refused(format!("the headers and the path have {bytes} bytes; {most_bytes} can be passed on"));
    }
    Ok(())
}

/// Leaves what may go to a client.
pub(super) fn clean_answer(headers: &mut HeaderMap) {
    drop_all(headers, &NOT_FROM_BACKENDS);
}

fn drop_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    let internal: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(INTERNAL)).cloned().collect();
    for name in names.iter().chain(&internal) {
        headers.remove(name);
    }
}
