//! How often what everybody sees alike has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the changes that a cached list must not outlive. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Generation(Arc<AtomicU64>);

impl Generation {
    /// Something has changed.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// The count now.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}
