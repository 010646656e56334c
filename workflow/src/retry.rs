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

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(max_retries: Option<u32>, max_delay: Duration) -> RetryPolicy {
        RetryPolicy { max_retries, backoff: Duration::from_secs(1), max_delay }
    }

    #[test]
    fn each_wait_is_twice_the_last_up_to_the_longest() {
        let policy = policy(None, Duration::from_secs(60));
        let waits = [1, 2, 3, 6, 7, 1_000, u32::MAX].map(|attempt| policy.delay_after(attempt, 1.0).map(|wait| wait.as_secs()));
        assert_eq!(waits, [1, 2, 4, 32, 60, 60, 60].map(Some));
    }

    #[test]
    fn there_is_no_wait_when_the_retries_are_used_up() {
        let policy = policy(Some(2), Duration::from_secs(60));
        assert_eq!([1, 2, 3, u32::MAX].map(|attempt| policy.delay_after(attempt, 1.0).is_some()), [true, true, false, false]);
        let never = RetryPolicy { max_retries: Some(0), ..policy };
        assert_eq!(never.delay_after(1, 1.0), None);
    }

    #[test]
    fn jitter_takes_away_up_to_half_and_no_number_takes_more() {
        let policy = policy(None, Duration::from_secs(60));
        let waits = [0.0, 0.5, 1.0, -9.0, 9.0, f64::NAN].map(|jitter| policy.delay_after(1, jitter).map(|wait| wait.as_millis()));
        assert_eq!(waits, [500, 750, 1_000, 500, 1_000, 1_000].map(Some));
    }

    #[test]
    fn the_longest_of_all_durations_does_not_overflow() {
        let policy = RetryPolicy { max_retries: None, backoff: Duration::MAX, max_delay: Duration::MAX };
        assert!(policy.delay_after(40, 1.0).is_some_and(|wait| wait > Duration::MAX / 2));
    }
}
