//! Where an instance stands: whether anything follows, and what may be asked of it now. The machine decides; what it cannot know, how long
//! an instance has rested and whether a step has begun, is read here.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use millrace_workflow::{Machine, NotNow, Rest};

use super::caller::Caller;
use crate::clock::Clock;
use crate::plan::{Access, Owner, Scope};
use crate::services::ServiceError;
use crate::services::engine::{LookupError, Pipeline, Workflows, commit_plan};
use crate::store::{Instances, Progress, Resource, StoreError, Timer};

/// What may be asked of the instances of a handler, and by whom.
#[derive(Debug)]
pub(super) struct Action {
    /// As its route is called.
    pub(super) name: String,
    /// The first that leaves the state is what the action means there.
    pub(super) transitions: Vec<String>,
    /// Who may call its route.
    pub(super) access: Access,
    /// Whose instances its route reaches.
    pub(super) scope: Scope,
    /// Whose the instances are.
    pub(super) owner: Owner,
}

impl Action {
    /// Whether the caller would be let in by its route, and reach `resource` there.
    fn is_open_to(&self, caller: &Caller, resource: &Resource) -> bool {
        let roles = caller.user.as_ref().map(|user| user.roles);
        let is_own = match (self.owner, &caller.user) {
            (Owner::Nobody, _) => true,
            (Owner::Creator, Some(user)) => resource.owner.as_ref() == Some(&user.id),
            (Owner::Creator, None) => false,
        };
        let reaches = || is_own || self.scope.of(self.access, roles.unwrap_or_default()) == Scope::All;
        self.access.admit(roles).is_ok() && reaches()
    }
}

/// A step that was started is about to begin: only after that long does it wait, so that somebody may want to take it back.
const ABOUT_TO_BEGIN: SignedDuration = SignedDuration::from_secs(1);

/// Where an instance stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Nothing follows from its state.
    pub is_final: bool,
    /// What the caller may ask of it now, in alphabetical sequence.
    pub actions: Vec<String>,
}

/// What was read of one instance, for all of its actions.
#[derive(Default)]
struct Known {
    timers: Option<Vec<Timer>>,
    /// The step that it waits for was never attempted.
    waits_to_begin: Option<bool>,
}

/// Finds out where instances stand. Clones share everything.
#[derive(Clone)]
pub(super) struct Standings {
    pub(super) store: Arc<dyn Instances>,
    pub(super) workflows: Arc<Workflows>,
    pub(super) pipeline: Pipeline,
    pub(super) clock: Clock,
}

impl Standings {
    /// Where `resource` stands, of whose `actions` the caller may ask for some; None without a workflow. The store is asked only where a
    /// pause between two actions counts, or where a step has been waiting to begin.
    pub(super) async fn of(&self, resource: &Resource, actions: &[Action], caller: &Caller) -> Result<Option<Standing>, ServiceError> {
        let Some(progress) = &resource.workflow else { return Ok(None) };
        let mut standing = Standing { is_final: progress.finished, actions: Vec::new() };
        if progress.finished || actions.is_empty() {
            return Ok(Some(standing));
        }
        let pinned = match self.workflows.pinned(&progress.workflow, &progress.machine).await {
            Ok(pinned) => pinned,
            Err(LookupError::Store(error)) => return Err(error.into()),
            // It goes nowhere, then.
            Err(LookupError::Unusable { .. }) => return Ok(Some(standing)),
        };
        let mut known = Known::default();
        for action in actions.iter().filter(|action| action.is_open_to(caller, resource)) {
            if self.is_possible(resource, progress, &pinned.machine, &action.transitions, &mut known).await? {
                standing.actions.push(action.name.clone());
            }
        }
        standing.actions.sort_unstable();
        standing.actions.dedup();
        Ok(Some(standing))
    }

    async fn is_possible(
        &self,
        resource: &Resource,
        progress: &Progress,
        machine: &Machine,
        transitions: &[String],
        known: &mut Known,
    ) -> Result<bool, StoreError> {
        let steady = self.clock.steady();
        let just_come = rest(progress, machine, &[], steady);
        match machine.by_hand(&progress.instance, transitions, just_come) {
            Ok(_) => Ok(true),
            Err(NotNow::Wait(_)) => {
                if known.timers.is_none() {
                    known.timers = Some(self.store.timers(&resource.kind, &resource.id).await?);
                }
                let rest = rest(progress, machine, known.timers.as_deref().unwrap_or_default(), steady);
                Ok(machine.by_hand(&progress.instance, transitions, rest).is_ok())
            }
            Err(NotNow::Refused(_)) if self.clock.now().duration_since(resource.updated_at) < ABOUT_TO_BEGIN => Ok(false),
            Err(NotNow::Refused(_)) if !self.pipeline.would_follow(progress, machine, transitions) => Ok(false),
            Err(NotNow::Refused(_)) => {
                if known.waits_to_begin.is_none() {
                    known.waits_to_begin = Some(self.pipeline.may_withdraw(resource, machine).await?);
                }
                Ok(known.waits_to_begin.unwrap_or_default())
            }
        }
    }
}

/// How an instance rests in its state, as its timers tell: where they are not those of its version, it has only just come.
pub(super) fn rest(progress: &Progress, machine: &Machine, timers: &[Timer], steady: Timestamp) -> Rest {
    let instance = &progress.instance;
    let lasted = machine.timer(&instance.state).and_then(|(transition, _)| {
        let running = timers.iter().find(|timer| timer.transition == transition && timer.version == instance.version)?;
        let left = Duration::try_from(running.due_at.duration_since(steady)).unwrap_or_default();
        Some(machine.wait(instance)?.saturating_sub(left))
    });
    Rest { lasted, is_overdue: commit_plan::overdue(progress, machine, steady).is_some() }
}
