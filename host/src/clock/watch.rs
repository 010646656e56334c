//! Notices that the whole process was stopped (SIGSTOP, a laptop's lid, a virtual machine), and that the date was set.
//!
//! While a process is stopped its time limits run out, and nobody is to blame: whoever judges by a limit asks [`paused`] before and after.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use super::{since_boot, system_now};

/// How often the thread looks.
const TICK: Duration = Duration::from_millis(100);
/// Microseconds between two looks from which on the process was stopped: a busy machine is late by less.
const LEAST_PAUSE: i64 = 1_000_000;
/// A date that moves by less than this against real time is being corrected, not set.
const LEAST_STEP: SignedDuration = SignedDuration::from_secs(2);

static WATCH: OnceLock<Mutex<Watch>> = OnceLock::new();

#[derive(Debug)]
struct Watch {
    /// When the thread last looked, in microseconds since the machine was started.
    looked: i64,
    /// Microseconds of all pauses that were seen.
    total: i64,
}

impl Watch {
    /// How long the pause is that has ended, or not quite, at `now`; 0 if there is none.
    fn unseen(&self, now: i64) -> i64 {
        let gap = now.saturating_sub(self.looked);
        if gap >= LEAST_PAUSE { gap } else { 0 }
    }

    /// Looks; answers the pause that was found.
    fn look(&mut self, now: i64) -> i64 {
        let pause = self.unseen(now);
        self.total = self.total.saturating_add(pause);
        self.looked = now;
        pause
    }

    fn paused(&self, now: i64) -> i64 {
        self.total.saturating_add(self.unseen(now))
    }
}

/// For how long this process was stopped as a whole since this was first asked, in pauses of a second and more. It never gets less.
#[must_use]
pub fn paused() -> Duration {
    let watch = WATCH.get_or_init(|| {
        let started = std::thread::Builder::new().name("clock-watch".into()).spawn(watch);
        if let Err(error) = started {
            tracing::warn!(%error, "no thread can be started: it will not be noticed when this process is stopped and goes on");
        }
        Mutex::new(Watch { looked: since_boot(), total: 0 })
    });
    // Locked first, so that what is read of the clock is never older than what the thread has read.
    let watch = watch.lock();
    Duration::from_micros(watch.paused(since_boot()).unsigned_abs())
}

/// Looks until the process ends.
fn watch() {
    let mut ahead = ahead_of_boot();
    loop {
        std::thread::sleep(TICK);
        let Some(watch) = WATCH.get() else { continue };
        let pause = {
            let mut watch = watch.lock();
            watch.look(since_boot())
        };
        if pause > 0 {
            let stopped_ms = pause / 1_000;
            tracing::warn!(stopped_ms, "this process was stopped and goes on: what ran out of time meanwhile is done again");
        }
        let now_ahead = ahead_of_boot();
        let step = now_ahead.duration_since(ahead);
        if step.abs() >= LEAST_STEP {
            let seconds = step.as_secs();
            tracing::warn!(
                seconds,
                "the system's date was set: new dates follow it, and what waits goes on waiting as long as it was meant to"
            );
        }
        ahead = now_ahead;
    }
}

/// When the machine was started, by the date that the system has now: it stays the same until the date is set.
fn ahead_of_boot() -> Timestamp {
    let now = system_now();
    now.saturating_sub(SignedDuration::from_micros(since_boot())).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_comes_late_is_a_pause_and_one_that_is_a_little_late_is_none() {
        let mut watch = Watch { looked: 0, total: 0 };
        assert_eq!(watch.look(100_000), 0);
        assert_eq!(watch.look(1_000_000), 0, "a busy machine");
        assert_eq!(watch.paused(4_500_000), 3_500_000, "told before the thread has seen it");
        assert_eq!(watch.look(4_600_000), 3_600_000);
        assert_eq!(watch.paused(4_650_000), 3_600_000);
    }
}
