//! Log lines on stderr: JSON for machines, text for a person at a terminal.
//!
//! Knows formats and filters; what is worth a line is decided where it happens.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::traces;

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
    let subscriber = subscriber(format.resolve(std::io::stderr().is_terminal()), filter, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).context("logging was started twice")
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

fn subscriber<W>(format: LogFormat, filter: &str, writer: W) -> anyhow::Result<Box<dyn tracing::Subscriber + Send + Sync>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("log filter '{filter}' is not valid; write for example 'info' or 'info,millrace::http=debug'"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(true);
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
    fn json_is_one_object_a_line_with_the_fields_on_top() {
        let text = lines(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["message"], &line["answer"], &line["level"]), (&"something happened".into(), &42.into(), &"INFO".into()));
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
