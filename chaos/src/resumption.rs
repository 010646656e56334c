//! How long it takes, from the moment at which a process is ready again, until something goes on that was under way when it was killed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long it is watched. What takes longer is written down as that.
const LIMIT: Duration = Duration::from_secs(20);
/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(10);

/// What was measured so far.
pub struct Resumption {
    database: PathBuf,
    /// Keys of the runs that were within a component.
    under_way: Vec<String>,
    watching: Option<JoinHandle<()>>,
    measured: Arc<Mutex<Vec<Duration>>>,
}

impl Resumption {
    /// Of the orders in that database.
    pub fn new(database: PathBuf) -> Self {
        Self { database, under_way: Vec::new(), watching: None, measured: Arc::default() }
    }

    /// A kill follows. One that comes before anything went on ends what was being measured: there is nothing to say of it.
    pub fn note(&mut self) {
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
        // A program that is just starting has its database to itself; then nothing is measured.
        self.under_way = keys(&self.database).unwrap_or_default();
    }

    /// The process is ready.
    pub fn watch(&mut self) {
        let (database, under_way, measured) = (self.database.clone(), std::mem::take(&mut self.under_way), Arc::clone(&self.measured));
        if under_way.is_empty() {
            return;
        }
        let ready = Instant::now();
        self.watching = Some(tokio::spawn(async move {
            while ready.elapsed() < LIMIT && !any_is_done(&database, &under_way).unwrap_or(false) {
                sleep(EVERY).await;
            }
            measured.lock().push(ready.elapsed());
        }));
    }

    /// What was measured.
    pub fn measured(&self) -> Vec<Duration> {
        self.measured.lock().clone()
    }
}

/// Reads only: whoever may write would tidy up what a process has left that was killed.
fn open(database: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

fn keys(database: &Path) -> rusqlite::Result<Vec<String>> {
    let connection = open(database)?;
    let mut statement = connection.prepare("SELECT key FROM step_runs WHERE status = 'running' AND resource_kind = 'orders'")?;
    let keys = statement.query_map([], |row| row.get(0))?;
    keys.collect()
}

fn any_is_done(database: &Path, keys: &[String]) -> rusqlite::Result<bool> {
    let connection = open(database)?;
    let mut statement = connection.prepare("SELECT status = 'done' FROM step_runs WHERE key = ?1")?;
    for key in keys {
        if statement.query_row([key], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}
