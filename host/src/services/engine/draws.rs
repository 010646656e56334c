//! Resources that take an amount from another one: what is drawn of it, and the one that a hook makes, which draws all that is left.
//!
//! What is drawn is added up before a commit that moves the version of what it is drawn from: whatever was added meanwhile has moved it as well,
//! and then nothing is written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde_json::Value;

use super::commit_plan::{self, CommitPlan, Context, Creation};
use super::events::Events;
use super::workflows::{LookupError, Workflows};
use crate::clock::Clock;
use crate::plan::{self, ResourceHandler};
use crate::store::{AuditEntry, Guard, Instances, Object, Resource, Search, StoreError, Wanted};

/// The key of what a resource draws from: no filter has such a name.
pub const DRAWN: &str = "<";
/// Resources that are read at once.
const PAGE: usize = 200;

/// Where resources are found that draw from others.
pub struct Indexed {
    /// The store that has them.
    pub store: Arc<dyn Instances>,
    /// Whether all of them are found by what they draw from. Until then nothing is drawn: what is not found would not be counted.
    pub by_keys: Arc<AtomicBool>,
}

/// What the handlers of a process draw.
pub struct Draws {
    indexed: Indexed,
    workflows: Arc<Workflows>,
    events: Arc<Events>,
    clock: Clock,
    handlers: Vec<ResourceHandler>,
}

/// How much a resource has and how much of it is drawn, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// All of it.
    pub has: i64,
    /// What others have drawn.
    pub drawn: i64,
}

impl Drawn {
    /// What is left, 0 or more.
    #[must_use]
    pub fn left(self) -> i64 {
        self.has.saturating_sub(self.drawn).max(0)
    }
}

impl Draws {
    /// Those of `handlers` that draw from others.
    #[must_use]
    pub fn new(indexed: Indexed, workflows: Arc<Workflows>, events: Arc<Events>, clock: Clock, handlers: &[ResourceHandler]) -> Self {
        let handlers = handlers.iter().filter(|handler| handler.draws.is_some()).cloned().collect();
        Self { indexed, workflows, events, clock, handlers }
    }

