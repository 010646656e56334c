//! Starts what each module runs, in the sequence of the plan, and stops it in reverse.
//!
//! Everything is open before the first module starts, so that whoever starts can use what it was built from; what it depends on has
//! started before it, and stops after it. Requests are answered from when all have started until the first one stops.

use std::sync::Arc;
use std::time::Duration;

use futures::future;

use super::consumers::Keys;
use super::parts::Core;
use crate::bus::{Bus, Sink};
use crate::plan::{self, Module, Plan, Runs};
use crate::pulse::Pulse;
use crate::services::engine::{self, Neighbours, Scheduler, backpressure};
use crate::services::messaging::{self, EventConsumers, OwnEvents, Relay};
use crate::services::operations::agreement::Agreement;
use crate::services::operations::{Retention, Swaps};
use crate::services::users::{TokenVerifier, Users};
use crate::shutdown::{Stop, Stopping, WORK_LIMIT};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// Of the time that a stop has, for each module that has still to stop when its turn comes.
const TURN: Duration = Duration::from_millis(100);

/// A module that has started.
struct Started {
    module: Module,
    tasks: Tasks,
    stop: Stop,
}

/// The modules that have started, in their sequence.
pub(super) struct Turns {
    started: Vec<Started>,
    doors: Keys,
    receiving: Option<Receiving>,
}

/// What receives events.
#[derive(Clone)]
pub(super) struct Receiving {
    bus: Arc<dyn Bus>,
    consumers: Arc<EventConsumers>,
    doors: Keys,
}

impl Receiving {
    /// Receives what another plan says, from now on. Who is to have an event is there before it comes, and who is to have none any more is
    /// gone after the last one that was under way for it.
    pub(super) fn exchange(&self, plan: &Plan) {
        self.doors.exchange(doors_of(plan));
        self.consumers.exchange(plan);
        let topics = plan.bus.as_ref().map(plan::Bus::topics).unwrap_or_default();
        self.bus.resubscribe(topics, self.consumers.subscriptions());
    }
}

/// Consumers with a turn of their own.
fn doors_of(plan: &Plan) -> impl Iterator<Item = String> {
    plan.handlers.iter().map(|handler| EventConsumers::consumer_of(&handler.name))
}

/// What modules are started with.
pub(super) struct Starting<'a> {
    /// Which modules there are, in their sequence.
    pub plan: &'a Plan,
    /// What is open; absent in a process without a database, where nothing runs but the server.
    pub core: Option<&'a Core>,
    /// Tasks that the pipeline was given when it was built: attempts.
    pub tasks: &'a Tasks,
    /// The accounts that this process keeps.
    pub users: Option<&'a Users>,
    /// What checks tokens.
    pub tokens: Option<&'a TokenVerifier>,
    /// What ends the tasks.
    pub stop: &'a Stop,
    /// Where things are counted.
    pub metrics: &'a Metrics,
    /// What knows whether the scheduler gets on.
    pub pulse: &'a Pulse,
}

