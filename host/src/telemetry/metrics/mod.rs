//! The numbers that dashboards read. One field per metric, one method per thing that happens.
//!
//! Names and labels are an interface: changing one breaks a dashboard. Nothing else in the program makes instruments.
//!
//! They are made with the `prometheus` crate itself rather than through OpenTelemetry's exporter to it: to count costs a hash and an
//! atomic addition and no allocation, and a series whose version, state or topic is gone can be taken away, which a bound on their number
//! needs. What is counted is counted where it happens; what is only read (a backlog, a disk) is set by hooks when somebody asks for it.

mod components;
mod durable;
mod instruments;
mod own;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::future::{BoxFuture, join_all};
use parking_lot::RwLock;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec, Registry, TextEncoder};

pub use self::components::{ActiveComponent, ComponentFigures, ComponentRun, RunOutcome, SandboxLimit};
pub use self::durable::Space;
pub use self::targets::TargetFigures;

use self::components::Components;
use self::durable::Durable;
use self::instruments::{FAST, Maker, SLOW};
use self::own::Own;
use self::targets::Targets;

/// Media type of what [`Metrics::render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How long what is read for a scrape may take; what is not there by then keeps the value it had.
const HOOK_LIMIT: Duration = Duration::from_secs(2);

/// The metrics of a process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Instruments>,
}

type Hook = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

struct Instruments {
    /// Its names have the prefix of the collector.
    registry: Registry,
    /// Those of every process have none.
    process: Registry,
    hooks: RwLock<Vec<Hook>>,
    /// One scrape at a time: a hook empties what it fills.
    turn: tokio::sync::Mutex<()>,
    workflow_executions: IntCounterVec,
    workflow_duration: HistogramVec,
    workflow_instances: IntGaugeVec,
    http_requests: IntCounterVec,
    http_duration: HistogramVec,
    http_connections_refused: IntCounterVec,
    logins_slowed: IntCounterVec,
    module_operations: IntCounterVec,
    module_duration: HistogramVec,
    active_workflows: IntGaugeVec,
    components: Components,
    durable: Durable,
    own: Own,
    targets: Targets,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Metrics whose names begin with `prefix` and an underscore; the standard `process_*` ones have no prefix.
    ///
    /// # Errors
    /// The prefix is no name of a metric.
    pub fn new(prefix: &str) -> anyhow::Result<Self> {
        let registry = Registry::new_custom(Some(prefix.to_owned()), None).context("the prefix of the metrics")?;
        let process = Registry::new();
        process
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .context("registering the process metrics")?;
        let instruments = Instruments::new(registry, process).context("making the metrics")?;
        Ok(Self { inner: Arc::new(instruments) })
    }

    /// Has `hook` called before the metrics are shown, to set what is only read.
    pub fn on_scrape<F, Fut>(&self, hook: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.inner.hooks.write().push(Arc::new(move || Box::pin(hook())));
    }

    /// Calls no hook any more. Hooks have the parts that they read, and these have the metrics: without this none of them is ever freed.
    pub fn end(&self) {
        self.inner.hooks.write().clear();
    }

    /// Everything as it is now, in Prometheus's text format.
    ///
    /// # Errors
    /// A metric that cannot be written as text.
    pub async fn scrape(&self) -> anyhow::Result<String> {
        let _turn = self.inner.turn.lock().await;
        self.read_own();
        let hooks = self.inner.hooks.read().clone();
        let read = join_all(hooks.iter().map(|hook| hook()));
        if tokio::time::timeout(HOOK_LIMIT, read).await.is_err() {
            tracing::warn!("what the metrics read was not there within {} s; they show what was read before", HOOK_LIMIT.as_secs());
        }
        self.render()
    }

    /// Everything as it was last set, in Prometheus's text format.
    ///
    /// # Errors
    /// A metric that cannot be written as text.
    pub fn render(&self) -> anyhow::Result<String> {
        let mut families = self.inner.registry.gather();
        families.extend(self.inner.process.gather());
        TextEncoder::new().encode_to_string(&families).context("writing the metrics as text")
    }

