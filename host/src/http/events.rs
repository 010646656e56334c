//! Transitions as server-sent events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;

use super::error::ApiError;
use super::number::whole_number;
use crate::services::resources::Change;
use crate::shutdown::Stop;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a user with too many streams may ask again.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How long a resumed stream may take to say that nothing follows.
const END_CHECK: Duration = Duration::from_millis(100);

/// The last event the client has seen; `None` when it begins.
pub(super) fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(sent) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let seq = sent.to_str().ok().and_then(|text| whole_number(text.trim()));
    seq.map(Some).ok_or_else(|| ApiError::bad_request("Last-Event-ID is not the id of an event of this stream"))
}

/// The streams that each user has open. Each holds a connection for as long as it likes.
pub(super) struct Streams {
    open: Arc<Mutex<HashMap<String, usize>>>,
    most: usize,
}

/// A stream of a user; it is over when this is dropped.
pub(super) struct Place {
    open: Arc<Mutex<HashMap<String, usize>>>,
    user: String,
}

impl Streams {
    /// For so many of each user.
    pub(super) fn new(most: usize) -> Self {
        Self { open: Arc::default(), most }
    }

    /// One more of `user`, or 429.
    pub(super) fn open(&self, user: &str) -> Result<Place, ApiError> {
        let mut open = self.open.lock();
        let count = open.entry(user.to_owned()).or_default();
        if *count >= self.most {
            let detail = format!("this user has {count} event streams open, and may have {}; close one of them", self.most);
            return Err(ApiError::too_many(detail, TRY_AGAIN));
        }
        *count += 1;
        Ok(Place { open: Arc::clone(&self.open), user: user.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

/// Whose stream it is: their place, and for how long their token is good.
pub(super) struct Reader {
    pub(super) place: Place,
    pub(super) left: Duration,
}

/// Streams `changes` until the last, until the token of `reader` is no longer good, or until the server stops.
pub(super) async fn stream(mut changes: BoxStream<'static, Change>, after: Option<u64>, reader: Option<Reader>, stop: Stop) -> Response {
    let mut first = None;
    if after.is_some() {
        // A client that comes back after the last event is told to stay away: 204 ends an EventSource, an empty stream does not.
        match tokio::time::timeout(END_CHECK, changes.next()).await {
            Ok(None) => return StatusCode::NO_CONTENT.into_response(),
            Ok(change) => first = change,
            Err(_) => {}
        }
    }
    let left = reader.as_ref().map(|reader| reader.left);
    let over = async move {
        match left {
            // Whichever comes first.
            Some(left) => drop(tokio::time::timeout(left, stop.requested()).await),
            None => stop.requested().await,
        }
    };
    let changes = until_last(stream::iter(first).chain(changes)).take_until(over);
    let events = changes.map(move |change| {
        let _kept = reader.as_ref().map(|reader| &reader.place);
        Ok::<_, Infallible>(event(&change))
    });
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Ends with the last change itself, not when another would come.
fn until_last(changes: impl Stream<Item = Change> + Send + Unpin + 'static) -> impl Stream<Item = Change> + Send + 'static {
    stream::unfold((changes, false), |(mut changes, ended)| async move {
        let change = if ended { None } else { changes.next().await }?;
        let last = change.body.is_final;
        Some((change, (changes, last)))
    })
}

fn event(change: &Change) -> Event {
    let event = Event::default().event("transition").id(change.seq.to_string());
    event.json_data(&change.body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::resources::{ChangeBody, HistoryRow, Object};
    use http_body_util::BodyExt;

    fn change(seq: u64, is_final: bool) -> Change {
        let transition = HistoryRow {
            seq,
            from: format!("s{}", seq - 1),
            to: format!("s{seq}"),
            transition: "go_on".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            cause: "api".into(),
            component: None,
            digest: None,
            attempt: None,
            reason: None,
        };
        let (id, state, data) = ("thing-1".into(), transition.to.clone(), Object::new());
        Change { seq, body: ChangeBody { id, state, is_final, actions: vec!["stop".into()], version: seq, transition, data } }
    }

    async fn text(response: Response) -> String {
        let body = tokio::time::timeout(Duration::from_secs(5), response.into_body().collect()).await.expect("the stream ends");
        String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_transition_is_an_event_with_its_number_and_the_last_one_ends_the_stream() {
        let changes = stream::iter([change(1, false), change(2, true)]).chain(stream::pending()).boxed();
        let response = stream(changes, None, None, Stop::new()).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = text(response).await;
        let events: Vec<&str> = text.split_terminator("\n\n").collect();
        assert_eq!(events.len(), 2, "{text}");
        for (number, event) in (1..).zip(events) {
            let data = event.strip_prefix(&format!("event: transition\nid: {number}\ndata: ")).expect(event);
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(data).unwrap(),
                serde_json::to_value(change(number, number == 2).body).unwrap()
            );
        }
    }

    #[tokio::test]
    async fn who_comes_back_gets_what_follows_and_204_when_nothing_does() {
        let changes = stream::iter([change(5, true)]).boxed();
        assert!(text(stream(changes, Some(4), None, Stop::new()).await).await.contains("id: 5"));
        assert_eq!(stream(stream::empty().boxed(), Some(5), None, Stop::new()).await.status(), StatusCode::NO_CONTENT);
    }

    #[tokio::test]
    async fn a_stop_ends_a_quiet_stream() {
        let stop = Stop::new();
        let response = stream(stream::pending().boxed(), Some(1), None, stop.clone()).await;
        stop.request();
        assert_eq!(text(response).await, "");
    }

    #[tokio::test]
    async fn a_stream_ends_with_the_token_that_it_was_opened_with() {
        let place = Streams::new(1).open("ada").unwrap();
        let reader = Reader { place, left: Duration::from_millis(10) };
        assert_eq!(text(stream(stream::pending().boxed(), None, Some(reader), Stop::new()).await).await, "");
    }

    #[tokio::test]
    async fn a_user_has_so_many_streams_and_gets_one_back_when_one_is_over() {
        let streams = Streams::new(2);
        let quiet = |place| stream(stream::pending().boxed(), None, Some(Reader { place, left: Duration::from_secs(3600) }), Stop::new());
        let _first = quiet(streams.open("ada").unwrap()).await;
        let second = quiet(streams.open("ada").unwrap()).await;
        let refused = streams.open("ada").err().unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.detail.contains("may have 2"), "{}", refused.detail);
        assert!(streams.open("bob").is_ok(), "another user");
        drop(second);
        assert!(streams.open("ada").is_ok());
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
