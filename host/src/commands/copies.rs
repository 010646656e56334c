//! What an operator does about copies of the database: make one beside the running process, and put one back.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::printed::printing;
use super::{Placed, database, place_of_database, where_from};
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
        let Some(Placed { database, is_given }) = place_of_database(config, "there is nothing to put back")? else {
            return Ok(ExitCode::FAILURE);
        };
        let missing = database.parent().filter(|folder| !folder.is_dir());
        if let Some(folder) = missing.filter(|_| !is_given) {
            // Whoever puts a copy back knows where the database is: where nobody has said so, this is another environment.
            bail!(
                "there is no folder '{}' for the database{}. For a new place, name it, or make that folder first",
                folder.display(),
                where_from(config)
            );
        }
        let made = missing.map(make_folders).transpose()?;
        let restored = store::restore(&database, from, Clock::system().now());
        if restored.is_err() {
            // What was not put back leaves nothing behind; what holds something by now stays.
            made.iter().flatten().rev().for_each(|folder| drop(std::fs::remove_dir(folder)));
        }
        let (copied, kept) = restored?;
        let before = match kept {
            Some(kept) => format!("what was there before is kept as '{}'", kept.display()),
            None => "there was no database before".to_owned(),
        };
        out.done(&format!("'{}' is what '{}' was: {}\n{before}", database.display(), from.display(), content(&copied)))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Makes a folder and those above it that are missing; answers those that were made, the outermost first.
fn make_folders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut missing: Vec<PathBuf> = folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
    missing.reverse();
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder '{}' for the database", folder.display()))?;
    Ok(missing)
}

fn content(copied: &Copied) -> String {
    let Copied { bytes, resources, unfinished, stock_differs, written } = copied;
    let written = written.map_or_else(|| "written by an older version".to_owned(), |written| format!("last written {written}"));
    let differs = stock_differs.as_ref().map(|differs| format!("\nthe stock does not add up: {differs}")).unwrap_or_default();
    format!("{bytes} bytes, {resources} resources, {unfinished} instances under way, {written}{differs}")
}
