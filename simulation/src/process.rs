//! The program over the simulated machine: the real engine, scheduler, relay and consumers, as `app/` puts them together.

use std::sync::Arc;

use millrace::bus::{Bus, Sink};
use millrace::pulse::Pulse;
use millrace::runtime::Steps;
use millrace::services::engine::{
    Active, Backpressure, Breakers, Canaries, ChangeNotifier, CrashSuspects, Dependencies, Draws, Events, Holds, Indexed, PerOwner,
    Pipeline, Scheduler, Workflows, backpressure, recovery,
};
use millrace::services::generation::Generation;
use millrace::services::messaging::{self, EventConsumers, Relay};
use millrace::services::resources::{self, Resources};
use millrace::services::users::directory::Directory;
use millrace::shutdown::Stop;
use millrace::store::memory::Memory;
use millrace::store::{Instances, Messages, StoreError};
use millrace::tasks::Tasks;
use millrace::telemetry::Metrics;

use crate::broker::Link;
use crate::components::Simulated as Components;
use crate::life::Life;
use crate::store::Simulated as Store;
use crate::world::World;

/// Events that may wait to be published.
const MOST_WAITING: u64 = 10_000;

/// What customers and operators reach of it.
pub struct Process {
    /// What handlers call.
    pub resources: Resources,
    /// Where work is spawned.
    pub tasks: Tasks,
    /// The store as this process has it.
    pub store: Arc<Store>,
    /// Moves instances.
    pub pipeline: Pipeline,
}

impl Process {
    /// Starts one over what the last one has left.
    ///
    /// # Errors
    /// The store cannot be written now.
    pub async fn start(world: &Arc<World>, life: &Life) -> anyhow::Result<Self> {
        let rows = Arc::new(world.rows().reopen());
        *world.memory.lock() = Arc::clone(&rows);
        let store = Arc::new(Store { rows: Arc::clone(&rows), world: Arc::clone(world), life: life.clone() });
        let (tasks, stop, metrics, pulse) = (Tasks::new(), Stop::new(), Metrics::new("bookings")?, Pulse::new());
        let (crash_suspects, suspects) = CrashSuspects::open(&Life::in_flight(world));
        let is_recovered = match recovery::recover(store.as_ref(), &suspects).await {
            Ok(()) => true,
            Err(StoreError::Unavailable(_)) => false,
            Err(error) => return Err(error.into()),
        };
        let engine = engine(world, &store, (&tasks, &stop, &metrics, crash_suspects), life).await?;
        let pipeline = Pipeline::new(&engine);
        if !is_recovered {
            let recovering = recovery::recover_later(Arc::clone(&engine.store), pipeline.waker().clone(), suspects, stop.clone());
            tasks.spawn_long("recovery", recovering);
        }
        let scheduler = Scheduler::new(pipeline.clone(), Arc::clone(&engine.store), world.clock.clone(), pulse.part("the scheduler"));
        tasks.spawn_long("scheduler", scheduler.run(stop.clone()));
        let messages: Arc<dyn Messages> = Arc::clone(&store) as Arc<dyn Messages>;
        messaging(world, &engine, &pipeline, (&store, &messages), life);
        tasks.spawn_long("backpressure", backpressure::watch(Arc::clone(&engine.backpressure), messages, stop.clone()));
        let resources = resources(world, &engine, &pipeline, &rows)?;
        Ok(Self { resources, tasks, store, pipeline })
    }
}

async fn engine(
    world: &Arc<World>,
    store: &Arc<Store>,
    (tasks, stop, metrics, crash_suspects): (&Tasks, &Stop, &Metrics, CrashSuspects),
    life: &Life,
) -> anyhow::Result<Dependencies> {
    let (plan, clock) = (&world.plan, world.clock.clone());
    let instances: Arc<dyn Instances> = Arc::clone(store) as Arc<dyn Instances>;
    let workflows = Arc::new(Workflows::open(Arc::clone(&instances), &plan.workflows).await?);
    let definitions = plan.workflows.iter().map(|workflow| workflow.machine.definition());
    let active = Active::new(definitions, &instances.unfinished().await?);
    let per_owner = PerOwner::open(instances.as_ref(), &plan.resources).await?;
    let events = Arc::new(Events::new(plan, &[], instances.identity()));
    let indexed = Indexed { store: Arc::clone(&instances), by_keys: Arc::default() };
    let draws = Draws::new(indexed, Arc::clone(&workflows), Arc::clone(&events), clock.clone(), &plan.resources);
    let holds = Holds::open(instances.as_ref()).await?;
    let names = || plan.components.iter().map(|component| component.name.clone());
    Ok(Dependencies {
        group: Arc::<Memory>::clone(&store.rows),
        steps: Arc::new(Components::new(Arc::clone(world), life.clone())) as Arc<dyn Steps>,
        store: instances,
        workflows,
        events,
        draws: Arc::new(draws),
        clock,
        change_notifier: ChangeNotifier::default(),
        tasks: tasks.clone(),
        stop: stop.clone(),
        active: Arc::new(active),
        per_owner: Arc::new(per_owner),
        holds: Arc::new(holds),
        breakers: Arc::new(Breakers::new(names())),
        dead_ends: Arc::default(),
        canaries: Arc::new(Canaries::new(names())),
        recordings: Arc::default(),
        credentials: Arc::default(),
        backpressure: Arc::new(Backpressure::new(MOST_WAITING)),
        metrics: metrics.clone(),
        crash_suspects,
    })
}

fn messaging(
    world: &Arc<World>,
    engine: &Dependencies,
    pipeline: &Pipeline,
    (store, messages): (&Arc<Store>, &Arc<dyn Messages>),
    life: &Life,
) {
    let bus: Arc<dyn Bus> = Arc::new(Link::new(Arc::clone(world), life.clone()));
    let own = Arc::default();
    let dependencies = messaging::Dependencies {
        pipeline: pipeline.clone(),
        store: Arc::clone(store) as Arc<dyn millrace::store::Resources>,
        messages: Arc::clone(messages),
        events: Arc::clone(&engine.events),
        tokens: None,
        strangers: Arc::default(),
        own: Arc::clone(&own),
        clock: engine.clock.clone(),
        tasks: engine.tasks.clone(),
        metrics: engine.metrics.clone(),
    };
    let taken = EventConsumers::new(dependencies, &world.plan, bus.as_ref());
    let (subscriptions, sink) = (taken.subscriptions(), Arc::new(taken) as Arc<dyn Sink>);
    engine.tasks.spawn_long("bus", Arc::clone(&bus).run(subscriptions, sink, engine.stop.clone()));
    let relay = Relay::new(Arc::clone(messages), pipeline.outbox_grew(), bus, (Arc::default(), own));
    engine.tasks.spawn_long("relay", relay.run(engine.stop.clone()));
}

fn resources(world: &World, engine: &Dependencies, pipeline: &Pipeline, rows: &Arc<Memory>) -> anyhow::Result<Resources> {
    let Dependencies { store, workflows, events, active, per_owner, draws, backpressure, change_notifier, clock, stop, .. } =
        engine.clone();
    let dependencies = resources::Dependencies {
        pipeline: pipeline.clone(),
        store,
        directory: Directory::new(&world.plan, Arc::clone(rows) as Arc<dyn millrace::store::Users>),
        stock: Arc::clone(rows) as Arc<dyn millrace::store::Stock>,
        workflows,
        events,
        active,
        per_owner,
        draws,
        backpressure,
        change_notifier,
        generation: Generation::default(),
        clock,
        stop,
    };
    Resources::new(dependencies, &world.plan.resources, &world.plan.routes)
}
