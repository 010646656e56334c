//! Any resource, with or without a workflow: what handlers call.
//!
//! What a resource is called, who may see it, which workflow it starts and which actions it has, all of it comes from the
//! plan. The only business known here by name is the shop's, and it lives in `shop/`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use millrace_workflow::{Cause, Effect, Input, Instance, Machine, NotNow, Refusal};
use parking_lot::Mutex;
use serde_json::Value;

use super::caller::Caller;
use super::changes::Changes;
use super::course::Courses;
use super::handler::{Handler, New, Source};
use super::standing::{self, Standing, Standings};
use super::view::{self, Change, Course, Page, ResourceBody, View};
use crate::clock::Clock;
use crate::plan::{Owner, ResourceHandler, Route};
use crate::services::ServiceError;
use crate::services::engine::commit_plan::{self, CommitPlan, Context, Origin};
use crate::services::engine::{
    Active, Backpressure, ChangeNotifier, Draws, Events, FireError, PerOwner, Pinned, Pipeline, Place, WithdrawError, Workflows,
};
use crate::services::error::page_limit;
use crate::services::generation::Generation;
use crate::services::shop::catalogue::Catalogue;
use crate::services::users::directory::Directory;
use crate::shutdown::Stop;
use crate::store::{
    AuditEntry, Commit, Conflict, Guard, IdempotencyRow, Instances, Listing, Object, Resource, Stock, Stocking, StoreError,
};

/// Entries of a page, at most.
pub const MAX_PAGE: usize = 200;
/// Entries of a page of what belongs to somebody, unless the caller says otherwise.
const PAGE_OF_ONES_OWN: usize = 50;
/// When to come back if there are too many unfinished instances, or events that wait.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// A request's `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Value of the header, 1 to 255 visible ASCII characters.
    pub key: String,
    /// SHA-256 of method, path and body, in hex.
    pub request_hash: String,
}

/// Entries of a page of what `handler` keeps, unless the caller says otherwise.
#[must_use]
pub fn usual_page(handler: &ResourceHandler) -> usize {
    if handler.owner == Owner::Creator { PAGE_OF_ONES_OWN } else { MAX_PAGE }
}

/// Entries of a page, as many as were asked for.
pub(super) fn page_size(handler: &Handler, limit: Option<usize>) -> Result<usize, ServiceError> {
    page_limit(limit.unwrap_or(usual_page(&handler.settings)), MAX_PAGE)
}

/// Word for programs: a product was changed since it was read.
pub const CHANGED: &str = "changed";

/// The resources of a process. Clones share everything.
#[derive(Clone)]
pub struct Resources {
    inner: Arc<Inner>,
}

/// What resources work with.
pub struct Dependencies {
    /// Moves instances.
    pub pipeline: Pipeline,
    /// Resources and their instances.
    pub store: Arc<dyn Instances>,
    /// Whose an e-mail is, whichever process keeps the accounts.
    pub directory: Directory,
    /// Units of what is stocked.
    pub stock: Arc<dyn Stock>,
    /// The machines.
    pub workflows: Arc<Workflows>,
    /// What others may see of a resource.
    pub events: Arc<Events>,
    /// Unfinished instances.
    pub active: Arc<Active>,
    /// Instances of each owner, where there is a limit to them.
    pub per_owner: Arc<PerOwner>,
    /// What takes amounts from others.
    pub draws: Arc<Draws>,
    /// How many events may wait.
    pub backpressure: Arc<Backpressure>,
    /// Who is told of changes.
    pub change_notifier: ChangeNotifier,
    /// Counts what a cached list must not outlive.
    pub generation: Generation,
    /// Time.
    pub clock: Clock,
    /// Ends event streams.
    pub stop: Stop,
}

struct Inner {
    parts: Dependencies,
    changes: Changes,
    courses: Courses,
    standings: Standings,
    handlers: HashMap<String, Handler>,
    /// First pages that are the same for everybody, with the generation they were read in.
    pages: Mutex<HashMap<String, (u64, Page)>>,
}

