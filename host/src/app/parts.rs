//! Opens the parts of a process, each from its settings.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use super::{Core, Surroundings};
use crate::bus::Bus;
use crate::bus::embedded::Embedded;
use crate::bus::kafka::{self, Kafka};
use crate::clock::Clock;
use crate::http;
use crate::plan::{self, Endpoint, Plan};
use crate::runtime::{InProcess, Runtime};
use crate::services::engine::active::Active;
use crate::services::engine::backpressure::Watermark;
use crate::services::engine::breaker::Breakers;
use crate::services::engine::change_notifier::Hub;
use crate::services::engine::crash_suspects::InFlight;
use crate::services::engine::credentials::Credentials;
use crate::services::engine::events::Events;
use crate::services::engine::per_owner::PerOwner;
use crate::services::engine::pipeline::{self, Pipeline};
use crate::services::engine::workflows::Workflows;
use crate::services::operations::agreement::Known;
use crate::services::resources::{Generation, Resources};
use crate::services::shop::stock;
use crate::services::users::Users;
use crate::shutdown::Stop;
use crate::store::sqlite::{Sqlite, SqliteSettings};
use crate::store::{Store, StoreError};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// Processes that may die in one run before it is parked.
const PARK_AFTER: u32 = 3;
/// Between two attempts to take over what was left running, while the store cannot write.
const RECOVERY_PAUSE: Duration = Duration::from_millis(500);

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
    result.context("the server ended badly")?
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
    let settings = SqliteSettings { path: database.path.clone(), readers: usize::try_from(database.max_open_conns).unwrap_or(1) };
    let sqlite = Arc::new(Sqlite::open_with_clock(&settings, clock.clone())?);
    let store_failed = {
        let sqlite = Arc::clone(&sqlite);
        StoreFailed(Some(Box::pin(async move { sqlite.failed().await })))
    };
    let counting = metrics.clone();
    sqlite.on_commit(move |units, took| counting.committed(units, took));
    let asked = Arc::clone(&sqlite);
    let writer: Asked = Box::new(move || {
        let sqlite = Arc::clone(&asked);
        Box::pin(async move { sqlite.answers().await })
    });
    let store: Arc<dyn Store> = sqlite;
    let (in_flight, suspects) = InFlight::open(&database.path.with_extension("in-flight"));
    for key in &suspects {
        tracing::warn!(run = key, "this run was inside its component when the process before this one ended");
    }
    let unrecovered = match recover(store.as_ref(), &suspects).await {
        Ok(()) => None,
        Err(StoreError::Unavailable(reason)) => {
            tracing::warn!(reason, "what the process before this one left running goes on when the store can write");
            Some(suspects)
        }
        Err(error) => return Err(error.into()),
    };

    let workflows = Arc::new(Workflows::open(Arc::clone(&store), &plan.workflows).await?);
    let active = Active::new(workflows.definitions(), &store.unfinished().await?);
    let per_owner = PerOwner::open(store.as_ref(), &plan.resources).await?;
    let generation = Generation::default();
    let runtime = runtime(plan, database, surroundings, &store, &generation).await?;
    let pipeline = Pipeline::new(pipeline::Parts {
        store: Arc::clone(&store),
        runtime: Arc::clone(&runtime),
        workflows,
        events: Arc::new(Events::new(plan)),
        clock,
        hub: Hub::default(),
        tasks: tasks.clone(),
        stop: stop.clone(),
        active,
        per_owner,
        watermark: Watermark::new(database.max_outbox_events),
        breakers: Breakers::new(plan.components.iter().map(|component| component.name.clone())),
        credentials: Credentials::default(),
        metrics: metrics.clone(),
        in_flight,
    });
    if let Some(suspects) = unrecovered {
        tasks.spawn_long("recovery", recover_later(pipeline.clone(), suspects, stop.clone()));
    }
    let internal = internal(plan, &store, &generation);
    let resources = Resources::new(pipeline.clone(), &plan.resources, generation)?;
    resources.seed().await?;
    let bus = plan.bus.as_ref().map(bus).transpose()?;
    Ok(Core { store, store_failed, writer: Some(writer), runtime, pipeline, resources, bus, internal })
}

/// Takes over what the process before this one left running. What ran inside a component when it died counts a crash.
async fn recover(store: &dyn Store, suspects: &[String]) -> Result<(), StoreError> {
    for run in store.recover_runs(suspects, PARK_AFTER).await? {
        tracing::error!(
            run = run.key,
            component = run.component,
            crashes = run.crashes,
            "a run is parked: the process died in it again and again; a new version of the component sets it free, or `millrace parked release`"
        );
    }
    Ok(())
}

