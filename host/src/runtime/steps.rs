//! What the engine asks of components. The sandbox answers it; a simulation answers in its place, and runs none.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::components::{Place, Runtime};
use super::slot::Candidate;
use super::{Job, Report, Status};

/// What makes attempts at steps. Each method is the one of that name of [`Runtime`].
#[async_trait]
pub trait Steps: Send + Sync + 'static {
    /// Waits until a component may run; `again` if the job was attempted before.
    async fn place(&self, component: &str, again: bool) -> Place;

    /// Jobs of one component that were attempted before and run at once, at most.
    fn most_again(&self) -> usize;

    /// Whether there is this component.
    fn has(&self, component: &str) -> bool;

    /// Digest of the version that serves a component.
    fn digest(&self, component: &str) -> Option<Arc<str>>;

    /// Why a component cannot run. None if it can, and of components that there are not.
    fn unserved(&self, component: &str) -> Option<String>;

    /// Whether a component can be asked about a run that gave no answer.
    fn is_reversible(&self, component: &str) -> bool;

    /// Has a component do one job, within the job's timeout.
    async fn run_in(
        &self,
        place: Place,
        component: &str,
        job: Job,
        step_config: Option<&Map<String, Value>>,
        candidate: Option<&Candidate>,
    ) -> Report;

    /// Has a component say what became of the work under the job's key.
    async fn status_of(&self, place: &Place, component: &str, job: Job, step_config: Option<&Map<String, Value>>) -> Report<Status>;

    /// Has a component undo the work under the job's key. The verdict is the reason if it could not.
    async fn undo(&self, place: &Place, component: &str, job: Job, step_config: Option<&Map<String, Value>>) -> Report<Result<(), String>>;
}

#[async_trait]
impl Steps for Runtime {
    async fn place(&self, component: &str, again: bool) -> Place {
        Self::place(self, component, again).await
    }

    fn most_again(&self) -> usize {
        Self::most_again(self)
    }

    fn has(&self, component: &str) -> bool {
        Self::has(self, component)
    }

    fn digest(&self, component: &str) -> Option<Arc<str>> {
        Self::digest(self, component)
    }

    fn unserved(&self, component: &str) -> Option<String> {
        Self::unserved(self, component)
    }

    fn is_reversible(&self, component: &str) -> bool {
        Self::is_reversible(self, component)
    }

    async fn run_in(
        &self,
        place: Place,
        component: &str,
        job: Job,
        step_config: Option<&Map<String, Value>>,
        candidate: Option<&Candidate>,
    ) -> Report {
        Self::run_in(self, place, component, job, step_config, candidate).await
    }

    async fn status_of(&self, place: &Place, component: &str, job: Job, step_config: Option<&Map<String, Value>>) -> Report<Status> {
        Self::status_of(self, place, component, job, step_config).await
    }

    async fn undo(&self, place: &Place, component: &str, job: Job, step_config: Option<&Map<String, Value>>) -> Report<Result<(), String>> {
        Self::undo(self, place, component, job, step_config).await
    }
}
