//! Connections to backends, on which an answer can be read although the request could not be written to its end.
//!
//! A backend may answer before it has read the whole body, 401 or 413 for example, and close. Writing the rest then fails while the answer
//! waits to be read. So the first failure to write only ends the writing: reading goes on and finds the answer, or the end of the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http::Uri;
use futures::future::BoxFuture;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use crate::between;

/// Connects to backends.
#[derive(Clone)]
pub(super) struct Connector(pub(super) between::Connector);

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Link>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Service::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, backend: Uri) -> Self::Future {
        let connecting = self.0.call(backend);
        Box::pin(async move { Ok(Link { stream: connecting.await?, unheard: false }) })
    }
}

/// One connection to a backend.
pub(super) struct Link {
    stream: TokioIo<TcpStream>,
    /// The backend reads no longer; what is written goes nowhere.
    unheard: bool,
}

impl Link {
    fn forgiven<T>(&mut self, done: Poll<io::Result<T>>, instead: T) -> Poll<io::Result<T>> {
        match done {
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a backend reads no longer; its answer may be there");
                self.unheard = true;
                Poll::Ready(Ok(instead))
            }
            done => done,
        }
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.unheard {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.forgiven(written, bytes.len())
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.unheard {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.forgiven(written, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unheard {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.forgiven(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
