//! What a swap of a component means for the rest, beside the line in the log that the runtime writes: another chance, at once, for runs
//! that the old version had quarantined or that wait.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::runtime::SwapEvent;
use crate::services::engine::RunWaker;
use crate::shutdown::Stop;
use crate::store::Instances;
use crate::telemetry::Metrics;

/// Follows the swaps.
pub struct Swaps {
    events: Receiver<SwapEvent>,
    store: Arc<dyn Instances>,
    waker: RunWaker,
    metrics: Metrics,
}

impl Swaps {
    /// Of these swaps, for the runs in `store`.
    #[must_use]
    pub fn new(events: Receiver<SwapEvent>, store: Arc<dyn Instances>, waker: RunWaker, metrics: Metrics) -> Self {
        Self { events, store, waker, metrics }
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// None: what cannot be released is told in the log.
    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = stop.requested() => return Ok(()),
            };
            match event {
                Ok(event) => self.follow(event).await,
                Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "swaps happened faster than they could be followed"),
                Err(RecvError::Closed) => return Ok(()),
            }
        }
    }

    async fn follow(&self, event: SwapEvent) {
        match event {
            SwapEvent::Swapped { component, took, .. } => {
                self.metrics.module_operation(&component, "swap", "swapped", took);
                self.metrics.component_swap(&component, "swapped");
                self.waker.wake(&component);
                match self.store.release_quarantined(&component).await {
                    Ok(0) => {}
                    Ok(runs) => {
                        tracing::info!(component, runs, "quarantined runs get another chance");
                        self.waker.look_again();
                    }
                    Err(error) => tracing::warn!(component, %error, "quarantined runs could not be released"),
                }
            }
            SwapEvent::Refused { component, missing, .. } => {
                self.metrics.component_swap(&component, if missing { "removed" } else { "refused" });
                self.metrics.module_operation(&component, "swap", "refused", std::time::Duration::ZERO);
            }
        }
    }
}
