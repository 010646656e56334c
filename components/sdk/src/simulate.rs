//! Simulated slowness and failure, reproducible from a seed. Off unless the operator's configuration asks for it.

use std::time::Duration;

use serde::Deserialize;

use crate::{Job, derive};

/// `simulate` in a component's configuration.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Simulation {
    /// Another seed, other victims.
    pub seed: u64,
    /// Share that succeeds, 0 to 1.
    pub success_rate: f64,
    /// How long the simulated service takes.
    pub latency_ms: Latency,
    /// Whether reserved values of the data stand for a service that does not answer.
    pub faults: bool,
}

/// Bounds of the simulated latency in milliseconds, both included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// At least.
    pub min: u32,
    /// At most; read as `min` when it is lower.
    pub max: u32,
}

impl Default for Simulation {
    fn default() -> Self {
        Self { seed: 0, success_rate: 1.0, latency_ms: Latency::default(), faults: true }
    }
}

impl Simulation {
    /// Whether the simulated business agrees. Every attempt with one idempotency key gets the same decision: an attempt that is
    /// run again after a crash must not be declined when the one before was accepted.
    pub fn agrees(&self, job: &Job) -> bool {
        derive::fraction(&["decision", &self.seed.to_string(), &job.idempotency_key]) < self.success_rate
    }

    /// Whether the simulated service works at this attempt; the next one may fare otherwise.
    pub fn works(&self, job: &Job) -> bool {
        derive::fraction(&["attempt", &self.seed.to_string(), &job.idempotency_key, &job.attempt.to_string()]) < self.success_rate
    }

    /// How long this attempt takes.
    pub fn latency(&self, job: &Job) -> Duration {
        let Latency { min, max } = self.latency_ms;
        let share = derive::fraction(&["latency", &self.seed.to_string(), &job.idempotency_key, &job.attempt.to_string()]);
        let span = f64::from(max.saturating_sub(min)) + 1.0;
        Duration::from_millis(u64::from(min) + (share * span) as u64)
    }

    /// Waits as long as the simulated service would take.
    pub fn wait(&self, job: &Job) {
        let latency = self.latency(job);
        if !latency.is_zero() {
            std::thread::sleep(latency);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn simulation(success_rate: f64) -> Simulation {
        Simulation { seed: 7, success_rate, latency_ms: Latency { min: 10, max: 20 }, ..Simulation::default() }
    }

    fn jobs() -> impl Iterator<Item = Job> {
        (0..2000)
            .map(|n| Job { idempotency_key: format!("order-{n}:step:1"), ..testing::job(&serde_json::json!({}), &serde_json::json!({})) })
    }

    #[test]
    fn nothing_fails_by_default_and_nothing_works_at_rate_zero() {
        assert!(jobs().all(|job| Simulation::default().agrees(&job) && Simulation::default().works(&job)));
        assert!(!jobs().any(|job| simulation(0.0).agrees(&job) || simulation(0.0).works(&job)));
    }

    #[test]
    fn the_rate_is_met_and_another_seed_picks_others() {
        let agreed = jobs().filter(|job| simulation(0.85).agrees(job)).count();
        assert!((1640..1760).contains(&agreed), "{agreed} of 2000");
        let other = Simulation { seed: 8, ..simulation(0.85) };
        assert!(jobs().any(|job| simulation(0.85).agrees(&job) != other.agrees(&job)));
    }

    #[test]
    fn attempts_share_the_decision_but_not_the_luck() {
        let again = |job: &Job| Job { attempt: 2, ..job.clone() };
        assert!(jobs().all(|job| simulation(0.5).agrees(&job) == simulation(0.5).agrees(&again(&job))));
        assert!(jobs().any(|job| simulation(0.5).works(&job) != simulation(0.5).works(&again(&job))));
    }

    #[test]
    fn latency_stays_between_its_bounds_and_reaches_both() {
        let taken: Vec<u128> = jobs().map(|job| simulation(1.0).latency(&job).as_millis()).collect();
        assert_eq!(taken.iter().min(), Some(&10));
        assert_eq!(taken.iter().max(), Some(&20));
        assert_eq!(Simulation::default().latency(&testing::job(&serde_json::json!({}), &serde_json::json!({}))), Duration::ZERO);
    }
}
