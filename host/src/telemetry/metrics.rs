//! The numbers that dashboards read. One field per metric, one method per thing that happens.
//!
//! Names and labels are an interface: changing one breaks a dashboard. Nothing else in the program makes instruments.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, MeterProvider};
use opentelemetry::{KeyValue, StringValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

/// Media type of what [`Metrics::render`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Seconds. Requests and steps take from half a millisecond to some seconds.
const FAST: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds. Workflows wait for retries and timers, so their times reach into hours.
const SLOW: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 3600.0];

/// The metrics of a process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Instruments>,
}

struct Instruments {
    registry: Registry,
    /// Instruments record nothing once it is dropped.
    _provider: SdkMeterProvider,
    workflow_executions: Counter<u64>,
    workflow_duration: Histogram<f64>,
    http_requests: Counter<u64>,
    http_duration: Histogram<f64>,
    module_operations: Counter<u64>,
    module_duration: Histogram<f64>,
    active_workflows: Gauge<u64>,
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
    /// The exporter cannot be built.
    pub fn new(prefix: &str) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .with_namespace(prefix)
            .without_counter_suffixes()
            .without_units()
            .without_target_info()
            .scope_info_enabled(false)
            .build()
            .context("building the metrics exporter")?;
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .context("registering the process metrics")?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let meter = provider.meter("millrace");
        Ok(Self { inner: Arc::new(Instruments::new(&meter, registry, provider.clone())) })
    }

    /// Everything, in Prometheus's text format.
    ///
    /// # Errors
    /// A metric that cannot be written as text.
    pub fn render(&self) -> anyhow::Result<String> {
        TextEncoder::new().encode_to_string(&self.inner.registry.gather()).context("writing the metrics as text")
    }

    /// A request was answered. `path` is the template of its route, never what the client sent.
    pub fn http_request(&self, method: &'static str, path: &str, status: u16, took: Duration) {
        let labels = [KeyValue::new("method", method), label("path", path), KeyValue::new("status_code", i64::from(status))];
        self.inner.http_requests.add(1, &labels);
        self.inner.http_duration.record(took.as_secs_f64(), &labels[..2]);
    }

    /// A workflow did something: `action` is a transition, `status` how it went.
    pub fn workflow_execution(&self, workflow: &str, action: &str, status: &str) {
        self.inner.workflow_executions.add(1, &[label("workflow_type", workflow), label("action", action), label("status", status)]);
    }

    /// How long a workflow's action took.
    pub fn workflow_duration(&self, workflow: &str, action: &str, took: Duration) {
        self.inner.workflow_duration.record(took.as_secs_f64(), &[label("workflow_type", workflow), label("action", action)]);
    }

    /// A module did something for somebody: how it went and how long it took.
    pub fn module_operation(&self, module: &str, operation: &str, status: &str, took: Duration) {
        let labels = [label("module", module), label("operation", operation), label("status", status)];
        self.inner.module_operations.add(1, &labels);
        self.inner.module_duration.record(took.as_secs_f64(), &labels[..2]);
    }

    /// How many instances of a workflow are not finished.
    pub fn set_active_workflows(&self, workflow: &str, count: u64) {
        self.inner.active_workflows.record(count, &[label("workflow_type", workflow)]);
    }
}

impl Instruments {
    fn new(meter: &Meter, registry: Registry, provider: SdkMeterProvider) -> Self {
        Self {
            registry,
            _provider: provider,
            workflow_executions: counter(meter, "workflow_executions_total", "Transitions of workflows by result."),
            workflow_duration: histogram(meter, "workflow_duration_seconds", "Time that an action of a workflow took.", &SLOW),
            http_requests: counter(meter, "http_requests_total", "HTTP requests answered, by route and status."),
            http_duration: histogram(meter, "http_request_duration_seconds", "Time from a request to its answer's head.", &FAST),
            module_operations: counter(meter, "module_operations_total", "Operations of modules by result."),
            module_duration: histogram(meter, "module_operation_duration_seconds", "Time that an operation of a module took.", &FAST),
            active_workflows: meter
                .u64_gauge("active_workflows")
                .with_description("Instances of a workflow that have not reached a final state.")
                .build(),
        }
    }
}

fn counter(meter: &Meter, name: &'static str, help: &'static str) -> Counter<u64> {
    meter.u64_counter(name).with_description(help).build()
}

fn histogram(meter: &Meter, name: &'static str, help: &'static str, buckets: &[f64]) -> Histogram<f64> {
    meter.f64_histogram(name).with_description(help).with_boundaries(buckets.to_vec()).build()
}

fn label(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(name, StringValue::from(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> String {
        let metrics = Metrics::new("shop_a").unwrap();
        metrics.http_request("GET", "/api/things/{id}", 200, Duration::from_millis(3));
        metrics.workflow_execution("w", "start", "success");
        metrics.workflow_duration("w", "start", Duration::from_millis(30));
        metrics.module_operation("m", "run", "success", Duration::from_micros(300));
        metrics.set_active_workflows("w", 7);
        metrics.render().unwrap()
    }

    #[test]
    fn every_metric_has_its_name_its_labels_and_nothing_more() {
        let text = recorded();
        for line in [
            "shop_a_workflow_executions_total{action=\"start\",status=\"success\",workflow_type=\"w\"} 1",
            "shop_a_workflow_duration_seconds_count{action=\"start\",workflow_type=\"w\"} 1",
            "shop_a_http_requests_total{method=\"GET\",path=\"/api/things/{id}\",status_code=\"200\"} 1",
            "shop_a_http_request_duration_seconds_count{method=\"GET\",path=\"/api/things/{id}\"} 1",
            "shop_a_module_operations_total{module=\"m\",operation=\"run\",status=\"success\"} 1",
            "shop_a_module_operation_duration_seconds_bucket{module=\"m\",operation=\"run\",le=\"0.0005\"} 1",
            "shop_a_active_workflows{workflow_type=\"w\"} 7",
        ] {
            assert!(text.lines().any(|l| l == line), "no line {line}\nin\n{text}");
        }
        assert!(!text.contains("otel_scope") && !text.contains("_total_total") && !text.contains("target_info"), "{text}");
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
    fn the_process_tells_its_memory() {
        assert!(recorded().contains("\nprocess_resident_memory_bytes "));
    }
}
