//! What the writing task does for one caller, and what can become of it.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{Error, Postgres};
use tokio::sync::oneshot;

use super::super::writer::{Failure, Tail, outcome};
use super::super::{KeysOf, StoreError};
use super::membership::Membership;

/// A statement with its values, prepared once for each connection.
macro_rules! sql {
    ($text:expr $(, $value:expr)* $(,)?) => { sqlx::query($text)$(.bind($value))* };
}
pub(super) use sql;

/// A statement.
pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// Why a unit did not take effect.
pub(super) type UnitError = super::super::writer::UnitError<Error>;

impl From<Error> for UnitError {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// What an error of the database is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// The values of one statement: whoever sends others is not concerned.
    Values,
    /// The database, which may do it later.
    Database,
    /// The connection: it is of no more use.
    Connection,
}

pub(super) fn about(error: &Error) -> About {
    let Error::Database(error) = error else {
        return match error {
            Error::Encode(_) | Error::ColumnDecode { .. } | Error::Decode(_) | Error::RowNotFound => About::Values,
            _ => About::Connection,
        };
    };
    match error.code().as_deref() {
        // The server goes down, or somebody has ended the session.
        Some(code) if code.starts_with("57P") || code.starts_with("08") || code == "25P03" => About::Connection,
        // What a column cannot hold, and what a constraint does not allow.
        Some(code) if code.starts_with("22") || code.starts_with("23") => About::Values,
        _ => About::Database,
    }
}

impl From<&Error> for Failure {
    /// Of an error before anything was committed.
    fn from(error: &Error) -> Self {
        match error {
            Error::PoolClosed => Self::Final("the store is closed".into()),
            error if about(error) == About::Connection => Self::Passing(format!("the database server cannot be reached: {error}")),
            error => Self::Passing(format!("the database server refuses: {error}")),
        }
    }
}

/// What a unit writes with: the connection in a transaction.
pub(super) struct Writing {
    pub(super) connection: PgConnection,
    pub(super) epoch: i64,
    /// The date now, in microseconds, for people.
    pub(super) date: i64,
    pub(super) tail: Tail,
    /// What the resources of each kind are found by.
    pub(super) specs: Arc<[KeysOf]>,
    /// Whether the unit has changed anything.
    pub(super) is_changed: bool,
    /// What the transaction has moved, by kind and id, where there are others to be told.
    pub(super) moved: Vec<(String, String)>,
    pub(super) membership: Arc<Membership>,
}

impl Writing {
    /// Notes that a resource has moved, for the other processes.
    pub(super) fn note_moved(&mut self, kind: &str, id: &str) {
        if self.membership.others() > 0 {
            self.moved.push((kind.to_owned(), id.to_owned()));
        }
    }

    /// What the resources of a kind are found by; nothing if that is their id alone.
    pub(super) fn spec(&self, kind: &str) -> Option<KeysOf> {
        self.specs.iter().find(|spec| spec.kind == kind).cloned()
    }

    /// Runs one statement and answers how many rows it changed.
    pub(super) async fn run(&mut self, statement: Statement<'_>) -> Result<u64, Error> {
        let changed = statement.execute(&mut self.connection).await?.rows_affected();
        self.is_changed |= changed > 0;
        Ok(changed)
    }

    /// Runs one statement that answers rows of what it changes.
    pub(super) async fn change(&mut self, statement: Statement<'_>) -> Result<Vec<PgRow>, Error> {
        let rows = statement.fetch_all(&mut self.connection).await?;
        self.is_changed |= !rows.is_empty();
        Ok(rows)
    }

    /// A row that is there or not.
    pub(super) async fn row(&mut self, statement: Statement<'_>) -> Result<Option<PgRow>, Error> {
        statement.fetch_optional(&mut self.connection).await
    }
}

/// One caller's write, type erased.
#[async_trait]
pub(super) trait Unit: Send {
    async fn run(&mut self, writing: &mut Writing) -> Verdict;
    /// Whether it can be run again after what it wrote was rolled back.
    fn is_repeatable(&self) -> bool;
    fn answer(self: Box<Self>, group: Result<(), &Failure>);
}

/// What became of a unit that has run.
#[derive(Debug)]
pub(super) enum Verdict {
    Keep,
    /// What it wrote goes; the transaction is as good as before.
    Undo,
    /// What it wrote goes, and the transaction is of no use unless it goes back to before the unit.
    Spoilt,
    /// The whole group fails.
    Broken(Failure, About),
}

/// What a caller waits for.
pub(super) struct Call<T, W> {
    pub(super) work: W,
    pub(super) is_repeatable: bool,
    pub(super) result: Option<Result<T, StoreError>>,
    pub(super) reply: oneshot::Sender<Result<T, StoreError>>,
}

#[async_trait]
impl<T, W> Unit for Call<T, W>
where
    T: Send,
    W: for<'a> FnMut(&'a mut Writing) -> BoxFuture<'a, Result<T, UnitError>> + Send,
{
    async fn run(&mut self, writing: &mut Writing) -> Verdict {
        let (verdict, result) = match (self.work)(writing).await {
            Ok(value) => (Verdict::Keep, Ok(value)),
            Err(UnitError::Refused(error)) => (Verdict::Undo, Err(error)),
            Err(UnitError::Broken(error)) => {
                let failure = Failure::from(&error);
                let verdict = match about(&error) {
                    About::Values => Verdict::Spoilt,
                    about => Verdict::Broken(failure.clone(), about),
                };
                (verdict, Err(failure.to_error()))
            }
        };
        self.result = Some(result);
        verdict
    }

    fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    fn answer(self: Box<Self>, group: Result<(), &Failure>) {
        let Self { result, reply, .. } = *self;
        // The caller may be gone; what it asked for is done all the same.
        let _ = reply.send(outcome(group, result));
    }
}
