//! What an operator changes in a database by a command, beside the process that has it open, if one has. That process finds what was
//! changed within seconds. What changes something brings its entry for the audit log along.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::super::{AuditChain, AuditEntry, AuditRow, Broken, DeadLetter, HeldReservation, Redriven, StepRun, User, UserChange};
use super::connection::{self, OpenError};
use super::writer::UnitError;
use super::{audit, outbox, runs, stock, users};

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

/// Makes the events of the dead letters of `topics` unpublished again, and writes `entry` if there were any. Who has taken one already
/// recognises it.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn redrive(path: &Path, topics: &[String], entry: AuditEntry) -> Result<Redriven, OpenError> {
    let mut connection = open(path)?;
    let redrive = || {
        // Found before the process beside is kept from writing: this takes its time where the outbox is large.
        let found = outbox::redrivable(&connection, topics)?;
        let writing = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        let redriven = outbox::redrive(&writing, found)?;
        audit::append(&writing, (redriven.letters > 0).then_some(entry))?;
        writing.commit()?;
        Ok(redriven)
    };
    redrive().map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

/// Removes the dead letters of `topic`, up to the one with the id `through` if there is one, writes `entry` if there were any, and answers
/// how many.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn discard(path: &Path, topic: &str, through: Option<u64>, entry: AuditEntry) -> Result<u64, OpenError> {
    writing(path, |writing| {
        let discarded = outbox::discard_offline(writing, topic, through)?;
        audit::append(writing, (discarded > 0).then_some(entry))?;
        Ok(discarded)
    })
}

/// The runs of the database `path` that are parked, oldest first.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn parked(path: &Path) -> Result<Vec<StepRun>, OpenError> {
    beside(path, runs::parked)
}

/// Makes the parked runs with these keys ready again, due at once and with no crash to their account. Answers the keys of no parked run:
/// if there is one, nothing was changed, and none of `entries` was written.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn release(path: &Path, keys: &[String], now: Timestamp, entries: Vec<AuditEntry>) -> Result<Vec<String>, OpenError> {
    let mut connection = open(path)?;
    let release = || {
        let writing = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        let mut unknown = Vec::new();
        for key in keys {
            if !runs::release(&writing, key, now)? {
                unknown.push(key.clone());
            }
        }
        if unknown.is_empty() {
            audit::append(&writing, entries)?;
            writing.commit()?
        } else {
            writing.rollback()?
        }
        Ok(unknown)
    };
    release().map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

/// Makes all parked runs ready again, due at once and with no crash to their account, each with its entry for the audit log. Answers how
/// many there were: a process that sets some of them free at the same moment does it before this or after it.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn release_all(path: &Path, now: Timestamp, entry: impl Fn(&str) -> AuditEntry) -> Result<usize, OpenError> {
    writing(path, |writing| {
        let parked = runs::parked(writing)?;
        for run in &parked {
            runs::release(writing, &run.key, now)?;
        }
        audit::append(writing, parked.iter().map(|run| entry(&run.key)))?;
        Ok(parked.len())
    })
}

/// What is reserved in the database `path`, by key.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn held(path: &Path) -> Result<Vec<HeldReservation>, OpenError> {
    beside(path, stock::held)
}

/// Gives back what is reserved under these keys, each with its entry for the audit log. Answers those under which nothing is: if there is
/// one, nothing was changed.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn release_reservations(path: &Path, released: Vec<(String, AuditEntry)>) -> Result<Vec<String>, OpenError> {
    let mut connection = open(path)?;
    let release = || {
        let writing = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        let mut unknown = Vec::new();
        for (key, entry) in released {
            if stock::release_offline(&writing, &key, &entry)? {
                audit::append(&writing, [entry])?;
            } else {
                unknown.push(key);
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

/// The user of the database `path` with this e-mail. `None` when there is no such user.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn user(path: &Path, email: &str) -> Result<Option<User>, OpenError> {
    beside(path, |connection| users::by_email(connection, email))
}

/// Changes the user with this e-mail, and answers what they are now. `None` when there is no such user. The user becomes the subject of
/// `entry`.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn change_user(path: &Path, email: &str, change: UserChange, entry: AuditEntry) -> Result<Option<User>, OpenError> {
    writing(path, |writing| {
        let Some(user) = users::by_email(writing, email)? else { return Ok(None) };
        let change = change.noted(Some(AuditEntry { subject: format!("users/{}", user.id), ..entry }));
        // Who works on the machine itself may take away a last role too, so nothing is refused here.
        match users::change(writing, &user.id, change) {
            Ok(changed) => Ok(changed.map(|changed| changed.user)),
            Err(UnitError::Broken(cause)) => Err(cause),
            Err(UnitError::Refused(_)) => Ok(Some(user)),
        }
    })
}

/// Adds an entry to the audit log of the database `path`, of a deed that changed nothing in it.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn note(path: &Path, entry: AuditEntry) -> Result<(), OpenError> {
    writing(path, |writing| audit::append(writing, [entry]))
}

/// Rows of the audit log that are read at once.
const AUDIT_PAGE: usize = 1_000;

/// Hands each row of the audit log of the database `path` after `seq` to `take`, in the sequence of their numbers, until it fails.
///
/// # Errors
/// [`OpenError`], which names the file. What `take` fails with is inside.
pub fn audited<E>(path: &Path, seq: u64, mut take: impl FnMut(AuditRow) -> Result<(), E>) -> Result<Result<(), E>, OpenError> {
    let connection = open(path)?;
    let mut last = seq;
    loop {
        let rows = audit::after(&connection, last, AUDIT_PAGE).map_err(|cause| OpenError::of(path, cause))?;
        let Some(end) = rows.last() else { return Ok(Ok(())) };
        last = end.seq;
        for row in rows {
            if let Err(error) = take(row) {
                return Ok(Err(error));
            }
        }
    }
}

/// What a look at the whole audit log finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Where it ends, or the last row before the first that is wrong.
    pub chain: AuditChain,
    /// Time of that row.
    pub last_at: Option<Timestamp>,
    /// What is wrong first.
    pub broken: Option<Broken>,
}

/// Looks whether each row of the audit log of the database `path` is as it was written and follows from the one before, and whether the
/// last one that was ever written is there.
///
/// # Errors
/// [`OpenError`], which names the file.
pub fn verify_audit(path: &Path) -> Result<Verified, OpenError> {
    // Before the rows: more may be added meanwhile.
    let last_given = beside(path, audit::last_given)?;
    let (mut chain, mut last_at) = (AuditChain::default(), None);
    let checked = audited(path, 0, |row| {
        chain.check(&row)?;
        last_at = Some(row.entry.at);
        Ok(())
    })?;
    let broken = checked.err().or_else(|| (chain.seq < last_given).then_some(Broken::Cut { last: chain.seq, written: last_given }));
    Ok(Verified { chain, last_at, broken })
}

/// Does `work` in one transaction.
fn writing<T>(path: &Path, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, OpenError> {
    let mut connection = open(path)?;
    let done = || {
        let writing = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        let done = work(&writing)?;
        writing.commit()?;
        Ok(done)
    };
    done().map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

fn beside<T>(path: &Path, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, OpenError> {
    work(&open(path)?).map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })
}

fn open(path: &Path) -> Result<Connection, OpenError> {
    connection::check_version(rusqlite::version_number())?;
    connection::open_offline(path)
}
