//! What anybody was told and what was done to the program, line by line in a file. What a customer was promised is on the disk before it
//! counts as promised.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::schedule::{Fault, Target};

/// One line: when, in milliseconds since 1970 by the harness's own clock, and what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// When it was written.
    pub at: u64,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What is worth remembering.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Entry {
    /// An account was made.
    Registered {
        /// Who, as the harness calls them.
        customer: String,
        /// Id of the account.
        account: String,
    },
    /// Somebody is about to ask for an order. Whether it comes to be is not known yet.
    Asked {
        /// Id of the account.
        account: String,
        /// The `Idempotency-Key`.
        key: String,
    },
    /// A 201.
    Created {
        /// Id of the account.
        account: String,
        /// The `Idempotency-Key`.
        key: String,
        /// Its id.
        order: String,
        /// `data.items` of the answer.
        items: Value,
        /// `data.total` of the answer.
        total: Value,
    },
    /// Somebody was told that this transition had been made.
    Seen {
        /// The order.
        order: String,
        /// Place of the transition in its history.
        seq: u64,
        /// The state that it led to.
        state: String,
    },
    /// An action was answered with 200.
    Acted {
        /// The order.
        order: String,
        /// Last part of the path.
        action: String,
        /// The state that the answer gave.
        state: String,
    },
    /// Something was done to the program.
    Fault {
        /// To whom.
        on: Target,
        /// What.
        fault: Fault,
    },
    /// A process was started.
    Started {
        /// Which one.
        name: String,
        /// Number of the process.
        process: u32,
    },
    /// A copy of the database was made; it has at least what was created before the line of that number.
    Copied {
        /// The file.
        file: String,
        /// Lines before the copy was begun.
        after: usize,
    },
    /// Something is wrong already while the run goes on.
    Broken {
        /// Which invariant.
        invariant: String,
        /// Of which order, if of one.
        order: Option<String>,
        /// What was seen.
        why: String,
    },
}

/// A journal that is written by many.
pub struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// One that begins empty, or goes on with what is there.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self { file: Mutex::new(file.with_context(|| format!("cannot open {}", path.display()))?) })
    }

    /// Adds a line. It is on the disk when this returns if it is a promise; a line about the harness itself may come later.
    ///
    /// # Panics
    /// If the disk does not take it: a run without its journal says nothing.
    pub fn write(&self, entry: Entry) {
        let is_promise = matches!(entry, Entry::Created { .. } | Entry::Acted { .. } | Entry::Asked { .. });
        if let Err(problem) = self.append(entry, is_promise) {
            panic!("the journal cannot be written: {problem:#}");
        }
    }

    fn append(&self, entry: Entry, is_promise: bool) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&Line { at: now(), entry })?;
        line.push(b'\n');
        let mut file = self.file.lock();
        file.write_all(&line)?;
        if is_promise {
            file.sync_data()?;
        }
        Ok(())
    }
}

/// All lines of a journal.
pub fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    read_lines(path)
}

/// The lines of any file of JSON lines.
pub fn read_lines<T: for<'line> Deserialize<'line>>(path: &Path) -> anyhow::Result<Vec<T>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    BufReader::new(file).lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

/// Milliseconds since 1970, by the harness's own clock.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
