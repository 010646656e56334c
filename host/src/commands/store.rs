//! What an operator does with a database as a whole: copy it into one of another kind.

use std::io::Write as _;
use std::process::ExitCode;

use super::Output;
use super::printed::{Printed, printing};
use crate::clock::Clock;
use crate::store::{self, CopiedTable, CopyStep, Dsn, Place};

/// `millrace store copy`: copies a database that no process has into an empty one, and compares both.
#[must_use]
pub fn copy(from: &Place, to: &Place, output: Output) -> ExitCode {
    printing(|out| {
        let mut printed = Ok(());
        let tables = store::copy(from, to, &Clock::system(), &mut |step| {
            if output == Output::Text && printed.is_ok() {
                printed = tell(out, &step);
            }
        })?;
        let rows: u64 = tables.iter().map(|table| table.rows).sum();
        match output {
            Output::Text => {
                out.done(&format!("{from} was copied to {to}: {rows} rows in {} tables, each read back and compared", tables.len()))?;
            }
            Output::Json => {
                let copied = serde_json::json!({"from": from.to_string(), "to": to.to_string(), "rows": rows, "tables": tables});
                out.done(&format!("{copied:#}"))?;
            }
        }
        printed?;
        Ok(ExitCode::SUCCESS)
    })
}

fn tell(out: &mut Printed, step: &CopyStep) -> std::io::Result<()> {
    match step {
        CopyStep::Added { table, rows } => writeln!(out, "{table}: {rows} rows so far")?,
        CopyStep::Checked(CopiedTable { table, rows, sha256 }) => writeln!(out, "{table}: {rows} rows, sha256 {sha256}")?,
    }
    out.flush()
}

/// A place of a database as it is typed.
///
/// # Errors
/// What is wrong with it, a clause.
pub fn place(text: &str) -> Result<Place, String> {
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Place::File(path.into())),
        Some(("postgres", dsn)) if dsn.starts_with("postgres") => Dsn::parse(dsn).map(Place::Server),
        Some(("postgres" | "postgresql", _)) => Dsn::parse(text).map(Place::Server),
        _ => Err("expected sqlite:PATH or postgres://USER@HOST/DATABASE".into()),
    }
}
