//! What the engine does about the other processes that have its database: it takes over from those that are gone, and looks for what the others
//! have changed, once a second and when they tell of it. Where a process has its database for itself there is nothing to look at.
//!
//! What is kept in memory beside the database is as old as the last look: whose instances are held a second, how many there are as long as
//! [`LASTS`] says. Nothing of it decides alone what is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::active::Active;
use super::change_notifier::ChangeNotifier;
use super::dependencies::Dependencies;
use super::holds::Holds;
use super::per_owner::PerOwner;
use super::recovery;
use super::waker::RunWaker;
use crate::services::generation::Generation;
use crate::shutdown::Stop;
use crate::store::{Group, Heard, Instances, StoreError};

/// Between two looks at what the others have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is counted is counted again after so many times what it took.
const LASTS: u32 = 20;
/// How long after the database has committed something it is counted here for certain, unless the process has no time for anything.
const SETTLED: Duration = Duration::from_millis(100);

/// Looks after what the others do.
pub struct Neighbours {
    group: Arc<dyn Group>,
    store: Arc<dyn Instances>,
    waker: RunWaker,
    outbox_grew: Arc<Notify>,
    change_notifier: ChangeNotifier,
    active: Arc<Active>,
    per_owner: Arc<PerOwner>,
    holds: Arc<Holds>,
    generation: Generation,
    /// There are no others, and what they have changed was seen to the last.
    was_alone: bool,
    /// Not to be counted before.
    count_at: Instant,
}

impl Neighbours {
    /// Those of a store; `waker` and `outbox_grew` wake the scheduler and the relay of this process, `generation` is what cached lists rest on.
    #[must_use]
    pub fn new(dependencies: &Dependencies, waker: RunWaker, outbox_grew: Arc<Notify>, generation: Generation) -> Self {
        let Dependencies { group, store, change_notifier, active, per_owner, holds, .. } = dependencies.clone();
        let count_at = Instant::now();
        Self { group, store, waker, outbox_grew, change_notifier, active, per_owner, holds, generation, was_alone: true, count_at }
    }

    /// Looks until `stop`.
    ///
    /// # Errors
    /// The store has failed for good.
    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        let group = Arc::clone(&self.group);
        // Whoever is bereaved again and again, because nothing can be taken over, looks all the same.
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_requested() {
            let done = tokio::select! {
                () = group.bereaved() => self.take_over().await,
                _ = looks.tick() => self.look().await,
                () = stop.requested() => return Ok(()),
            };
            match done {
                Ok(()) => {}
                Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "what other processes have changed cannot be seen now"),
            }
        }
        Ok(())
    }

    async fn take_over(&self) -> Result<(), StoreError> {
        let runs = recovery::take_over(self.group.as_ref()).await?;
        if runs > 0 {
            tracing::warn!(runs, "runs of a process that is gone are taken over");
            self.waker.look_again();
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        // After the last one has left until all that it has changed was seen: later there is no look that would put right what this one missed.
        let is_alone = self.group.others() == 0;
        if self.was_alone && is_alone {
            return Ok(());
        }
        self.was_alone = false;
        self.waker.look_again();
        self.outbox_grew.notify_one();
        self.change_notifier.all_may_have_changed();
        self.generation.advance();
        let has_learned_all = self.holds.learn(self.store.as_ref()).await?;
        if Instant::now() >= self.count_at {
            let is_exact = self.count_anew(is_alone).await?;
            self.was_alone = is_alone && is_exact && has_learned_all;
        }
        Ok(())
    }

    /// Counts what there is. Whether that is exact, which is found out for certain only if it is to be `for_good`.
    async fn count_anew(&mut self, for_good: bool) -> Result<bool, StoreError> {
        let begin = Instant::now();
        let before = self.active.before();
        let unfinished = self.store.unfinished().await?;
        let by_owner = self.per_owner.ask(self.store.as_ref()).await?;
        self.count_at = Instant::now() + begin.elapsed() * LASTS;
        if for_good {
            // What was committed before it was asked has been counted by then, and has moved the counts.
            tokio::time::sleep(SETTLED).await;
        }
        let are_exact = [self.active.count_anew(&before, &unfinished), self.per_owner.count_anew(&by_owner)];
        Ok(are_exact == [true; 2])
    }
}

/// Wakes whoever waits for what another process tells of, until `stop`.
///
/// # Errors
/// None: what is not heard is looked for.
pub async fn listen(group: Arc<dyn Group>, change_notifier: ChangeNotifier, outbox_grew: Arc<Notify>, stop: Stop) -> anyhow::Result<()> {
    loop {
        let heard = tokio::select! {
            heard = group.heard() => heard,
            () = stop.requested() => return Ok(()),
        };
        match heard {
            Heard::Moved(moved) => moved.iter().for_each(|(kind, id)| change_notifier.changed(kind, id)),
            Heard::Anything => change_notifier.all_may_have_changed(),
        }
        outbox_grew.notify_one();
    }
}