/// Does it as soon as the store can write.
async fn recover_later(pipeline: Pipeline, suspects: Vec<String>, stop: Stop) -> anyhow::Result<()> {
    loop {
        match recover(pipeline.parts().store.as_ref(), &suspects).await {
            Ok(()) => {
                pipeline.look_again();
                return Ok(());
            }
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(RECOVERY_PAUSE) => {}
            () = stop.requested() => return Ok(()),
        }
    }
}

/// Stock for other processes, if a secret says who they are.
fn internal(plan: &Plan, store: &Arc<dyn Store>, generation: &Generation) -> Option<http::Router> {
    let secrets: Vec<&str> =
        plan.resources.iter().filter_map(|handler| handler.stock_secret.as_ref()).map(|secret| secret.0.as_str()).collect();
    let reservations = || http::internal(stock::PATH, &secrets, stock::service(Arc::clone(store), generation.clone()));
    (!secrets.is_empty()).then(|| reservations().merge(http::agreement(Known::of(plan))))
}

/// Of a process that runs nothing: as little as there can be.
fn no_components(database: &plan::Database) -> crate::runtime::Settings {
    crate::runtime::Settings {
        cache_dir: database.path.with_file_name("components-cache"),
        compiler: std::path::PathBuf::new(),
        max_concurrent_runs: 1,
    }
}

async fn runtime(
    plan: &Plan,
    database: &plan::Database,
    surroundings: &Surroundings,
    store: &Arc<dyn Store>,
    generation: &Generation,
) -> anyhow::Result<Arc<Runtime>> {
    let mut settings = plan.runtime.clone().unwrap_or_else(|| no_components(database));
    settings.compiler.clone_from(&surroundings.compiler);
    let services: HashMap<String, InProcess> = plan
        .resources
        .iter()
        .filter(|handler| handler.stock_field.is_some())
        .map(|handler| (handler.name.clone(), stock::service(Arc::clone(store), generation.clone())))
        .collect();
    let good = store.components().await?;
    let remembering = Arc::clone(store);
    let remember = Arc::new(move |component: String, digest: String| -> BoxFuture<'static, anyhow::Result<()>> {
        let store = Arc::clone(&remembering);
        Box::pin(async move {
            // Looked up first: what served before serves again where nothing can be written.
            let known = (component, digest);
            if !store.components().await?.contains(&known) {
                store.put_component(&known.0, &known.1).await?;
            }
            Ok(())
        })
    });
    Runtime::start(settings, plan.components.clone(), services, good, remember, surroundings.clock.clone()).await
}

fn bus(bus: &plan::Bus) -> anyhow::Result<Arc<dyn Bus>> {
    match bus {
        plan::Bus::Embedded { max_queue_size, delivery_timeout, .. } => Ok(Arc::new(Embedded::new(*max_queue_size, *delivery_timeout))),
        plan::Bus::Kafka { name, .. } => {
            let kafka = kafka_settings(bus).map(Kafka::new).transpose().with_context(|| format!("module '{name}'"))?;
            Ok(Arc::new(kafka.context("the bus is Kafka")?))
        }
    }
}

/// Whether this process keeps accounts, rather than only checking the tokens of another one that does.
pub(super) fn has_accounts(plan: &Plan) -> bool {
    let seeded = plan.auth.as_ref().is_some_and(|auth| auth.seed_file.is_some());
    let answers =
        |route: &plan::Route| matches!(route.endpoint, Endpoint::Register | Endpoint::Login | Endpoint::Profile | Endpoint::UpdateProfile);
    seeded || plan.routes.iter().any(answers)
}

/// How to reach Kafka, if that is the bus.
#[must_use]
pub fn kafka_settings(bus: &plan::Bus) -> Option<kafka::Settings> {
    let plan::Bus::Kafka { brokers, group_id, instance_id, topics, .. } = bus else { return None };
    let machine = || hostname::get().map_or_else(|_| "only".to_owned(), |name| name.to_string_lossy().into_owned());
    Some(kafka::Settings {
        brokers: brokers.clone(),
        group_id: group_id.clone(),
        instance_id: instance_id.clone().unwrap_or_else(machine),
        topics: topics.clone(),
        patience: kafka::Patience::default(),
    })
}

/// Accounts, with those of the seed file.
pub(super) async fn users(store: &Arc<dyn Store>, auth: &plan::Auth, clock: &Clock, metrics: &Metrics) -> anyhow::Result<Users> {
    let users = Users::new(Arc::clone(store), auth, clock.clone(), metrics.clone())?;
    users.seed().await?;
    Ok(users)
}
