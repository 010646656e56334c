//! What is counted of components: their runs, their versions, their limits.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Metric as _;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Result};

use super::Metrics;
use super::instruments::{COMPILING, FAST, Maker, TINY};

/// Digests that a component's runs are told apart by; with one more the oldest is forgotten.
const MAX_DIGESTS: usize = 16;
/// Hex digits of a digest that are shown.
const DIGEST_DIGITS: usize = 12;
/// How a run of a component ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// The component did it.
    Accepted,
    /// The business says no.
    Rejected,
    /// It may work the next time.
    Transient,
    /// It will never work.
    Permanent,
    /// The component broke, or reached a limit of its sandbox other than time.
    Trap,
    /// It took too long.
    Timeout,
    /// It was not begun, or counts as not begun.
    Denied,
    /// The host itself failed.
    Panic,
}

impl RunOutcome {
    /// Each is there from the start, so that the first one of it is seen as an increase.
    const ALL: [Self; 8] =
        [Self::Accepted, Self::Rejected, Self::Transient, Self::Permanent, Self::Trap, Self::Timeout, Self::Denied, Self::Panic];

    /// As metrics and traces name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Panic => "panic",
        }
    }
}

/// A limit of the sandbox that a run can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxLimit {
    /// Bytes of memory.
    Memory,
    /// Elements of tables.
    Table,
    /// Time that it computed.
    Cpu,
    /// Time that it took.
    Wall,
    /// Calls of the host.
    HostCalls,
    /// Lines and bytes of its log.
    Log,
    /// Bytes of its answer.
    Output,
}

impl SandboxLimit {
    /// Each is there from the start, like outcomes.
    const ALL: [Self; 7] = [Self::Memory, Self::Table, Self::Cpu, Self::Wall, Self::HostCalls, Self::Log, Self::Output];

    /// As metrics name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::HostCalls => "hostcalls",
            Self::Log => "log",
            Self::Output => "output",
        }
    }
}

/// A run of a component that has ended.
#[derive(Debug, Clone, Copy)]
pub struct ComponentRun<'a> {
    /// Name of the component.
    pub component: &'a str,
    /// SHA-256 of its file in hex.
    pub digest: &'a str,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Wall time, waiting included.
    pub wall: Duration,
    /// What the host itself took.
    pub overhead: Duration,
}

/// A version that serves.
#[derive(Debug, Clone, Copy)]
pub struct ActiveComponent<'a> {
    /// Name of the component.
    pub component: &'a str,
    /// Its own version.
    pub version: &'a str,
    /// SHA-256 of its file in hex.
    pub digest: &'a str,
}

/// What was counted of a component.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentFigures {
    /// Runs since the start of the process, by how they ended.
    pub outcomes: Vec<(&'static str, u64)>,
    /// Seconds that half of the runs took at most, as far as their buckets tell.
    pub median: Option<f64>,
    /// Seconds that 95 of a hundred took at most.
    pub p95: Option<f64>,
}

/// The value below which that part of what was counted lies, by the bounds of cumulative buckets; within a bucket as if evenly spread.
fn quantile(buckets: &[(f64, u64)], part: f64) -> Option<f64> {
    let all = buckets.last().map(|(_, count)| *count).filter(|all| *all > 0)?;
    let rank = part * all as f64;
    let at = buckets.iter().position(|(_, count)| *count as f64 >= rank)?;
    let (low, before) = at.checked_sub(1).map_or((0.0, 0), |index| buckets[index]);
    let (high, count) = buckets[at];
    if !high.is_finite() {
        return Some(low);
    }
    let within = (rank - before as f64) / (count - before).max(1) as f64;
    Some(low + (high - low) * within)
}

pub(super) struct Components {
    runs: IntCounterVec,
    run_duration: HistogramVec,
    overhead: HistogramVec,
    swaps: IntCounterVec,
    info: IntGaugeVec,
    compile: HistogramVec,
    quarantined: IntGaugeVec,
    limits: IntCounterVec,
    breaker: IntGaugeVec,
    unserved: IntGaugeVec,
    places: IntGaugeVec,
    recovered: IntCounterVec,
    canaries: IntCounterVec,
    canary_share: IntGaugeVec,
    /// Digests of each component that have a series, newest last.
    digests: Mutex<HashMap<String, VecDeque<String>>>,
}

