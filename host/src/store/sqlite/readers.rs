//! A few connections that only read, lent to one caller at a time. A reader sees everything that was answered before.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::super::StoreError;
use super::writer::Failure;

/// The pool. There are as many permits as idle connections.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    size: u32,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let size = u32::try_from(connections.len()).unwrap_or(u32::MAX);
        Self { permits: Arc::new(Semaphore::new(connections.len())), idle: Arc::new(Mutex::new(connections)), size }
    }

    /// Runs `query`, which finds some rows by a key, on the caller's thread: waking another one takes longer than that. Readers wait for
    /// no writer, and a page that is not in memory is one read of a local file.
    pub(super) async fn look_up<T>(&self, query: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let permit = self.permits.acquire().await.map_err(|_| closed())?;
        let mut connection = self.idle.lock().pop().ok_or_else(closed)?;
        let result = query(&mut connection);
        self.idle.lock().push(connection);
        drop(permit);
        result.map_err(|error| Failure::from(&error).to_error())
    }

    /// Runs `query` on a thread that may block.
    pub(super) async fn read<T, Q>(&self, query: Q) -> Result<T, StoreError>
    where
        T: Send + 'static,
        Q: FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
        let mut connection = self.idle.lock().pop().ok_or_else(closed)?;
        let idle = Arc::clone(&self.idle);
        let reading = tokio::task::spawn_blocking(move || {
            let result = query(&mut connection);
            idle.lock().push(connection);
            drop(permit);
            result
        });
        match reading.await {
            Ok(result) => result.map_err(|error| Failure::from(&error).to_error()),
            Err(error) => Err(StoreError::Fatal(format!("a read did not end: {error}"))),
        }
    }

    /// Waits for the reads under way and closes; later reads fail.
    pub(super) async fn close(&self) {
        let everybody = self.permits.acquire_many(self.size).await;
        self.permits.close();
        self.idle.lock().clear();
        drop(everybody);
    }
}

fn closed() -> StoreError {
    StoreError::Fatal("the store is closed".into())
}
