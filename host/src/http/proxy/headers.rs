//! Headers that end here: those of one connection, those that only a proxy may write, and those of the installation.
//!
//! The library that forwards drops what is meant for one connection, and what `Connection` names, in both directions.

use axum::http::{HeaderMap, HeaderName, header};

/// Headers of the installation begin with this; nobody outside may send or see one.
const INTERNAL: &str = "x-internal-";

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
