//! What the engine does about the other processes that have its database: it takes over from those that are gone, and looks for what the others
//! have changed, once a second and when they tell of it. Where a process has its database for itself there is nothing to look at.
//!
//! What is kept in memory beside the database is as old as a second: whose instances are held, how many there are. Nothing of it decides alone what
//! is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

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
        while !stop.is_requested() {
            let done = tokio::select! {
                () = group.bereaved() => self.take_over().await,
                () = tokio::time::sleep(LOOK_EVERY) => self.look().await,
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
        // Once more after the last one has left: what it has changed is seen.
        let is_alone = self.group.others() == 0;
        if std::mem::replace(&mut self.was_alone, is_alone) && is_alone {
            return Ok(());
        }
        self.waker.look_again();
        self.outbox_grew.notify_one();
        self.change_notifier.all_may_have_changed();
        self.generation.advance();
        self.holds.learn(self.store.as_ref()).await?;
        let begin = Instant::now();
        if is_alone || begin >= self.count_at {
            self.active.count_anew(&self.store.unfinished().await?);
            self.per_owner.count_anew(self.store.as_ref()).await?;
            self.count_at = Instant::now() + begin.elapsed() * LASTS;
        }
        Ok(())
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