    /// Resources of `kind` that draw from `id`, as they are found: all of them.
    ///
    /// # Errors
    /// The store cannot be read, or older resources are still being given their keys.
    pub async fn others(&self, kind: &str, id: &str) -> Result<Vec<Resource>, StoreError> {
        if !self.indexed.by_keys.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable(format!("older {kind} are being given the keys by which those of '{id}' are found")));
        }
        let keys = vec![Wanted::Text { name: DRAWN.to_owned(), is: id.to_owned() }];
        let mut search = Search { kind: kind.to_owned(), keys, limit: PAGE, ..Search::default() };
        let mut all = Vec::new();
        loop {
            let found = self.indexed.store.find(&search).await?;
            all.extend(found.resources);
            match found.next {
                None => return Ok(all),
                next => search.after = next,
            }
        }
    }

    /// Those of `others` whose amounts are drawn: all but those that have ended as an error, by the machine that each began on. One whose machine
    /// cannot be told counts.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn counted<'a>(&self, others: &'a [Resource]) -> Result<Vec<&'a Resource>, StoreError> {
        let mut counted = Vec::new();
        for other in others {
            if !self.has_failed(other).await? {
                counted.push(other);
            }
        }
        Ok(counted)
    }

    async fn has_failed(&self, resource: &Resource) -> Result<bool, StoreError> {
        let Some(progress) = resource.workflow.as_ref().filter(|progress| progress.finished) else { return Ok(false) };
        match self.workflows.pinned(&progress.workflow, &progress.machine).await {
            Ok(pinned) => Ok(pinned.machine.definition().states.get(&resource.state).is_some_and(|state| state.is_error)),
            Err(LookupError::Store(error)) => Err(error),
            Err(LookupError::Unusable { .. }) => Ok(false),
        }
    }

    /// What is drawn of `source` by those that count.
    #[must_use]
    pub fn sum(draws: &plan::Draws, source: &Resource, counted: &[&Resource]) -> Drawn {
        let of = |other: &&Resource| other.data.get(&draws.amount).and_then(Value::as_i64).unwrap_or_default();
        let drawn = counted.iter().map(of).fold(0_i64, i64::saturating_add);
        let has = source.data.get(&draws.up_to).and_then(crate::store::hundredths).unwrap_or_default();
        Drawn { has, drawn }
    }

    /// What is made together with `plan`, because hooks ask for it: each draws what is left of the resource, if anything is. It is asked for by
    /// whom the plan is.
    ///
    /// # Errors
    /// The store cannot be read, or the config has no such handler: then nothing is to be written.
    pub(super) async fn asked_for(&self, plan: &CommitPlan) -> Result<Vec<CommitPlan>, StoreError> {
        let mut made = Vec::new();
        for (index, creation) in plan.creations.iter().enumerate() {
            // One draws all that is left.
            if plan.creations[..index].iter().all(|before| before.handler != creation.handler) {
                made.extend(self.rest(creation, plan).await?);
            }
        }
        Ok(made)
    }

    async fn rest(&self, Creation { handler, from }: &Creation, plan: &CommitPlan) -> Result<Option<CommitPlan>, StoreError> {
        let source = &plan.resource;
        let missing =
            || StoreError::Unavailable(format!("a hook of '{}' needs the handler '{handler}', which the config has not", source.id));
        let handler = self.handlers.iter().find(|one| one.name == *handler).ok_or_else(missing)?;
        let (Some(draws), Some(workflow)) = (&handler.draws, &handler.workflow) else { return Err(missing()) };
        let pinned = self.workflows.current(workflow).ok_or_else(missing)?;
        if draws.from != source.kind || !draws.states.contains(from) {
            return Ok(None);
        }
        let others = self.others(&handler.kind, &source.id).await?;
        let left = Self::sum(draws, source, &self.counted(&others).await?).left();
        if left == 0 {
            return Ok(None);
        }
        let resource = new(handler, draws, source, (left, self.clock.now()));
        let (kind, id) = (resource.kind.clone(), resource.id.clone());
        let context = Context { events: &self.events, pinned: &pinned, now: resource.created_at, steady: self.clock.steady() };
        let traceparent = source.workflow.as_ref().and_then(|progress| progress.traceparent.as_deref().map(str::to_owned));
        let (instance, effects) = pinned.machine.create();
        let mut made = commit_plan::begin(context, resource, instance, &effects, traceparent);
        let by = |entry: &AuditEntry| AuditEntry { action: format!("{kind}.create"), subject: format!("{kind}/{id}"), ..entry.clone() };
        made.commit.audit.extend(plan.commit.audit.first().map(by));
        debug_assert!(matches!(made.commit.change, Some((Guard::Absent, _))), "it is new");
        Ok(Some(made))
    }
}

/// One that draws all that is left.
fn new(handler: &ResourceHandler, draws: &plan::Draws, source: &Resource, (left, now): (i64, Timestamp)) -> Resource {
    let mut data: Object = draws.by_hook.clone();
    data.insert(draws.by.clone(), source.id.as_str().into());
    data.insert(draws.amount.clone(), left.into());
    data.extend(taken(draws, source));
    Resource {
        kind: handler.kind.clone(),
        id: format!("{}{}", handler.id_prefix, uuid::Uuid::now_v7()),
        owner: source.owner.clone(),
        state: "active".into(),
        version: 1,
        data: Arc::new(data),
        workflow: None,
        created_at: now,
        updated_at: now,
    }
}

/// Fields of what is drawn from that are copied.
pub(in crate::services) fn taken<'a>(draws: &'a plan::Draws, source: &'a Resource) -> impl Iterator<Item = (String, Value)> + 'a {
    draws.take.iter().filter_map(|field| Some((field.clone(), source.data.get(field)?.clone())))
}
