//! What a component says: log lines, and the start of what it writes to standard error. Both have a budget.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::bindings::step::millrace::step::log::{Host, Level};
use super::bindings::step::millrace::step::types;
use super::text::tamed;

/// Lines of one run.
const MAX_LINES: u32 = 256;
/// Bytes of one line.
const MAX_LINE_BYTES: usize = 4 << 10;
/// Bytes of all lines of one run.
const MAX_BYTES: usize = 64 << 10;
/// Bytes of standard error that are kept.
const MAX_STDERR_BYTES: usize = 1 << 10;

/// Which run a line belongs to.
#[derive(Debug, Clone, Default)]
pub(super) struct Speaker {
    /// Name of the component.
    pub component: Arc<str>,
    /// Digest of its file.
    pub digest: Arc<str>,
    /// Id of the instance.
    pub instance: String,
    /// Name of the step.
    pub step: String,
}

/// Takes the log lines of one run.
#[derive(Debug)]
pub(super) struct GuestLog {
    speaker: Speaker,
    lines_left: u32,
    bytes_left: usize,
    dropped: u64,
}

impl GuestLog {
    /// For a run of `speaker`.
    pub fn new(speaker: Speaker) -> Self {
        Self { speaker, lines_left: MAX_LINES, bytes_left: MAX_BYTES, dropped: 0 }
    }

    /// Whether lines beyond the budget were dropped.
    pub fn has_dropped(&self) -> bool {
        self.dropped > 0
    }

    fn line(&mut self, level: Level, message: &str) {
        let message = tamed(message, MAX_LINE_BYTES);
        if self.lines_left == 0 || message.len() > self.bytes_left {
            self.dropped += 1;
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= message.len();
        let Speaker { component, digest, instance, step } = &self.speaker;
        match level {
            Level::Debug => tracing::debug!(%component, %digest, %instance, %step, "{message}"),
            Level::Info => tracing::info!(%component, %digest, %instance, %step, "{message}"),
            Level::Warn => tracing::warn!(%component, %digest, %instance, %step, "{message}"),
            Level::Error => tracing::error!(%component, %digest, %instance, %step, "{message}"),
        }
    }
}

impl Host for GuestLog {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.line(level, &message);
        Ok(())
    }
}

impl types::Host for GuestLog {}

impl Drop for GuestLog {
    fn drop(&mut self) {
        if self.dropped > 0 {
            let Speaker { component, digest, instance, step } = &self.speaker;
            tracing::warn!(%component, %digest, %instance, %step, dropped = self.dropped, "log lines beyond the budget of a run were dropped");
        }
    }
}

/// Keeps the first bytes written to standard error and forgets the rest. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Stderr(Arc<Mutex<Vec<u8>>>);

impl Stderr {
    /// What was written, as one line.
    pub fn text(&self) -> String {
        tamed(String::from_utf8_lossy(&self.0.lock()).trim(), MAX_STDERR_BYTES)
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock();
        let room = MAX_STDERR_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl IsTerminal for Stderr {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.keep(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait::async_trait]
impl OutputStream for Stderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

#[async_trait::async_trait]
impl Pollable for Stderr {
    async fn ready(&mut self) {}
}
