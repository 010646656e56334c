//! What this process knows of the others that have the database, as its heart has last seen it. It decides nothing by itself: who a run or an
//! event belongs to is said by the database.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

/// How long a process that has others beside it goes on without a sign of life that has arrived: less than after how long it may be taken for dead.
const SURE_FOR: Duration = Duration::from_secs(4);

/// Shared by the store, its writer and its heart.
#[derive(Debug)]
pub(super) struct Membership {
    others: AtomicUsize,
    /// Place of this process among those that live, the oldest first.
    rank: AtomicI64,
    /// Slots of the outbox that this process publishes, a bit each.
    slots: AtomicU64,
    /// When a sign of life was last sent that has arrived.
    renewed: Mutex<Instant>,
    lease: watch::Sender<bool>,
    /// Whether a sign of life has arrived of late, also where nobody else is known: whoever has come since, one that is cut off cannot know.
    heard: watch::Sender<bool>,
    /// Told when somebody is gone from whom nobody has taken over.
    pub(super) bereaved: Notify,
    /// Told when it is no longer alone.
    pub(super) joined: Notify,
}

impl Membership {
    pub(super) fn new() -> Self {
        Self {
            others: AtomicUsize::new(0),
            rank: AtomicI64::new(0),
            slots: AtomicU64::new(0),
            renewed: Mutex::new(Instant::now()),
            lease: watch::Sender::new(true),
            heard: watch::Sender::new(true),
            bereaved: Notify::new(),
            joined: Notify::new(),
        }
    }

    pub(super) fn others(&self) -> usize {
        self.others.load(Ordering::Relaxed)
    }

    /// Of so many processes, the place of this one.
    pub(super) fn share(&self) -> (i64, i64) {
        let count = i64::try_from(self.others()).unwrap_or(0) + 1;
        (count, self.rank.load(Ordering::Relaxed).min(count - 1))
    }

    pub(super) fn place(&self, rank: usize, others: usize) {
        self.rank.store(i64::try_from(rank).unwrap_or(0), Ordering::Relaxed);
        if self.others.swap(others, Ordering::Relaxed) == 0 && others > 0 {
            self.joined.notify_waiters();
        }
    }

    /// As the database has a number of 64 bits.
    pub(super) fn slots(&self) -> i64 {
        self.slots.load(Ordering::Relaxed).cast_signed()
    }

    pub(super) fn set_slots(&self, slots: impl IntoIterator<Item = i16>) {
        let bits = slots.into_iter().fold(0_u64, |bits, slot| bits | 1 << (slot & 63));
        self.slots.store(bits, Ordering::Relaxed);
    }

    /// A sign of life that was sent at `sent` has arrived.
    pub(super) fn renew(&self, sent: Instant) {
        let mut renewed = self.renewed.lock();
        *renewed = sent.max(*renewed);
        drop(renewed);
        self.judge();
    }

    /// How old the last sign of life is that has arrived, whoever has given it: each transaction is one as well.
    pub(super) fn renewed_before(&self) -> Duration {
        self.renewed.lock().elapsed()
    }

    /// Says whether this process is sure of what it has.
    pub(super) fn judge(&self) {
        let is_heard = self.renewed.lock().elapsed() < SURE_FOR;
        self.heard.send_if_modified(|heard| std::mem::replace(heard, is_heard) != is_heard);
        let is_sure = self.others() == 0 || is_heard;
        let changed = self.lease.send_if_modified(|sure| std::mem::replace(sure, is_sure) != is_sure);
        if changed && is_sure {
            tracing::info!("the database hears of this process again: its runs go on");
        } else if changed {
            tracing::error!(
                seconds = SURE_FOR.as_secs(),
                "the database has heard nothing of this process: its runs are stopped, since others may take them over"
            );
        }
    }

    /// This process was ended by another one.
    pub(super) fn end(&self) {
        self.lease.send_replace(false);
        self.heard.send_replace(false);
    }

    pub(super) fn heard(&self) -> watch::Receiver<bool> {
        self.heard.subscribe()
    }

    pub(super) fn lease(&self) -> watch::Receiver<bool> {
        self.lease.subscribe()
    }
}
