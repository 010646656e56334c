//! What an operator changes in a database by a command, beside the process that has it open, if one has. That process finds what was
//! changed within seconds.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::{DeadLetter, HeldReservation, StepRun, User};
use super::connection::{self, OpenError};
use super::{outbox, runs, stock, users};

/// Makes events of the database `path` that were written at or after `since` unpublished again, and answers how many.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn republish(path: &Path, since: Timestamp) -> Result<u64, OpenError> {
    beside(path, |writing| outbox::republish_offline(writing, since))
}

/// Dead letters of the database `path`, oldest first.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn dead_letters(path: &Path) -> Result<Vec<DeadLetter>, OpenError> {
    beside(path, |connection| outbox::dead_letters(connection, usize::MAX))
}

/// What became of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redriven {
    /// Dead letters that are gone: their events are published again.
    pub letters: usize,
    /// Events that wait to be published again: one for all that several consumers gave up.
    pub events: usize,
    /// Dead letters that stay, because the outbox has forgotten their events.
    pub forgotten: usize,
}

/// Makes the events of the dead letters of `topics` unpublished again. Who has taken one already recognises it.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn redrive(path: &Path, topics: &[String]) -> Result<Redriven, OpenError> {
    let mut connection = open(path)?;
    let mut redrive = || {
        let wanted: HashSet<u64> = outbox::dead_letters(&connection, usize::MAX)?
            .into_iter()
            .filter(|letter| topics.contains(&letter.event.topic))
            .map(|letter| letter.id)
            .collect();
        // Found before the process beside is kept from writing: this takes its time where the outbox is large.
        let mut found = outbox::dead_letters_with_events(&connection)?;
        found.retain(|(letter, _)| wanted.contains(letter));
        let writing = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        let (mut letters, mut events) = (0, HashSet::new());
        for (letter, position) in found {
            if outbox::redrive_offline(&writing, letter, position)? {
                letters += 1;
                events.insert(position);
            }
        }
        writing.commit()?;
        Ok(Redriven { letters, events: events.len(), forgotten: wanted.len().saturating_sub(letters) })
    };
    redrive().map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

/// Removes the dead letters of `topic`, up to the one with the id `through` if there is one, and answers how many.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn discard(path: &Path, topic: &str, through: Option<u64>) -> Result<u64, OpenError> {
    beside(path, |writing| outbox::discard_offline(writing, topic, through))
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

/// What is reserved in the database `path`, by key.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn held(path: &Path) -> Result<Vec<HeldReservation>, OpenError> {
    beside(path, stock::held)
}

/// Gives back what is reserved under these keys. Answers those under which nothing is: if there is one, nothing was changed.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn release_reservations(path: &Path, keys: &[String]) -> Result<Vec<String>, OpenError> {
    let mut connection = open(path)?;
    let mut release = || {
        let writing = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        let mut unknown = Vec::new();
        for key in keys {
            if !stock::release_offline(&writing, key)? {
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

/// The users of the database `path` who were granted a role, or everybody, by e-mail.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn users(path: &Path, everybody: bool) -> Result<Vec<User>, OpenError> {
    beside(path, |connection| users::list(connection, everybody))
}

/// Changes the roles of the user with this e-mail, and answers what they are now. `None` when there is no such user.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn change_roles(path: &Path, email: &str, change: impl FnOnce(&mut BTreeSet<String>)) -> Result<Option<User>, OpenError> {
    let mut connection = open(path)?;
    let work = || {
        let writing = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        let Some(mut user) = users::by_email(&writing, email)? else { return Ok(None) };
        change(&mut user.roles);
        users::set_roles(&writing, &user.id, &user.roles)?;
        writing.commit()?;
        Ok(Some(user))
    };
    work().map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

fn beside<T>(path: &Path, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, OpenError> {
    work(&open(path)?).map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    connection::check_version(rusqlite::version_number())?;
    connection::open_offline(path)
}
