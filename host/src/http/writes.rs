//! Writes that their client cannot take back by hanging up.
//!
//! A handler is dropped when its connection goes away. A write that was begun then goes on, so that what a client may have
//! seen happen has happened.

use std::future::Future;

use tokio_util::task::TaskTracker;

use crate::services::ServiceError;
use crate::telemetry::traces;

/// Runs `write` to its end, also when the caller is dropped meanwhile.
pub(crate) async fn finish<T, F>(writes: &TaskTracker, write: F) -> Result<T, ServiceError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ServiceError>> + Send + 'static,
{
    writes.spawn(traces::carried(write)).await.unwrap_or_else(|died| Err(ServiceError::Internal(died.into())))
}
