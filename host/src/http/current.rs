//! What answers, exchanged while requests are under way: those that have begun end on what they began with.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;

/// A router that can be exchanged. Clones share it.
#[derive(Clone)]
pub struct Current(Arc<ArcSwap<Router>>);

impl Current {
    /// Requests that begin from now on are for `router`.
    pub fn put(&self, router: Router) {
        self.0.store(Arc::new(router));
    }

    /// What answers a request that begins now.
    pub(super) fn router(&self) -> Router {
        Router::clone(&self.0.load())
    }
}

/// Beginning with this one.
impl From<Router> for Current {
    fn from(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }
}