impl Components {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            runs: make.counter("component_runs_total", "Runs of components by how they ended.", &["component", "outcome"])?,
            run_duration: make.histogram(
                "component_run_duration_seconds",
                "Time from the call of a component to its answer, by version.",
                &["component", "digest"],
                &FAST,
            )?,
            overhead: make.histogram(
                "step_overhead_seconds",
                "Time that the host takes to make and drop the sandbox of a run.",
                &["component"],
                &TINY,
            )?,
            swaps: make.counter("component_swaps_total", "New files of components by what became of them.", &["component", "outcome"])?,
            info: make.gauge("component_info", "The version of a component that serves.", &["component", "version", "digest"])?,
            compile: make.histogram(
                "component_compile_seconds",
                "Time to compile a component, or to take it from the cache.",
                &["component", "source"],
                &COMPILING,
            )?,
            quarantined: make.gauge(
                "component_quarantined",
                "1 while runs of a component are set aside because the process died in them.",
                &["component"],
            )?,
            limits: make.counter("sandbox_limits_total", "Limits of the sandbox that runs have reached.", &["component", "limit"])?,
            breaker: make.gauge(
                "breaker_state",
                "State of a component's circuit breaker: 0 closed, 1 half open, 2 open.",
                &["component"],
            )?,
            unserved: make.gauge(
                "component_unserved_in_a_row",
                "Instances one after the other for which a component ran and was not served by what is behind it.",
                &["component"],
            )?,
            places: make.gauge(
                "component_places",
                "Runs of a component that have a place to run in, and runs that wait for one.",
                &["component", "state"],
            )?,
            recovered: make.counter(
                "runs_recovered_total",
                "Runs that were found claimed by this process and in nobody's hand, and were made ready again.",
                &["component"],
            )?,
            canaries: make.counter("component_canaries_total", "Canaries of components by what became of them.", &["component", "end"])?,
            canary_share: make.gauge(
                "component_canary_percent",
                "Percent of a component's new visits that run on a version on trial; 0 while there is none.",
                &["component"],
            )?,
            digests: Mutex::default(),
        })
    }

    /// The shown digest, with its series made room for.
    fn digest<'a>(&self, component: &str, digest: &'a str) -> &'a str {
        let shown = short(digest);
        let mut digests = self.digests.lock();
        if let Some(known) = digests.get(component)
            && known.iter().any(|one| one == shown)
        {
            return shown;
        }
        let known = digests.entry(component.to_owned()).or_default();
        known.push_back(shown.to_owned());
        if known.len() > MAX_DIGESTS
            && let Some(oldest) = known.pop_front()
        {
            // It is only missing if nothing was observed of it.
            let _ = self.run_duration.remove_label_values(&[component, &oldest]);
        }
        shown
    }
}

impl Metrics {
    /// There is a component: what is counted of it begins at 0.
    pub fn component(&self, component: &str) {
        let components = &self.inner.components;
        for outcome in RunOutcome::ALL {
            components.runs.with_label_values(&[component, outcome.as_str()]);
        }
        components.recovered.with_label_values(&[component]);
        for outcome in ["swapped", "refused", "removed"] {
            components.swaps.with_label_values(&[component, outcome]);
        }
        for end in ["taken", "thrown_out", "stopped", "replaced"] {
            components.canaries.with_label_values(&[component, end]);
        }
        for limit in SandboxLimit::ALL {
            components.limits.with_label_values(&[component, limit.as_str()]);
        }
    }

    /// A component has run.
    pub fn component_run(&self, run: ComponentRun<'_>) {
        let components = &self.inner.components;
        components.runs.with_label_values(&[run.component, run.outcome.as_str()]).inc();
        if run.digest.is_empty() {
            return;
        }
        let digest = components.digest(run.component, run.digest);
        components.run_duration.with_label_values(&[run.component, digest]).observe(run.wall.as_secs_f64());
        components.overhead.with_label_values(&[run.component]).observe(run.overhead.as_secs_f64());
    }

