//! A client's body on its way to a backend: bounded, and watched, so that what the client does wrong is not told of the backend.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use crate::http::body::Cut;

/// What an upload may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes.
    pub(super) size: u64,
    /// From its beginning to its end.
    pub(super) time: Duration,
}

/// How an upload gets on. Shared by the body, which the connection to the backend owns, and by who waits for the answer.
pub(super) struct Course {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Clone, Copy)]
struct State {
    /// The backend would take more, and the client has sent no more.
    waits_for_client: bool,
    /// When the last piece came.
    last: Instant,
    cut: Option<Cut>,
}

impl Course {
    fn new() -> Self {
        Self { state: Mutex::new(State { waits_for_client: false, last: Instant::now(), cut: None }), changed: Notify::new() }
    }

    /// Why the body did not come whole, if so.
    pub(super) fn cut(&self) -> Option<Cut> {
        self.state.lock().cut
    }

    /// Ends when the backend has had `limit` since the client's last piece: as long as the next one is waited for, it owes nothing.
    pub(super) async fn overdue(&self, limit: Duration) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let State { waits_for_client, last, .. } = *self.state.lock();
            if waits_for_client {
                changed.await;
                continue;
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(limit.saturating_sub(last.elapsed())) => return,
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.notify_waiters();
    }
}

/// The body of a request, of which `bounds` hold.
struct Upload {
    body: Body,
    /// Bytes that may still come.
    left: u64,
    bounds: Bounds,
    deadline: Pin<Box<Sleep>>,
    course: Arc<Course>,
}

/// The same request, its body within `bounds`, and what becomes of the body.
pub(super) fn watch(request: Request, bounds: Bounds) -> (Request, Arc<Course>) {
    let course = Arc::new(Course::new());
    let request = request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        let deadline = Box::pin(tokio::time::sleep(bounds.time));
        Body::new(Upload { body, left: bounds.size, bounds, deadline, course: Arc::clone(&course) })
    });
    (request, course)
}

impl Upload {
    /// Ends it with an error, which makes the connection to the backend unusable.
    fn end(&self, cut: Cut) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.course.change(|state| {
            state.waits_for_client = false;
            state.cut = Some(cut);
        });
        Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other("the client's body did not come whole")))))
    }

    fn came(&mut self, frame: Frame<Bytes>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = self.left.checked_sub(length) else { return self.end(Cut::TooLarge(self.bounds.size)) };
        self.left = left;
        self.course.change(|state| {
            state.waits_for_client = false;
            state.last = Instant::now();
        });
        Poll::Ready(Some(Ok(frame)))
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => this.came(frame),
            Poll::Ready(Some(Err(error))) => this.end(Cut::by(&error)),
            Poll::Ready(None) => {
                this.course.change(|state| state.waits_for_client = false);
                Poll::Ready(None)
            }
            Poll::Pending if this.deadline.as_mut().poll(cx).is_ready() => this.end(Cut::TooSlow(this.bounds.time)),
            Poll::Pending => {
                this.course.change(|state| state.waits_for_client = true);
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn watched(body: Body, time: Duration) -> (Request, Arc<Course>) {
        watch(Request::new(body), Bounds { size: 10, time })
    }

    fn that_never_ends() -> Body {
        Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>())
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_in_time_is_the_clients_affair() {
        let time = Duration::from_millis(10);
        let (request, course) = watched(that_never_ends(), time);
        assert!(request.into_body().collect().await.is_err());
        assert_eq!(course.cut(), Some(Cut::TooSlow(time)));
    }

    #[tokio::test]
    async fn a_body_may_be_as_large_as_its_bound_and_no_larger() {
        for (size, cut) in [(10, None), (11, Some(Cut::TooLarge(10)))] {
            let (request, course) = watched(Body::from(vec![0; size]), LONG);
            assert_eq!(request.into_body().collect().await.is_ok(), cut.is_none(), "{size}");
            assert_eq!(course.cut(), cut, "{size}");
        }
    }

    #[tokio::test]
    async fn a_backend_owes_no_answer_while_the_client_is_waited_for() {
        let limit = Duration::from_millis(10);
        let (request, course) = watched(that_never_ends(), LONG);
        let mut body = request.into_body();
        let reading = tokio::time::timeout(Duration::from_millis(100), body.frame());
        tokio::select! {
            biased;
            _ = reading => {}
            () = course.overdue(limit) => panic!("the client is slow, not the backend"),
        }
        let (_, course) = watched(Body::empty(), LONG);
        course.overdue(limit).await;
    }
}
