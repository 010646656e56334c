//! Opens the parts of a process, each from its settings.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use super::backlogs::Backlogs;
use super::state::StoredState;
use crate::bus::{Bus, Member};
use crate::clock::Clock;
use crate::config::Environment;
use crate::http;
use crate::plan::{self, Plan};
use crate::runtime::{InProcess, Runtime, Steps};
use crate::services::console::{self, Console, CountBacklog};
use crate::services::engine::{
    Active, Backpressure, Breakers, Canaries, ChangeNotifier, CrashSuspects, Credentials, Dependencies, Draws, Events, Holds, Indexed,
    PerOwner, Pipeline, Workflows, recovery,
};
use crate::services::generation::Generation;
use crate::services::messaging::{Refusals, Strangers};
use crate::services::operations::agreement::Known;
use crate::services::operations::{Archive, Clocks, Held, Keying, Names, Stranded};
use crate::services::resources::{self, Resources};
use crate::services::shop::{self, stock};
use crate::services::users::directory::{self, Directory};
use crate::services::users::{LEEWAY, Standings, TokenVerifier, Users};
use crate::shutdown::Stop;
use crate::store::{self, Operations, Place, Store, StoreError};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// What a process is given beside its plan.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Clock,
    /// Program that compiles components, see [`crate::runtime::Settings::compiler`].
    pub compiler: PathBuf,
    /// What the config was read with, for those who want to change it.
    pub environment: Environment,
}

/// The parts of a process that has a database.
pub(super) struct Core {
    pub store: Store,
    pub store_failed: StoreFailed,
    /// Asked whether the thread that writes gets on; taken when it is.
    pub writer: Option<Asked>,
    pub engine: Dependencies,
    /// The sandbox.
    pub runtime: Arc<Runtime>,
    pub pipeline: Pipeline,
    pub resources: Resources,
    pub bus: Option<Arc<dyn Bus>>,
    /// What the bus refuses.
    pub refusals: Arc<Refusals>,
    /// Events of other shops that came.
    pub strangers: Arc<Strangers>,
    /// What other processes may ask.
    pub internal: Option<http::Router>,
    /// Where finished instances go.
    pub archive: Option<Archive>,
    /// What gives keys to resources that lack them.
    pub keying: Keying,
    /// What unfinished instances need, and the config names or not.
    pub stranded: Stranded,
    /// Other processes whose clocks are wrong, or this one's is.
    pub clocks: Clocks,
    /// Counts what a cached list must not outlive.
    pub generation: Generation,
}

/// Tells once that the store cannot go on.
pub(super) struct StoreFailed(Option<BoxFuture<'static, String>>);

impl StoreFailed {
    pub(super) fn take(&mut self) -> Option<BoxFuture<'static, String>> {
        self.0.take()
    }
}

/// A part that answers when it comes to the question.
pub(super) type Asked = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// Waits for a failure; for ever when there is nothing that can fail.
pub(super) async fn failure(failed: Option<Option<BoxFuture<'static, String>>>) -> String {
    match failed.flatten() {
        Some(failed) => failed.await,
        None => std::future::pending().await,
    }
}

