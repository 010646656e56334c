//! A connection's bytes under watch: heads that come too slowly, answers that are not taken, and what hyper would answer by itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::activity::{Activity, Running};
use super::framing::Framing;

/// For the peer to take the last answer, before the connection is closed.
const LINGER: Duration = Duration::from_millis(500);
/// Where an answer says its status.
const STATUS: std::ops::Range<usize> = 9..12;

/// How long what may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From the first byte of a head to its last; also from the connection to its first request.
    pub(super) head: Duration,
    /// The same, and for the peer to take anything of an answer, where there is no place.
    pub(super) without_place: Duration,
    /// For the peer to take anything of an answer.
    pub(super) write: Duration,
}

/// A stream that fails when a head takes too long to come, or the peer takes nothing of the answer for too long.
///
/// It is closed by [`WatchedStream::close`] only, and keeps back what hyper says of requests that it cannot read.
pub(super) struct WatchedStream {
    stream: TcpStream,
    activity: Arc<Activity>,
    framing: Framing,
    limits: Limits,
    /// When the head has to be there, and how many were when that was decided.
    head_deadline: Option<(Pin<Box<Sleep>>, u64)>,
    write_deadline: Option<Pin<Box<Sleep>>>,
    withheld: Option<StatusCode>,
}

impl WatchedStream {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>, framing: Framing, limits: Limits) -> Self {
        Self { stream, activity, framing, limits, head_deadline: None, write_deadline: None, withheld: None }
    }

    /// The status with which hyper would have refused what was sent.
    pub(super) fn withheld(&self) -> Option<StatusCode> {
        self.withheld
    }

    pub(super) fn had_too_many_headers(&self) -> bool {
        self.framing.had_too_many_headers()
    }

    /// Where an answer can be written to that hyper knows nothing of.
    pub(super) fn bare(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Ends what is sent. Where more is on its way here, the peer gets a moment to take the answer: were the connection closed at once, it
    /// would get a reset instead.
    pub(super) async fn close(mut self) {
        let awaits_more = self.withheld.is_some() || !self.framing.is_after(self.activity.begun());
        if self.stream.shutdown().await.is_ok() && awaits_more {
            let mut rest = [0; 4096];
            let _ = tokio::time::timeout(LINGER, async { while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} }).await;
        }
    }

    fn received(&mut self, read: &[u8]) {
        if let Some(head) = self.framing.follow(read) {
            self.activity.note_ambiguous(head);
        }
        self.activity.note_incomplete(self.framing.incomplete_body());
    }

    /// `usual`, or less where there is no place.
    fn limit(&self, usual: Duration) -> Duration {
        if self.activity.has_place() { usual } else { usual.min(self.limits.without_place) }
    }

    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let heads = self.framing.heads();
        let awaited = !self.activity.is_busy() && (heads == 0 || self.framing.is_within_head());
        self.head_deadline.take_if(|(_, then)| !awaited || *then != heads);
        if !awaited {
            return Poll::Pending;
        }
        let limit = self.limit(self.limits.head);
        let (deadline, _) = self.head_deadline.get_or_insert_with(|| (sleep(limit), heads));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request took too long")))
    }

    /// Whether `bytes` belong to no answer of ours. Then hyper refuses what it cannot read, and its answer is noted instead of sent.
    fn withholds(&mut self, bytes: &[u8]) -> bool {
        if self.withheld.is_none() && !self.activity.owes_answer() {
            self.withheld = bytes.get(STATUS).and_then(|digits| StatusCode::from_bytes(digits).ok());
        }
        self.withheld.is_some()
    }

    fn watch_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.activity.note_blocked(written.is_pending());
        if written.is_ready() {
            self.write_deadline = None;
            return written;
        }
        let timeout = self.limit(self.limits.write);
        ready!(self.write_deadline.get_or_insert_with(|| sleep(timeout)).as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing of its answer")))
    }
}

fn sleep(time: Duration) -> Pin<Box<Sleep>> {
    let now = Instant::now();
    Box::pin(tokio::time::sleep_until(now.checked_add(time).unwrap_or(now)))
}

impl AsyncRead for WatchedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                this.received(&buffer.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            Poll::Pending => this.poll_head_deadline(cx),
            failed => failed,
        }
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.withholds(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watch_write(cx, written)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.withholds(slices.first().map_or(&[], |slice| slice)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        if flushed.is_ready() {
            this.activity.flushed();
        }
        this.watch_write(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An answer's body: the request is under way until it has been written or given up.
pub(super) struct Answer {
    body: Body,
    _running: Running,
}

impl Answer {
    pub(super) fn new(body: Body, running: Running) -> Self {
        Self { body, _running: running }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
