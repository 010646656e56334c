//! What answers, exchanged while requests are under way: those that have begun end on what they began with.

use std::convert::Infallible;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use tower::{ServiceExt as _, service_fn};

/// A router that can be exchanged. Clones share it.
#[derive(Clone)]
pub struct Current(Arc<ArcSwap<Router>>);

impl Current {
    /// Beginning with this one.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }

    /// Requests that begin from now on are for `router`.
    pub fn put(&self, router: Router) {
        self.0.store(Arc::new(router));
    }

    /// Answers each request by the router that is current when it begins.
    pub fn router(&self) -> Router {
        let current = Arc::clone(&self.0);
        Router::new().fallback_service(service_fn(move |request: Request| {
            let router = Router::clone(&current.load());
            async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
        }))
    }
}
