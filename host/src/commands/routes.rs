//! `millrace routes`: the table of routes of a config, as text or for programs.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::printed::printing;
use super::{Output, described};
use crate::http::{Entry, Table};
use crate::plan::{Owner, Scope};

const HEAD: [&str; 7] = ["METHOD", "PATH", "HANDLER", "OPERATION ID", "WHO", "OWNER", "LIMITS"];

/// `millrace routes`: a line for each route, those that every process has included.
#[must_use]
pub fn routes(config: &Path, output: Output) -> ExitCode {
    printing(|out| {
        let Some(plan) = described(config)? else { return Ok(ExitCode::FAILURE) };
        let mut table = Table::of(&plan);
        table.entries.extend(Table::of_operator(&plan).entries);
        table.entries.extend(Table::of_console(&plan).entries);
        if output == Output::Json {
            writeln!(out, "{}", serde_json::to_string_pretty(&table.entries)?)?;
        } else {
            write(&table, out)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn write(table: &Table, out: &mut dyn Write) -> std::io::Result<()> {
    let rows: Vec<[String; 7]> = std::iter::once(HEAD.map(str::to_owned)).chain(table.entries.iter().map(row)).collect();
    let widths = [0, 1, 2, 3, 4, 5, 6].map(|column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn row(entry: &Entry) -> [String; 7] {
    let owner = match (entry.owner, entry.scope) {
        (None, _) => "-",
        (Some(Owner::Nobody), _) => "none",
        (Some(Owner::Creator), Scope::Own) => "creator",
        (Some(Owner::Creator), Scope::All) => "creator, scope all",
    };
    let id = if entry.operation_ids.is_empty() { "-".to_owned() } else { entry.operation_ids.join(", ") };
    [entry.method.clone(), entry.path.clone(), entry.handler.clone(), id, who(entry), owner.to_owned(), limits(entry)]
}

fn who(entry: &Entry) -> String {
    match entry.sudo {
        Some(seconds) => format!("{}, password within {seconds} s", entry.who),
        None => entry.who.to_string(),
    }
}

fn limits(entry: &Entry) -> String {
    let limits = &entry.limits;
    let rate = limits.requests_per_minute.zip(limits.burst).map(|(minute, burst)| format!("{minute} a minute, {burst} at once"));
    let body = limits.body_bytes.map(|bytes| format!("body of {bytes} bytes"));
    let owner = limits.per_owner.map(|most| format!("{most} of one owner"));
    let all: Vec<String> = [rate, body, owner].into_iter().flatten().collect();
    if all.is_empty() { "-".to_owned() } else { all.join("; ") }
}
