//! Bodies of requests that were answered before they were read.
//!
//! Whoever is refused is told before the body has come, and hyper then ends the connection. A gateway that has just put the connection
//! back into its pool would send the next request into that end, and could not tell whether it was taken. So the rest of a small body is
//! read before the answer is sent, and where that cannot be, the answer says that the connection ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

/// Bytes of a body that are read for nothing.
const MAX_REST: usize = 64 * 1024;
/// How long such a body is waited for: it was sent together with its head.
const PATIENCE: Duration = Duration::from_millis(500);

/// A body, which comes back when nobody wants to read it.
struct Lent {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

/// Where it comes back.
pub(super) struct Rest {
    /// Nowhere if there was no body.
    back: Option<oneshot::Receiver<Incoming>>,
    /// Whether its client asks first whether it shall send it.
    is_asked_for: bool,
}

/// The body for whoever answers the request with these headers, and what may be left of it.
pub(super) fn lend(headers: &HeaderMap, body: Incoming) -> (Body, Rest) {
    let is_asked_for = headers.contains_key(header::EXPECT);
    if body.is_end_stream() {
        return (Body::new(body), Rest { back: None, is_asked_for });
    }
    let (sender, back) = oneshot::channel();
    (Body::new(Lent { body: Some(body), back: Some(sender) }), Rest { back: Some(back), is_asked_for })
}

impl Rest {
    /// Once there is an answer: reads what is left of the body. False if the connection cannot be used for another request.
    pub(super) async fn finish(self) -> bool {
        // There was none, it was read to its end, or is still being read.
        let Some(Ok(body)) = self.back.map(|mut back| back.try_recv()) else { return true };
        let is_small = body.size_hint().upper().is_none_or(|size| size <= MAX_REST as u64);
        // To read it would tell its client to send it.
        if self.is_asked_for || !is_small {
            return false;
        }
        let mut rest = Limited::new(body, MAX_REST);
        let read = async {
            while let Some(frame) = rest.frame().await {
                if frame.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or(false)
    }
}

impl hyper::body::Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits any more if the connection is gone.
            let _ = back.send(body);
        }
    }
}
