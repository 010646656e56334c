//! What is due: timers that fire transitions, and runs that wait in the store for their time or for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use millrace_workflow::{Cause, Input, Refusal, RunKind};

use super::commit_plan::{self, Origin};
use super::holds::{Name, PutOff};
use super::pipeline::{FireError, Pipeline};
use super::withdrawal::WithdrawError;
use super::workflows::LookupError;
use crate::clock::Clock;
use crate::faults::planted;
use crate::pulse::Beat;
use crate::shutdown::Stop;
use crate::store::{Commit, Conflict, Instances, Line, Resource, RunStatus, StepRun, StoreError, Timer, WaitingEvent};

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

/// What became of an event that has waited.
enum Served {
    /// It has moved its instance, or never will.
    Done,
    /// It waits on.
    PutOff,
    /// Its instance has moved while it was looked at: it is tried anew.
    Moved,
}

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
        let now = if planted("timers-by-the-date") { self.clock.now() } else { self.clock.steady() };
        if swept.is_none_or(|at| at.elapsed() >= SWEEP_INTERVAL) && !self.drops_claims {
            *swept = Some(Instant::now());
            self.pipeline.holds().look_again_at_all();
            self.pipeline.sweep().await?;
        }
        let more_runs = self.start_runs(now).await?;
        // Events that have waited come before the timers that were held with their instance. Where they fail, timers fire all the same.
        let more_events = self.serve_waiting().await;
        let more_timers = self.fire_timers(now).await?;
        if more_runs || more_timers || more_events? {
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
        let (more, mut failed) = (timers.len() == BATCH, None);
        let mut beside = Vec::new();
        for (kind, id) in self.pipeline.holds().put_off_until_run() {
            beside.extend(self.store.timers(&kind, &id).await?.into_iter().filter(|timer| timer.due_at <= now));
        }
        for timer in timers.iter().chain(&beside) {
            self.beat.beat();
            // One that cannot be written keeps no other one waiting.
            match self.fire(timer).await {
                Err(error @ StoreError::Fatal(_)) => return Err(error),
                result => failed = result.err().or(failed),
            }
        }
        failed.map_or(Ok(more), Err)
    }

    /// Has events move their instances that have waited for a hold to end, each instance in the sequence in which they came. Whether there
    /// were more.
    async fn serve_waiting(&self) -> Result<bool, StoreError> {
        let names = self.pipeline.holds().due(BATCH);
        let (mut more, mut failed) = (names.len() == BATCH, None);
        for name in &names {
            // What cannot be written for one instance keeps no other one waiting.
            match self.serve_instance(name).await {
                Ok(has_more) => more |= has_more,
                Err(error @ StoreError::Fatal(_)) => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(more), Err)
    }

    /// The events of one instance, until one has to wait on: nothing overtakes it. Whether there were more.
    async fn serve_instance(&self, (kind, id): &Name) -> Result<bool, StoreError> {
        let holds = self.pipeline.holds();
        let events = self.store.waiting(kind, id, BATCH).await?;
        for event in &events {
            self.beat.beat();
            // Somebody may hold it again.
            if holds.has(kind, id) {
                return Ok(false);
            }
            match self.serve(event).await? {
                Served::Done => holds.waits_no_longer(kind, id),
                Served::PutOff => return Ok(false),
                Served::Moved => return Ok(true),
            }
        }
        Ok(events.len() == BATCH)
    }

    async fn serve(&self, event: &WaitingEvent) -> Result<Served, StoreError> {
        let WaitingEvent { kind, id, consumer, transition, event_id, .. } = event;
        let version = AtomicU64::new(0);
        let choose = |resource: &Resource, _: &_| -> Result<(Input, Origin), Refusal> {
            version.store(resource.version, Ordering::Relaxed);
            let input = Input::Fire { transition: transition.clone(), cause: Cause::Event };
            Ok((input, Origin { waited: Some(event.clone()), traceparent: event.traceparent.clone(), ..Origin::default() }))
        };
        let error = match self.pipeline.fire(kind, id, &choose).await {
            Ok(_) | Err(FireError::Store(StoreError::Conflict(Conflict::Duplicate { .. }))) => return Ok(Served::Done),
            Err(FireError::Contended) => return Err(StoreError::Unavailable(FireError::Contended.to_string())),
            Err(FireError::Store(error) | FireError::Lookup(LookupError::Store(error))) => return Err(error),
            Err(error @ FireError::Lookup(LookupError::Unusable { .. })) => {
                tracing::warn!(instance = id, consumer, transition, event = event_id, %error, "an event that has waited cannot be taken yet; it is tried again");
                self.pipeline.holds().put_off((kind, id), PutOff::Unusable);
                return Ok(Served::PutOff);
            }
            Err(error) => error,
        };
        if matches!(error, FireError::Refused(_))
            && let Some(served) = self.keep(event, version.into_inner()).await?
        {
            return Ok(served);
        }
        tracing::warn!(instance = id, consumer, transition, event = event_id, %error, "an event that has waited no longer fits and is dropped");
        self.store.drop_waiting(event.number).await?;
        Ok(Served::Done)
    }

    /// Keeps an event that the instance has refused at this version, unless it is at rest: what a run answers may lead to where it fits. None if
    /// it is at rest.
    async fn keep(&self, event: &WaitingEvent, version: u64) -> Result<Option<Served>, StoreError> {
        let WaitingEvent { kind, id, .. } = event;
        let holds = self.pipeline.holds();
        // Before the look at the runs: whatever settles from here on has it looked at again.
        holds.put_off((kind, id), PutOff::UntilRun);
        let runs = self.store.runs(kind, id).await?;
        let resource = self.store.resource(kind, id).await?;
        if resource.as_ref().is_some_and(|resource| runs.iter().any(|run| may_move(run, resource))) {
            return Ok(Some(Served::PutOff));
        }
        holds.look_again(kind, id);
        Ok(resource.is_some_and(|resource| resource.version != version).then_some(Served::Moved))
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

/// Whether a run that is not done may still move its instance. One that was set aside does if the instance is where it has begun.
fn may_move(run: &StepRun, resource: &Resource) -> bool {
    run.kind != RunKind::Task
        && match run.status {
            RunStatus::Done => false,
            RunStatus::Ready | RunStatus::Running => true,
            RunStatus::Quarantined | RunStatus::Stranded => run.to_state == resource.state,
        }
}
