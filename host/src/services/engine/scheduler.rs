//! What is due: timers that fire transitions, and runs that wait in the store for their time or for room.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use millrace_workflow::{Cause, Input, Refusal};

use super::commit_plan::{self, Origin};
use super::pipeline::{FireError, Pipeline};
use super::withdrawal::WithdrawError;
use super::workflows::LookupError;
use crate::clock::Clock;
use crate::faults::planted;
use crate::pulse::Beat;
use crate::shutdown::Stop;
use crate::store::{Commit, Instances, Line, StoreError, Timer, WaitingEvent};

/// Timers and runs taken from the store at once.
const BATCH: usize = 256;
/// The longest sleep, so that a row written by a hand in the database is seen too.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// How often runs are looked for that this process has claimed and does not have in hand.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Wait before a deadline is looked at again that has passed while a step is being attempted: its answer ends the stay, or has it looked at.
const INSIDE: Duration = Duration::from_secs(5);
/// Wait after the store could not be read.
const STORE_BACKOFF: Duration = Duration::from_millis(500);

/// Looks for what is due, sleeps until the next is, and is woken when something is due earlier.
pub struct Scheduler {
    pipeline: Pipeline,
    store: Arc<dyn Instances>,
    clock: Clock,
    beat: Beat,
    /// See `faults.rs`: what was claimed is not in hand, and nobody looks for it.
    drops_claims: bool,
}

impl Scheduler {
    /// For this pipeline; it beats whenever it gets on.
    #[must_use]
    pub fn new(pipeline: Pipeline, store: Arc<dyn Instances>, clock: Clock, beat: Beat) -> Self {
        Self { pipeline, store, clock, beat, drops_claims: planted("claimed-and-dropped") }
    }

