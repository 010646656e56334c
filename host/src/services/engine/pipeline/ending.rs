//! How a wait for a step ends before the step has answered: by an action, or by a deadline.

use std::sync::Arc;

use millrace_workflow::{Machine, RunKind};

use super::Pipeline;
use crate::services::engine::commit_plan::Origin;
use crate::services::engine::withdrawal::{self, WithdrawError, Withdrawn};
use crate::store::{Conflict, Progress, Resource, StepRun, StoreError};

impl Pipeline {
    /// A claimed run of a step, if a deadline of its instance has passed: true if that ended the stay, or had its component asked what earlier
    /// attempts have done.
    pub(super) async fn expire(&self, run: &StepRun, resource: &Resource) -> bool {
        let (RunKind::Step, Some(progress)) = (run.kind, &resource.workflow) else { return false };
        if self.inner.withdrawals.passed(progress).is_empty() {
            return false;
        }
        match self.end_stay(&resource.kind, &resource.id).await {
            Ok(()) => true,
            Err(refusal) => {
                tracing::debug!(run = run.key, instance = run.resource_id, %refusal, "a deadline has passed, and a step is made all the same");
                false
            }
        }
    }

    /// Waits until a deadline ends the stay of an instance that waits for a step.
    pub(super) async fn end_of_stay(&self, resource: &Resource) {
        match self.inner.withdrawals.end_of_stay(resource).await {
            Some(at) => self.inner.clock.sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Has an instance whose deadline has passed leave the state in which it waits for a step. Where the step was attempted, its component is
    /// asked first what was done.
    ///
    /// # Errors
    /// See [`WithdrawError`]: it waits on, or there is nothing to end.
    pub(in crate::services::engine) async fn end_stay(&self, kind: &str, id: &str) -> Result<(), WithdrawError> {
        for _ in 0..withdrawal::MAX_TRIES {
            let Some(withdrawn) = self.inner.withdrawals.expire(kind, id).await? else { continue };
            if self.follow(withdrawn).await?.is_some() {
                tracing::info!(instance = id, "a deadline has passed while a step waited: it is not begun any more");
                return Ok(());
            }
        }
        Err(WithdrawError::Contended)
    }

    /// Whether one of `transitions` would follow if the step that an instance on this machine waits for counted as not done.
    pub(in crate::services) fn would_follow(&self, progress: &Progress, machine: &Machine, transitions: &[String]) -> bool {
        self.inner.withdrawals.would_follow(progress, machine, transitions)
    }

    /// Whether [`Self::withdraw`] would take the run back at this moment that `resource`, on this machine, waits for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(in crate::services) async fn may_withdraw(&self, resource: &Resource, machine: &Machine) -> Result<bool, StoreError> {
        self.inner.withdrawals.may_take_back(resource, machine).await
    }

    /// Takes the run back that the instance waits for, and makes the first of `transitions` that leaves the state after it, as somebody asks
    /// for. What `origin` says goes with it. Where that would begin the same run anew, it is begun with the new data instead, and nothing moves.
    ///
    /// # Errors
    /// See [`WithdrawError`].
    pub(in crate::services) async fn withdraw(
        &self,
        kind: &str,
        id: &str,
        transitions: &[String],
        origin: &Origin,
    ) -> Result<Arc<Resource>, WithdrawError> {
        for _ in 0..withdrawal::MAX_TRIES {
            let Some(withdrawn) = self.inner.withdrawals.take_back(kind, id, transitions, origin).await? else { continue };
            if let Some(resource) = self.follow(withdrawn).await? {
                return Ok(resource);
            }
        }
        Err(WithdrawError::Contended)
    }

    /// Makes durable what follows from taking a run back; None if the instance or the run moved meanwhile.
    async fn follow(&self, withdrawn: Withdrawn) -> Result<Option<Arc<Resource>>, WithdrawError> {
        let Withdrawn { run, held, resource, plan, goes_on } = withdrawn;
        let committed = match plan {
            Some(plan) => self.commit(plan).await,
            None => Ok(Arc::clone(&resource)),
        };
        match committed {
            Ok(after) => {
                if goes_on {
                    self.start(run, Arc::clone(&after), held);
                }
                Ok(Some(after))
            }
            Err(error) => {
                self.put_back((&run, &resource), &held, self.inner.clock.steady(), None).await;
                match error {
                    StoreError::Conflict(Conflict::Version { .. } | Conflict::Fence { .. }) => Ok(None),
                    error => Err(error.into()),
                }
            }
        }
    }
}
