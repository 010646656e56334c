//! What an operator changes in a database by a command, beside the process that has it open, if one has. That process finds what was
//! changed within seconds.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::StepRun;
use super::connection::{self, OpenError};
use super::{outbox, runs};

/// Makes events of the database `path` that were written at or after `since` unpublished again, and answers how many.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn republish(path: &Path, since: Timestamp) -> Result<u64, OpenError> {
    beside(path, |writing| outbox::republish_beside(writing, since))
}

/// The runs of the database `path` that are parked, oldest first.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn parked(path: &Path) -> Result<Vec<StepRun>, OpenError> {
    beside(path, runs::parked)
}

/// Makes the parked runs with these keys ready again, due at once and with no crash to their account. Answers the keys of no parked run:
/// if there is one, nothing was changed.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn release(path: &Path, keys: &[String], now: Timestamp) -> Result<Vec<String>, OpenError> {
    let mut connection = open(path)?;
    let mut release = || {
        let writing = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        let mut unknown = Vec::new();
        for key in keys {
            if !runs::release(&writing, key, now)? {
                unknown.push(key.clone());
            }
        }
        if unknown.is_empty() {
            writing.commit()?
        } else {
            writing.rollback()?
        }
        Ok(unknown)
    };
    release().map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

fn beside<T>(path: &Path, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, OpenError> {
    work(&open(path)?).map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    connection::check_version(rusqlite::version_number())?;
    connection::open_beside(path)
}
