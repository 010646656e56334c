//! What another plan changes in the engine of a running process: its workflows with their steps, its components, and who receives
//! which events.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::health;
use super::parts::{Core, resources_of};
use super::turns::Receiving;
use crate::http::HealthChecks;
use crate::plan::Plan;
use crate::runtime::{Arranged, Runtime};
use crate::services::engine::{Dependencies, Pipeline, WorkflowSet, recovery};
use crate::services::generation::Generation;
use crate::services::operations::{Names, Stranded};
use crate::services::resources::Resources;
use crate::store::Store;

/// Makes what another plan says over the same parts, and puts it in place.
#[derive(Clone)]
pub(super) struct Exchange {
    store: Store,
    engine: Dependencies,
    runtime: Arc<Runtime>,
    pipeline: Pipeline,
    generation: Generation,
    stranded: Stranded,
    health: HealthChecks,
    receiving: Option<Receiving>,
}

/// What another plan says, made aside.
pub(super) struct Ready {
    /// The handlers, until they are taken.
    pub(super) resources: Option<Resources>,
    workflows: WorkflowSet,
    components: Arranged,
}

impl Exchange {
    /// In the engine of this process.
    pub(super) fn of(core: &Core, health: &HealthChecks, receiving: Option<Receiving>) -> Self {
        let Core { store, engine, runtime, pipeline, generation, stranded, .. } = core;
        Self {
            store: store.clone(),
            engine: engine.clone(),
            runtime: Arc::clone(runtime),
            pipeline: pipeline.clone(),
            generation: generation.clone(),
            stranded: stranded.clone(),
            health: health.clone(),
            receiving,
        }
    }

    /// Makes it.
    ///
    /// # Errors
    /// It cannot be made, and why; then nothing has changed.
    pub(super) async fn prepare(&self, plan: &Plan) -> anyhow::Result<Ready> {
        let resources = resources_of(plan, &self.store, &self.engine, &self.pipeline, self.generation.clone())?;
        let components = self.runtime.arrange(&plan.components).await?;
        let workflows = self.engine.workflows.prepare(&plan.workflows).await?;
        Ok(Ready { resources: Some(resources), workflows, components })
    }

    /// Stores what a start has to find once `ready` is in place.
    pub(super) fn record(&self, ready: &Ready) -> BoxFuture<'static, anyhow::Result<()>> {
        self.runtime.record(&ready.components)
    }

    /// Puts it in place: first what new instances need, then what has them begin.
    pub(super) fn put(&self, before: &Plan, plan: &Plan, ready: Ready) {
        let Dependencies { workflows, active, breakers, canaries, metrics, events, .. } = &self.engine;
        let names = || plan.components.iter().map(|component| component.name.clone());
        names().for_each(|name| metrics.component(&name));
        breakers.add(names());
        canaries.add(names());
        active.add(plan.workflows.iter().map(|workflow| workflow.machine.definition()));
        // Before the components, so that no visit begins on a candidate that the config forbids by then.
        before.components.iter().filter(|component| !plan.components.contains(component)).for_each(|component| {
            canaries.replaced(&component.name);
        });
        self.runtime.put(ready.components);
        // Before the machines: what the first new instance tells finds who hears it.
        if let Some(receiving) = &self.receiving {
            receiving.exchange(plan);
        }
        events.exchange(plan);
        workflows.put(ready.workflows);
        self.stranded.run_with(Names::of(plan));
        let is_gone = |name: &&String| plan.components.iter().all(|component| component.name != **name);
        before.components.iter().map(|component| &component.name).filter(is_gone).for_each(|name| self.health.remove(name));
        health::register_components(&self.health, plan, (&self.engine, &self.runtime));
        self.resume();
    }

    /// Has runs go on that were set aside for what no config named.
    fn resume(&self) {
        let (store, waker) = (Arc::clone(&self.engine.store), self.pipeline.waker().clone());
        let resuming = async move {
            match recovery::recover(store.as_ref(), &[]).await {
                Ok(()) => waker.look_again(),
                Err(error) => tracing::warn!(%error, "runs that were set aside go on after the next change or start"),
            }
        };
        self.engine.tasks.spawn(resuming);
    }
}
