//! What an operator does about copies of the database: make one beside the running process, and put one back.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::database;
use super::printed::printing;
use crate::clock::Clock;
use crate::store::{self, Copied};

/// `millrace backup`: copies the database to a file, beside the process that has it open.
#[must_use]
pub fn backup(config: &Path, to: &Path) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, "there is nothing to copy")? else { return Ok(ExitCode::FAILURE) };
        let copied = store::back_up(&database, to)?;
        writeln!(out, "'{}' was copied to '{}': {}", database.display(), to.display(), content(&copied))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace restore`: puts a copy in the place of the database of a process that is stopped.
#[must_use]
pub fn restore(config: &Path, from: &Path) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, "there is nothing to put back")? else { return Ok(ExitCode::FAILURE) };
        let (copied, kept) = store::restore(&database, from, Clock::system().now())?;
        writeln!(out, "'{}' is what '{}' was: {}", database.display(), from.display(), content(&copied))?;
        if let Some(kept) = kept {
            writeln!(out, "what was there before is kept as '{}'", kept.display())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn content(copied: &Copied) -> String {
    let Copied { bytes, resources, unfinished, written } = copied;
    format!("{bytes} bytes, {resources} resources, {unfinished} instances under way, last written {written}")
}
