//! A consistent copy while others write: one read snapshot, copied as a whole. And how such a copy takes the database's place again.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::super::StoreError;
use super::check;
use super::connection::{self, OpenError, beside};
use super::lock::{DatabaseLock, private};
use super::mark::Content;
use crate::durable;

/// Copies what `source` sees to `path`, which must not exist; a copy that failed is removed.
pub(super) fn copy(source: &Connection, path: &Path) -> Result<(), StoreError> {
    let unavailable = |reason: String| StoreError::Unavailable(format!("cannot back up to '{}': {reason}", path.display()));
    private().create_new(true).write(true).open(path).map_err(|error| unavailable(error.to_string()))?;
    let copied = copy_pages(source, path);
    copied.map_err(|error| {
        // The reason that is told is the first one.
        let _ = std::fs::remove_file(path);
        unavailable(error.to_string())
    })
}

fn copy_pages(source: &Connection, path: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(path)?;
    // All pages in one step: between two steps the snapshot would be let go.
    Backup::new(source, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
    copy.close().map_err(|(_, error)| error)
}

/// What a copy has in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of the file.
    pub bytes: u64,
    /// Resources of every kind.
    pub resources: u64,
    /// Instances that are under way.
    pub unfinished: u64,
    /// When something was last written, as far as the copy knows.
    pub written: Timestamp,
}

/// Copies the database `path` to `to`, which must not exist, beside the process that has it open, if one has. The copy is looked through
/// and on the disk before this answers.
///
/// # Errors
/// [`OpenError`], which names the file: there is no database, the copy cannot be written, or it is not whole.
pub fn back_up(path: &Path, to: &Path) -> Result<Copied, OpenError> {
    connection::check_version(rusqlite::version_number())?;
    let source = connection::open_reader(path)?;
    if to.exists() {
        return Err(OpenError::Path { path: to.to_owned(), cause: std::io::ErrorKind::AlreadyExists.into() });
    }
    let part = beside(to, ".part");
    // What an attempt has left that was broken off is nobody's.
    let _ = std::fs::remove_file(&part);
    let copied = copy(&source, &part).map_err(|error| OpenError::Copy { path: to.to_owned(), reason: error.to_string() });
    copied.and_then(|()| look_through(&part)).and_then(|content| durably(&part, to).map(|()| content)).inspect_err(|_| {
        let _ = std::fs::remove_file(&part);
    })
}

/// Puts the copy `from` in the place of the database `path`, which no process may have open. What was there is kept under a name of its
/// own, made of the date `now`, which is answered, with what the copy has in it.
///
/// # Errors
/// [`OpenError`], which names the file: a process has the database, or the copy is not whole or not one of this program. Nothing was
/// changed then.
pub fn restore(path: &Path, from: &Path, now: Timestamp) -> Result<(Copied, Option<PathBuf>), OpenError> {
    connection::check_version(rusqlite::version_number())?;
    let content = look_through(from)?;
    let mut lock = DatabaseLock::take(path)?;
    let there = std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    lock.hold(path)?;
    let part = beside(path, ".restored");
    let failed = |cause| OpenError::Path { path: part.clone(), cause };
    let mut source = File::open(from).map_err(|cause| OpenError::Path { path: from.to_owned(), cause })?;
    let mut target = private().create(true).truncate(true).write(true).open(&part).map_err(failed)?;
    std::io::copy(&mut source, &mut target).and_then(|_| target.flush()).and_then(|()| target.sync_all()).map_err(failed)?;

    let kept = there.then(|| beside(path, &format!(".before-{}", now.strftime("%Y%m%dT%H%M%S%fZ"))));
    for suffix in ["-wal", "-shm", ""] {
        move_away(path, suffix, kept.as_deref())?;
    }
    durably(&part, path)?;
    // Last: until then a start sees that this is not what was left, should the power go here.
    move_away(path, ".mark", kept.as_deref())?;
    drop(lock);
    Ok((content, kept))
}

fn move_away(path: &Path, suffix: &str, kept: Option<&Path>) -> Result<(), OpenError> {
    let old = beside(path, suffix);
    let moved = match kept {
        Some(kept) => std::fs::rename(&old, beside(kept, suffix)),
        None => std::fs::remove_file(&old),
    };
    match moved {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(OpenError::Path { path: old, cause }),
        _ => Ok(()),
    }
}

/// Opens a copy as a start would, looks at every page and says what is in it. Nothing of it is changed.
fn look_through(copy: &Path) -> Result<Copied, OpenError> {
    let sqlite = |cause| OpenError::of(copy, cause);
    let bytes = std::fs::metadata(copy).map_err(|cause| OpenError::Path { path: copy.to_owned(), cause })?.len();
    let log = beside(copy, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let reason = format!("it has a log, '{}', so it is no finished backup", log.display());
        return Err(OpenError::Copy { path: copy.to_owned(), reason });
    }
    let connection = connection::open_unchanging(copy)?;
    if let Some(found) = check::look_through(&connection) {
        return Err(OpenError::Damaged { path: copy.to_owned(), found });
    }
    let count = |sql: &str| connection.query_row(sql, [], |row| super::columns::count(row, 0));
    let content = Content::read(&connection)
        .map_err(|_| OpenError::Copy { path: copy.to_owned(), reason: "it has none of the tables of this program".into() })?;
    Ok(Copied {
        bytes,
        resources: count("SELECT count(*) FROM resources").map_err(sqlite)?,
        unfinished: count("SELECT count(*) FROM resources WHERE finished = 0").map_err(sqlite)?,
        written: super::writer::time(content.written),
    })
}

/// Gives a file that is written its name, durably.
fn durably(part: &Path, name: &Path) -> Result<(), OpenError> {
    durable::give_name(part, name).map_err(|cause| OpenError::Path { path: name.to_owned(), cause })
}
