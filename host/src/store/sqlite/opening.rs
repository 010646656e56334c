//! How a database is opened: locked, compared with what the process before this one left, checked, and brought up to date.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::check::Check;
use super::connection::{self, OpenError};
use super::lock::DatabaseLock;
use super::mark::{Content, Left, Mark};
use super::users;
use super::writer::{self, Failure, Opened, Tail};
use crate::clock::Clock;
use crate::durable::beside;

/// Opens or makes the database `path`. What is not as it was left is refused, with its files as they are.
pub(super) fn open(path: &Path, clock: &Clock) -> Result<Opened, OpenError> {
    let sqlite = |cause| OpenError::of(path, cause);
    let mut lock = DatabaseLock::take(path)?;
    let left = Left::read(path);
    let unclean = left.is_unclean();
    left.check_files()?;
    check_restored(path)?;
    lock.hold(path)?;
    let mut connection = connection::open_writer(path)?;
    copies_its_log(&connection, false).map_err(sqlite)?;
    left.check_content(content(&connection).map_err(sqlite)?.as_ref())?;
    let check = if unclean { Check::begin(path)? } else { None };
    copies_its_log(&connection, true).map_err(sqlite)?;
    connection::migrate(&mut connection, path)?;
    users::renew_keys(&mut connection).map_err(sqlite)?;

    let mut tail = writer::read_tail(&connection).map_err(sqlite)?;
    clock.go_on_from(writer::time(tail.written_at));
    let epoch = Content::read(&connection).map_err(sqlite)?.epoch + 1;
    if epoch == 1 {
        // Whoever expects what was there yesterday sees where it was looked for.
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        tracing::warn!(database = %whole.display(), "there was no database: a new, empty one was made");
    }
    let begun = begin(&connection, epoch, &mut tail, clock).map_err(sqlite)?;
    let content = Content::read(&connection).map_err(sqlite)?;
    let copied = left.in_file(&content).or_else(|| copy_log(&connection).then_some(content.written));
    Ok(Opened { identity: content.database.clone(), mark: Mark::open(path, content, copied), connection, epoch, begun, tail, check, lock })
}

/// A copy that has not taken its place, where no database is, is what a broken off restore leaves.
fn check_restored(path: &Path) -> Result<(), OpenError> {
    let restored = beside(path, ".restored");
    if path.exists() || !restored.exists() {
        return Ok(());
    }
    Err(OpenError::NotAsLeft {
        path: path.to_owned(),
        found: "is not there, and a restore was broken off before it was".into(),
        way_out: format!("Run `millrace restore` again. To begin anew instead, remove '{}' and start again", restored.display()),
    })
}

/// What it says of itself; nothing if it has no tables yet, or those of an older version.
fn content(connection: &Connection) -> rusqlite::Result<Option<Content>> {
    match Content::read(connection) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether closing the connection copies the log into the database's own file: not before it is known that they belong together.
fn copies_its_log(connection: &Connection, does: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !does).map(drop)
}

/// Writes the new epoch; false if there is no room for it.
fn begin(connection: &Connection, epoch: i64, tail: &mut Tail, clock: &Clock) -> rusqlite::Result<bool> {
    let steady = clock.steady().as_microsecond();
    match writer::note(connection, epoch, steady, clock) {
        Ok(()) => {
            tail.written_at = steady;
            tail.noted_at = steady;
            Ok(true)
        }
        Err(error) => match Failure::from(&error) {
            Failure::Passing(reason) => {
                tracing::warn!(reason, "the database cannot be written now: it is read, and nothing new begins until it can");
                Ok(false)
            }
            Failure::Final(_) => Err(error),
        },
    }
}

/// Copies the log into the database's own file; whether all of it was.
fn copy_log(connection: &Connection) -> bool {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
    });
    copied.unwrap_or(false)
}
