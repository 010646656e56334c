//! What the console is built from.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::bus;
use crate::clock::Clock;
use crate::plan;
use crate::runtime::Runtime;
use crate::services::engine::{Active, Breakers, Canaries, Events, Holds, Pipeline, Recordings, Workflows};
use crate::services::messaging::Refusals;
use crate::services::resources::Resources;
use crate::store::{Audit, Backlog, Instances, Messages, Operations, StoreError};
use crate::telemetry::Metrics;

/// How events travel, and what keeps them from it.
#[derive(Clone)]
pub struct Bus {
    /// Its settings.
    pub settings: plan::Bus,
    /// The bus.
    pub bus: Arc<dyn bus::Bus>,
    /// What it refuses.
    pub refusals: Arc<Refusals>,
}

/// Counts what waits, at most once a second however many ask.
pub type CountBacklog = Arc<dyn Fn() -> BoxFuture<'static, Result<Backlog, StoreError>> + Send + Sync>;

/// What the console works with.
#[derive(Clone)]
pub struct Dependencies {
    /// Instances, their runs and timers.
    pub store: Arc<dyn Instances>,
    /// What is asked of the database as a whole.
    pub operations: Arc<dyn Operations>,
    /// What waits, as it was counted within the last second.
    pub backlog: CountBacklog,
    /// What people with a role have done.
    pub audit: Arc<dyn Audit>,
    /// Events and dead letters.
    pub messages: Arc<dyn Messages>,
    /// How events travel; nothing in a process without a bus.
    pub bus: Option<Bus>,
    /// The components.
    pub runtime: Arc<Runtime>,
    /// Which components are left alone for a while.
    pub breakers: Arc<Breakers>,
    /// Which components have a share of their visits run on another version.
    pub canaries: Arc<Canaries>,
    /// Attempts that failed, as they were.
    pub recordings: Arc<Recordings>,
    /// Moves instances.
    pub pipeline: Pipeline,
    /// The machines.
    pub workflows: Arc<Workflows>,
    /// Which instances somebody has paused.
    pub holds: Arc<Holds>,
    /// Unfinished instances.
    pub active: Arc<Active>,
    /// What others may see of a resource.
    pub events: Arc<Events>,
    /// Resources, by what people may ask of them.
    pub resources: Resources,
    /// What was counted.
    pub metrics: Metrics,
    /// Time.
    pub clock: Clock,
}
