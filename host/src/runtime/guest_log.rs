//! What a component says: log lines, and what it writes to its standard streams. All of it has one budget.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::bindings::second::millrace::step::log as second;
use super::bindings::step::millrace::step::log::{Host, Level};
use super::bindings::step::millrace::step::types;
use super::text::tamed;

/// Lines of one run.
const MAX_LINES: u32 = 256;
/// Bytes of one line.
const MAX_LINE_BYTES: usize = 4 << 10;
/// Bytes of all lines of one run.
const MAX_BYTES: usize = 64 << 10;
/// Bytes of a standard stream that are kept.
const MAX_START_BYTES: usize = 1 << 10;

/// A line that a run has written to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much it matters: `debug`, `info`, `warn` or `error`. What was written to a standard stream is `debug`.
    pub level: &'static str,
    /// What it says.
    pub message: String,
}

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

/// Takes the log lines of one run. Clones share its budget.
#[derive(Debug, Clone)]
pub(super) struct GuestLog(Arc<Mutex<Lines>>);

impl GuestLog {
    /// For a run of `speaker`; its lines are kept for who asks for them if `keeps` says so, and go to the log in any case.
    pub fn new(speaker: Speaker, keeps: bool) -> Self {
        let kept = keeps.then(Vec::new);
        Self(Arc::new(Mutex::new(Lines { speaker, lines_left: MAX_LINES, bytes_left: MAX_BYTES, dropped: 0, kept })))
    }

    /// The lines that were kept, once.
    pub fn kept(&self) -> Vec<Line> {
        self.0.lock().kept.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether lines beyond the budget were dropped.
    pub fn has_dropped(&self) -> bool {
        self.0.lock().dropped > 0
    }
}

impl Host for GuestLog {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        self.0.lock().add(level, &message);
        Ok(())
    }
}

impl types::Host for GuestLog {}

impl second::Host for GuestLog {
    fn write(&mut self, level: second::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            second::Level::Debug => Level::Debug,
            second::Level::Info => Level::Info,
            second::Level::Warn => Level::Warn,
            second::Level::Error => Level::Error,
        };
        Host::write(self, level, message)
    }
}

#[derive(Debug)]
struct Lines {
    speaker: Speaker,
    lines_left: u32,
    bytes_left: usize,
    dropped: u64,
    /// Those so far, if somebody wants them.
    kept: Option<Vec<Line>>,
}

impl Lines {
    fn add(&mut self, level: Level, message: &str) {
        let message = tamed(message, MAX_LINE_BYTES);
        if self.lines_left == 0 || message.len() > self.bytes_left {
            self.dropped += 1;
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= message.len();
        if let Some(kept) = &mut self.kept {
            kept.push(Line { level: level_name(level), message: message.clone() });
        }
        let Speaker { component, digest, instance, step } = &self.speaker;
        match level {
            Level::Debug => tracing::debug!(%component, %digest, %instance, %step, "{message}"),
            Level::Info => tracing::info!(%component, %digest, %instance, %step, "{message}"),
            Level::Warn => tracing::warn!(%component, %digest, %instance, %step, "{message}"),
            Level::Error => tracing::error!(%component, %digest, %instance, %step, "{message}"),
        }
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.dropped > 0 {
            let Speaker { component, digest, instance, step } = &self.speaker;
            tracing::warn!(%component, %digest, %instance, %step, dropped = self.dropped, "log lines beyond the budget of a run were dropped");
        }
    }
}

/// A standard stream of a run: each line that is written becomes a log line at debug, within the run's budget, and the first bytes are
/// kept. Clones are the same stream.
#[derive(Debug, Clone)]
pub(super) struct Output(Arc<Mutex<Written>>);

#[derive(Debug)]
struct Written {
    log: GuestLog,
    /// The first bytes.
    start: Vec<u8>,
    /// The line that has no end yet, as far as one may be long.
    line: Vec<u8>,
}

impl Output {
    /// Writes to `log`.
    pub fn new(log: GuestLog) -> Self {
        Self(Arc::new(Mutex::new(Written { log, start: Vec::new(), line: Vec::new() })))
    }

    /// How it begins, as one line.
    pub fn start(&self) -> String {
        tamed(String::from_utf8_lossy(&self.0.lock().start).trim(), MAX_START_BYTES)
    }

    fn take(&self, bytes: &[u8]) {
        self.0.lock().take(bytes);
    }
}

impl Written {
    fn take(&mut self, bytes: &[u8]) {
        let room = MAX_START_BYTES.saturating_sub(self.start.len());
        self.start.extend_from_slice(&bytes[..bytes.len().min(room)]);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            // What is longer is cut, and a byte more is kept so that the cut is seen.
            let room = (MAX_LINE_BYTES + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if !text.is_empty() {
            self.log.0.lock().add(Level::Debug, text);
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.end_line();
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
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
impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
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
impl Pollable for Output {
    async fn ready(&mut self) {}
}
