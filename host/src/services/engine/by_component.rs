//! One of something for each component of a process, whose components may become more.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// What is kept of each component, by its name. What is there once stays.
pub(super) struct ByComponent<T>(RwLock<HashMap<String, Arc<T>>>);

impl<T: Default> ByComponent<T> {
    /// One for each of these.
    pub(super) fn new(components: impl Iterator<Item = String>) -> Self {
        let kept = Self(RwLock::default());
        kept.add(components);
        kept
    }

    /// One for each of these that has none.
    pub(super) fn add(&self, components: impl Iterator<Item = String>) {
        let mut kept = self.0.write();
        for name in components {
            kept.entry(name).or_default();
        }
    }

    /// That of a component.
    pub(super) fn of(&self, component: &str) -> Option<Arc<T>> {
        self.0.read().get(component).cloned()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<(String, Arc<T>)> {
        self.0.read().iter().map(|(name, kept)| (name.clone(), Arc::clone(kept))).collect()
    }
}
