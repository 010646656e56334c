//! What `millrace validate` and `millrace schema` do, apart from reading the command line.

use std::io::{self, Write};

use super::report::{Colour, Severity};
use super::{Checked, schema as config_schema};

/// How `validate` shows what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Under the lines it is about.
    Pretty(Colour),
    /// One line per problem, as compilers write them.
    Lines,
    /// For programs.
    Json,
}

/// Writes what was found in a config. Answers the exit code: 0 if it can run, 1 if not.
///
/// # Errors
/// Nothing can be written.
pub fn write_report(checked: &Checked, format: Format, out: &mut dyn Write) -> io::Result<u8> {
    let report = &checked.report;
    match format {
        Format::Json => writeln!(out, "{:#}", report.json())?,
        Format::Lines => out.write_all(report.lines().as_bytes())?,
        Format::Pretty(colour) => out.write_all(report.pretty(colour).as_bytes())?,
    }
    if format != Format::Json {
        let count = |severity| report.problems.iter().filter(|p| p.severity == severity).count();
        let verdict = if report.has_errors() { "cannot run" } else { "is valid" };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        writeln!(out, "{} {verdict}: {} and {}", report.file.display(), plural(errors, "error"), plural(warnings, "warning"))?;
    }
    Ok(u8::from(report.has_errors()))
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Writes the JSON Schema of a config.
///
/// # Errors
/// Nothing can be written.
pub fn schema(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{:#}", config_schema())
}
