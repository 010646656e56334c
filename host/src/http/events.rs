//! Transitions as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};

use super::error::ApiError;
use crate::services::resources::Change;
use crate::shutdown::Stop;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a resumed stream may take to say that nothing follows.
const END_CHECK: Duration = Duration::from_millis(100);

/// The last event the client has seen; `None` when it begins.
pub(super) fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(sent) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let seq = sent.to_str().ok().and_then(|text| text.trim().parse().ok());
    seq.map(Some).ok_or_else(|| ApiError::bad_request("Last-Event-ID is not the id of an event of this stream"))
}

/// Streams `changes` until the last, or until the server stops.
pub(super) async fn stream(mut changes: BoxStream<'static, Change>, after: Option<u64>, stop: Stop) -> Response {
    let mut first = None;
    if after.is_some() {
        // A client that comes back after the last event is told to stay away: 204 ends an EventSource, an empty stream does not.
        match tokio::time::timeout(END_CHECK, changes.next()).await {
            Ok(None) => return StatusCode::NO_CONTENT.into_response(),
            Ok(change) => first = change,
            Err(_) => {}
        }
    }
    let changes = until_last(stream::iter(first).chain(changes)).take_until(async move { stop.requested().await });
    let events = changes.map(|change| Ok::<_, Infallible>(event(&change)));
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn until_last(changes: impl Stream<Item = Change> + Send + 'static) -> impl Stream<Item = Change> + Send + 'static {
    changes.scan(false, |ended, change| {
        let next = if *ended { None } else { Some(change) };
        *ended = next.as_ref().is_none_or(|change| change.last);
        std::future::ready(next)
    })
}

fn event(change: &Change) -> Event {
    Event::default().event("transition").id(change.seq.to_string()).data(change.body.to_string())
}
