//! What is read of those that requests are passed on to.

use prometheus::{IntCounterVec, IntGaugeVec, Result};

use super::Metrics;
use super::instruments::Maker;

/// What comes of requests.
const OUTCOMES: [&str; 4] = ["answered", "unsent", "broken_off", "late"];

/// How one target of a proxy gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetFigures {
    /// It is not left out.
    pub up: bool,
    /// Requests whose answers have not ended; 0 of one that has no others beside it.
    pub under_way: u64,
    /// Requests that it has answered, whatever.
    pub answered: u64,
    /// Requests for which there was no connection to it.
    pub unsent: u64,
    /// Requests whose connection ended before the answer.
    pub broken_off: u64,
    /// Requests that it did not begin to answer in time.
    pub late: u64,
}

pub(super) struct Targets {
    up: IntGaugeVec,
    under_way: IntGaugeVec,
    requests: IntCounterVec,
}

impl Targets {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        let of = ["module", "target"];
        Ok(Self {
            up: make.gauge("proxy_target_up", "1 while a target gets requests, 0 while it is left out because it takes none.", &of)?,
            under_way: make.gauge(
                "proxy_target_requests",
                "Requests that one of several targets has and whose answers have not ended.",
                &of,
            )?,
            requests: make.counter(
                "proxy_target_requests_total",
                "Requests to a target by what came of them: answered, unsent (no connection), broken_off or late.",
                &["module", "target", "outcome"],
            )?,
        })
    }
}

impl Metrics {
    /// How a target, by its `host:port`, of a proxy, by the name of its module, gets on.
    pub fn set_target(&self, proxy: &str, target: &str, figures: &TargetFigures) {
        let targets = &self.inner.targets;
        targets.up.with_label_values(&[proxy, target]).set(i64::from(figures.up));
        targets.under_way.with_label_values(&[proxy, target]).set(i64::try_from(figures.under_way).unwrap_or(i64::MAX));
        let TargetFigures { answered, unsent, broken_off, late, .. } = *figures;
        for (outcome, to) in OUTCOMES.into_iter().zip([answered, unsent, broken_off, late]) {
            let counter = targets.requests.with_label_values(&[proxy, target, outcome]);
            counter.inc_by(to.saturating_sub(counter.get()));
        }
    }

    /// A proxy passes nothing on to this target any more.
    pub fn remove_target(&self, proxy: &str, target: &str) {
        let targets = &self.inner.targets;
        // One that was never shown has nothing to remove.
        let _ = targets.up.remove_label_values(&[proxy, target]);
        let _ = targets.under_way.remove_label_values(&[proxy, target]);
        for outcome in OUTCOMES {
            let _ = targets.requests.remove_label_values(&[proxy, target, outcome]);
        }
    }
}
