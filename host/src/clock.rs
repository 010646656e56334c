//! What time it is, and how much time has passed. The only place that asks the system, so that tests can move time.
//!
//! There are two questions. [`Clock::now`] is the date that people and other programs are told; somebody may set it forward or back at any
//! moment. [`Clock::steady`] only ever goes forward, at the pace of real time: whatever waits, or has an age, is measured by it, so that
//! nothing waits longer than its own delay because a clock was set.

mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

pub use self::watch::paused;

/// What the steady time is counted by.
#[derive(Debug)]
enum Pace {
    /// The time since the machine was started, its sleep included.
    Machine,
    /// The time since this instant, by the clock that limits are measured with.
    Since(Instant),
}

/// Time that a test can move forwards and back. Clones share it.
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    pace: Pace,
    /// What a test has added to the system's date.
    offset_ms: AtomicI64,
    /// Microseconds to add to what the pace has counted, for the steady time.
    steady_base: AtomicI64,
    moved: Notify,
}

impl Default for Clock {
    fn default() -> Self {
        Self::at(Pace::Machine)
    }
}

impl Clock {
    /// The system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The system's date, and a steady time that is counted by [`Instant`]: for who simulates both. It never sees that the process was stopped.
    #[must_use]
    pub fn of_instants() -> Self {
        Self::at(Pace::Since(Instant::now()))
    }

    fn at(pace: Pace) -> Self {
        let steady_base = AtomicI64::new(system_now().as_microsecond().saturating_sub(pace.counted()));
        Self { shared: Arc::new(Shared { pace, offset_ms: AtomicI64::new(0), steady_base, moved: Notify::new() }) }
    }

    /// For how long this process was stopped as a whole, see [`paused`].
    #[must_use]
    pub fn paused(&self) -> Duration {
        match self.shared.pace {
            Pace::Machine => paused(),
            Pace::Since(_) => Duration::ZERO,
        }
    }

    /// The date, in UTC, to tell others. It may go back: what waits or ages uses [`Clock::steady`].
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_millis(self.shared.offset_ms.load(Ordering::Relaxed));
        let now = system_now().saturating_add(offset).unwrap_or(Timestamp::MAX);
        // What is answered is what is stored: no finer than a microsecond.
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    /// A time that never goes back and never jumps while the process lives. It begins at the date that the system has at the start, or at
    /// the last that a database remembers if that is later, and counts a suspended machine's sleep. Only for delays and ages: it is not
    /// what a calendar shows.
    #[must_use]
    pub fn steady(&self) -> Timestamp {
        let micros = self.shared.pace.counted().saturating_add(self.shared.steady_base.load(Ordering::Relaxed));
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }

    /// Has the steady time go on from `last`, unless it is past it: a process before this one has counted so far.
    pub fn go_on_from(&self, last: Timestamp) {
        self.shared.steady_base.fetch_max(last.as_microsecond().saturating_sub(self.shared.pace.counted()), Ordering::Relaxed);
    }

    /// Lets the time `by` pass, and wakes who sleeps.
    pub fn advance(&self, by: SignedDuration) {
        self.shared.steady_base.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.set(by);
    }

    /// Sets the date forward or back by `by`, as an operator or a time server does: no time passes.
    pub fn set(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shared.offset_ms.fetch_add(ms, Ordering::Relaxed);
        self.shared.moved.notify_waiters();
    }

    /// Waits until it is `at` or later by the steady time; moving the clock counts.
    pub async fn sleep_until(&self, at: Timestamp) {
        loop {
            let moved = self.shared.moved.notified();
            let left = at.duration_since(self.steady());
            let Ok(left) = Duration::try_from(left) else { return };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(Duration::from_secs(3600))) => {}
                () = moved => {}
            }
        }
    }
}

impl Pace {
    /// Microseconds that have passed.
    fn counted(&self) -> i64 {
        match self {
            Self::Machine => since_boot(),
            Self::Since(began) => i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn system_now() -> Timestamp {
    Timestamp::now()
}

/// Microseconds since the machine was started, its sleep included. Nobody can set it.
fn since_boot() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_date_moves_no_delay() {
        let clock = Clock::system();
        let (date, steady) = (clock.now(), clock.steady());
        clock.set(SignedDuration::from_hours(-24));
        assert!(clock.now() < date - SignedDuration::from_hours(23));
        assert!(clock.steady() >= steady && clock.steady() < steady + SignedDuration::from_mins(1));
        clock.set(SignedDuration::from_hours(48));
        assert!(clock.steady() < steady + SignedDuration::from_mins(1));
    }

    #[test]
    fn the_steady_time_goes_on_from_what_was_reached_and_never_goes_back() {
        let clock = Clock::system();
        let tomorrow = clock.steady() + SignedDuration::from_hours(24);
        clock.go_on_from(tomorrow);
        assert!(clock.steady() >= tomorrow);
        clock.go_on_from(Timestamp::UNIX_EPOCH);
        assert!(clock.steady() >= tomorrow);
    }
}
