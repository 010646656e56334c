//! Other processes, asked how they are.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};

/// Where a process tells how it is.
const PATH: &str = "/healthz";
/// Bytes of an answer that are read, at most.
const MOST: usize = 64 * 1024;

/// What the process at `authority` (a name or an address, with a port) tells of itself within `limit`.
///
/// # Errors
/// Why it tells nothing, as a clause that goes on after its name.
pub(in crate::http) async fn health_of(authority: &str, limit: Duration) -> Result<(HeaderMap, Bytes), String> {
    let asking = async {
        let request = Request::get(format!("http://{authority}{PATH}")).header(header::CONNECTION, "close").body(Body::empty());
        let request = request.map_err(|_| "has no address".to_owned())?;
        let answer = super::client(limit, 0).request(request).await;
        let answer =
            answer.map_err(|error| if error.is_connect() { "accepts no connection" } else { "closes the connection without an answer" })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, MOST).collect().await;
        Ok((head.headers, body.map_err(|_| "breaks its answer off, or tells too much".to_owned())?.to_bytes()))
    };
    let within = tokio::time::timeout(limit, asking).await;
    within.unwrap_or_else(|_| Err(format!("has not answered within {} ms", limit.as_millis())))
}
