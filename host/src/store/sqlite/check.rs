//! Looks through the whole database after a process that did not close it: pages that were overwritten meanwhile look like any others.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::Connection;

use super::connection::{self, OpenError};

/// The start waits so long for it. A database that takes longer to be looked through (half a gigabyte that is in memory, or much less on
/// a slow disk) is looked at beside the work.
const START_WAITS: Duration = Duration::from_millis(500);

/// What a check finds: what is damaged, or nothing.
pub(super) type Finding = Option<String>;

/// A check that goes on.
#[derive(Debug)]
pub(super) struct Check {
    path: PathBuf,
    finding: Receiver<Finding>,
}

impl Check {
    /// Looks through the database `path`. Answers the check if it takes its time.
    ///
    /// # Errors
    /// [`OpenError::Damaged`]; the thread cannot be started.
    pub(super) fn begin(path: &Path) -> Result<Option<Self>, OpenError> {
        let (found, finding) = channel();
        let reader = connection::open_reader(path)?;
        let started = std::thread::Builder::new().name("store-check".into()).spawn(move || {
            let finding = look_through(&reader);
            // Nobody listens any more when the process ends.
            let _ = found.send(finding);
        });
        started.map_err(|cause| OpenError::Thread { path: path.to_owned(), cause })?;
        match finding.recv_timeout(START_WAITS) {
            Ok(None) => Ok(None),
            Ok(Some(found)) => Err(OpenError::Damaged { path: path.to_owned(), found }),
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!(database = %path.display(), "the process before this one did not close the database: it is looked through beside the work");
                Ok(Some(Self { path: path.to_owned(), finding }))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(OpenError::Damaged { path: path.to_owned(), found: "looking through it ended without an answer".into() })
            }
        }
    }

    /// Waits for its end; answers what an operator is told if something is damaged.
    pub(super) fn finish(self) -> Option<String> {
        let found = self.finding.recv().unwrap_or_else(|_| Some("looking through it ended without an answer".into()))?;
        Some(OpenError::Damaged { path: self.path, found }.to_string())
    }
}

/// The first thing that is wrong, in SQLite's words.
pub(super) fn look_through(connection: &Connection) -> Finding {
    match connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(text) if text == "ok" => None,
        Ok(text) => Some(text.lines().collect::<Vec<_>>().join(" ")),
        Err(error) => Some(error.to_string()),
    }
}
