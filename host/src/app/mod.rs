//! From a plan to a running process: open everything, bind, and only then serve; stop in reverse.
//!
//! The wiring is here and nowhere else. A part that the plan does not name is not built.

mod backlogs;
mod configs;
mod consumers;
mod descriptors;
mod exchange;
mod gauges;
mod health;
mod live;
mod parts;
mod proxies;
mod state;
mod turns;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::{self, BoxFuture};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::parts::Surroundings;

use self::backlogs::Backlogs;
use self::live::Switch;
use self::parts::Core;
use self::proxies::Proxies;
use self::turns::{Receiving, Starting, Turns};
use crate::http::{self, Current, HealthChecks, HttpParts};
use crate::memory;
use crate::plan::{Plan, Server};
use crate::pulse::{Pulse, keep_asking};
use crate::runtime::Runtime;
use crate::services::audit::AuditLog;
use crate::services::console::{ConfigDesk, History, Keeping};
use crate::services::users::{TokenVerifier, Users};
use crate::shutdown::{CLOSE_LIMIT, Stop, Stopping, WORK_LIMIT};
use crate::store::Store;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// Prefix of the metrics of a process without a collector; nobody sees them.
const NO_COLLECTOR: &str = "millrace";
/// Connections at the address for probes alone.
const PROBES: usize = 64;

/// A process in which everything is open and nothing is served yet.
pub struct App {
    plan: Arc<Plan>,
    listener: Option<TcpListener>,
    operator: Option<TcpListener>,
    probes: Option<TcpListener>,
    tasks: Tasks,
    /// Ends the pipeline; requested after the last request was answered.
    stop: Stop,
    metrics: Metrics,
    health: HealthChecks,
    pulse: Pulse,
    core: Option<Core>,
    users: Option<Users>,
    tokens: Option<TokenVerifier>,
    configs: Option<ConfigDesk>,
    switch: Arc<Switch>,
    /// What waits; in a process with a database.
    backlogs: Option<Arc<Backlogs>>,
}

