//! The console itself.

use std::sync::Arc;

use super::dependencies::Dependencies;
use super::known::Known;
use super::room::Room;
use crate::services::resources::Resources;

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

    /// The same over other resources, as another config has them.
    #[must_use]
    pub fn over(&self, resources: Resources) -> Self {
        Self { parts: Arc::new(Dependencies { resources, ..(*self.parts).clone() }), ..self.clone() }
    }
}
