//! What is due: timers that fire transitions, and runs that wait in the store for their time or for room.

use std::time::Duration;

use jiff::Timestamp;
use millrace_workflow::{Input, Refusal};

use super::decision::{self, Origin};
use super::pipeline::{FireError, Pipeline};
use crate::shutdown::Stop;
use crate::store::{StoreError, Timer};

/// Timers and runs taken from the store at once.
const BATCH: usize = 256;
/// The longest sleep, so that a row written by a hand in the database is seen too.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// Wait after the store could not be read.
const STORE_BACKOFF: Duration = Duration::from_millis(500);

/// Looks for what is due, sleeps until the next is, and is woken when something is due earlier.
pub struct Scheduler {
    pipeline: Pipeline,
}

impl Scheduler {
    /// For this pipeline.
    #[must_use]
    pub fn new(pipeline: Pipeline) -> Self {
        Self { pipeline }
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// The store has failed for good.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let clock = self.pipeline.parts().clock.clone();
        while !stop.is_requested() {
            let wake_at = match self.work().await {
                Ok(wake_at) => wake_at,
                Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "cannot look for due work");
                    decision::later(clock.steady(), STORE_BACKOFF)
                }
            };
            tokio::select! {
                () = clock.sleep_until(wake_at) => {}
                () = self.pipeline.schedule_changed() => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }

    /// Does what is due and answers when to look again.
    async fn work(&self) -> Result<Timestamp, StoreError> {
        let parts = self.pipeline.parts();
        let now = parts.clock.steady();
        let timers = parts.store.due_timers(now, BATCH).await?;
        let room = self.pipeline.room().min(BATCH);
        let runs = if room == 0 { Vec::new() } else { parts.store.claim_runs(now, room).await? };
        let more = timers.len() == BATCH || (room > 0 && runs.len() == room);
        for timer in timers {
            self.fire(&timer).await?;
        }
        for run in runs {
            self.pipeline.start_claimed(run).await;
        }
        if more {
            return Ok(now);
        }
        let next = [parts.store.next_run_due().await?, parts.store.next_timer_due().await?].into_iter().flatten().min();
        let longest = decision::later(parts.clock.steady(), MAX_SLEEP);
        // With no room left a run that is due cannot be taken: look again when one that is held has ended.
        let next = next.map(|at| if room == 0 { at.max(decision::later(parts.clock.steady(), STORE_BACKOFF)) } else { at });
        Ok(next.map_or(longest, |at| at.min(longest)))
    }

    async fn fire(&self, timer: &Timer) -> Result<(), StoreError> {
        let choose = |_: &_, _: &_| -> Result<(Input, Origin), Refusal> {
            Ok((Input::TimerFired { transition: timer.transition.clone(), version: timer.version }, Origin::default()))
        };
        match self.pipeline.fire(&timer.resource_kind, &timer.resource_id, &choose).await {
            Ok(_) | Err(FireError::Contended) => Ok(()),
            Err(FireError::Store(error)) => Err(error),
            Err(error) => {
                tracing::info!(instance = timer.resource_id, transition = timer.transition, %error, "a timer no longer fits and is dropped");
                self.pipeline.parts().store.drop_timer(timer).await
            }
        }
    }
}
