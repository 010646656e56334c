//! The body of a request that may be given to another target: as long as nothing of it was taken, or if what was taken is kept.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

/// A client's body. What reads it is made anew for each target.
pub(super) struct Replay(Arc<Mutex<Inner>>);

struct Inner {
    body: Body,
    /// What was taken, if that is kept and can be given again.
    kept: Option<Vec<Bytes>>,
    was_begun: bool,
    has_ended: bool,
    /// Of the whole.
    hint: SizeHint,
}

impl Replay {
    /// Of `body`, of which what is taken is kept with `keeps`: no more than the body is allowed to have.
    pub(super) fn of(body: Body, keeps: bool) -> Self {
        let hint = body.size_hint();
        Self(Arc::new(Mutex::new(Inner { body, kept: keeps.then(Vec::new), was_begun: false, has_ended: false, hint })))
    }

    /// The body from its beginning, provided that it [is whole](Self::is_whole).
    pub(super) fn body(&self) -> Body {
        let inner = self.0.lock();
        if !inner.was_begun && inner.body.is_end_stream() {
            return Body::empty();
        }
        Body::new(Reader { inner: Arc::clone(&self.0), next: 0, given: 0 })
    }

    /// Whether all of it can be given once more.
    pub(super) fn is_whole(&self) -> bool {
        let inner = self.0.lock();
        !inner.was_begun || inner.kept.is_some()
    }
}

struct Reader {
    inner: Arc<Mutex<Inner>>,
    /// Place among what is kept.
    next: usize,
    /// Bytes.
    given: u64,
}

impl HttpBody for Reader {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let mut inner = this.inner.lock();
        if let Some(piece) = inner.kept.as_ref().and_then(|kept| kept.get(this.next)).cloned() {
            this.next += 1;
            this.given += piece.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if inner.has_ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut inner.body).poll_frame(cx));
        inner.was_begun = true;
        match &frame {
            None => inner.has_ended = true,
            Some(frame) => match frame.as_ref().ok().and_then(Frame::data_ref) {
                Some(piece) => {
                    this.next += 1;
                    this.given += piece.len() as u64;
                    if let Some(kept) = &mut inner.kept {
                        kept.push(piece.clone());
                    }
                }
                // Trailers, and an error, are given once.
                None => inner.kept = None,
            },
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let inner = self.inner.lock();
        let has_given_all = inner.kept.as_ref().is_none_or(|kept| self.next >= kept.len());
        has_given_all && (inner.has_ended || inner.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let whole = self.inner.lock().hint.exact();
        whole.map_or_else(SizeHint::default, |whole| SizeHint::with_exact(whole.saturating_sub(self.given)))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn in_pieces(pieces: &[&'static str]) -> Body {
        Body::from_stream(futures::stream::iter(pieces.iter().map(|piece| Ok::<_, std::io::Error>(*piece)).collect::<Vec<_>>()))
    }

    async fn first_piece(body: &mut Body) -> String {
        let frame = body.frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_body_of_which_nothing_was_taken_is_given_whole_to_the_next() {
        let replay = Replay::of(in_pieces(&["one", "two"]), false);
        drop(replay.body());
        assert!(replay.is_whole());
        assert_eq!(replay.body().collect().await.unwrap().to_bytes(), "onetwo");
        assert!(!replay.is_whole(), "it was not kept");
    }

    #[tokio::test]
    async fn what_was_taken_of_a_body_that_is_kept_is_given_again_and_then_the_rest() {
        let replay = Replay::of(in_pieces(&["one", "two", "three"]), true);
        let mut first = replay.body();
        assert_eq!(first_piece(&mut first).await, "one");
        drop(first);
        assert!(replay.is_whole());
        assert_eq!(replay.body().collect().await.unwrap().to_bytes(), "onetwothree");
        assert_eq!(replay.body().collect().await.unwrap().to_bytes(), "onetwothree", "also when it had ended");
    }

    #[tokio::test]
    async fn its_length_is_told_each_time_and_an_empty_one_is_none() {
        let replay = Replay::of(Body::from("12345"), true);
        assert_eq!(replay.body().size_hint().exact(), Some(5));
        let _ = replay.body().collect().await;
        assert_eq!(replay.body().size_hint().exact(), Some(5));
        let empty = Replay::of(Body::empty(), false);
        assert!(empty.body().is_end_stream() && empty.is_whole());
    }
}
