//! What `/metrics` shows that nobody counts: it is read from the parts when somebody asks.
//!
//! Reading the store is bounded to once a second, however many ask, and goes through the connections that only read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bus::{Bus, BusHealth};
use crate::plan::{self, Plan};
use crate::services::engine::pipeline::Pipeline;
use crate::store::Backlog;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{ActiveComponent, Space};

/// What was read from the store is good for so long.
const STORE_INTERVAL: Duration = Duration::from_secs(1);

struct Readings {
    metrics: Metrics,
    pipeline: Pipeline,
    components: Vec<String>,
    /// Module name of the database.
    database: Option<String>,
    bus: Option<(String, Arc<dyn Bus>)>,
    store_read: Mutex<Option<Instant>>,
}

/// Has everything that is only read, read for each scrape.
pub(super) fn register(metrics: &Metrics, plan: &Plan, pipeline: &Pipeline, bus: Option<&Arc<dyn Bus>>) {
    let name = plan.bus.as_ref().map(|(plan::Bus::Embedded { name, .. } | plan::Bus::Kafka { name, .. })| name.clone());
    let readings = Arc::new(Readings {
        metrics: metrics.clone(),
        pipeline: pipeline.clone(),
        components: plan.components.iter().map(|component| component.name.clone()).collect(),
        database: plan.database.as_ref().map(|database| database.name.clone()),
        bus: name.zip(bus.cloned()),
        store_read: Mutex::default(),
    });
    metrics.on_scrape(move || {
        let readings = Arc::clone(&readings);
        async move { readings.read().await }
    });
}

impl Readings {
    async fn read(&self) {
        self.read_workflows();
        self.read_components();
        if let Some((name, bus)) = &self.bus {
            self.metrics.set_bus_up(name, bus.health() == BusHealth::Up);
            bus.lag().iter().for_each(|lag| self.metrics.set_lag(&lag.topic, lag.events));
        }
        let due = self.store_read.lock().is_none_or(|read| read.elapsed() >= STORE_INTERVAL);
        if due {
            self.read_store().await;
        }
    }

    fn read_workflows(&self) {
        for counts in self.pipeline.parts().active.counts() {
            self.metrics.set_active_workflows(counts.workflow, counts.unfinished);
            counts.states.iter().for_each(|(state, count)| self.metrics.set_workflow_instances(counts.workflow, state, *count));
        }
    }

    fn read_components(&self) {
        let parts = self.pipeline.parts();
        for compilation in parts.runtime.compilations() {
            self.metrics.component_compiled(&compilation.component, compilation.cached, compilation.took);
        }
        let status = parts.runtime.status();
        let active = status.iter().filter_map(|one| Some((one, one.active.as_ref()?)));
        self.metrics.set_components(active.map(|(one, active)| ActiveComponent {
            component: &one.name,
            version: &active.version,
            digest: &active.digest,
        }));
        let now = parts.clock.steady();
        for one in &status {
            let digest = one.active.as_ref().map_or("", |active| &active.digest);
            if let Some(crowd) = parts.runtime.crowd(&one.name) {
                self.metrics.set_crowd(&one.name, crowd.running, crowd.waiting);
            }
            self.metrics.set_breaker(&one.name, parts.breakers.level(&one.name, digest, now));
        }
    }

    async fn read_store(&self) {
        let store = &self.pipeline.parts().store;
        match store.backlog().await {
            Ok(backlog) => {
                self.show(&backlog);
                *self.store_read.lock() = Some(Instant::now());
            }
            Err(error) => tracing::warn!(%error, "the store does not say what waits; the metrics show what it said before"),
        }
        match (store.space(), &self.database) {
            (Ok(Some(space)), Some(database)) => {
                self.metrics.set_space(database, Space { wal: space.wal, file: space.file, free: space.free, size: space.size });
            }
            (Err(error), _) => tracing::warn!(%error, "the system does not say how much room the database has"),
            _ => {}
        }
    }

    fn show(&self, backlog: &Backlog) {
        let now = self.pipeline.parts().clock.steady();
        let age = |at: jiff::Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        self.metrics.set_outbox(backlog.outbox, backlog.oldest_outbox.map_or(Duration::ZERO, age));
        self.metrics.set_waiting(backlog.parked, backlog.attention, backlog.due);
        for definition in self.pipeline.parts().workflows.definitions() {
            let oldest = backlog.oldest_active.iter().find(|(workflow, _)| *workflow == definition.name);
            self.metrics.set_oldest_active(&definition.name, oldest.map_or(Duration::ZERO, |(_, changed)| age(*changed)));
        }
        for component in &self.components {
            self.metrics.set_quarantined(component, backlog.quarantined.contains(component));
        }
    }
}
