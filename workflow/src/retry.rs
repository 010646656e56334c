//! How long to wait before trying again, and when to stop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Exponential backoff with jitter: the wait before retry `n` (from 1) lies between half of and the whole of
/// `min(backoff * 2^(n-1), max_delay)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Retries after the first attempt; `None` is without end.
    pub max_retries: Option<u32>,
    /// Wait before the first retry.
    pub backoff: Duration,
    /// No wait is longer than this.
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// Longest wait between two attempts unless the author says otherwise.
    pub const DEFAULT_MAX_DELAY: Duration = Duration::from_secs(60);

    /// The policy of tasks: they stand for an obligation (give the stock back), so they are retried without end.
    pub const TASK: Self = Self { max_retries: None, backoff: Duration::from_millis(500), max_delay: Self::DEFAULT_MAX_DELAY };

    /// The wait after attempt `attempt` (from 1) has failed, or `None` when there is no retry left.
    ///
    /// `jitter` is a random number from 0 to 1; what lies outside (NaN included) is brought inside.
    #[must_use]
    pub fn delay_after(&self, attempt: u32, jitter: f64) -> Option<Duration> {
        if self.max_retries.is_some_and(|max| attempt > max) {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(31);
        let whole = self.backoff.saturating_mul(1 << doublings).min(self.max_delay);
        let jitter = if jitter.is_nan() { 1.0 } else { jitter.clamp(0.0, 1.0) };
        let half = whole / 2;
        Some(half.saturating_add(half.mul_f64(jitter)))
    }
}
