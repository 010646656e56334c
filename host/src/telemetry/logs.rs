//! Log lines on stderr: JSON for machines, text for a person at a terminal.
//!
//! Knows formats and filters; what is worth a line is decided where it happens.

use std::io::{IsTerminal, Write as _};
use std::os::fd::AsFd as _;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::lines::Lines;
use super::traces;

/// The library that forwards requests.
const FORWARDING: &str = "axum_reverse_proxy";

/// Set once, before anything is logged; empty in commands that do not log.
static LOG: OnceLock<Lines> = OnceLock::new();

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Text when stderr is a terminal, else JSON.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For a person.
    Text,
}

/// Starts logging to stderr. `filter` is written like `info,millrace::http=debug`.
///
/// # Errors
/// The filter does not parse, or logging was started before.
pub fn init(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    // A handle of its own: with the one of the standard library, a write that waits would hold a lock that others need to end.
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().context("stderr cannot be used for the log")?;
    let lines = Lines::start(std::fs::File::from(stderr)).context("starting the thread that writes the log")?;
    let subscriber = subscriber(format.resolve(std::io::stderr().is_terminal()), filter, lines.clone())?;
    tracing::subscriber::set_global_default(subscriber).context("logging was started twice")?;
    LOG.set(lines).map_err(|_| anyhow::anyhow!("logging was started twice"))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// How the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// Lines that could not be written since the start.
    pub dropped: u64,
    /// Why lines are not written, for a person; `None` if they are.
    pub problem: Option<String>,
}

/// How the log is; `None` if this process does not log.
#[must_use]
pub fn state() -> Option<LogState> {
    LOG.get().map(|lines| LogState { dropped: lines.dropped(), problem: lines.problem() })
}

/// Waits until what was logged is written, but not longer than `limit`.
pub fn flush(limit: Duration) {
    if let Some(lines) = LOG.get() {
        lines.flush(limit);
    }
}

/// Writes `text`, which is for the person who started the program, to stderr: through the log if there is one, so that it cannot hold up the
/// process either.
pub fn tell(text: &str) {
    match LOG.get() {
        Some(lines) => lines.push(text.as_bytes()),
        // Nobody is left who could be told that nobody reads this.
        None => drop(std::io::stderr().lock().write_all(text.as_bytes())),
    }
}

/// What a panic says: as a log line, since the standard hook would wait for stderr, and panic again if that is closed.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("no text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace = (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(reason, place, thread = thread.name().unwrap_or("unnamed"), backtrace, "a panic");
}

impl LogFormat {
    fn resolve(self, terminal: bool) -> Self {
        match (self, terminal) {
            (Self::Auto, true) => Self::Text,
            (Self::Auto, false) => Self::Json,
            (chosen, _) => chosen,
        }
    }
}

/// What a filter asks for. A word that is neither a level nor a path of the program would be taken for the only part of a program that logs,
/// and nothing would be logged at all.
fn asked(filter: &str) -> anyhow::Result<EnvFilter> {
    let invalid = || format!("log filter '{filter}' is not valid; write for example 'info' or 'info,millrace::http=debug'");
    // Commas within brackets are those of a span's fields.
    if filter.contains('[') {
        return EnvFilter::try_new(filter.trim()).with_context(invalid);
    }
    let words: Vec<&str> = filter.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    let is_meant = |word: &str| word.parse::<LevelFilter>().is_ok() || word.contains(['=', ':']) || word == env!("CARGO_PKG_NAME");
    if let Some(word) = words.iter().find(|word| !is_meant(word)) {
        anyhow::bail!(
            "log filter '{filter}': '{word}' is no level; accepted: error, warn, info, debug, trace, off, or a part of the program and its \
             level, for example 'info,millrace::http=debug'"
        );
    }
    EnvFilter::try_new(words.join(",")).with_context(invalid)
}

fn subscriber<W>(format: LogFormat, filter: &str, writer: W) -> anyhow::Result<Box<dyn tracing::Subscriber + Send + Sync>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let asked = asked(filter)?;
    // It takes a client that goes for an error of the backend. Whose fault it was is in our own lines.
    let filter = if filter.contains(FORWARDING) { asked } else { asked.add_directive(format!("{FORWARDING}=off").parse()?) };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(true).log_internal_errors(false);
    Ok(match format {
        LogFormat::Json => {
            Box::new(lines.json().flatten_event(true).with_current_span(true).with_span_list(false).map_event_format(Traced).finish())
        }
        LogFormat::Auto | LogFormat::Text => Box::new(lines.with_ansi(std::io::stderr().is_terminal()).compact().finish()),
    })
}

/// Adds the ids of the span that a line belongs to, when spans are exported.
struct Traced<F>(F);

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &tracing::Event<'_>) -> std::fmt::Result {
        let Some((trace, span)) = traces::current_ids() else { return self.0.format_event(ctx, writer, event) };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        let object = line.trim_end().strip_suffix('}').unwrap_or(&line);
        writeln!(writer, "{object},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: LogFormat, filter: &str) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(format, filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(answer = 42, "something happened");
            tracing::debug!("a detail");
        });
        String::from_utf8(captured.0.lock().clone()).unwrap()
    }

    #[test]
    fn a_word_that_nobody_can_mean_is_refused_and_blanks_do_not_count() {
        for wrong in ["verbose", "info,http", "warning", "info debug"] {
            let told = subscriber(LogFormat::Json, wrong, std::io::sink).err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(told.contains(wrong) && told.contains("accepted: error, warn"), "{wrong}: {told}");
        }
        for right in ["info ", " INFO\n", "info, millrace=debug", "off,millrace=info", "millrace", "warn,millrace::telemetry=info"] {
            assert!(lines(LogFormat::Json, right).contains("something happened"), "{right:?}");
        }
        assert_eq!(lines(LogFormat::Json, "off"), "");
    }

    #[test]
    fn json_is_one_object_a_line_with_the_fields_on_top() {
        let text = lines(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["message"], &line["answer"], &line["level"]), (&"something happened".into(), &42.into(), &"INFO".into()));
    }

    #[test]
    fn a_panic_is_a_line_of_the_log() {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(LogFormat::Json, "info", move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(log_panic));
            let panicked = std::panic::catch_unwind(|| panic!("on purpose"));
            std::panic::set_hook(before);
            assert!(panicked.is_err());
        });
        let text = String::from_utf8(captured.0.lock().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["message"], &line["level"], &line["reason"]), (&"a panic".into(), &"ERROR".into(), &"on purpose".into()));
        assert!(line["place"].as_str().unwrap().contains("logs.rs:"), "{line}");
    }

    #[test]
    fn the_filter_decides_what_is_shown() {
        assert_eq!(lines(LogFormat::Text, "info").lines().count(), 1);
        assert_eq!(lines(LogFormat::Text, "debug").lines().count(), 2);
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let error = subscriber(LogFormat::Text, "info,=loud", std::io::stderr).err().unwrap();
        assert!(error.to_string().contains("'info,=loud'"), "{error}");
    }

    #[test]
    fn automatic_is_json_unless_a_person_looks() {
        assert_eq!(LogFormat::Auto.resolve(false), LogFormat::Json);
        assert_eq!(LogFormat::Auto.resolve(true), LogFormat::Text);
        assert_eq!(LogFormat::Text.resolve(false), LogFormat::Text);
    }
}