impl App {
    /// Opens everything that the plan names: database, components, bus, listener.
    ///
    /// # Errors
    /// What could not be opened, and why.
    pub async fn build(plan: Plan, surroundings: Surroundings) -> anyhow::Result<Self> {
        let plan = Arc::new(plan);
        let (tasks, stop, health, pulse) = (Tasks::new(), Stop::new(), HealthChecks::new(), Pulse::new());
        let prefix = plan.metrics.as_ref().map_or(NO_COLLECTOR, |metrics| metrics.prefix.as_str());
        let metrics = Metrics::new(prefix)?;
        metrics.program(env!("CARGO_PKG_VERSION"));
        plan.components.iter().for_each(|component| metrics.component(&component.name));
        // Bound first: a taken port should be told before minutes of compiling. Nobody is accepted until everything is open.
        let listener = match &plan.server {
            Some(server) => {
                descriptors::allow(server);
                Some(http::bind(&server.name, server.address).await?)
            }
            None => None,
        };
        let operator = match &plan.operator {
            Some(settings) => Some(http::bind(&settings.server.name, settings.server.address).await?),
            None => None,
        };
        let probes = match plan.health.as_ref().and_then(|health| Some((&health.name, health.address?))) {
            Some((module, address)) => Some(http::bind(module, address).await?),
            None => None,
        };
        let core = match &plan.database {
            Some(database) => Some(parts::core(&plan, database, &surroundings, &tasks, &stop, &metrics).await?),
            None => None,
        };
        let users = match (&core, &plan.auth) {
            (Some(core), Some(auth)) if plan.has_accounts() => {
                Some(parts::users(&core.store.users, auth, &surroundings.clock, &metrics).await?)
            }
            _ => None,
        };
        let tokens = parts::tokens(&plan, core.as_ref(), users.as_ref(), &surroundings.clock);
        health::register_process(&health, &pulse);
        let backlogs = core.as_ref().map(|core| Arc::new(Backlogs::new(Arc::clone(&core.store.operations))));
        if let (Some(core), Some(backlogs)) = (&core, &backlogs) {
            health::register(&health, &plan, core, backlogs);
            health.set_database(core.store.instances.identity());
            health::register_catalogue(&health, &core.resources);
            health::register_keying(&health, &plan, &core.keying);
            health::register_archive(&health, core.archive.as_ref());
            health::register_lacks(&health, &core.stranded).await?;
            let held = parts::held(&plan, core);
            health::register_held(&health, held.as_ref());
            gauges::register(&metrics, &plan, core, backlogs, held);
        }
        let switch = Switch::new(Arc::clone(&plan));
        let configs = plan.operator.as_ref().map(|_| desk(&plan, core.as_ref(), &switch, &surroundings, &health));
        Ok(Self { plan, listener, operator, probes, tasks, stop, metrics, health, pulse, core, users, tokens, configs, switch, backlogs })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Where those who run it ask it.
    #[must_use]
    pub fn operator_address(&self) -> Option<SocketAddr> {
        self.operator.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// The database, for tests that look behind the API.
    #[must_use]
    pub fn store(&self) -> Option<Store> {
        self.core.as_ref().map(|core| core.store.clone())
    }

    /// The components, for tests that look behind the API.
    #[must_use]
    pub fn runtime(&self) -> Option<Arc<Runtime>> {
        self.core.as_ref().map(|core| Arc::clone(&core.runtime))
    }

    /// Serves until `stop` and for as long after it as the config says, then answers what was asked, finishes what runs and closes.
    ///
    /// # Errors
    /// A part has failed for good; the process should be started again.
    pub async fn run(mut self, stop: Stop) -> anyhow::Result<()> {
        self.tasks.spawn_long("pulse", self.pulse.clone().watch(self.stop.clone()));
        if let Some(writer) = self.core.as_mut().and_then(|core| core.writer.take()) {
            let beat = self.pulse.part("the thread that writes the database");
            self.tasks.spawn_long("pulse of the writer", keep_asking(beat, writer, self.stop.clone()));
        }
        if let Some(desk) = self.configs.clone().filter(|_| self.plan.operator.as_ref().is_some_and(|operator| operator.write)) {
            self.tasks.spawn_long("config watcher", desk.watch(self.stop.clone()));
        }
        let turns = self.start();
        let (writes, closing) = (Tasks::new(), Stop::new());
        let proxies = Proxies::new(&self.tasks, &self.metrics, &self.health, &closing);
        let mut serving = self.serve((&closing, &writes), proxies.clone(), turns.receiving())?;
        self.health.set_ready(true);
        tracing::info!(address = self.address().map(|address| address.to_string()), config = %self.plan.source.display(), "ready");
        memory::give_back();

        let delay = self.plan.server.as_ref().map_or(Duration::ZERO, |server| server.shutdown_delay);
        let store_failed = self.core.as_mut().map(|core| core.store_failed.take());
        let failure = tokio::select! {
            // First: a server with nothing under way ends as soon as it is told to, which is no failure.
            biased;
            () = stopped(stop, self.health.clone(), delay) => None,
            result = parts::ended(&mut serving) => Some(result.err().unwrap_or_else(|| anyhow::anyhow!("the server ended by itself"))),
            () = self.tasks.failed() => Some(anyhow::anyhow!("a task failed; see the log")),
            reason = parts::failure(store_failed) => Some(anyhow::anyhow!("the store failed: {reason}")),
        };
        tracing::info!("stopping");
        self.health.set_stopping();
        self.switch.end();
        proxies.end();
        closing.request();
        let ended = self.finish(serving, &writes, turns).await;
        failure.map_or(ended, Err)
    }

    /// Ends everything within one limit, however long each part would like to take.
    async fn finish(self, serving: Option<JoinHandle<anyhow::Result<()>>>, writes: &Tasks, turns: Turns) -> anyhow::Result<()> {
        let stopping = Stopping::begin();
        let served = match serving {
            // It keeps a limit of its own.
            Some(serving) => serving.await.context("the server failed").flatten(),
            None => Ok(()),
        };
        let written = writes.drain(stopping.left(WORK_LIMIT)).await;
        let stopped = turns.stop(stopping).await;
        // What belongs to no module, and what would not end in its turn.
        self.stop.request();
        if !self.tasks.drain(stopping.left(WORK_LIMIT)).await || !written || !stopped {
            tracing::warn!("some attempts were still running; they are made again at the next start");
        }
        if let Some(core) = &self.core
            && tokio::time::timeout(stopping.left(CLOSE_LIMIT), core.store.operations.close()).await.is_err()
        {
            tracing::warn!("the database was not closed in time; nothing is lost, the next start reads its log");
        }
        self.metrics.end();
        served
    }

    fn start(&self) -> Turns {
        let Self { plan, core, users, tokens, tasks, stop, metrics, pulse, .. } = self;
        Starting { plan, core: core.as_ref(), users: users.as_ref(), tokens: tokens.as_ref(), tasks, stop, metrics, pulse }.start()
    }

    fn serve(
        &mut self,
        (stop, writes): (&Stop, &Tasks),
        proxies: Proxies,
        receiving: Option<Receiving>,
    ) -> anyhow::Result<Option<JoinHandle<anyhow::Result<()>>>> {
        let (listener, operator, probes) = (self.listener.take(), self.operator.take(), self.probes.take());
        if listener.is_none() && operator.is_none() {
            return Ok(None);
        }
        let (public, of_operator) = self.routers((stop, writes), proxies, receiving);
        let mut serving: Vec<BoxFuture<'static, anyhow::Result<()>>> = Vec::new();
        let mut serve = |listener: TcpListener, server: Server, answering: Current| {
            serving.push(Box::pin(http::serve(listener, server, answering, self.metrics.clone(), stop.clone())));
        };
        if let (Some(listener), Some(server)) = (listener, self.plan.server.clone()) {
            tracing::info!(address = %listener.local_addr()?, "listening");
            if let Some(listener) = probes {
                tracing::info!(address = %listener.local_addr()?, "listening for probes");
                serve(listener, Server { max_connections: PROBES, probes_only: true, ..server.clone() }, public.clone());
            }
            serve(listener, server, public);
        }
        if let (Some(listener), Some(settings), Some(answering)) = (operator, &self.plan.operator, of_operator) {
            tracing::info!(address = %listener.local_addr()?, prefix = settings.prefix, "listening for those who run the process");
            serve(listener, settings.server.clone(), answering);
        }
        Ok(Some(self.tasks.spawn(async move { future::try_join_all(serving).await.map(|_| ()) })))
    }

    fn routers(&mut self, (stop, writes): (&Stop, &Tasks), proxies: Proxies, receiving: Option<Receiving>) -> (Current, Option<Current>) {
        let console = match (&self.core, &self.backlogs, &self.plan.operator) {
            (Some(core), Some(backlogs), Some(_)) => Some(parts::console(&self.plan, core, backlogs)),
            _ => None,
        };
        if let Some(console) = console.clone() {
            self.tasks.spawn_long("canaries", console.keep_canaries(self.stop.clone()));
        }
        let made = proxies.make(&self.plan);
        let parts = HttpParts {
            plan: Arc::clone(&self.plan),
            tokens: self.tokens.take(),
            users: self.users.take(),
            resources: self.core.as_ref().map(|core| core.resources.clone()),
            audit: self.core.as_ref().map(|core| AuditLog::new(Arc::clone(&core.store.audit), core.engine.clock.clone())),
            configs: self.configs.take(),
            console,
            proxies: made.routers(),
            internal: self.core.as_ref().and_then(|core| core.internal.clone()),
            metrics: self.metrics.clone(),
            health: self.health.clone(),
            writes: writes.clone(),
            stop: stop.clone(),
        };
        proxies.put(made);
        self.switch.begin(parts, self.core.as_ref(), (proxies, receiving))
    }
}

/// The config, for those who want to change it.
fn desk(plan: &Plan, core: Option<&Core>, switch: &Arc<Switch>, surroundings: &Surroundings, health: &HealthChecks) -> ConfigDesk {
    let stranded = core.map(|core| core.stranded.clone());
    let history = History::new(configs::history_folder(plan));
    let audit = core.map(|core| Arc::clone(&core.store.audit));
    let keeping = Keeping::new(history, audit, surroundings.compiler.clone(), surroundings.clock.clone());
    let desk = ConfigDesk::new(configs::ConfigFile::of(Arc::clone(switch), surroundings.environment.clone()), stranded, keeping);
    health::register_config(health, &desk);
    desk
}

/// Waits for `stop`, and then for as long as balancers may need to see that this process is not ready any more.
async fn stopped(stop: Stop, health: HealthChecks, delay: Duration) {
    stop.requested().await;
    health.set_stopping();
    if !delay.is_zero() {
        tracing::info!(seconds = delay.as_secs_f64(), "/readyz answers 503 from now on; requests are still served for that long");
        tokio::time::sleep(delay).await;
    }
}
