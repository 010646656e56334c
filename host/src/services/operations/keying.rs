//! Resources that were written before their handler said what they are found by are given their keys, a few at a time, beside everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::shutdown::Stop;
use crate::store::{Operations, StoreError};

/// Between two steps: whoever writes meanwhile hardly waits.
const PAUSE: Duration = Duration::from_millis(5);
/// Before a step is tried again that the store could not do.
const AGAIN: Duration = Duration::from_secs(5);

/// Gives keys to the resources of one store. Clones share it.
#[derive(Clone)]
pub struct Keying {
    store: Arc<dyn Operations>,
    is_done: Arc<AtomicBool>,
}

impl Keying {
    /// Of this store.
    #[must_use]
    pub fn new(store: Arc<dyn Operations>) -> Self {
        Self { store, is_done: Arc::default() }
    }

    /// Becomes true once every resource is found by its keys, for whoever must miss none.
    #[must_use]
    pub fn done(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_done)
    }

    /// Whether every resource is found by its keys.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_done.load(Ordering::Acquire)
    }

    /// Gives keys until none is lacking, or until `stop`.
    ///
    /// # Errors
    /// The store has failed for good.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let mut steps = 0_u64;
        while !stop.is_requested() {
            let wait = match self.store.give_keys().await {
                Ok(true) => PAUSE,
                Ok(false) => {
                    if steps > 0 {
                        tracing::info!(steps, "every resource is found by its keys");
                    }
                    self.is_done.store(true, Ordering::Release);
                    return Ok(());
                }
                Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "resources cannot be given their keys now; it is tried again");
                    AGAIN
                }
            };
            steps += 1;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }
}
