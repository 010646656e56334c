//! What the engine is built from.

use std::sync::Arc;

use super::active::Active;
use super::backpressure::Backpressure;
use super::breaker::Breakers;
use super::canary::Canaries;
use super::change_notifier::ChangeNotifier;
use super::crash_suspects::CrashSuspects;
use super::credentials::Credentials;
use super::dead_ends::DeadEnds;
use super::draws::Draws;
use super::events::Events;
use super::holds::Holds;
use super::per_owner::PerOwner;
use super::recordings::Recordings;
use super::workflows::Workflows;
use crate::clock::Clock;
use crate::runtime::Steps;
use crate::shutdown::Stop;
use crate::store::{Group, Instances};
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// What the engine works with. Each of its parts takes of it what it needs.
#[derive(Clone)]
pub struct Dependencies {
    /// Instances and their runs.
    pub store: Arc<dyn Instances>,
    /// The other processes that have the database.
    pub group: Arc<dyn Group>,
    /// What runs components.
    pub steps: Arc<dyn Steps>,
    /// The machines.
    pub workflows: Arc<Workflows>,
    /// Topics and handlers.
    pub events: Arc<Events>,
    /// Time.
    pub clock: Clock,
    /// Who is told of changes.
    pub change_notifier: ChangeNotifier,
    /// Where work is spawned.
    pub tasks: Tasks,
    /// No run is begun after it was asked for.
    pub stop: Stop,
    /// Unfinished instances.
    pub active: Arc<Active>,
    /// Instances of each owner, where there is a limit to them.
    pub per_owner: Arc<PerOwner>,
    /// What takes amounts from others.
    pub draws: Arc<Draws>,
    /// Which instances somebody has paused.
    pub holds: Arc<Holds>,
    /// Which components are left alone for a while.
    pub breakers: Arc<Breakers>,
    /// Steps that fail for good.
    pub dead_ends: Arc<DeadEnds>,
    /// Which components have a share of their visits run on another version.
    pub canaries: Arc<Canaries>,
    /// Attempts that failed, as they were.
    pub recordings: Arc<Recordings>,
    /// What other processes know this one by.
    pub credentials: Arc<Credentials>,
    /// How many events may wait.
    pub backpressure: Arc<Backpressure>,
    /// What is counted.
    pub metrics: Metrics,
    /// Which runs are inside a component, for the next process.
    pub crash_suspects: CrashSuspects,
}
