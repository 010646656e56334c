//! What `/healthz` asks of the parts.

use std::sync::Arc;

use crate::bus::{Bus, BusHealth};
use crate::http::{Check, HealthChecks, Status};
use crate::plan::{self, Plan};
use crate::runtime::Runtime;
use crate::store::Store;

/// Adds a check for each part that can be unwell.
pub(super) fn register(health: &HealthChecks, plan: &Plan, store: &Arc<dyn Store>, runtime: &Arc<Runtime>, bus: Option<&Arc<dyn Bus>>) {
    if let Some(database) = &plan.database {
        let store = Arc::clone(store);
        health.add(&database.name, move || {
            let store = Arc::clone(&store);
            async move { check_store(store.as_ref()).await }
        });
    }
    for component in &plan.components {
        let (runtime, name) = (Arc::clone(runtime), component.name.clone());
        health.add(&component.name, move || {
            let check = check_component(&runtime, &name);
            async move { check }
        });
    }
    if let (Some(bus), Some(plan::Bus::Embedded { name, .. } | plan::Bus::Kafka { name, .. })) = (bus, &plan.bus) {
        let bus = Arc::clone(bus);
        health.add(name, move || {
            let check = match bus.health() {
                BusHealth::Up => Check::new(Status::Up, "events are published"),
                BusHealth::Down(reason) => Check::new(Status::Degraded, format!("events wait in the outbox: {reason}")),
            };
            async move { check }
        });
    }
}

async fn check_store(store: &dyn Store) -> Check {
    match store.backlog().await {
        Err(error) => Check::new(Status::Down, error.to_string()),
        Ok(backlog) if backlog.parked + backlog.attention > 0 => {
            let message = format!("{} parked runs and {} instances wait for a person", backlog.parked, backlog.attention);
            Check::new(Status::Degraded, message)
        }
        Ok(backlog) => Check::new(Status::Up, format!("{} events in the outbox", backlog.outbox)),
    }
}

fn check_component(runtime: &Runtime, name: &str) -> Check {
    let status = runtime.status().into_iter().find(|status| status.name == name);
    match status.map(|status| (status.active, status.refused)) {
        Some((Some(active), None)) => Check::new(Status::Up, format!("{} {} ({:.12})", active.name, active.version, active.digest)),
        Some((Some(active), Some(refusal))) => {
            Check::new(Status::Degraded, format!("{:.12} serves; the file was refused: {}", active.digest, refusal.reason))
        }
        Some((None, Some(refusal))) => Check::new(Status::Degraded, format!("no version serves: {}", refusal.reason)),
        _ => Check::new(Status::Degraded, "no version serves"),
    }
}
