//! Hears what other processes tell, on a connection of its own, as long as there are others.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use tokio::sync::Mutex;

use super::super::group::Heard;
use super::membership::Membership;
use super::told;

/// Wait after the server could not be listened to. Not every engine has something to say.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// Hears for one process.
#[derive(Debug)]
pub(super) struct Ear {
    pool: PgPool,
    listener: Mutex<Option<PgListener>>,
}

impl Ear {
    /// It opens its connection when there is somebody to hear.
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self { pool: PgPoolOptions::new().max_connections(1).connect_lazy_with(options), listener: Mutex::default() }
    }

    /// Waits until another process than that of this epoch tells something.
    pub(super) async fn heard(&self, membership: &Membership, epoch: u64) -> Heard {
        loop {
            let joined = membership.joined.notified();
            if membership.others() == 0 {
                joined.await;
            }
            let mut listener = self.listener.lock().await;
            let Some(listening) = listener.as_mut() else {
                match self.listen().await {
                    Ok(listening) => *listener = Some(listening),
                    Err(error) => {
                        drop(listener);
                        tracing::debug!(%error, "what other processes tell cannot be heard; what they have changed is looked for each second");
                        tokio::time::sleep(LISTEN_AGAIN).await;
                    }
                }
                continue;
            };
            match listening.try_recv().await {
                Ok(Some(told)) => {
                    if let Some(heard) = told::heard(told.payload(), epoch) {
                        return heard;
                    }
                }
                // Something may have been told meanwhile.
                Ok(None) => return Heard::Anything,
                Err(error) => {
                    tracing::debug!(%error, "the connection on which other processes are heard is lost");
                    *listener = None;
                }
            }
        }
    }

    async fn listen(&self) -> Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(told::CHANNEL).await?;
        Ok(listener)
    }

    pub(super) async fn close(&self) {
        if let Ok(mut listener) = self.listener.try_lock() {
            *listener = None;
        }
        // Its connection may be waited on by a task that ends with the process.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.pool.close()).await;
    }
}
