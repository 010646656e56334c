//! Which database there is: the one place that names a back end.

use std::path::PathBuf;
use std::sync::Arc;

use super::copying::{self, CopiedTable, CopyError, CopyStep, Leaves, Reads, Takes};
use super::postgres::{self, Postgres};
use super::sqlite::{self, Sqlite};
use super::{Audit, Group, Instances, KeysOf, Messages, Operations, Resources, Stock, Users};
use crate::clock::Clock;

pub use super::postgres::{Dsn, ServerError, owners};
#[cfg(test)]
pub(crate) use super::sqlite::BadDisk;
pub use super::sqlite::{Copied, OpenError, back_up, offline, restore};

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file of SQLite; its folder is made when there is none.
    File(PathBuf),
    /// On a server of PostgreSQL.
    Server(Dsn),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "sqlite:{}", path.display()),
            Self::Server(dsn) => write!(f, "postgres://{dsn}"),
        }
    }
}

/// Where the database is and how many may read at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Where it is.
    pub place: Place,
    /// Reading connections, 1 to 64.
    pub readers: usize,
    /// What resources are found by, a kind once.
    pub keys: Vec<KeysOf>,
    /// Kinds of the resources that the process keeps. On a server, processes that have none in common do not share a database; one that says none
    /// shares it with all.
    pub kinds: Vec<String>,
}

/// An open database, a handle for each kind of user. Clones share it.
#[derive(Clone)]
pub struct Store {
    /// Resources and their history.
    pub resources: Arc<dyn Resources>,
    /// Runs, timers and definitions; resources as well.
    pub instances: Arc<dyn Instances>,
    /// Outbox, inbox and dead letters.
    pub messages: Arc<dyn Messages>,
    /// Accounts.
    pub users: Arc<dyn Users>,
    /// Stock and reservations.
    pub stock: Arc<dyn Stock>,
    /// What people with a role have done.
    pub audit: Arc<dyn Audit>,
    /// The other processes that have the database.
    pub group: Arc<dyn Group>,
    /// What is asked of the database as a whole.
    pub operations: Arc<dyn Operations>,
}

impl Store {
    /// The handles of a back end.
    #[must_use]
    pub fn of<B: Instances + Messages + Users + Stock + Audit + Group + Operations>(backend: Arc<B>) -> Self {
        Self {
            resources: Arc::clone(&backend) as Arc<dyn Resources>,
            instances: Arc::clone(&backend) as Arc<dyn Instances>,
            messages: Arc::clone(&backend) as Arc<dyn Messages>,
            users: Arc::clone(&backend) as Arc<dyn Users>,
            stock: Arc::clone(&backend) as Arc<dyn Stock>,
            audit: Arc::clone(&backend) as Arc<dyn Audit>,
            group: Arc::clone(&backend) as Arc<dyn Group>,
            operations: backend,
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

/// Opens or makes the database, brings its tables up to date and begins a new epoch. The age of rows is told by `clock`.
///
/// # Errors
/// [`OpenError`], which names the file or the server: in use by another process, not writable, or not a database of this program.
pub fn open(database: &Database, clock: Clock) -> Result<Store, OpenError> {
    let Database { place, readers, keys, kinds } = database;
    Ok(match place {
        Place::File(path) => Store::of(Arc::new(Sqlite::open(path, *readers, keys, clock)?)),
        Place::Server(dsn) => Store::of(Arc::new(Postgres::open(dsn, *readers, (keys, kinds), clock)?)),
    })
}

/// Copies a whole database into an empty one, neither of which any process may have, and compares each row that is read back from the target with
/// the source. `tell` hears how far it is. Whoever opens the target goes on with what is under way in it.
///
/// Blocks for as long as it takes, and is not to be called in a runtime.
///
/// # Errors
/// [`CopyError`]: one of the two is in use or cannot be used, the target has something in it, or they differ. The target is as empty as before
/// then, unless the error says that this is not known.
pub fn copy(from: &Place, to: &Place, clock: &Clock, tell: &mut dyn FnMut(CopyStep)) -> Result<Vec<CopiedTable>, CopyError> {
    if from == to {
        return Err(CopyError::Unusable(format!("{from} is both what is to be copied and where it is to be copied to")));
    }
    let mut source: Box<dyn Leaves> = match from {
        Place::File(path) => Box::new(sqlite::CopySource::open(path, clock)?),
        Place::Server(dsn) => Box::new(postgres::CopyEnd::source(dsn)?),
    };
    let copied = copy_to(&mut *source, to, tell);
    source.leave(copied.is_ok());
    copied
}

fn copy_to(source: &mut dyn Reads, to: &Place, tell: &mut dyn FnMut(CopyStep)) -> Result<Vec<CopiedTable>, CopyError> {
    let mut target: Box<dyn Takes> = match to {
        Place::File(path) => Box::new(sqlite::CopyTarget::begin(path)?),
        Place::Server(dsn) => Box::new(postgres::CopyEnd::target(dsn)?),
    };
    let copied = copying::copy(source, &mut *target, &to.to_string(), tell)?;
    target.finish()?;
    Ok(copied)
}

/// A database whose disk fails when the second of the two is told to.
#[cfg(test)]
pub(crate) fn open_on_a_bad_disk(path: &std::path::Path, clock: Clock) -> Result<(Store, BadDisk), OpenError> {
    let sqlite = Arc::new(Sqlite::open(path, 1, &[], clock)?);
    Ok((Store::of(Arc::clone(&sqlite)), BadDisk(sqlite)))
}