    /// What was counted of a component, and how long the runs of one of its versions took.
    #[must_use]
    pub fn component_figures(&self, component: &str, digest: &str) -> ComponentFigures {
        let components = &self.inner.components;
        let runs = |outcome: RunOutcome| (outcome.as_str(), components.runs.with_label_values(&[component, outcome.as_str()]).get());
        let outcomes = RunOutcome::ALL.into_iter().map(runs).collect();
        let known = components.digests.lock().get(component).is_some_and(|known| known.iter().any(|one| one == short(digest)));
        if !known {
            return ComponentFigures { outcomes, median: None, p95: None };
        }
        let took = components.run_duration.with_label_values(&[component, short(digest)]).metric();
        let buckets: Vec<(f64, u64)> =
            took.get_histogram().get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())).collect();
        ComponentFigures { outcomes, median: quantile(&buckets, 0.5), p95: quantile(&buckets, 0.95) }
    }

    /// A run of a component was not begun, or counts as not begun: its breaker is open, or what this process is known by was refused.
    pub fn component_denied(&self, component: &str) {
        self.inner.components.runs.with_label_values(&[component, RunOutcome::Denied.as_str()]).inc();
    }

    /// What became of a canary: `taken`, `thrown_out`, `stopped` or `replaced`.
    pub fn component_canary(&self, component: &str, end: &'static str) {
        self.inner.components.canaries.with_label_values(&[component, end]).inc();
    }

    /// Percent of a component's new visits that run on a version on trial.
    pub fn set_canary(&self, component: &str, percent: u8) {
        self.inner.components.canary_share.with_label_values(&[component]).set(i64::from(percent));
    }

    /// The host has panicked in a run of a component.
    pub fn component_panicked(&self, component: &str) {
        self.inner.components.runs.with_label_values(&[component, RunOutcome::Panic.as_str()]).inc();
    }

    /// A run was found claimed by this process and in nobody's hand.
    pub fn run_recovered(&self, component: &str) {
        self.inner.components.recovered.with_label_values(&[component]).inc();
    }

    /// How many runs of a component have a place, and how many wait for one.
    pub fn set_crowd(&self, component: &str, running: usize, waiting: usize) {
        let places = &self.inner.components.places;
        for (state, count) in [("running", running), ("waiting", waiting)] {
            places.with_label_values(&[component, state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// A run has reached a limit of its sandbox.
    pub fn sandbox_limit(&self, component: &str, limit: SandboxLimit) {
        self.inner.components.limits.with_label_values(&[component, limit.as_str()]).inc();
    }

    /// What became of a component's new file: `swapped`, `refused` or `removed`.
    pub fn component_swap(&self, component: &str, outcome: &'static str) {
        self.inner.components.swaps.with_label_values(&[component, outcome]).inc();
    }

    /// A component was compiled, or taken from the cache of compiled code.
    pub fn component_compiled(&self, component: &str, cached: bool, took: Duration) {
        let source = if cached { "cache" } else { "compiled" };
        self.inner.components.compile.with_label_values(&[component, source]).observe(took.as_secs_f64());
    }

    /// The versions that serve, and no others.
    pub fn set_components<'a>(&self, active: impl Iterator<Item = ActiveComponent<'a>>) {
        let info = &self.inner.components.info;
        info.reset();
        for one in active {
            info.with_label_values(&[one.component, one.version, short(one.digest)]).set(1);
        }
    }

    /// Whether runs of a component are set aside because the process died in them.
    pub fn set_quarantined(&self, component: &str, quarantined: bool) {
        self.inner.components.quarantined.with_label_values(&[component]).set(i64::from(quarantined));
    }

    /// State of a component's circuit breaker: 0 closed, 1 half open, 2 open.
    pub fn set_breaker(&self, component: &str, state: i64) {
        self.inner.components.breaker.with_label_values(&[component]).set(state);
    }

    /// Instances one after the other for which a component ran and was not served by what is behind it.
    pub fn set_unserved(&self, component: &str, in_a_row: u32) {
        self.inner.components.unserved.with_label_values(&[component]).set(i64::from(in_a_row));
    }
}

fn short(digest: &str) -> &str {
    digest.get(..DIGEST_DIGITS).unwrap_or(digest)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::telemetry::metrics) const EXPECTED: &[&str] = &[
        "component_runs_total{component=\"pay\",outcome=\"accepted\"} 1",
        "component_runs_total{component=\"pay\",outcome=\"denied\"} 1",
        "component_runs_total{component=\"pay\",outcome=\"trap\"} 0",
        "component_run_duration_seconds_count{component=\"pay\",digest=\"0123456789ab\"} 1",
        "step_overhead_seconds_bucket{component=\"pay\",le=\"0.000015\"} 1",
        "sandbox_limits_total{component=\"pay\",limit=\"cpu\"} 1",
        "component_swaps_total{component=\"pay\",outcome=\"refused\"} 1",
        "component_compile_seconds_count{component=\"pay\",source=\"cache\"} 1",
        "component_info{component=\"pay\",digest=\"0123456789ab\",version=\"1.0.0\"} 1",
        "component_quarantined{component=\"pay\"} 1",
        "breaker_state{component=\"pay\"} 2",
        "component_unserved_in_a_row{component=\"pay\"} 4",
        "component_places{component=\"pay\",state=\"waiting\"} 3",
        "component_runs_total{component=\"pay\",outcome=\"panic\"} 1",
        "runs_recovered_total{component=\"pay\"} 1",
        "component_canaries_total{component=\"pay\",end=\"taken\"} 1",
        "component_canary_percent{component=\"pay\"} 10",
    ];

    fn run<'a>(component: &'a str, digest: &'a str) -> ComponentRun<'a> {
        ComponentRun {
            component,
            digest,
            outcome: RunOutcome::Accepted,
            wall: Duration::from_millis(1),
            overhead: Duration::from_micros(12),
        }
    }

    pub(in crate::telemetry::metrics) fn record(metrics: &Metrics) {
        let digest = "0123456789abcdef";
        metrics.component("pay");
        metrics.component_run(run("pay", digest));
        metrics.component_denied("pay");
        metrics.sandbox_limit("pay", SandboxLimit::Cpu);
        metrics.component_swap("pay", "refused");
        metrics.component_compiled("pay", true, Duration::from_millis(4));
        metrics.set_components([ActiveComponent { component: "pay", version: "1.0.0", digest }].into_iter());
        metrics.set_quarantined("pay", true);
        metrics.set_breaker("pay", 2);
        metrics.set_unserved("pay", 4);
        metrics.set_crowd("pay", 5, 3);
        metrics.component_panicked("pay");
        metrics.run_recovered("pay");
        metrics.component_canary("pay", "taken");
        metrics.set_canary("pay", 10);
    }

    #[test]
    fn of_a_hundred_versions_the_newest_have_a_series() {
        let metrics = Metrics::new("shop").unwrap();
        for n in 0..100 {
            metrics.component_run(run("pay", &format!("{n:064x}").chars().rev().collect::<String>()));
        }
        let text = metrics.render().unwrap();
        let series: Vec<&str> = text.lines().filter(|line| line.starts_with("shop_component_run_duration_seconds_count")).collect();
        assert_eq!(series.len(), MAX_DIGESTS, "{series:#?}");
        let newest = format!("{:064x}", 99).chars().rev().collect::<String>();
        assert!(series.iter().any(|line| line.contains(&newest[..DIGEST_DIGITS])), "{series:#?}");
    }

    #[test]
    fn only_the_version_that_serves_is_shown() {
        let metrics = Metrics::new("shop").unwrap();
        for digest in ["aaaaaaaaaaaaaa", "bbbbbbbbbbbbbb"] {
            metrics.set_components([ActiveComponent { component: "pay", version: "1", digest }].into_iter());
        }
        let text = metrics.render().unwrap();
        assert!(text.contains("digest=\"bbbbbbbbbbbb\"") && !text.contains("aaaa"), "{text}");
    }
}
