//! What a swap of a component means for the rest, beside the line in the log that the runtime writes: another chance, at once, for runs
//! that the old version had parked or that wait.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::runtime::SwapEvent;
use crate::services::engine::pipeline::Pipeline;
use crate::shutdown::Stop;
use crate::store::Store;
use crate::telemetry::Metrics;

/// Follows the swaps.
pub(super) struct Swaps {
    events: Receiver<SwapEvent>,
    store: Arc<dyn Store>,
    pipeline: Pipeline,
    metrics: Metrics,
}

impl Swaps {
    pub(super) fn new(events: Receiver<SwapEvent>, store: Arc<dyn Store>, pipeline: Pipeline, metrics: Metrics) -> Self {
        Self { events, store, pipeline, metrics }
    }

    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
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
                self.pipeline.hasten(&component);
                match self.store.unpark(&component).await {
                    Ok(0) => {}
                    Ok(runs) => {
                        tracing::info!(component, runs, "parked runs get another chance");
                        self.pipeline.look_again();
                    }
                    Err(error) => tracing::warn!(component, %error, "parked runs could not be set free"),
                }
            }
            SwapEvent::Refused { component, missing, .. } => {
                self.metrics.component_swap(&component, if missing { "removed" } else { "refused" });
                self.metrics.module_operation(&component, "swap", "refused", std::time::Duration::ZERO);
            }
        }
    }
}
