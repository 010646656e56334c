//! The console itself.

use std::sync::Arc;

use super::dependencies::Dependencies;
use super::known::Known;
use super::room::Room;

/// What those who run a process look at and do. Clones share everything.
#[derive(Clone)]
pub struct Console {
    pub(super) parts: Arc<Dependencies>,
    pub(super) known: Arc<Known>,
    pub(super) room: Arc<Room>,
}

impl Console {
    /// Over these parts.
    #[must_use]
    pub fn new(parts: Dependencies) -> Self {
        Self { parts: Arc::new(parts), known: Arc::default(), room: Arc::default() }
    }
}
