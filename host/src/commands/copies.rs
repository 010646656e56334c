//! What an operator does about copies of the database: make one beside the running process, and put one back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::printed::printing;
use super::{Placed, database, place_of_database, where_from};
use crate::clock::Clock;
use crate::store::{self, Copied, offline};

/// Accounts that a message names.
const MOST_SHOWN: usize = 20;

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
        let before = match &kept {
            Some(kept) => format!("what was there before is kept as '{}'", kept.display()),
            None => "there was no database before".to_owned(),
        };
        out.done(&format!("'{}' is what '{}' was: {}\n{before}", database.display(), from.display(), content(&copied)))?;
        let changed = kept.map(|kept| changed_since(&kept, &database)).unwrap_or_default();
        if !changed.is_empty() {
            out.done(&format!(
                "{} accounts were changed after that copy: their passwords, roles and second factors of then hold again, and so do tokens; who was \
                 kept out since is let in. Before the start, look at {}",
                changed.len(),
                shown(&changed)
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The e-mails of those whose account is another one in the database of before than in the copy that has taken its place: their tokens had ended
/// since. Where one of the two cannot be read nobody is told of: it may be damaged, which is why a copy was put back.
fn changed_since(before: &Path, copy: &Path) -> Vec<String> {
    let users = |path: &Path| if path.is_file() { offline::users(path, true).unwrap_or_default() } else { Vec::new() };
    let then: BTreeMap<String, u64> = users(copy).into_iter().map(|user| (user.id, user.epoch)).collect();
    let mut now = users(before);
    now.retain(|user| then.get(&user.id).is_some_and(|epoch| *epoch < user.epoch));
    // Who has a role, or has none any more because of what they did, comes first.
    now.sort_by_key(|user| (!user.disabled, user.roles.is_empty()));
    now.into_iter().map(|user| user.email).collect()
}

fn shown(emails: &[String]) -> String {
    let more = emails.len().saturating_sub(MOST_SHOWN);
    let first = emails.iter().take(MOST_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
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
