//! What `/metrics` shows that nobody counts: it is read from the parts when somebody asks.
//!
//! What waits in the store is counted once a second at most, however many ask, and through the connections that only read.

use std::sync::Arc;
use std::time::Duration;

use super::backlogs::Backlogs;
use super::parts::Core;
use crate::bus::{Bus, BusHealth};
use crate::plan::Plan;
use crate::runtime::Runtime;
use crate::services::engine::Dependencies;
use crate::services::operations::{Amounts, Held};
use crate::store::{Backlog, Operations};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{ActiveComponent, Space};

struct Gauges {
    metrics: Metrics,
    engine: Dependencies,
    runtime: Arc<Runtime>,
    store: Arc<dyn Operations>,
    /// Module name of the database.
    database: Option<String>,
    bus: Option<(String, Arc<dyn Bus>)>,
    backlogs: Arc<Backlogs>,
    /// Where something is stocked.
    held: Option<Held>,
}

/// Has everything that is only read, read for each scrape.
pub(super) fn register(metrics: &Metrics, plan: &Plan, core: &Core, backlogs: &Arc<Backlogs>, held: Option<Held>) {
    let name = plan.bus.as_ref().map(|settings| settings.name().to_owned());
    let gauges = Arc::new(Gauges {
        metrics: metrics.clone(),
        engine: core.engine.clone(),
        runtime: Arc::clone(&core.runtime),
        store: Arc::clone(&core.store.operations),
        database: plan.database.as_ref().map(|database| database.name.clone()),
        bus: name.zip(core.bus.clone()),
        backlogs: Arc::clone(backlogs),
        held,
    });
    metrics.on_scrape(move || {
        let gauges = Arc::clone(&gauges);
        async move { gauges.read().await }
    });
}

impl Gauges {
    async fn read(&self) {
        self.read_workflows();
        self.read_components();
        if let Some((name, bus)) = &self.bus {
            self.metrics.set_bus_up(name, bus.health() == BusHealth::Up);
            bus.lag().iter().for_each(|lag| self.metrics.set_lag(&lag.topic, lag.events));
        }
        let group = &self.engine.group;
        let is_sure = group.lease().is_none_or(|lease| *lease.borrow());
        self.metrics.set_group(group.others() + 1, group.slots(), is_sure);
        self.read_store().await;
        self.read_held().await;
    }

    async fn read_held(&self) {
        let Some(held) = &self.held else { return };
        match held.amounts().await {
            Ok(Amounts { all, hour, day }) => {
                [("any", all), ("1h", hour), ("24h", day)].into_iter().for_each(|(age, amount)| self.metrics.set_held(age, amount.units));
            }
            Err(error) => tracing::warn!(%error, "the store does not say what is reserved; the metrics show what it said before"),
        }
    }

    fn read_workflows(&self) {
        for counts in self.engine.active.counts() {
            self.metrics.set_active_workflows(&counts.workflow, counts.unfinished);
            counts.states.iter().for_each(|(state, count)| self.metrics.set_workflow_instances(&counts.workflow, state, *count));
        }
    }

    fn read_components(&self) {
        for compilation in self.runtime.compilations() {
            self.metrics.component_compiled(&compilation.component, compilation.cached, compilation.took);
        }
        let status = self.runtime.status();
        let active = status.iter().filter_map(|one| Some((one, one.active.as_ref()?)));
        self.metrics.set_components(active.map(|(one, active)| ActiveComponent {
            component: &one.name,
            version: &active.version,
            digest: &active.digest,
        }));
        let now = self.engine.clock.steady();
        for one in &status {
            let digest = one.active.as_ref().map_or("", |active| &active.digest);
            if let Some(crowd) = self.runtime.crowd(&one.name) {
                self.metrics.set_crowd(&one.name, crowd.running, crowd.waiting);
            }
            self.metrics.set_breaker(&one.name, self.engine.breakers.level(&one.name, digest, now));
            self.metrics.set_canary(&one.name, self.engine.canaries.percent(&one.name));
            self.metrics.set_unserved(&one.name, self.engine.breakers.unserved(&one.name, digest, now));
        }
    }

    async fn read_store(&self) {
        match self.backlogs.for_scrape().await {
            Ok(backlog) => self.show(&backlog),
            Err(error) => tracing::warn!(%error, "the store does not say what waits; the metrics show what it said before"),
        }
        match (self.store.space(), &self.database) {
            (Ok(Some(space)), Some(database)) => {
                self.metrics.set_space(database, Space { wal: space.wal, file: space.file, free: space.free, size: space.size });
            }
            (Err(error), _) => tracing::warn!(%error, "the system does not say how much room the database has"),
            _ => {}
        }
    }

    fn show(&self, backlog: &Backlog) {
        let now = self.engine.clock.steady();
        let age = |at: jiff::Timestamp| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        self.metrics.set_outbox(backlog.outbox, backlog.oldest_outbox.map_or(Duration::ZERO, age));
        self.metrics.set_waiting(backlog.parked, backlog.attention, backlog.due);
        for pinned in self.engine.workflows.machines() {
            let definition = pinned.machine.definition();
            let oldest = backlog.oldest_active.iter().find(|(workflow, _)| *workflow == definition.name);
            self.metrics.set_oldest_active(&definition.name, oldest.map_or(Duration::ZERO, |(_, changed)| age(*changed)));
        }
        for component in self.runtime.names() {
            self.metrics.set_quarantined(&component, backlog.quarantined.contains(&component));
        }
    }
}
