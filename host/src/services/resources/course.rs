//! How far an instance has come, as it is shown, and what may be asked of it now.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use millrace_workflow::{Machine, Refusal};

use super::view::{Course, Next};
use crate::clock::Clock;
use crate::services::ServiceError;
use crate::services::engine::{LookupError, Workflows, commit_plan};
use crate::store::{Instances, Progress, Resource, Timer};

/// Transitions that one resource is shown with at once.
const HISTORY_PAGE: usize = 100;

/// Reads how far instances have come.
pub(super) struct Courses {
    pub(super) store: Arc<dyn Instances>,
    pub(super) workflows: Arc<Workflows>,
    pub(super) clock: Clock,
}

impl Courses {
    /// The last of a resource's history before that number, and what waits to happen; None without a workflow.
    pub(super) async fn before(&self, resource: &Resource, before: u64) -> Result<Option<Course>, ServiceError> {
        let Some(progress) = &resource.workflow else { return Ok(None) };
        let history = self.store.history_before(&resource.kind, &resource.id, before, HISTORY_PAGE).await?;
        Ok(Some(Course { history, next: self.next(resource, progress).await? }))
    }

    /// What a timer makes next of an instance. The store is asked only where the machine has a timer.
    async fn next(&self, resource: &Resource, progress: &Progress) -> Result<Option<Next>, ServiceError> {
        let pinned = match self.workflows.pinned(&progress.workflow, &progress.machine).await {
            Ok(pinned) => pinned,
            Err(LookupError::Store(error)) => return Err(error.into()),
            // It goes nowhere, then.
            Err(LookupError::Unusable { .. }) => return Ok(None),
        };
        let machine = &pinned.machine;
        if machine.timer(&resource.state).is_none() && machine.deadline(&resource.state).is_none() {
            return Ok(None);
        }
        let Some(timer) = self.store.timers(&resource.kind, &resource.id).await?.into_iter().next() else { return Ok(None) };
        let left = timer.due_at.duration_since(self.clock.steady()).max(jiff::SignedDuration::ZERO);
        let limit = machine.definition().transitions.get(&timer.transition).and_then(|transition| transition.max_attempts);
        let made = progress.instance.timer_firings.get(&timer.transition).copied().unwrap_or(0);
        let at = self.clock.now().checked_add(left).unwrap_or(Timestamp::MAX);
        Ok(Some(Next { transition: timer.transition, at, attempt: made.saturating_add(1), of: limit }))
    }
}

/// Whether a deadline of the state has passed, so that nobody begins anything else in it.
pub(super) fn too_late(resource: &Resource, machine: &Machine, transition: &str, steady: Timestamp) -> Option<Refusal> {
    let overdue = commit_plan::overdue(resource.workflow.as_ref()?, machine, steady)?;
    let (transition, overdue) = (transition.to_owned(), overdue.to_owned());
    (transition != overdue).then_some(Refusal::Overdue { transition, overdue })
}

/// How long somebody has to wait yet before this transition may be asked for again. `timers` were read before the resource: where they are
/// not those of its version, it has just moved.
pub(super) fn pause_left(
    resource: &Resource,
    machine: &Machine,
    transition: &str,
    timers: &[Timer],
    steady: Timestamp,
) -> Option<Duration> {
    let instance = &resource.workflow.as_ref()?.instance;
    let pause = machine.pause_by_hand(instance, transition).filter(|_| !machine.is_worn(instance))?;
    let after = machine.timer(&instance.state)?.1.after?;
    let running = timers.iter().find(|timer| timer.transition == transition && timer.version == instance.version);
    let Some(running) = running else { return Some(pause) };
    let left = Duration::try_from(running.due_at.duration_since(steady)).unwrap_or_default();
    Some(pause.saturating_sub(after.saturating_sub(left))).filter(|left| !left.is_zero())
}
