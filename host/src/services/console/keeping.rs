//! What a config is saved with: its history, the audit log, and what has become of its file.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::history::History;
use crate::clock::Clock;
use crate::services::engine::hex;
use crate::store::Audit;

/// What has become of the config as its file is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ConfigStanding {
    /// The process runs it.
    #[default]
    Runs,
    /// It takes a restart, for these parts.
    Restart(Vec<String>),
    /// It cannot run, and why.
    Refused(String),
}

/// What saving works with.
pub struct Keeping {
    /// What was saved.
    pub history: History,
    /// What people with a role have done; of a process with a database.
    pub audit: Option<Arc<dyn Audit>>,
    /// Program that compiles components, which are judged before a config that names them is saved.
    pub compiler: PathBuf,
    /// Time.
    pub clock: Clock,
    /// One save at a time.
    pub(super) turn: Semaphore,
    /// What has become of the file that was last looked at, and its digest.
    pub(super) seen: Mutex<(Option<String>, ConfigStanding)>,
}

impl Keeping {
    /// With these parts.
    #[must_use]
    pub fn new(history: History, audit: Option<Arc<dyn Audit>>, compiler: PathBuf, clock: Clock) -> Self {
        Self { history, audit, compiler, clock, turn: Semaphore::new(1), seen: Mutex::default() }
    }
}

/// SHA-256 of a text, in hex.
#[must_use]
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
