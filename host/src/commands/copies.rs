//! What an operator does about copies of the database: make one beside the running process, and put one back.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use super::printed::printing;
use super::{database, place_of_database, where_from};
use crate::clock::Clock;
use crate::store::{self, Copied};

/// `millrace backup`: copies the database to a file, beside the process that has it open.
#[must_use]
pub fn backup(config: &Path, to: &Path) -> ExitCode {
    printing(|out| {
        let Some(database) = database(config, "there is nothing to copy")? else { return Ok(ExitCode::FAILURE) };
        let copied = store::back_up(&database, to)?;
        out.done(&format!("'{}' was copied to '{}': {}", database.display(), to.display(), content(&copied)))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// `millrace restore`: puts a copy in the place of the database of a process that is stopped.
#[must_use]
pub fn restore(config: &Path, from: &Path) -> ExitCode {
    printing(|out| {
        let Some(database) = place_of_database(config, "there is nothing to put back")? else { return Ok(ExitCode::FAILURE) };
        if let Some(folder) = database.parent().filter(|folder| !folder.is_dir()) {
            // Whoever puts a copy back knows where the database is; a folder that is not there is the sign of another environment.
            bail!(
                "there is no folder '{}' for the database{}. For a new place, make that folder first",
                folder.display(),
                where_from(config)
            );
        }
        let (copied, kept) = store::restore(&database, from, Clock::system().now())?;
        let before = match kept {
            Some(kept) => format!("what was there before is kept as '{}'", kept.display()),
            None => "there was no database before".to_owned(),
        };
        out.done(&format!("'{}' is what '{}' was: {}\n{before}", database.display(), from.display(), content(&copied)))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn content(copied: &Copied) -> String {
    let Copied { bytes, resources, unfinished, stock_differs, written } = copied;
    let written = written.map_or_else(|| "written by an older version".to_owned(), |written| format!("last written {written}"));
    let differs = stock_differs.as_ref().map(|differs| format!("\nthe stock does not add up: {differs}")).unwrap_or_default();
    format!("{bytes} bytes, {resources} resources, {unfinished} instances under way, {written}{differs}")
}
