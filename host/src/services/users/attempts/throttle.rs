//! Failures that are counted together, and what the next attempt waits for them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Longest that a request is held; beyond, it is sent away with the time to come back.
const MAX_HOLD: SignedDuration = SignedDuration::from_secs(4);

/// How failures slow what comes after them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// Failures that cost nothing.
    pub(super) free: u32,
    /// Between attempts after the first failure that costs; doubles with each further one.
    pub(super) first: Duration,
    /// No longer than this.
    pub(super) longest: Duration,
    /// Failures that are remembered; further ones change nothing.
    pub(super) remembered: u32,
    /// One failure is forgotten each time this has passed.
    pub(super) forgets_one_in: Duration,
}

/// Failures, and whose turn is taken. Times are of the steady clock.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    failures: u32,
    /// When the failures were as many as that.
    counted_at: Option<Timestamp>,
    next_turn: Option<Timestamp>,
}

impl Throttle {
    /// When the next attempt may begin: at once, at a time that is then nobody else's, or so much later that it is not worth waiting.
    pub(super) fn take_turn(&mut self, policy: &Policy, now: Timestamp) -> Result<Option<Timestamp>, Duration> {
        self.forget(policy, now);
        let Some(costly) = self.failures.checked_sub(policy.free) else { return Ok(None) };
        let turn = self.next_turn.unwrap_or(now).max(now);
        let wait = turn.duration_since(now);
        if wait > MAX_HOLD {
            return Err(Duration::try_from(wait).unwrap_or(policy.longest));
        }
        let delay = policy.first.saturating_mul(1 << costly.min(20)).min(policy.longest);
        self.next_turn = turn.checked_add(delay).ok();
        Ok(Some(turn))
    }

    /// Counts a failure; whether it is the one from which on they cost.
    pub(super) fn fail(&mut self, policy: &Policy, now: Timestamp) -> bool {
        self.forget(policy, now);
        self.counted_at.get_or_insert(now);
        self.failures = self.failures.saturating_add(1).min(policy.remembered);
        self.failures == policy.free
    }

    /// Takes back what was counted of an attempt that was no failure.
    pub(super) fn take_back(&mut self) {
        self.failures = self.failures.saturating_sub(1);
    }

    /// Whether there is no failure lately.
    pub(super) fn is_quiet(&mut self, policy: &Policy, now: Timestamp) -> bool {
        self.forget(policy, now);
        self.failures == 0
    }

    /// Whether the next attempt has to wait for its turn.
    pub(super) fn costs(&mut self, policy: &Policy, now: Timestamp) -> bool {
        self.forget(policy, now);
        self.failures >= policy.free
    }

    fn forget(&mut self, policy: &Policy, now: Timestamp) {
        let Some(since) = self.counted_at else { return };
        let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        let times = u32::try_from(passed.as_millis() / policy.forgets_one_in.as_millis().max(1)).unwrap_or(u32::MAX);
        if times >= self.failures {
            (self.failures, self.counted_at) = (0, None);
        } else {
            self.failures -= times;
            self.counted_at = since.checked_add(policy.forgets_one_in.saturating_mul(times)).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        free: 3,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(8),
        remembered: 6,
        forgets_one_in: Duration::from_secs(60),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn failed(times: u32) -> Throttle {
        let mut throttle = Throttle::default();
        for _ in 0..times {
            throttle.fail(&POLICY, at(0));
        }
        throttle
    }

    #[test]
    fn turns_get_longer_until_attempts_are_sent_away() {
        assert_eq!(failed(2).take_turn(&POLICY, at(0)), Ok(None));
        let mut throttle = failed(4);
        assert_eq!(throttle.take_turn(&POLICY, at(0)), Ok(Some(at(0))));
        assert_eq!(throttle.take_turn(&POLICY, at(0)), Ok(Some(at(2))), "a turn is one attempt's");
        assert_eq!(throttle.take_turn(&POLICY, at(0)), Ok(Some(at(4))));
        assert_eq!(throttle.take_turn(&POLICY, at(0)), Err(Duration::from_secs(6)));
        assert_eq!(throttle.take_turn(&POLICY, at(3)), Ok(Some(at(6))), "who was sent away took no turn");
    }

    #[test]
    fn the_longest_delay_is_the_longest() {
        let mut throttle = failed(1000);
        assert_eq!(throttle.take_turn(&POLICY, at(0)), Ok(Some(at(0))));
        assert_eq!(throttle.take_turn(&POLICY, at(0)), Err(Duration::from_secs(8)));
    }

    #[test]
    fn failures_are_forgotten_one_after_the_other() {
        let mut throttle = failed(1000);
        assert!(throttle.costs(&POLICY, at(3 * 60)) && !throttle.costs(&POLICY, at(4 * 60)));
        assert!(!throttle.is_quiet(&POLICY, at(5 * 60)) && throttle.is_quiet(&POLICY, at(6 * 60)));
    }

    #[test]
    fn the_failure_from_which_on_they_cost_is_told_once() {
        let mut throttle = Throttle::default();
        let told: Vec<_> = (0..5).map(|_| throttle.fail(&POLICY, at(0))).collect();
        assert_eq!(told, [false, false, true, false, false]);
    }
}