impl Starting<'_> {
    /// Starts every module.
    pub(super) fn start(self) -> Turns {
        let mut turns = Turns { started: Vec::new(), doors: Keys::new(doors_of(self.plan)), receiving: None };
        for (position, module) in self.plan.modules.iter().enumerate() {
            let drives = self.driver() == Some(position);
            let (tasks, stop) = if drives { (self.tasks.clone(), self.stop.clone()) } else { (self.tasks.group(), Stop::new()) };
            let started = Started { module: module.clone(), tasks, stop };
            if let Some(core) = self.core {
                let receiving = self.start_module(core, position, &started, &turns.doors);
                turns.receiving = turns.receiving.or(receiving);
            }
            tracing::debug!(module = module.name, "module started");
            turns.started.push(started);
        }
        turns
    }

    /// Starts one; answers what receives, if it is that.
    fn start_module(&self, core: &Core, position: usize, started: &Started, doors: &Keys) -> Option<Receiving> {
        let mut receiving = None;
        match started.module.runs {
            // The engine is what drives, see below.
            Runs::Nothing | Runs::Engine => {}
            Runs::Store => self.start_store(core, started),
            Runs::Component if self.last(Runs::Component) == Some(position) => self.start_watching(core, started),
            Runs::Component => {}
            Runs::Bus => receiving = self.start_bus(core, started, doors),
            Runs::Consumer => doors.open(&EventConsumers::consumer_of(&started.module.name)),
        }
        if self.driver() == Some(position) {
            self.start_engine(core, started);
        }
        receiving
    }

    /// Position of the module that drives what is due: the engine, and the store of a process without one, whose handlers have runs too.
    fn driver(&self) -> Option<usize> {
        self.last(Runs::Engine).or_else(|| self.last(Runs::Store))
    }

    fn last(&self, runs: Runs) -> Option<usize> {
        self.plan.modules.iter().rposition(|module| module.runs == runs)
    }

    fn start_store(&self, core: &Core, started: &Started) {
        started.tasks.spawn_long("keys", core.keying.clone().run(started.stop.clone()));
        let (operations, archive, clock) = (Arc::clone(&core.store.operations), core.archive.clone(), core.engine.clock.clone());
        if let Some(retention) = Retention::new(self.plan, operations, archive, clock, self.metrics.clone()) {
            started.tasks.spawn_long("retention", retention.run(started.stop.clone()));
        }
    }

    fn start_engine(&self, core: &Core, started: &Started) {
        let (credentials, clocks) = (Arc::clone(&core.engine.credentials), (core.clocks.clone(), core.engine.clock.clone()));
        if let Some(agreement) = Agreement::new(self.plan, credentials, clocks, core.pipeline.waker().clone()) {
            started.tasks.spawn_long("agreement", agreement.run(started.stop.clone()));
        }
        let (store, clock) = (Arc::clone(&core.engine.store), core.engine.clock.clone());
        let scheduler = Scheduler::new(core.pipeline.clone(), store, clock, self.pulse.part("the scheduler"));
        started.tasks.spawn_long("scheduler", scheduler.run(started.stop.clone()));
        let (waker, outbox_grew) = (core.pipeline.waker().clone(), core.pipeline.outbox_grew());
        let neighbours = Neighbours::new(&core.engine, waker, Arc::clone(&outbox_grew), core.generation.clone());
        started.tasks.spawn_long("neighbours", neighbours.run(started.stop.clone()));
        let (group, change_notifier) = (Arc::clone(&core.store.group), core.engine.change_notifier.clone());
        started.tasks.spawn_long("what others tell", engine::listen(group, change_notifier, outbox_grew, started.stop.clone()));
    }

    fn start_watching(&self, core: &Core, started: &Started) {
        let runtime = Arc::clone(&core.runtime);
        let swaps = Swaps::new(runtime.events(), Arc::clone(&core.engine.store), core.pipeline.waker().clone(), self.metrics.clone());
        started.tasks.spawn_long("component watcher", runtime.watch(started.stop.clone()));
        started.tasks.spawn_long("swap log", swaps.run(started.stop.clone()));
    }

    fn start_bus(&self, core: &Core, started: &Started, doors: &Keys) -> Option<Receiving> {
        let bus = core.bus.as_ref()?;
        let (messages, own) = (Arc::clone(&core.store.messages), Arc::<OwnEvents>::default());
        let dependencies = messaging::Dependencies {
            pipeline: core.pipeline.clone(),
            store: Arc::clone(&core.store.resources),
            messages: Arc::clone(&messages),
            events: Arc::clone(&core.engine.events),
            // Of its own accounts a process knows by itself.
            tokens: self.tokens.filter(|_| self.users.is_none()).cloned(),
            strangers: Arc::clone(&core.strangers),
            own: Arc::clone(&own),
            clock: core.engine.clock.clone(),
            tasks: core.engine.tasks.clone(),
            metrics: core.engine.metrics.clone(),
        };
        let taken = Arc::new(EventConsumers::new(dependencies, self.plan, bus.as_ref()));
        let (subscriptions, sink) = (taken.subscriptions(), doors.before(Arc::clone(&taken) as Arc<dyn Sink>));
        started.tasks.spawn_long("bus", Arc::clone(bus).run(subscriptions, sink, started.stop.clone()));
        let noted = (Arc::clone(&core.refusals), own);
        let relay = Relay::new(Arc::clone(&messages), core.pipeline.outbox_grew(), Arc::clone(bus), noted);
        started.tasks.spawn_long("relay", relay.run(started.stop.clone()));
        if let Some(users) = self.users {
            users.wakes(core.pipeline.outbox_grew());
            started.tasks.spawn_long("changed accounts", users.clone().watch(started.stop.clone()));
        }
        let backpressure = backpressure::watch(Arc::clone(&core.engine.backpressure), messages, started.stop.clone());
        started.tasks.spawn_long("backpressure", backpressure);
        Some(Receiving { bus: Arc::clone(bus), consumers: taken, doors: doors.clone() })
    }
}

impl Turns {
    /// What receives events, if something does.
    pub(super) fn receiving(&self) -> Option<Receiving> {
        self.receiving.clone()
    }

    /// Stops every module, the last that started first, each within what is left of the time for all. Answers whether that was enough.
    pub(super) async fn stop(mut self, stopping: Stopping) -> bool {
        // Consumers that came while the process ran have started last.
        let came = self
            .doors
            .consumers()
            .into_iter()
            .filter(|consumer| self.started.iter().all(|started| EventConsumers::consumer_of(&started.module.name) != *consumer));
        let closed = future::join_all(came.map(|consumer| {
            let doors = self.doors.clone();
            async move { doors.close(&consumer, stopping.left(WORK_LIMIT)).await }
        }));
        let mut in_time = closed.await.into_iter().all(|closed| closed);
        while let Some(started) = self.started.pop() {
            let busy = self.started.iter().filter(|earlier| !earlier.tasks.is_idle()).count();
            let limit = WORK_LIMIT.saturating_sub(TURN * u32::try_from(busy).unwrap_or(u32::MAX));
            let consumer = EventConsumers::consumer_of(&started.module.name);
            let closed = self.doors.close(&consumer, stopping.left(limit)).await;
            started.stop.request();
            let ended = started.tasks.drain(stopping.left(limit)).await && closed;
            tracing::debug!(module = started.module.name, ended, "module stopped");
            in_time &= ended;
        }
        in_time
    }
}
