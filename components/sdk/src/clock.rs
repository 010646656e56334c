//! What time it is, in one place, so that everything that decides takes the time as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Now, to the second; the epoch if the host's clock is outside the years that can be written.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads it")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_secs()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What is left until `deadline`, milliseconds since the epoch as in a job; nothing once it has passed.
#[expect(clippy::disallowed_methods, reason = "this is the place that reads it")]
pub fn time_left(deadline: u64) -> Duration {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Duration::from_millis(deadline).saturating_sub(since_epoch)
}
