//! Transitions as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};

use super::error::ApiError;
use super::resources::whole_number;
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
    let seq = sent.to_str().ok().and_then(|text| whole_number(text.trim()));
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

/// Ends with the last change itself, not when another would come.
fn until_last(changes: impl Stream<Item = Change> + Send + Unpin + 'static) -> impl Stream<Item = Change> + Send + 'static {
    stream::unfold((changes, false), |(mut changes, ended)| async move {
        let change = if ended { None } else { changes.next().await }?;
        let last = change.last;
        Some((change, (changes, last)))
    })
}

fn event(change: &Change) -> Event {
    Event::default().event("transition").id(change.seq.to_string()).data(change.body.to_string())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::json;

    use super::*;

    fn change(seq: u64, last: bool) -> Change {
        Change { seq, body: json!({"state": format!("s{seq}")}), last }
    }

    async fn text(response: Response) -> String {
        let body = tokio::time::timeout(Duration::from_secs(5), response.into_body().collect()).await.expect("the stream ends");
        String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_transition_is_an_event_with_its_number_and_the_last_one_ends_the_stream() {
        let changes = stream::iter([change(1, false), change(2, true)]).chain(stream::pending()).boxed();
        let response = stream(changes, None, Stop::new()).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let expected = "event: transition\nid: 1\ndata: {\"state\":\"s1\"}\n\nevent: transition\nid: 2\ndata: {\"state\":\"s2\"}\n\n";
        assert_eq!(text(response).await, expected);
    }

    #[tokio::test]
    async fn who_comes_back_gets_what_follows_and_204_when_nothing_does() {
        let changes = stream::iter([change(5, true)]).boxed();
        assert!(text(stream(changes, Some(4), Stop::new()).await).await.contains("id: 5"));
        assert_eq!(stream(stream::empty().boxed(), Some(5), Stop::new()).await.status(), StatusCode::NO_CONTENT);
    }

    #[tokio::test]
    async fn a_stop_ends_a_quiet_stream() {
        let stop = Stop::new();
        let response = stream(stream::pending().boxed(), Some(1), stop.clone()).await;
        stop.request();
        assert_eq!(text(response).await, "");
    }

    #[test]
    fn an_event_id_is_a_number() {
        let with = |id: &'static str| HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_static(id))]);
        assert_eq!(last_seen(&with("7")).unwrap(), Some(7));
        assert_eq!(last_seen(&HeaderMap::new()).unwrap(), None);
        for wrong in ["-1", "+1", "1.0", "one", "", "9223372036854775808"] {
            assert_eq!(last_seen(&with(wrong)).unwrap_err().status(), StatusCode::BAD_REQUEST, "{wrong}");
        }
    }
}
