//! Any resource, with or without a workflow: what handlers call.

use std::sync::Arc;

use futures::stream::BoxStream;
use serde_json::Value;

use super::ServiceError;
use super::users::CurrentUser;

/// A request's `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Value of the header, 1 to 255 visible ASCII characters.
    pub key: String,
    /// SHA-256 of method, path and body, in hex.
    pub request_hash: String,
}

/// A resource as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its id.
    pub id: String,
    /// Its version, for an ETag.
    pub version: u64,
    /// The body: `{id, data, state, lastUpdate, createdAt, version, history?}`.
    pub body: Value,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Bodies as in [`View::body`], without history.
    pub items: Vec<Value>,
    /// Opaque; hand it back to get the next page. `None` on the last.
    pub next: Option<String>,
}

/// One transition, for an event stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// History `seq`: the id of the server-sent event.
    pub seq: u64,
    /// `{id, state, version, transition: <history row>, data: <public data>}`.
    pub body: Value,
    /// The resource has reached a final state: nothing follows.
    pub last: bool,
}

/// The resources of a process.
#[derive(Clone)]
pub struct Resources {
    _inner: Arc<()>,
}

impl Resources {
    /// Creates a resource of `handler` and starts its workflow. The flag is true when the idempotency key was used before
    /// with the same request: the view is the resource created then.
    ///
    /// # Errors
    /// Invalid body, unknown product, catalogue not reachable, idempotency key used for another request.
    pub async fn create(
        &self,
        handler: &str,
        user: Option<&CurrentUser>,
        body: Value,
        key: Option<IdempotencyKey>,
    ) -> Result<(View, bool), ServiceError> {
        let _ = (handler, user, body, key);
        Err(ServiceError::NotFound { what: "handler".into() })
    }

    /// Lists resources: the user's own, newest first, or (if nobody owns them) all by id.
    ///
    /// # Errors
    /// A cursor that was not made here; a limit outside 1 to 200.
    pub async fn list(
        &self,
        handler: &str,
        user: Option<&CurrentUser>,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Page, ServiceError> {
        let _ = (handler, user, limit, cursor);
        Err(ServiceError::NotFound { what: "handler".into() })
    }

    /// One resource with its history.
    ///
    /// # Errors
    /// Not there, or somebody else's.
    pub async fn get(&self, handler: &str, user: Option<&CurrentUser>, id: &str) -> Result<View, ServiceError> {
        let _ = (handler, user, id);
        Err(ServiceError::NotFound { what: "handler".into() })
    }

    /// Replaces the data of a resource that no workflow moves.
    ///
    /// # Errors
    /// Not there, invalid, moved by a workflow, or changed meanwhile (`if_version`).
    pub async fn update(
        &self,
        handler: &str,
        user: Option<&CurrentUser>,
        id: &str,
        body: Value,
        if_version: Option<u64>,
    ) -> Result<View, ServiceError> {
        let _ = (handler, user, id, body, if_version);
        Err(ServiceError::NotFound { what: "handler".into() })
    }

    /// Removes a resource that no workflow moves.
    ///
    /// # Errors
    /// Not there, moved by a workflow, or changed meanwhile.
    pub async fn delete(&self, handler: &str, user: Option<&CurrentUser>, id: &str, if_version: Option<u64>) -> Result<(), ServiceError> {
        let _ = (handler, user, id, if_version);
        Err(ServiceError::NotFound { what: "handler".into() })
    }

    /// Fires a named action (`cancel`, `retry`), or a transition by its own name; `body` may bring new private fields.
    ///
    /// # Errors
    /// Not there, invalid body, or the state does not allow it (409 naming the state).
    pub async fn act(&self, handler: &str, user: Option<&CurrentUser>, id: &str, action: &str, body: Value) -> Result<View, ServiceError> {
        let _ = (handler, user, id, action, body);
        Err(ServiceError::NotFound { what: "handler".into() })
    }

    /// The transitions after `seq`, those made already first, then as they happen; ends after the last.
    ///
    /// # Errors
    /// Not there, or somebody else's.
    pub async fn changes(
        &self,
        handler: &str,
        user: Option<&CurrentUser>,
        id: &str,
        after: u64,
    ) -> Result<BoxStream<'static, Change>, ServiceError> {
        let _ = (handler, user, id, after);
        Err(ServiceError::NotFound { what: "handler".into() })
    }
}
