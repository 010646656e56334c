//! How tasks learn that they should end, and how long the process takes to.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// From the moment when a process stops to serve until its end, whatever its clients and components do. Container platforms kill after
/// ten seconds at the earliest.
pub const STOP_LIMIT: Duration = Duration::from_millis(9_800);
/// Of it, for requests under way to be answered.
pub const REQUESTS_LIMIT: Duration = Duration::from_secs(5);
/// Of it, for requests and then writes and attempts under way to finish. What does not is made again at the next start.
pub const WORK_LIMIT: Duration = Duration::from_secs(7);
/// Of it, for all of that and the database to be closed.
pub const CLOSE_LIMIT: Duration = Duration::from_millis(7_500);
/// After that, for threads that compile or read to end.
pub const THREADS_LIMIT: Duration = Duration::from_millis(500);
/// After that, for the collector of traces to take the last spans.
pub const SPANS_LIMIT: Duration = Duration::from_secs(1);
/// After that, for the last lines of the log.
pub const LOG_LIMIT: Duration = Duration::from_millis(300);

/// Asked for once, seen by every clone.
#[derive(Debug, Clone, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// Not yet asked for.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to end.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is asked for.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }
}

/// A stop under way: one time limit for everything that has to finish, rather than one for each.
#[derive(Debug, Clone, Copy)]
pub struct Stopping(Instant);

impl Stopping {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// What is left of `limit`, which counts from the begin.
    #[must_use]
    pub fn left(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.0.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_stop_fit_into_its_limit() {
        assert!(REQUESTS_LIMIT < WORK_LIMIT && WORK_LIMIT < CLOSE_LIMIT);
        assert!(CLOSE_LIMIT + THREADS_LIMIT + SPANS_LIMIT + LOG_LIMIT < STOP_LIMIT && STOP_LIMIT < Duration::from_secs(10));
    }
}