    /// Runs until `stop`.
    ///
    /// # Errors
    /// The store has failed for good.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let clock = self.clock.clone();
        let mut swept = None;
        while !stop.is_requested() {
            self.beat.beat();
            let wake_at = match self.work(&mut swept).await {
                Ok(wake_at) => wake_at,
                Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "cannot look for due work");
                    commit_plan::later(clock.steady(), STORE_BACKOFF)
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
    async fn work(&self, swept: &mut Option<Instant>) -> Result<Timestamp, StoreError> {
        let now = self.clock.steady();
        if swept.is_none_or(|at| at.elapsed() >= SWEEP_INTERVAL) && !self.drops_claims {
            *swept = Some(Instant::now());
            self.pipeline.sweep().await?;
        }
        let more_runs = self.start_runs(now).await?;
        let more_timers = self.fire_timers(now).await?;
        let more_events = self.serve_waiting().await?;
        if more_runs || more_timers || more_events {
            return Ok(now);
        }
        // A line without room is looked at again when it has some, which it tells.
        let lines = self.store.lines().await?.into_iter().filter(|(line, _)| self.pipeline.room(line) > 0).map(|(_, due)| due);
        let next = lines.chain(self.store.next_timer_due().await?).min();
        let longest = commit_plan::later(self.clock.steady(), MAX_SLEEP);
        Ok(next.map_or(longest, |at| at.min(longest)))
    }

    /// Starts what is due of each line, as far as there is room in it. Whether there was more.
    async fn start_runs(&self, now: Timestamp) -> Result<bool, StoreError> {
        let store = &self.store;
        let due: Vec<Line> = store.lines().await?.into_iter().filter(|(_, due)| *due <= now).map(|(line, _)| line).collect();
        let claims = due.iter().map(|line| async move {
            let room = self.pipeline.room(line).min(BATCH);
            if room == 0 {
                return Ok((true, false));
            }
            let claimed = store.claim_runs(line, now, room).await?;
            let (left, more) = (claimed.len() == room, claimed.len() == BATCH);
            if self.drops_claims {
                return Ok((left, more));
            }
            claimed.into_iter().for_each(|run| self.pipeline.start_claimed(run));
            Ok((left, more))
        });
        // All of them to their end: what one has claimed is in hand, whatever becomes of the others.
        let claims: Vec<Result<(bool, bool), StoreError>> = join_all(claims).await;
        let left =
            |(line, claim): (&Line, &Result<(bool, bool), StoreError>)| claim.as_ref().is_ok_and(|(left, _)| *left).then(|| line.clone());
        let behind: Vec<Line> = due.iter().zip(&claims).filter_map(left).collect();
        self.pipeline.hand().caught_up_but_for(&behind);
        claims.into_iter().try_fold(false, |more, claim| Ok(more | claim?.1))
    }

    /// Fires the timers that are due. Whether there were more.
    async fn fire_timers(&self, now: Timestamp) -> Result<bool, StoreError> {
        let timers = self.store.due_timers(now, BATCH).await?;
        let mut failed = None;
        for timer in &timers {
            self.beat.beat();
            // One that cannot be written keeps no other one waiting.
            match self.fire(timer).await {
                Err(error @ StoreError::Fatal(_)) => return Err(error),
                result => failed = result.err().or(failed),
            }
        }
        failed.map_or(Ok(timers.len() == BATCH), Err)
    }

    /// Has events move their instances that have waited for a hold to end, each instance in the sequence in which they came. Whether there
    /// were more.
    async fn serve_waiting(&self) -> Result<bool, StoreError> {
        if !self.pipeline.holds().are_waited_for() {
            return Ok(false);
        }
        let events = self.store.waited_for(BATCH).await?;
        let (mut failed, mut stopped) = (None, HashSet::new());
        for event in &events {
            self.beat.beat();
            let name = (event.kind.as_str(), event.id.as_str());
            // Nothing overtakes what could not be written, and somebody may hold the instance again.
            if stopped.contains(&name) || self.pipeline.holds().has(name.0, name.1) {
                continue;
            }
            match self.serve(event).await {
                Ok(()) => self.pipeline.holds().waits_no_longer(name.0, name.1),
                Err(error @ StoreError::Fatal(_)) => return Err(error),
                Err(error) => {
                    stopped.insert(name);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(events.len() == BATCH), Err)
    }

    async fn serve(&self, event: &WaitingEvent) -> Result<(), StoreError> {
        let choose = |_: &_, _: &_| -> Result<(Input, Origin), Refusal> {
            let input = Input::Fire { transition: event.transition.clone(), cause: Cause::Event };
            Ok((input, Origin { waited: Some(event.clone()), traceparent: event.traceparent.clone(), ..Origin::default() }))
        };
        match self.pipeline.fire(&event.kind, &event.id, &choose).await {
            Ok(_) => Ok(()),
            Err(FireError::Contended) => Err(StoreError::Unavailable(FireError::Contended.to_string())),
            Err(FireError::Store(error) | FireError::Lookup(LookupError::Store(error))) => Err(error),
            Err(error) => {
                let WaitingEvent { id, transition, event_id, .. } = event;
                tracing::info!(instance = id, transition, event = event_id, %error, "an event that has waited no longer fits and is dropped");
                self.store.drop_waiting(event.number).await.map(drop)
            }
        }
    }

    async fn fire(&self, timer: &Timer) -> Result<(), StoreError> {
        let choose = |_: &_, _: &_| -> Result<(Input, Origin), Refusal> {
            Ok((Input::TimerFired { transition: timer.transition.clone(), version: timer.version }, Origin::default()))
        };
        match self.pipeline.fire(&timer.resource_kind, &timer.resource_id, &choose).await {
            Ok(_) | Err(FireError::Contended) => Ok(()),
            Err(FireError::Store(error)) => Err(error),
            Err(error @ FireError::Refused(_)) => self.end_stay(timer, &error).await,
            Err(error) => self.drop(timer, &error).await,
        }
    }

    /// A timer whose transition does not leave the state: it may be that of a deadline that has passed while a step waits.
    async fn end_stay(&self, timer: &Timer, refused: &FireError) -> Result<(), StoreError> {
        match self.pipeline.end_stay(&timer.resource_kind, &timer.resource_id).await {
            // Where its component is asked first, the state is the same, and no timer is needed to leave it.
            Ok(()) => self.store.drop_timer(timer).await,
            Err(WithdrawError::Store(error) | WithdrawError::Lookup(LookupError::Store(error))) => Err(error),
            Err(WithdrawError::Inside(_) | WithdrawError::Contended) => {
                let again = Timer { due_at: commit_plan::later(self.clock.steady(), INSIDE), ..timer.clone() };
                self.store.commit(Commit { timers: vec![again], ..Commit::default() }).await.map(drop)
            }
            Err(WithdrawError::Meaningless) => self.drop(timer, refused).await,
            Err(error @ (WithdrawError::Tried(_) | WithdrawError::Lookup(_))) => self.drop(timer, &error).await,
        }
    }

    async fn drop(&self, timer: &Timer, error: &(dyn std::fmt::Display + Sync)) -> Result<(), StoreError> {
        tracing::info!(instance = timer.resource_id, transition = timer.transition, %error, "a timer no longer fits and is dropped");
        self.store.drop_timer(timer).await
    }
}
