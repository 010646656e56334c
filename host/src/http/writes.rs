//! Writes that their client cannot take back by hanging up.
//!
//! A handler is dropped when its connection goes away. A write that was begun then goes on, so that what a client may have
//! seen happen has happened.

use std::future::Future;

use crate::services::ServiceError;
use crate::tasks::Tasks;
use crate::telemetry::traces;

/// Begins `work` that nobody waits for; the process does, before it ends.
pub(crate) fn begin(tasks: &Tasks, work: impl Future<Output = ()> + Send + 'static) {
    drop(tasks.spawn(work));
}

/// Runs `write` to its end, also when the caller is dropped meanwhile.
pub(crate) async fn finish<T, F>(tasks: &Tasks, write: F) -> Result<T, ServiceError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ServiceError>> + Send + 'static,
{
    tasks.spawn(traces::carried(write)).await.unwrap_or_else(|died| Err(ServiceError::Internal(died.into())))
}
