//! What the writing thread does for one caller, and what can become of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_int;

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension, ffi, params};
use tokio::sync::oneshot;

use super::super::writer::{Failure, Tail, outcome};
use super::super::{FieldChange, KeysOf, StoreError, changes};

/// Texts whose numbers are remembered; of digests there are as many as there are versions of components.
const KNOWN: usize = 1_024;
/// Sets of changed fields that have a number. A component that names its fields as it likes makes a new one each time; those are kept where they
/// occurred, and go with that.
pub(super) const MOST_CHANGES: i64 = 1_000;

/// Why a unit did not take effect.
pub(super) type UnitError = super::super::writer::UnitError<rusqlite::Error>;

impl From<rusqlite::Error> for UnitError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

/// How SQLite calls a write that the system has refused for another reason than a full disk.
const NOT_WRITTEN: [c_int; 2] = [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_SHMSIZE];

impl From<&rusqlite::Error> for Failure {
    fn from(error: &rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error().map(|cause| cause.code) {
            Some(
                ErrorCode::DiskFull
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
                | ErrorCode::TooBig
                | ErrorCode::ConstraintViolation,
            ) => Self::Passing(text),
            // A quota that is used up, a disk that is read-only now, no room for the index of the log. What was not written is rolled back, as
            // with a full disk. What the system did not make durable (`fsync`) is another thing.
            _ if error.sqlite_error().is_some_and(|cause| NOT_WRITTEN.contains(&cause.extended_code)) => {
                Self::Passing(format!("{text}: the system refuses writes (a quota, a limit of a file's size, a read-only disk?)"))
            }
            _ => Self::Final(text),
        }
    }
}

/// What a unit writes with.
pub(super) struct Writing<'a> {
    pub(super) connection: &'a Connection,
    pub(super) epoch: i64,
    /// The date now, in microseconds, for people.
    pub(super) date: i64,
    pub(super) tail: &'a mut Tail,
    /// What the resources of each kind are found by.
    pub(super) specs: &'a [KeysOf],
    pub(super) numbers: &'a Numbers,
}

/// Numbers of texts that the database has, of digests and of changed fields. Emptied by whatever is rolled back.
#[derive(Default)]
pub(super) struct Numbers {
    digests: Known,
    changes: Known,
}

impl Numbers {
    pub(super) fn forget(&self) {
        self.digests.0.borrow_mut().clear();
        self.changes.0.borrow_mut().clear();
    }
}

#[derive(Default)]
struct Known(RefCell<HashMap<String, i64>>);

impl Known {
    fn get(&self, text: &str) -> Option<i64> {
        self.0.borrow().get(text).copied()
    }

    fn put(&self, text: &str, number: i64) {
        let mut known = self.0.borrow_mut();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(text.to_owned(), number);
    }
}

impl Writing<'_> {
    /// What the resources of a kind are found by; nothing if that is their id alone.
    pub(super) fn spec(&self, kind: &str) -> Option<&KeysOf> {
        self.specs.iter().find(|spec| spec.kind == kind)
    }

    /// Runs one statement and answers how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(params)
    }

    /// The number of a component's version, given to it here if it has none.
    pub(super) fn digest(&self, digest: &str) -> rusqlite::Result<i64> {
        if let Some(number) = self.numbers.digests.get(digest) {
            return Ok(number);
        }
        self.run("INSERT INTO digests (digest) VALUES (?1) ON CONFLICT DO NOTHING", [digest])?;
        let mut statement = self.connection.prepare_cached("SELECT pk FROM digests WHERE digest = ?1")?;
        let number = statement.query_row([digest], |row| row.get(0))?;
        self.numbers.digests.put(digest, number);
        Ok(number)
    }

    /// What a row of history says of changed fields: nothing, their number, or their text where that has values or is one of too many.
    pub(super) fn changes(&self, changes: &[FieldChange]) -> rusqlite::Result<Value> {
        if changes.is_empty() {
            return Ok(Value::Null);
        }
        let text = changes::to_text(changes);
        let number = if changes::has_values(changes) { None } else { self.number_of_changes(&text)? };
        Ok(number.map_or(Value::Text(text), Value::Integer))
    }

    fn number_of_changes(&self, text: &str) -> rusqlite::Result<Option<i64>> {
        if let Some(number) = self.numbers.changes.get(text) {
            return Ok(Some(number));
        }
        self.run(
            "INSERT INTO changed_fields (changes) SELECT ?1 WHERE coalesce((SELECT max(pk) FROM changed_fields), 0) < ?2
             ON CONFLICT DO NOTHING",
            params![text, MOST_CHANGES],
        )?;
        let mut statement = self.connection.prepare_cached("SELECT pk FROM changed_fields WHERE changes = ?1")?;
        let number = statement.query_row([text], |row| row.get(0)).optional()?;
        if let Some(number) = number {
            self.numbers.changes.put(text, number);
        }
        Ok(number)
    }
}

/// One caller's write, type erased.
pub(super) trait Unit: Send {
    fn run(&mut self, writing: &mut Writing<'_>) -> Verdict;
    /// Whether it can be run again after what it wrote was rolled back.
    fn is_repeatable(&self) -> bool;
    fn answer(self: Box<Self>, group: Result<(), &Failure>);
}

/// What a unit does.
pub(super) trait Work<T>: Send {
    const IS_REPEATABLE: bool;
    /// `None` if it was done already and cannot be again.
    fn run(&mut self, writing: &mut Writing<'_>) -> Option<Result<T, UnitError>>;
}

/// Work that is done once.
pub(super) struct Once<W>(pub(super) Option<W>);

impl<T, W: FnOnce(&mut Writing<'_>) -> Result<T, UnitError> + Send> Work<T> for Once<W> {
    const IS_REPEATABLE: bool = false;

    fn run(&mut self, writing: &mut Writing<'_>) -> Option<Result<T, UnitError>> {
        self.0.take().map(|work| work(writing))
    }
}

/// Work that can be done again.
pub(super) struct Repeatable<W>(pub(super) W);

impl<T, W: FnMut(&mut Writing<'_>) -> Result<T, UnitError> + Send> Work<T> for Repeatable<W> {
    const IS_REPEATABLE: bool = true;

    fn run(&mut self, writing: &mut Writing<'_>) -> Option<Result<T, UnitError>> {
        Some((self.0)(writing))
    }
}

pub(super) enum Verdict {
    Keep,
    Undo,
    Broken(Failure, bool),
}

pub(super) struct Call<T, W> {
    pub(super) work: W,
    pub(super) result: Option<Result<T, StoreError>>,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Unit for Call<T, W>
where
    T: Send,
    W: Work<T>,
{
    fn run(&mut self, writing: &mut Writing<'_>) -> Verdict {
        let Some(done) = self.work.run(writing) else { return Verdict::Undo };
        let (verdict, result) = match done {
            Ok(value) => (Verdict::Keep, Ok(value)),
            Err(UnitError::Refused(error)) => (Verdict::Undo, Err(error)),
            Err(UnitError::Broken(error)) => {
                let failure = Failure::from(&error);
                let own = error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation);
                (Verdict::Broken(failure.clone(), own), Err(failure.to_error()))
            }
        };
        self.result = Some(result);
        verdict
    }

    fn is_repeatable(&self) -> bool {
        W::IS_REPEATABLE
    }

    fn answer(self: Box<Self>, group: Result<(), &Failure>) {
        let Self { result, reply, .. } = *self;
        // The caller may be gone; what it asked for is done all the same.
        let _ = reply.send(outcome(group, result));
    }
}
