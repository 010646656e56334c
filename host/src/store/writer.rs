//! What the writers of the databases have in common: how long the queue before one is, what its callers learn of it, and what a failure means.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use super::{CommitObserver, CommitStats, Conflict, Refused, StoreError};

/// Units that may wait for the writer; further callers wait outside.
pub(super) const QUEUE_UNITS: usize = 1_024;
/// Units that share one transaction at most; bounds how long the first of them waits for the others.
pub(super) const GROUP_UNITS: usize = 256;
/// How long a caller waits for a place in the queue.
pub(super) const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// Microseconds after which it is noted again how far the steady time has come: a process that dies loses at most that much of it.
pub(super) const NOTE_EVERY: i64 = 250_000;
/// Groups that are written with savepoints after one had to be written anew for want of them.
pub(super) const CAREFUL_GROUPS: u32 = 64;
/// What is known of a writer that did not say how it ended.
const UNEXPECTED_END: &str = "the writer has ended unexpectedly";

/// Whether the writer lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Life {
    Working,
    Closed,
    Failed(String),
}

/// What a writer has done.
#[derive(Default)]
pub(super) struct Counters {
    commits: AtomicU64,
    units: AtomicU64,
    busy_nanos: AtomicU64,
    refused: Mutex<Option<Refused>>,
    observer: OnceLock<CommitObserver>,
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counters").field("commits", &self.commits).field("units", &self.units).finish_non_exhaustive()
    }
}

impl Counters {
    /// A group was committed.
    pub(super) fn count(&self, units: usize, busy: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.units.fetch_add(units as u64, Ordering::Relaxed);
        let nanos = u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX);
        self.busy_nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(observe) = self.observer.get() {
            observe(units, busy);
        }
    }

    /// A group was refused, by the steady time.
    pub(super) fn refuse(&self, reason: &str, at: Timestamp) {
        *self.refused.lock() = Some(Refused { reason: reason.to_owned(), at });
    }
}

/// What the callers of a writer learn of it.
#[derive(Debug)]
pub(super) struct WriterState {
    life: watch::Receiver<Life>,
    counters: Arc<Counters>,
}

impl WriterState {
    /// That of a writer which begins; the other side of it.
    pub(super) fn new() -> (Self, watch::Sender<Life>, Arc<Counters>) {
        let (life_of, life) = watch::channel(Life::Working);
        let counters = Arc::new(Counters::default());
        (Self { life, counters: Arc::clone(&counters) }, life_of, counters)
    }

    /// Puts a unit into the queue, and answers what becomes of it.
    pub(super) async fn written<M, T>(
        &self,
        queue: &mpsc::Sender<M>,
        (unit, wait): (M, Duration),
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match queue.send_timeout(unit, wait).await {
            Ok(()) => self.answered(answer.await).await,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                Err(StoreError::Unavailable(format!("{QUEUE_UNITS} writes are waiting already")))
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(self.gone().await),
        }
    }

    /// What became of a unit, for which there is no answer where the writer has ended before it.
    pub(super) async fn answered<T>(&self, answer: Result<Result<T, StoreError>, oneshot::error::RecvError>) -> Result<T, StoreError> {
        match answer {
            Ok(answer) => answer,
            Err(_) => Err(self.gone().await),
        }
    }

    /// Why nothing is written any more. The writer stops listening a moment before it says so.
    pub(super) async fn gone(&self) -> StoreError {
        let mut life = self.life.clone();
        let end = life.wait_for(|life| *life != Life::Working).await;
        StoreError::Fatal(match end.as_deref() {
            Ok(Life::Failed(reason)) => reason.clone(),
            Ok(_) => "the store is closed".into(),
            Err(_) => UNEXPECTED_END.into(),
        })
    }

    /// Waits until it has ended.
    pub(super) async fn ended(&self) {
        let mut life = self.life.clone();
        let _ = life.wait_for(|life| *life != Life::Working).await;
    }

    /// Resolves with the reason once it has ended because it cannot go on; never resolves otherwise.
    pub(super) async fn failed(&self) -> String {
        let mut life = self.life.clone();
        let reason = match life.wait_for(|life| *life != Life::Working).await.as_deref() {
            Ok(Life::Failed(reason)) => Some(reason.clone()),
            Ok(_) => None,
            Err(_) => Some(UNEXPECTED_END.to_owned()),
        };
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// Only the first observer is told.
    pub(super) fn on_commit(&self, observer: CommitObserver) {
        let _ = self.counters.observer.set(observer);
    }

    pub(super) fn refused(&self) -> Option<Refused> {
        self.counters.refused.lock().clone()
    }

    pub(super) fn stats(&self) -> CommitStats {
        CommitStats {
            commits: self.counters.commits.load(Ordering::Relaxed),
            units: self.counters.units.load(Ordering::Relaxed),
            busy: Duration::from_nanos(self.counters.busy_nanos.load(Ordering::Relaxed)),
        }
    }
}

/// Where the outbox ends; goes back when a unit does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    /// Last position given out.
    pub(super) position: i64,
    /// Steady time in microseconds; never goes back, so that age and position agree whatever the clock does.
    pub(super) written_at: i64,
    /// The last of them that the database has noted.
    pub(super) noted_at: i64,
}

/// What can be undone when a unit is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undoing {
    /// The unit alone, by its savepoint.
    Unit,
    /// Nothing less than its whole group.
    Group,
}

/// Why a unit did not take effect, of a database whose errors are `E`.
#[derive(Debug)]
pub(super) enum UnitError<E> {
    /// A rule does not allow it; its neighbours are not concerned.
    Refused(StoreError),
    /// The database could not do it.
    Broken(E),
}

impl<E> From<StoreError> for UnitError<E> {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl<E> From<Conflict> for UnitError<E> {
    fn from(conflict: Conflict) -> Self {
        Self::Refused(StoreError::Conflict(conflict))
    }
}

/// What a refusal of the database means for everybody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was written; it may work later.
    Passing(String),
    /// Nothing can be written any more: the process has to start again.
    Final(String),
}

impl Failure {
    pub(super) fn to_error(&self) -> StoreError {
        match self {
            Self::Passing(text) => StoreError::Unavailable(text.clone()),
            Self::Final(text) => StoreError::Fatal(text.clone()),
        }
    }
}

/// What a caller is answered, by what became of its group and of its unit.
pub(super) fn outcome<T>(group: Result<(), &Failure>, unit: Option<Result<T, StoreError>>) -> Result<T, StoreError> {
    match (group, unit) {
        (Err(failure), _) => Err(failure.to_error()),
        (Ok(()), Some(result)) => result,
        (Ok(()), None) => Err(StoreError::Fatal("the writer skipped a unit".into())),
    }
}
