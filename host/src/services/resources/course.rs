//! How far an instance has come, as it is shown.

use std::sync::Arc;

use jiff::Timestamp;

use super::view::{Course, Next};
use crate::clock::Clock;
use crate::services::ServiceError;
use crate::services::engine::{LookupError, Workflows};
use crate::store::{Instances, Progress, Resource};

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