    /// A request was answered. `path` is the template of its route, never what the client sent.
    pub fn http_request(&self, method: &'static str, path: &str, status: u16, took: Duration) {
        let mut digits = [0; 3];
        self.inner.http_requests.with_label_values(&[method, path, status_code(status, &mut digits)]).inc();
        self.inner.http_duration.with_label_values(&[method, path]).observe(took.as_secs_f64());
    }

    /// A connection was refused, because its address had too many.
    pub fn connection_refused(&self) {
        self.inner.http_connections_refused.with_label_values::<&str>(&[]).inc();
    }

    /// An attempt to log in was `held` for a while or `refused`, because of wrong passwords `by` whom they are counted.
    pub fn login_slowed(&self, by: &'static str, outcome: &'static str) {
        self.inner.logins_slowed.with_label_values(&[by, outcome]).inc();
    }

    /// A workflow did something: `action` is a transition, `status` how it went.
    pub fn workflow_execution(&self, workflow: &str, action: &str, status: &str) {
        self.inner.workflow_executions.with_label_values(&[workflow, action, status]).inc();
    }

    /// How long a workflow's action took.
    pub fn workflow_duration(&self, workflow: &str, action: &str, took: Duration) {
        self.inner.workflow_duration.with_label_values(&[workflow, action]).observe(took.as_secs_f64());
    }

    /// A module did something for somebody: how it went and how long it took.
    pub fn module_operation(&self, module: &str, operation: &str, status: &str, took: Duration) {
        self.inner.module_operations.with_label_values(&[module, operation, status]).inc();
        self.inner.module_duration.with_label_values(&[module, operation]).observe(took.as_secs_f64());
    }

    /// How many instances of a workflow are not finished.
    pub fn set_active_workflows(&self, workflow: &str, count: u64) {
        self.inner.active_workflows.with_label_values(&[workflow]).set(gauge(count));
    }

    /// How many instances of a workflow are in a state of its definition.
    pub fn set_workflow_instances(&self, workflow: &str, state: &str, count: u64) {
        self.inner.workflow_instances.with_label_values(&[workflow, state]).set(gauge(count));
    }
}

impl Instruments {
    fn new(registry: Registry, process: Registry) -> prometheus::Result<Self> {
        let make = Maker(&registry);
        let workflow = ["workflow_type", "action", "status"];
        let module = ["module", "operation", "status"];
        Ok(Self {
            workflow_executions: make.counter("workflow_executions_total", "Transitions of workflows by result.", &workflow)?,
            workflow_duration: make.histogram(
                "workflow_duration_seconds",
                "Time that an action of a workflow took.",
                &workflow[..2],
                &SLOW,
            )?,
            workflow_instances: make.gauge(
                "workflow_instances",
                "Instances by state; of final states those that were reached since the start of the process.",
                &["workflow_type", "state"],
            )?,
            http_requests: make.counter(
                "http_requests_total",
                "HTTP requests answered, by route and status.",
                &["method", "path", "status_code"],
            )?,
            http_duration: make.histogram(
                "http_request_duration_seconds",
                "Time from a request to its answer's head.",
                &["method", "path"],
                &FAST,
            )?,
            http_connections_refused: make.counter(
                "http_connections_refused_total",
                "Connections refused because their address had as many as it may have.",
                &[],
            )?,
            logins_slowed: make.counter(
                "logins_slowed_total",
                "Attempts to log in that were held or refused after wrong passwords, by what those are counted for.",
                &["by", "outcome"],
            )?,
            module_operations: make.counter("module_operations_total", "Operations of modules by result.", &module)?,
            module_duration: make.histogram(
                "module_operation_duration_seconds",
                "Time that an operation of a module took.",
                &module[..2],
                &FAST,
            )?,
            active_workflows: make.gauge(
                "active_workflows",
                "Instances of a workflow that have not reached a final state.",
                &["workflow_type"],
            )?,
            components: Components::new(&make)?,
            durable: Durable::new(&make)?,
            own: Own::new(&make)?,
            targets: Targets::new(&make)?,
            hooks: RwLock::default(),
            turn: tokio::sync::Mutex::default(),
            process,
            registry,
        })
    }
}