impl Resources {
    /// The handlers of the plan, of whose actions those may be asked for that `routes` lead to.
    ///
    /// # Errors
    /// A schema cannot be made.
    pub fn new(parts: Dependencies, handlers: &[ResourceHandler], routes: &[Route]) -> anyhow::Result<Self> {
        let Dependencies { pipeline, store, workflows, events, change_notifier, clock, stop, .. } = &parts;
        let handlers = handlers
            .iter()
            .map(|settings| Ok((settings.name.clone(), Handler::new(settings, routes, store.clone())?)))
            .collect::<anyhow::Result<_>>()?;
        let standings =
            Standings { store: Arc::clone(store), workflows: Arc::clone(workflows), pipeline: pipeline.clone(), clock: clock.clone() };
        let changes = Changes {
            store: store.clone(),
            events: Arc::clone(events),
            standings: standings.clone(),
            change_notifier: change_notifier.clone(),
            stop: stop.clone(),
        };
        let courses = Courses { store: Arc::clone(store), workflows: Arc::clone(workflows), clock: clock.clone() };
        let inner = Inner { parts, changes, courses, standings, handlers, pages: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether something is priced from the catalogue of another process.
    #[must_use]
    pub fn has_remote_catalogue(&self) -> bool {
        self.catalogues().any(Catalogue::is_remote)
    }

    /// Why nothing new can be priced, as far as is known; a catalogue that did not answer is asked again.
    pub async fn catalogue_problem(&self) -> Option<String> {
        for catalogue in self.catalogues() {
            if let Some(problem) = catalogue.problem().await {
                return Some(problem);
            }
        }
        None
    }

    fn catalogues(&self) -> impl Iterator<Item = &Catalogue> {
        self.inner.handlers.values().filter_map(|handler| handler.catalogue.as_ref())
    }

    /// Creates a resource of `handler` and starts its workflow, which is part of the trace `traceparent` for all its life. The flag is true when the idempotency key was used before
    /// with the same request: the view is the resource created then.
    ///
    /// # Errors
    /// Invalid body, unknown product, catalogue not reachable, idempotency key used for another request.
    pub async fn create(
        &self,
        handler: &str,
        caller: &Caller,
        body: Value,
        key: Option<IdempotencyKey>,
        traceparent: String,
    ) -> Result<(View, bool), ServiceError> {
        let handler = self.handler(handler)?;
        let row = key.zip(caller.user.as_ref()).map(|(key, user)| IdempotencyRow {
            user: user.id.clone(),
            key: key.key,
            request_hash: key.request_hash,
            resource_id: String::new(),
        });
        if let Some(row) = &row
            && let Some(earlier) = self.store().idempotency(&row.user, &row.key).await?
        {
            return self.replay(handler, caller, row, &earlier).await;
        }
        let (id, body) = chosen_id(handler, caller, body)?;
        let data = handler.new_data(&body).await?;
        match &handler.settings.draws {
            Some(draws) => self.insert_drawn((handler, draws), caller, data, row, traceparent).await,
            None => self.insert(handler, caller, New { id, data, drawn: None }, row, traceparent).await,
        }
    }

    /// Lists resources: those that the caller reaches, newest first, or (if nobody owns them) all by id.
    ///
    /// # Errors
    /// A cursor that was not made here; a limit outside 1 to 200.
    pub async fn list(&self, handler: &str, caller: &Caller, limit: Option<usize>, cursor: Option<&str>) -> Result<Page, ServiceError> {
        let handler = self.handler(handler)?;
        // What belongs to nobody looks the same for everybody until something changes, and a shop's catalogue is read all day.
        if handler.settings.owner == Owner::Creator || handler.settings.workflow.is_some() || limit.is_some() || cursor.is_some() {
            return self.read_page(handler, caller, limit, cursor).await;
        }
        let generation = self.inner.parts.generation.current();
        if let Some((read_in, page)) = self.inner.pages.lock().get(&handler.settings.name)
            && *read_in == generation
        {
            return Ok(page.clone());
        }
        let page = self.read_page(handler, caller, None, None).await?;
        self.inner.pages.lock().insert(handler.settings.name.clone(), (generation, page.clone()));
        Ok(page)
    }

    async fn read_page(
        &self,
        handler: &Handler,
        caller: &Caller,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Page, ServiceError> {
        let limit = page_size(handler, limit)?;
        let owner = handler.reach(caller)?;
        let after = cursor.map(view::parse_cursor).transpose()?;
        if handler.settings.status_field.is_some() && handler.settings.owner == Owner::Nobody {
            let (rows, next) = self.those(handler, owner, after, limit, |row| handler.shows(caller, row)).await?;
            return Ok(Page { items: self.bodies(handler, caller, &rows).await?, next });
        }
        let listing = Listing {
            kind: handler.settings.kind.clone(),
            owner: owner.map(str::to_owned),
            by_id: handler.settings.owner == Owner::Nobody,
            after,
            limit: limit + 1,
        };
        let mut rows = self.store().resources(&listing).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(view::cursor);
        Ok(Page { items: self.bodies(handler, caller, &rows).await?, next })
    }

    /// Each as a list shows it.
    pub(super) async fn bodies(&self, handler: &Handler, caller: &Caller, rows: &[Resource]) -> Result<Vec<ResourceBody>, ServiceError> {
        let levels = self.stock_levels(handler).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            let standing = self.standing(handler, caller, row).await?;
            items.push(self.view(handler, row, levels.get(&row.id).copied(), None, standing).body);
        }
        Ok(items)
    }

    /// One resource with the last of its history, or with the last of it before that number.
    ///
    /// # Errors
    /// Not there, or somebody else's.
    pub async fn get(&self, handler: &str, caller: &Caller, id: &str, before: Option<u64>) -> Result<View, ServiceError> {
        let handler = self.handler(handler)?;
        let resource = self.own(handler, caller, id).await?;
        self.view_before(handler, caller, &resource, before.unwrap_or(u64::MAX)).await
    }

    /// Replaces the data of a resource that no workflow moves.
    ///
    /// # Errors
    /// Not there, invalid, moved by a workflow, or changed meanwhile (`if_version`).
    pub async fn update(
        &self,
        handler: &str,
        caller: &Caller,
        id: &str,
        body: Value,
        if_version: Option<u64>,
    ) -> Result<View, ServiceError> {
        let handler = self.handler(handler)?;
        let before = self.own(handler, caller, id).await?;
        handler.refuse_workflow(&before)?;
        let changed = |error| self.with_current(handler, caller, id, error);
        let guard = match guard(&before, if_version) {
            Ok(guard) => guard,
            Err(error) => return Err(changed(error).await),
        };
        let mut data = handler.new_data(&body).await?;
        let stock = if handler.keeps_products(caller) {
            // Whoever looks after products sends back what was shown: units are changed by moves, and by nothing else.
            handler.settings.stock_field.as_ref().map(|field| data.shift_remove(field));
            None
        } else {
            handler.units(&data).map(|on_hand| Stocking::Anew { sku: id.to_owned(), on_hand })
        };
        let resource =
            Resource { data: Arc::new(data), version: before.version + 1, updated_at: self.inner.parts.clock.now(), ..before.clone() };
        let prices = self.prices_of(handler, caller, Some(&before), &resource).await?;
        let audit = self.audited(handler, caller, "update", id, None).into_iter().collect();
        let commit = Commit { change: Some((guard, resource.clone())), stock, prices, audit, ..Commit::default() };
        if let Err(error) = self.store().commit(commit).await {
            return Err(changed(handler.not_changed(error)).await);
        }
        self.inner.parts.generation.advance();
        self.full_view(handler, caller, &resource).await
    }

    /// That a product was changed meanwhile, with what it is now: what somebody wanted can be put together with that.
    async fn with_current(&self, handler: &Handler, caller: &Caller, id: &str, error: ServiceError) -> ServiceError {
        let detail = match &error {
            ServiceError::Conflict(detail) => detail.clone(),
            ServiceError::Moved { .. } => error.to_string(),
            _ => return error,
        };
        if !handler.keeps_products(caller) {
            return ServiceError::Conflict(detail);
        }
        let current = match self.own(handler, caller, id).await {
            Ok(resource) => self.full_view(handler, caller, &resource).await,
            Err(error) => return error,
        };
        match current.map(|view| serde_json::to_value(view.body)) {
            Ok(Ok(current)) => {
                ServiceError::Differs { detail, code: CHANGED, members: Object::from_iter([("current".to_owned(), current)]) }
            }
            _ => ServiceError::Conflict(detail),
        }
    }

    /// Removes a resource that no workflow moves.
    ///
    /// # Errors
    /// Not there, moved by a workflow, or changed meanwhile.
    pub async fn delete(&self, handler: &str, caller: &Caller, id: &str, if_version: Option<u64>) -> Result<(), ServiceError> {
        let handler = self.handler(handler)?;
        let resource = self.own(handler, caller, id).await?;
        handler.refuse_workflow(&resource)?;
        if handler.settings.status_field.is_some() && self.has_been_sold(id).await? {
            let detail = format!("'{id}' has been sold, and what was sold stays: give it the status retired instead of removing it");
            return Err(ServiceError::Conflict(detail));
        }
        let audit = self.audited(handler, caller, "delete", id, None);
        let removed = self.store().delete_resource(&handler.settings.kind, id, guard(&resource, if_version)?, audit).await?;
        self.inner.parts.generation.advance();
        if removed { Ok(()) } else { Err(handler.not_found(id)) }
    }

    /// Fires a named action (`cancel`, `retry`), or a transition by its own name; `body` may bring new private fields, and of staff why.
    ///
    /// # Errors
    /// Not there, invalid body, or the state does not allow it (409 naming the state).
    pub async fn act(&self, handler: &str, caller: &Caller, id: &str, action: &str, mut body: Value) -> Result<View, ServiceError> {
        let reason = self.handler(handler)?.reason(caller, &mut body)?;
        self.act_because(handler, caller, (id, action, reason), body).await
    }

    /// The same for a reason, which the audit log keeps.
    ///
    /// # Errors
    /// As there.
    pub async fn act_because(
        &self,
        handler: &str,
        caller: &Caller,
        (id, action, reason): (&str, &str, Option<String>),
        body: Value,
    ) -> Result<View, ServiceError> {
        let handler = self.handler(handler)?;
        let transitions = handler.settings.actions.get(action).cloned().unwrap_or_else(|| vec![action.to_owned()]);
        let origin =
            Origin { merge: handler.action_fields(&body)?, audit: self.audited(handler, caller, action, id, reason), ..Origin::default() };
        self.own(handler, caller, id).await?;
        let entered = self.store().timers(&handler.settings.kind, id).await?;
        let (steady, too_soon) = (self.inner.parts.clock.steady(), Mutex::new(None));
        let choose = |resource: &Resource, machine: &Machine| {
            let refused =
                || Refusal::WrongState { transition: action.to_owned(), from: transitions.join(" or "), state: resource.state.clone() };
            let progress = resource.workflow.as_ref().ok_or_else(refused)?;
            let rest = standing::rest(progress, machine, &entered, steady);
            match machine.by_hand(&progress.instance, &transitions, rest) {
                Ok(transition) => {
                    let input = Input::Fire { transition: transition.to_owned(), cause: Cause::Api };
                    Ok((input, origin.clone()))
                }
                Err(NotNow::Refused(refusal)) => Err(refusal),
                Err(NotNow::Wait(wait)) => {
                    *too_soon.lock() = Some(wait);
                    Err(refused())
                }
            }
        };
        match self.inner.parts.pipeline.fire(&handler.settings.kind, id, &choose).await {
            Ok(resource) => self.full_view(handler, caller, &resource).await,
            Err(FireError::Gone) => Err(handler.not_found(id)),
            Err(FireError::Refused(refusal)) => {
                if let Some(retry_after) = too_soon.into_inner() {
                    let detail =
                        format!("'{action}' was asked for a moment ago and changed nothing; it may be asked for again in a moment");
                    return Err(ServiceError::TooMany { detail, retry_after });
                }
                match self.inner.parts.pipeline.withdraw(&handler.settings.kind, id, &transitions, &origin).await {
                    Ok(resource) => self.full_view(handler, caller, &resource).await,
                    Err(WithdrawError::Store(error)) => Err(error.into()),
                    Err(WithdrawError::Lookup(error)) => Err(ServiceError::Internal(error.into())),
                    Err(WithdrawError::Contended | WithdrawError::Meaningless) => {
                        let why = matches!(refusal, Refusal::Worn { .. } | Refusal::Overdue { .. }).then(|| refusal.to_string());
                        Err(self.impossible(handler, caller, (id, action), why).await)
                    }
                    Err(refusal) => Err(self.impossible(handler, caller, (id, action), Some(refusal.to_string())).await),
                }
            }
            Err(FireError::Contended) => Err(self.impossible(handler, caller, (id, action), None).await),
            Err(FireError::Store(error)) => Err(error.into()),
            Err(error @ FireError::Lookup(_)) => Err(ServiceError::Internal(error.into())),
        }
    }

    /// That an action is not possible in the state of now, and why.
    async fn impossible(&self, handler: &Handler, caller: &Caller, (id, action): (&str, &str), why: Option<String>) -> ServiceError {
        match self.own(handler, caller, id).await {
            Ok(Resource { state, .. }) => {
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                ServiceError::Conflict(format!("'{action}' is not possible in state '{state}'{why}"))
            }
            Err(error) => error,
        }
    }

    /// The transitions after `seq`, those made already first, then as they happen; ends after the last.
    ///
    /// # Errors
    /// Not there, or somebody else's.
    pub async fn changes(&self, handler: &str, caller: &Caller, id: &str, after: u64) -> Result<BoxStream<'static, Change>, ServiceError> {
        let handler = self.handler(handler)?;
        self.own(handler, caller, id).await?;
        Ok(self.inner.changes.stream(&handler.settings.kind, id, after, (Arc::clone(&handler.actions), caller.clone())))
    }

    /// Name of the handler that keeps resources of `kind`.
    #[must_use]
    pub fn handler_of(&self, kind: &str) -> Option<&str> {
        self.keeping(kind).map(|handler| handler.settings.name.as_str())
    }

    /// The workflow of the resources of `kind`, if they have one; nothing where no handler keeps that kind.
    #[must_use]
    pub fn workflow_of(&self, kind: &str) -> Option<Option<&str>> {
        self.keeping(kind).map(|handler| handler.settings.workflow.as_deref())
    }

    /// What the handler of `kind` calls this action: the transitions that it may fire.
    #[must_use]
    pub fn action_of(&self, kind: &str, action: &str) -> Option<&[String]> {
        self.keeping(kind)?.settings.actions.get(action).map(Vec::as_slice)
    }

    /// Whether this transition of `kind` is made by what draws all of an instance, and by nobody else.
    #[must_use]
    pub fn is_made_by_drawing(&self, kind: &str, transition: &str) -> bool {
        let mut draws = self.inner.handlers.values().filter_map(|handler| handler.settings.draws.as_ref());
        draws.any(|draws| draws.from == kind && draws.emptied.as_deref() == Some(transition))
    }

    fn keeping(&self, kind: &str) -> Option<&Handler> {
        self.inner.handlers.values().find(|handler| handler.settings.kind == kind)
    }

    pub(super) fn store(&self) -> &Arc<dyn Instances> {
        &self.inner.parts.store
    }

    pub(super) fn stock(&self) -> &Arc<dyn Stock> {
        &self.inner.parts.stock
    }

    pub(super) fn workflows(&self) -> &Arc<Workflows> {
        &self.inner.parts.workflows
    }

    pub(super) fn draws(&self) -> &Draws {
        &self.inner.parts.draws
    }

    pub(super) fn handlers(&self) -> impl Iterator<Item = &Handler> {
        self.inner.handlers.values()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.inner.parts.clock
    }

    pub(super) fn generation(&self) -> &Generation {
        &self.inner.parts.generation
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.inner.parts.directory
    }

    pub(super) fn handler(&self, name: &str) -> Result<&Handler, ServiceError> {
        self.inner.handlers.get(name).ok_or_else(|| ServiceError::NotFound { what: format!("handler '{name}'") })
    }

    pub(super) async fn insert(
        &self,
        handler: &Handler,
        caller: &Caller,
        New { id, data, drawn }: New,
        row: Option<IdempotencyRow>,
        traceparent: String,
    ) -> Result<(View, bool), ServiceError> {
        let mut resource = handler.new_resource(caller, data, self.inner.parts.clock.now())?;
        resource.id = id.unwrap_or(resource.id);
        let (touched, mut emptied) = match drawn {
            Some(Source { owner, touched, emptied }) => {
                resource.owner = owner;
                (emptied.is_none().then_some(touched), emptied)
            }
            None => (None, None),
        };
        let owner = resource.owner.clone();
        let share =
            self.inner.parts.per_owner.begin(&handler.settings.kind, owner.as_deref()).map_err(|_| handler.full(FULL_RETRY_AFTER))?;
        let place = handler.settings.workflow.as_deref().map(|workflow| self.place(workflow)).transpose()?;
        let beginning = match place {
            Some(_) => Some(self.inner.parts.workflows.beginning().await),
            None => None,
        };
        let mut plan = match &handler.settings.workflow {
            Some(workflow) => self.begin(workflow, resource, traceparent)?,
            None => commit_plan::plain(resource),
        };
        plan.commit.touched = touched;
        plan.commit.prices = self.prices_of(handler, caller, None, &plan.resource).await?;
        let reason = plan.resource.data.get("reason").and_then(Value::as_str).map(str::to_owned);
        if let (Some(emptied), Some(draws)) = (&mut emptied, &handler.settings.draws) {
            emptied.commit.audit.extend(self.ended(caller, draws, &emptied.resource.id, reason.clone()));
        }
        plan.commit.audit.extend(self.audited(handler, caller, "create", &plan.resource.id, reason));
        plan.commit.idempotency = row.clone().map(|row| IdempotencyRow { resource_id: plan.resource.id.clone(), ..row });
        let units = handler.units(&plan.resource.data);
        plan.commit.stock = units.map(|on_hand| Stocking::First { sku: plan.resource.id.clone(), on_hand });
        let committed = self.inner.parts.pipeline.commit_with(plan, emptied).await;
        drop(beginning);
        match committed {
            Ok(resource) => {
                if let Some(share) = share {
                    share.keep(&resource.state);
                }
                match place {
                    Some(place) => place.keep(),
                    None => self.inner.parts.generation.advance(),
                }
                let stock = handler.units(&resource.data);
                let course = resource.workflow.as_ref().map(|_| Course::default());
                let standing = self.standing(handler, caller, &resource).await?;
                Ok((self.view(handler, &resource, stock, course, standing), false))
            }
            Err(StoreError::Conflict(Conflict::Idempotency(earlier))) => match &row {
                Some(row) => self.replay(handler, caller, row, &earlier).await,
                None => Err(StoreError::Conflict(Conflict::Idempotency(earlier)).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// What the audit log is to say of something that the caller does; nothing of what people do with what is their own.
    pub(super) fn audited(&self, handler: &Handler, caller: &Caller, action: &str, id: &str, reason: Option<String>) -> Option<AuditEntry> {
        let kind = &handler.settings.kind;
        let actor = caller.actor.as_ref()?;
        Some(actor.did(self.clock().now(), format!("{kind}.{action}"), format!("{kind}/{id}"), reason))
    }

    /// The same of what is drawn from, which has ended by that.
    fn ended(&self, caller: &Caller, draws: &crate::plan::Draws, id: &str, reason: Option<String>) -> Option<AuditEntry> {
        let (actor, transition) = (caller.actor.as_ref()?, draws.emptied.as_ref()?);
        Some(actor.did(self.clock().now(), format!("{}.{transition}", draws.from), format!("{}/{id}", draws.from), reason))
    }

    /// A place for one more instance.
    fn place<'a>(&'a self, workflow: &'a str) -> Result<Place<'a>, ServiceError> {
        let Dependencies { active, workflows, .. } = &self.inner.parts;
        active.begin(workflow, workflows.max_instances(workflow)).ok_or_else(|| {
            let detail = format!("'{workflow}' has as many unfinished instances as it may have; nothing was stored");
            ServiceError::Unavailable { detail, retry_after: FULL_RETRY_AFTER }
        })
    }

    fn begin(&self, workflow: &str, resource: Resource, traceparent: String) -> Result<CommitPlan, ServiceError> {
        let Dependencies { workflows, events, backpressure, clock, .. } = &self.inner.parts;
        let missing = || ServiceError::Internal(anyhow::anyhow!("there is no workflow '{workflow}'"));
        let pinned = workflows.current(workflow).ok_or_else(missing)?;
        if let Some(reason) = backpressure.refusal() {
            let detail = format!("{reason}; nothing was stored");
            return Err(ServiceError::Unavailable { detail, retry_after: FULL_RETRY_AFTER });
        }
        let (instance, effects) = pinned.machine.create();
        let context = Context { events, pinned: &pinned, now: resource.created_at, steady: clock.steady() };
        Ok(commit_plan::begin(context, resource, instance, &effects, Some(traceparent)))
    }

    /// What becomes of an instance that is moved together with another one.
    pub(super) fn proceed(&self, pinned: &Pinned, resource: &Resource, instance: Instance, effects: &[Effect]) -> CommitPlan {
        let Dependencies { events, clock, .. } = &self.inner.parts;
        let context = Context { events, pinned, now: clock.now(), steady: clock.steady() };
        commit_plan::proceed(context, resource, instance, effects, Origin::default())
    }

    pub(super) async fn replay(
        &self,
        handler: &Handler,
        caller: &Caller,
        row: &IdempotencyRow,
        earlier: &IdempotencyRow,
    ) -> Result<(View, bool), ServiceError> {
        if earlier.request_hash != row.request_hash {
            tracing::info!(
                idempotency_key = row.key,
                instance = earlier.resource_id,
                "an idempotency key was used for another request: refused"
            );
            return Err(ServiceError::field("Idempotency-Key", format!("'{}' was used for another request", row.key)));
        }
        let resource = self.store().resource(&handler.settings.kind, &earlier.resource_id).await?;
        let gone = || {
            let detail =
                format!("this Idempotency-Key has made '{}', which is not kept here any more; nothing was made again", earlier.resource_id);
            ServiceError::Conflict(detail)
        };
        let resource = resource.ok_or_else(gone)?;
        Ok((self.full_view(handler, caller, &resource).await?, true))
    }

    pub(super) async fn own(&self, handler: &Handler, caller: &Caller, id: &str) -> Result<Resource, ServiceError> {
        let reach = handler.reach(caller)?;
        let found = self.store().resource(&handler.settings.kind, id).await?;
        let reached = found.filter(|resource| reach.is_none() || resource.owner.as_deref() == reach);
        reached.filter(|resource| handler.shows(caller, resource)).ok_or_else(|| handler.not_found(id))
    }

    async fn full_view(&self, handler: &Handler, caller: &Caller, resource: &Resource) -> Result<View, ServiceError> {
        self.view_before(handler, caller, resource, u64::MAX).await
    }

    /// One resource with the last of its history before that number, and what waits to happen.
    async fn view_before(&self, handler: &Handler, caller: &Caller, resource: &Resource, before: u64) -> Result<View, ServiceError> {
        let course = self.inner.courses.before(resource, before).await?;
        let stock = match &handler.settings.stock_field {
            Some(_) => self.stock().stock_of(&resource.id).await?.map(|level| level.on_hand - level.reserved),
            None => None,
        };
        let standing = self.standing(handler, caller, resource).await?;
        Ok(self.view(handler, resource, stock, course, standing))
    }

    /// Where a resource stands, for the caller.
    async fn standing(&self, handler: &Handler, caller: &Caller, resource: &Resource) -> Result<Option<Standing>, ServiceError> {
        self.inner.standings.of(resource, &handler.actions, caller).await
    }

    async fn stock_levels(&self, handler: &Handler) -> Result<HashMap<String, u64>, ServiceError> {
        if handler.settings.stock_field.is_none() {
            return Ok(HashMap::new());
        }
        Ok(self.stock().stock().await?.into_iter().map(|level| (level.sku, level.on_hand - level.reserved)).collect())
    }

    fn view(&self, handler: &Handler, resource: &Resource, stock: Option<u64>, course: Option<Course>, standing: Option<Standing>) -> View {
        let stock = handler.settings.stock_field.as_deref().zip(stock);
        view::resource(&self.inner.parts.events, resource, stock, course, standing)
    }
}

/// The id that who looks after the products of a shop may choose for a new one, and the rest of the body.
fn chosen_id(handler: &Handler, caller: &Caller, mut body: Value) -> Result<(Option<String>, Value), ServiceError> {
    let chosen = body.as_object_mut().filter(|_| handler.keeps_products(caller)).and_then(|body| body.shift_remove("id"));
    match chosen {
        None | Some(Value::Null) => Ok((None, body)),
        Some(Value::String(id)) => {
            handler.check_id(&id).map_err(|detail| ServiceError::field("/id", detail))?;
            Ok((Some(id), body))
        }
        Some(other) => Err(ServiceError::field("/id", format!("must be a string, is {other}"))),
    }
}

fn guard(resource: &Resource, if_version: Option<u64>) -> Result<Guard, ServiceError> {
    match if_version {
        Some(version) if version != resource.version => {
            Err(ServiceError::Conflict(format!("version {version} was expected, but it is {}", resource.version)))
        }
        _ => Ok(Guard::Version(resource.version)),
    }
}