/// Waits for the server's end; for ever when there is none. Leaves `None` behind, so that nobody waits for it again.
pub(super) async fn ended(serving: &mut Option<JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<()> {
    let Some(handle) = serving else { return std::future::pending().await };
    let result = handle.await;
    *serving = None;
    result.context("the server failed")?
}

fn open(plan: &Plan, database: &plan::Database, clock: &Clock) -> Result<Store, store::OpenError> {
    let readers = usize::try_from(database.max_open_conns).unwrap_or(1);
    let keys = plan.resources.iter().filter_map(resources::keys).collect();
    let place = database.server.clone().map_or_else(|| Place::File(database.path.clone()), Place::Server);
    let kinds = plan.resources.iter().map(|handler| handler.kind.clone()).collect();
    store::open(&store::Database { place, readers, keys, kinds }, clock.clone())
}

/// Whether the thread that writes the database answers.
fn asks_writer(store: &Store) -> Asked {
    let asked = Arc::clone(&store.operations);
    Box::new(move || {
        let operations = Arc::clone(&asked);
        Box::pin(async move { operations.answers().await })
    })
}

/// That there is a database where one is not made.
fn check_place(database: &plan::Database) -> anyhow::Result<()> {
    anyhow::ensure!(
        database.server.is_some() || database.create_if_missing || database.path.exists(),
        "there is no database '{}', and `createIfMissing` is false: is its disk mounted? A copy is put there with `millrace restore`; with \
         `createIfMissing` true a new, empty database is made",
        database.path.display()
    );
    Ok(())
}

/// The runs at whose components the process before this one ended.
fn suspects(database: &plan::Database) -> anyhow::Result<(CrashSuspects, Vec<String>)> {
    if database.server.is_some()
        && let Some(folder) = database.path.parent()
    {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder '{}' for what this process keeps", folder.display()))?;
    }
    let (crash_suspects, suspects) = CrashSuspects::open(&database.path.with_extension("in-flight"));
    for key in &suspects {
        tracing::warn!(run = key, "this run was inside its component when the process before this one ended");
    }
    Ok((crash_suspects, suspects))
}

/// That of the plan, as the process takes part in it that this one is among those who share the database.
fn bus(plan: &Plan, store: &Store) -> anyhow::Result<Option<Arc<dyn Bus>>> {
    let member = Member { seat: store.group.seat(), sure: store.group.heard_of() };
    plan.bus.as_ref().map(|settings| settings.build(member)).transpose()
}

/// Database, components, pipeline and bus.
pub(super) async fn core(
    plan: &Arc<Plan>,
    database: &plan::Database,
    surroundings: &Surroundings,
    tasks: &Tasks,
    stop: &Stop,
    metrics: &Metrics,
) -> anyhow::Result<Core> {
    let clock = surroundings.clock.clone();
    check_place(database)?;
    let store = open(plan, database, &clock)?;
    let store_failed = store_failed(&store);
    count_commits(&store, metrics);
    let (crash_suspects, suspects) = suspects(database)?;
    let unrecovered = recovered(&store, &suspects).await?.then_some(suspects);

    let workflows = Arc::new(Workflows::open(Arc::clone(&store.instances), &plan.workflows).await?);
    let definitions = plan.workflows.iter().map(|workflow| workflow.machine.definition());
    let active = Active::new(definitions, &store.instances.unfinished().await?);
    let per_owner = PerOwner::open(store.instances.as_ref(), &plan.resources).await?;
    let generation = Generation::default();
    let runtime = runtime(plan, database, surroundings, &store, &generation).await?;
    let events = Arc::new(Events::new(plan, &shop::WRITTEN_AT_CREATION, store.instances.identity()));
    let keying = Keying::new(Arc::clone(&store.operations));
    let indexed = Indexed { store: Arc::clone(&store.instances), by_keys: keying.done() };
    let draws = Draws::new(indexed, Arc::clone(&workflows), Arc::clone(&events), clock.clone(), &plan.resources);
    let engine = Dependencies {
        store: Arc::clone(&store.instances),
        group: Arc::clone(&store.group),
        steps: Arc::clone(&runtime) as Arc<dyn Steps>,
        workflows,
        events,
        draws: Arc::new(draws),
        clock,
        change_notifier: ChangeNotifier::default(),
        tasks: tasks.clone(),
        stop: stop.clone(),
        active: Arc::new(active),
        per_owner: Arc::new(per_owner),
        backpressure: Arc::new(Backpressure::new(database.max_outbox_events)),
        holds: Arc::new(Holds::open(store.instances.as_ref()).await?),
        dead_ends: Arc::default(),
        breakers: Arc::new(Breakers::new(plan.components.iter().map(|component| component.name.clone()))),
        recordings: Arc::default(),
        canaries: Arc::new(Canaries::new(plan.components.iter().map(|component| component.name.clone()))),
        credentials: Arc::new(Credentials::default()),
        metrics: metrics.clone(),
        crash_suspects,
    };
    let pipeline = Pipeline::new(&engine);
    if let Some(suspects) = unrecovered {
        let recovering = recovery::recover_later(Arc::clone(&store.instances), pipeline.waker().clone(), suspects, stop.clone());
        tasks.spawn_long("recovery", recovering);
    }
    let internal = internal(plan, &store, &generation, &engine.clock);
    let stranded = Stranded::new(Arc::clone(&store.instances), Arc::clone(&engine.workflows), Names::of(plan));
    let archive = archive(plan, &store, &engine, &keying);
    let resources = resources_of(plan, &store, &engine, &pipeline, generation.clone())?;
    resources.seed().await?;
    Ok(Core {
        bus: bus(plan, &store)?,
        writer: Some(asks_writer(&store)),
        store,
        store_failed,
        engine,
        runtime,
        pipeline,
        resources,
        refusals: Arc::default(),
        strangers: Arc::default(),
        internal,
        archive,
        keying,
        stranded,
        clocks: Clocks::new(LEEWAY),
        generation,
    })
}

fn store_failed(store: &Store) -> StoreFailed {
    let operations = Arc::clone(&store.operations);
    StoreFailed(Some(Box::pin(async move { operations.failed().await })))
}

fn archive(plan: &Plan, store: &Store, engine: &Dependencies, keying: &Keying) -> Option<Archive> {
    let (kept, operations) = (Arc::clone(&store.resources), Arc::clone(&store.operations));
    let (recordings, clock, metrics) = (Arc::clone(&engine.recordings), engine.clock.clone(), engine.metrics.clone());
    Archive::new(plan, kept, operations, (recordings, clock, metrics), keying.done())
}

fn count_commits(store: &Store, metrics: &Metrics) {
    let counting = metrics.clone();
    store.operations.on_commit(Box::new(move |units, took| counting.committed(units, took)));
}

/// Makes the runs ready that the process before this one was at; true if the store cannot write yet, and it is to be done later.
async fn recovered(store: &Store, suspects: &[String]) -> anyhow::Result<bool> {
    match recovery::recover(store.instances.as_ref(), suspects).await {
        Ok(()) => Ok(false),
        Err(StoreError::Unavailable(reason)) => {
            tracing::warn!(reason, "what the process before this one left running goes on when the store can write");
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// The handlers of a plan over these parts.
pub(super) fn resources_of(
    plan: &Plan,
    kept: &Store,
    engine: &Dependencies,
    pipeline: &Pipeline,
    generation: Generation,
) -> anyhow::Result<Resources> {
    let Dependencies { store, workflows, events, active, per_owner, draws, backpressure, change_notifier, clock, stop, .. } =
        engine.clone();
    let dependencies = resources::Dependencies {
        pipeline: pipeline.clone(),
        store,
        directory: Directory::new(plan, Arc::clone(&kept.users)),
        stock: Arc::clone(&kept.stock),
        workflows,
        events,
        active,
        per_owner,
        draws,
        backpressure,
        change_notifier,
        generation,
        clock,
        stop,
    };
    Resources::new(dependencies, &plan.resources, &plan.routes)
}

/// Who looks at what is reserved, if anything is stocked.
pub(super) fn held(plan: &Plan, core: &Core) -> Option<Held> {
    let stocks = plan.resources.iter().any(|handler| handler.stock_field.is_some());
    stocks.then(|| Held::new(Arc::clone(&core.store.stock), core.engine.clock.clone()))
}

/// What those who run the process look at and do.
pub(super) fn console(plan: &Plan, core: &Core, backlogs: &Arc<Backlogs>) -> Console {
    let backlogs = Arc::clone(backlogs);
    let backlog: CountBacklog = Arc::new(move || {
        let backlogs = Arc::clone(&backlogs);
        Box::pin(async move { backlogs.for_scrape().await })
    });
    let Dependencies { store, workflows, holds, breakers, canaries, recordings, active, events, metrics, clock, .. } = core.engine.clone();
    let runtime = Arc::clone(&core.runtime);
    let bus = plan.bus.clone().zip(core.bus.clone());
    Console::new(console::Dependencies {
        store,
        operations: Arc::clone(&core.store.operations),
        audit: Arc::clone(&core.store.audit),
        messages: Arc::clone(&core.store.messages),
        backlog,
        bus: bus.map(|(settings, bus)| console::Bus { settings, bus, refusals: Arc::clone(&core.refusals) }),
        runtime,
        breakers,
        canaries,
        recordings,
        pipeline: core.pipeline.clone(),
        workflows,
        holds,
        active,
        events,
        resources: core.resources.clone(),
        metrics,
        clock,
    })
}

/// Stock and accounts for other processes, if a secret says who they are.
fn internal(plan: &Plan, store: &Store, generation: &Generation, clock: &Clock) -> Option<http::Router> {
    let secrets: Vec<&str> =
        plan.resources.iter().filter_map(|handler| handler.stock_secret.as_ref()).map(|secret| secret.0.as_str()).collect();
    let reservations = || http::internal(stock::PATH, &secrets, stock::service(Arc::clone(&store.stock), generation.clone()));
    let accounts = || http::internal(directory::PATH, &secrets, directory::service(Arc::clone(&store.users)));
    (!secrets.is_empty()).then(|| {
        let asked = reservations().merge(http::agreement(Known::of(plan), clock.clone()));
        if plan.has_accounts() { asked.merge(accounts()) } else { asked }
    })
}

/// Of a process that runs nothing: as little as there can be.
fn no_components(database: &plan::Database) -> crate::runtime::Settings {
    crate::runtime::Settings {
        cache_dir: database.path.with_file_name("components-cache"),
        authors_cache: None,
        compiler: PathBuf::new(),
        max_concurrent_runs: 1,
    }
}

async fn runtime(
    plan: &Plan,
    database: &plan::Database,
    surroundings: &Surroundings,
    store: &Store,
    generation: &Generation,
) -> anyhow::Result<Arc<Runtime>> {
    let mut settings = plan.runtime.clone().unwrap_or_else(|| no_components(database));
    settings.compiler.clone_from(&surroundings.compiler);
    let services: HashMap<String, InProcess> = plan
        .resources
        .iter()
        .filter(|handler| handler.stock_field.is_some())
        .map(|handler| (handler.name.clone(), stock::service(Arc::clone(&store.stock), generation.clone())))
        .collect();
    let kv = Arc::new(StoredState(Arc::clone(&store.resources)));
    let good = store.operations.components().await?;
    let remembering: Arc<dyn Operations> = Arc::clone(&store.operations);
    let remember = Arc::new(move |versions: Vec<(String, String)>| -> BoxFuture<'static, anyhow::Result<()>> {
        let store = Arc::clone(&remembering);
        Box::pin(async move {
            // Looked up first: what served before serves again where nothing can be written.
            let known = store.components().await?;
            let new: Vec<(String, String)> = versions.into_iter().filter(|version| !known.contains(version)).collect();
            if !new.is_empty() {
                store.put_components(&new).await?;
            }
            Ok(())
        })
    });
    Runtime::start(settings, plan.components.clone(), services, good, (remember, kv), surroundings.clock.clone()).await
}

/// What checks tokens: that of the accounts, or one which knows what was heard of those that another process keeps.
pub(super) fn tokens(plan: &Plan, core: Option<&Core>, users: Option<&Users>, clock: &Clock) -> Option<TokenVerifier> {
    if let Some(users) = users {
        return Some(users.tokens().clone());
    }
    let tokens = TokenVerifier::new(plan.auth.as_ref()?, clock.clone());
    Some(match core {
        Some(core) => tokens.asking(Standings::new(Arc::clone(&core.store.users))),
        None => tokens,
    })
}

/// Accounts, with those of the seed file.
pub(super) async fn users(store: &Arc<dyn store::Users>, auth: &plan::Auth, clock: &Clock, metrics: &Metrics) -> anyhow::Result<Users> {
    let users = Users::new(Arc::clone(store), auth, clock.clone(), metrics.clone())?;
    users.seed().await?;
    Ok(users)
}
