//! What one connection is doing, shared by its stream, its requests and those who look for room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

/// Nothing is asked.
const IDLE: u8 = 0;
/// A request is being answered.
const BUSY: u8 = 1;
/// An event stream is being answered: it lasts, and its client can go on with another where it ended.
const STREAMING: u8 = 2;

/// Who has not sent the whole of a body, or taken anything of an answer, for so long makes way for others.
const DAWDLING: Duration = Duration::from_secs(1);

/// One connection. All of it is read and written without a lock, but for its place.
pub(super) struct Activity {
    epoch: Instant,
    state: AtomicU8,
    /// Microseconds from the epoch to the last change of the state.
    since: AtomicU64,
    /// Requests begun.
    begun: AtomicU64,
    /// Bytes of an answer are not written yet.
    owes_answer: AtomicBool,
    /// Number of the first request whose head says in two ways how long its body is; 0 if there is none.
    ambiguous: AtomicU64,
    /// Number of the request, from 1, whose body is not whole yet; 0 if there is none.
    incomplete: AtomicU64,
    /// Microseconds from the epoch to when the peer last took something of its answer, if it takes nothing now; 0 if it does.
    blocked: AtomicU64,
    has_place: AtomicBool,
    place: Mutex<Option<OwnedSemaphorePermit>>,
    leaving: AtomicBool,
    waker: AtomicWaker,
}

/// A request under way; it is over when this is dropped.
pub(super) struct Running {
    activity: Arc<Activity>,
    /// From 1.
    number: u64,
}

impl Running {
    /// Whether the head of this request says in two ways how long its body is.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.activity.ambiguous.load(Ordering::Acquire) == self.number
    }

    /// Tells that the answer is an event stream.
    pub(super) fn streams(&self) {
        self.activity.set(STREAMING);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.activity.set(IDLE);
    }
}

impl Activity {
    /// Of a connection that begins now. All that are compared have the same epoch.
    pub(super) fn new(epoch: Instant, has_place: bool, place: OwnedSemaphorePermit) -> Self {
        let activity = Self {
            epoch,
            state: AtomicU8::new(IDLE),
            since: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            owes_answer: AtomicBool::new(false),
            ambiguous: AtomicU64::new(0),
            incomplete: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            has_place: AtomicBool::new(has_place),
            place: Mutex::new(Some(place)),
            leaving: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        activity.set(IDLE);
        activity
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn set(&self, state: u8) {
        self.since.store(self.now(), Ordering::Relaxed);
        self.state.store(state, Ordering::Release);
    }

    /// Notes that a request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.owes_answer.store(true, Ordering::Release);
        self.set(BUSY);
        Running { activity: Arc::clone(self), number: self.begun.fetch_add(1, Ordering::AcqRel) + 1 }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.state.load(Ordering::Acquire) != IDLE
    }

    /// Requests begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    pub(super) fn owes_answer(&self) -> bool {
        self.owes_answer.load(Ordering::Acquire)
    }

    /// Notes that all bytes so far are written.
    pub(super) fn flushed(&self) {
        if !self.is_busy() {
            self.owes_answer.store(false, Ordering::Release);
        }
    }

    /// Notes that the head of this request, from 1, says in two ways how long its body is.
    pub(super) fn note_ambiguous(&self, request: u64) {
        // Nothing is read after the first.
        let _ = self.ambiguous.compare_exchange(0, request, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Notes which request, from 1, has a body that is not whole yet.
    pub(super) fn note_incomplete(&self, request: Option<u64>) {
        self.incomplete.store(request.unwrap_or(0), Ordering::Release);
    }

    /// Notes whether the peer takes nothing of its answer.
    pub(super) fn note_blocked(&self, blocked: bool) {
        if !blocked {
            self.blocked.store(0, Ordering::Release);
        } else if self.blocked.load(Ordering::Acquire) == 0 {
            self.blocked.store(self.now().max(1), Ordering::Release);
        }
    }

    /// Whether the request under way has waited for its client for long, rather than the client for its answer.
    fn is_kept_waiting(&self) -> bool {
        let long_ago = self.now().saturating_sub(u64::try_from(DAWDLING.as_micros()).unwrap_or(u64::MAX));
        let blocked = self.blocked.load(Ordering::Acquire);
        let incomplete = self.incomplete.load(Ordering::Acquire) == self.begun() && self.since.load(Ordering::Relaxed) < long_ago;
        incomplete || (blocked != 0 && blocked < long_ago)
    }

    /// Whether it has one of the places for everything, or is let in for probes only.
    pub(super) fn has_place(&self) -> bool {
        self.has_place.load(Ordering::Acquire)
    }

    /// Gives it one of the places for everything.
    pub(super) fn promote(&self, place: OwnedSemaphorePermit) {
        *self.place.lock() = Some(place);
        self.has_place.store(true, Ordering::Release);
    }

    /// How soon it has to make way, the first of all first: idle ones in the sequence in which they became so, then who keeps a request
    /// waiting, then event streams. `None` if a request is being answered, or if it is going already.
    pub(super) fn rank(&self) -> Option<(u8, u64)> {
        let may_leave = !self.leaving.load(Ordering::Acquire) && self.is_dispensable();
        may_leave.then(|| (self.state.load(Ordering::Acquire), self.since.load(Ordering::Relaxed)))
    }

    fn is_dispensable(&self) -> bool {
        self.state.load(Ordering::Acquire) != BUSY || self.is_kept_waiting()
    }

    /// Asks it to leave; answers false if it was asked already.
    pub(super) fn ask_to_leave(&self) -> bool {
        let first = !self.leaving.swap(true, Ordering::AcqRel);
        self.waker.wake();
        first
    }

    /// Waits until it is asked to leave; answers whether it may at once, because no request is being answered.
    pub(super) async fn asked_to_leave(&self) -> bool {
        std::future::poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.leaving.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        self.is_dispensable()
    }
}
