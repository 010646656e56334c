//! A connection's bytes under watch: heads that come too slowly, answers that are not taken, and what the head really said.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Enough to hold the largest head that is accepted, and what was read with it.
const KEPT_BYTES: usize = 40 * 1024;

/// What a connection is doing, shared by its stream and its requests.
#[derive(Default)]
pub(super) struct Activity {
    /// A request is being answered.
    busy: AtomicBool,
    /// Requests begun.
    begun: AtomicU64,
    /// The bytes read last.
    recent: Mutex<VecDeque<u8>>,
}

/// A request under way; it is over when this is dropped.
pub(super) struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl Activity {
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::AcqRel);
        self.busy.store(true, Ordering::Release);
        Running(Arc::clone(self))
    }

    /// Whether a head with this request line, among the bytes read last, has a `Content-Length`.
    pub(super) fn sent_length(&self, method: &str, target: &str) -> bool {
        let mut recent = self.recent.lock();
        let bytes: &[u8] = recent.make_contiguous();
        let line = format!("{method} {target} HTTP/1.");
        let mut heads = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(line.as_bytes()));
        heads.any(|at| head_lines(&bytes[at..]).any(is_length))
    }

    fn keep(&self, read: &[u8]) {
        let mut recent = self.recent.lock();
        let excess = (recent.len() + read.len()).saturating_sub(KEPT_BYTES).min(recent.len());
        recent.drain(..excess);
        recent.extend(read);
    }
}

fn head_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).take_while(|line| !line.is_empty())
}

fn is_length(line: &[u8]) -> bool {
    let name = line.split(|&b| b == b':').next().unwrap_or_default();
    name.len() < line.len() && name.eq_ignore_ascii_case(b"content-length")
}

/// A stream that fails when a head takes too long to come, or the peer takes nothing of the answer for too long.
pub(super) struct WatchedStream {
    stream: TcpStream,
    activity: Arc<Activity>,
    head_timeout: Duration,
    write_timeout: Duration,
    /// When the head has to be there, and how many requests had begun when that was decided.
    head_deadline: Option<(Pin<Box<Sleep>>, u64)>,
    write_deadline: Option<Pin<Box<Sleep>>>,
}

impl WatchedStream {
    pub(super) fn new(stream: TcpStream, activity: Arc<Activity>, head_timeout: Duration, write_timeout: Duration) -> Self {
        let head_deadline = Some((sleep(head_timeout), 0));
        Self { stream, activity, head_timeout, write_timeout, head_deadline, write_deadline: None }
    }

    fn received(&mut self, read: &[u8]) {
        self.activity.keep(read);
        self.forget_old_deadline();
        if self.head_deadline.is_none() && !self.activity.busy.load(Ordering::Acquire) {
            self.head_deadline = Some((sleep(self.head_timeout), self.activity.begun.load(Ordering::Acquire)));
        }
    }

    /// A head that was waited for has come.
    fn forget_old_deadline(&mut self) {
        let begun = self.activity.begun.load(Ordering::Acquire);
        self.head_deadline.take_if(|(_, then)| *then != begun);
    }

    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.forget_old_deadline();
        let Some((deadline, _)) = &mut self.head_deadline else { return Poll::Pending };
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the head of a request took too long")))
    }

    fn watch_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_deadline = None;
            return written;
        }
        let timeout = self.write_timeout;
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
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.watch_write(cx, written)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.watch_write(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_length(bytes: &[u8]) -> bool {
        let activity = Activity::default();
        activity.keep(bytes);
        activity.sent_length("POST", "/a?b")
    }

    #[test]
    fn a_length_is_found_in_its_own_head_only() {
        assert!(sent_length(
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST /a?b HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-LENGTH: 3\r\n\r\n"
        ));
        assert!(!sent_length(b"POST /a?b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\ncontent-length: 3\r\n"));
        assert!(!sent_length(b"POST /other HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST /a?b HTTP/1.1\r\nX: content-length\r\n\r\n"));
    }

    #[test]
    fn only_so_much_is_kept() {
        let activity = Activity::default();
        for _ in 0..10 {
            activity.keep(&[b'x'; 16 * 1024]);
        }
        assert!(activity.recent.lock().len() <= KEPT_BYTES);
    }
}