/// A count as gauges hold it.
fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The three digits of a status, written without an allocation.
fn status_code(status: u16, digits: &mut [u8; 3]) -> &str {
    let status = status.clamp(100, 999);
    for (place, digit) in digits.iter_mut().zip([status / 100, status / 10 % 10, status % 10]) {
        *place = b'0' + u8::try_from(digit).unwrap_or(0);
    }
    std::str::from_utf8(digits).unwrap_or("000")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> String {
        let metrics = Metrics::new("shop_a").unwrap();
        metrics.http_request("GET", "/api/things/{id}", 200, Duration::from_millis(3));
        metrics.connection_refused();
        metrics.workflow_execution("w", "start", "success");
        metrics.workflow_duration("w", "start", Duration::from_millis(30));
        metrics.module_operation("m", "run", "success", Duration::from_micros(300));
        metrics.set_active_workflows("w", 7);
        metrics.set_workflow_instances("w", "waiting", 3);
        components::tests::record(&metrics);
        durable::tests::record(&metrics);
        metrics.render().unwrap()
    }

    #[test]
    fn every_metric_has_its_name_its_labels_and_nothing_more() {
        let text = recorded();
        let expected = [
            "workflow_executions_total{action=\"start\",status=\"success\",workflow_type=\"w\"} 1",
            "workflow_duration_seconds_count{action=\"start\",workflow_type=\"w\"} 1",
            "workflow_instances{state=\"waiting\",workflow_type=\"w\"} 3",
            "http_requests_total{method=\"GET\",path=\"/api/things/{id}\",status_code=\"200\"} 1",
            "http_request_duration_seconds_count{method=\"GET\",path=\"/api/things/{id}\"} 1",
            "http_connections_refused_total 1",
            "module_operations_total{module=\"m\",operation=\"run\",status=\"success\"} 1",
            "module_operation_duration_seconds_bucket{module=\"m\",operation=\"run\",le=\"0.0005\"} 1",
            "active_workflows{workflow_type=\"w\"} 7",
            "log_lines_dropped_total 0",
            "trace_spans_lost_total 0",
        ];
        for line in expected.iter().chain(components::tests::EXPECTED).chain(durable::tests::EXPECTED) {
            let line = format!("shop_a_{line}");
            assert!(text.lines().any(|l| l == line), "no line {line}\nin\n{text}");
        }
    }

    #[test]
    fn every_metric_has_a_help_text() {
        let text = recorded();
        for line in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
            let name = line.split(' ').next().unwrap();
            assert!(text.lines().any(|l| l.strip_prefix(&format!("# HELP {name} ")).is_some_and(|help| help.len() > 10)), "{name}");
        }
    }

    #[test]
    fn the_process_tells_its_memory_without_a_prefix() {
        assert!(recorded().contains("\nprocess_resident_memory_bytes "));
    }

    #[test]
    fn a_status_is_three_digits_whatever_a_backend_invents() {
        let code = |status| status_code(status, &mut [0; 3]).to_owned();
        assert_eq!([200, 404, 999, 1000, 7].map(code), ["200", "404", "999", "999", "100"]);
    }

    #[tokio::test]
    async fn what_is_read_is_read_when_somebody_asks_and_a_reader_that_hangs_holds_up_nobody() {
        let metrics = Metrics::new("shop").unwrap();
        let reading = metrics.clone();
        metrics.on_scrape(move || {
            reading.set_active_workflows("read", 5);
            async {}
        });
        metrics.on_scrape(std::future::pending);
        let text = metrics.scrape().await.unwrap();
        assert!(text.contains("shop_active_workflows{workflow_type=\"read\"} 5"), "{text}");
    }
}
