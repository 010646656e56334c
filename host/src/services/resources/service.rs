//! Any resource, with or without a workflow: what handlers call.
//!
//! What a resource is called, who may see it, which workflow it starts and which actions it has, all of it comes from the
//! plan. The only business known here by name is the shop's, and it lives in `shop/`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::BoxStream;
use jiff::Timestamp;
use millrace_workflow::{Cause, Input, Machine, Refusal};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::view::{Course, ResourceBody};
use super::{changes, course, view};
use crate::plan::ResourceHandler;
use crate::services::ServiceError;
use crate::services::engine::active::Place;
use crate::services::engine::commit_plan::{self, Context, Origin};
use crate::services::engine::pipeline::{FireError, Pipeline};
use crate::services::engine::withdrawal::WithdrawError;
use crate::services::shop::catalogue::Catalogue;
use crate::services::shop::pricing;
use crate::services::users::CurrentUser;
use crate::store::{Commit, Conflict, Guard, HistoryRow, IdempotencyRow, Listing, Object, Resource, Store, StoreError};

/// Entries of a page, at most.
pub const LONGEST_PAGE: usize = 200;
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

/// A resource as the API shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Units in stock, which change without a new version.
    pub units: Option<u64>,
    /// There is more history, before this number.
    pub earlier: Option<u64>,
    /// What is shown.
    pub body: ResourceBody,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Without history.
    pub items: Vec<ResourceBody>,
    /// Opaque; hand it back to get the next page. `None` on the last.
    pub next: Option<String>,
}

/// One transition, for an event stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// History `seq`: the id of the server-sent event.
    pub seq: u64,
    /// A [`ChangeBody`], as JSON.
    pub body: Value,
    /// The resource has reached a final state: nothing follows.
    pub last: bool,
}

/// What an event of a stream holds: a transition, and the resource as it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub struct ChangeBody {
    /// Id of the resource.
    pub id: String,
    /// State entered by the transition.
    pub state: String,
    /// Version of the resource when the event was sent.
    pub version: u64,
    /// The transition.
    pub transition: HistoryRow,
    /// The resource's public data when the event was sent.
    pub data: Object,
}

/// Entries of a page of what `handler` keeps, unless the caller says otherwise.
#[must_use]
pub fn usual_page(handler: &ResourceHandler) -> usize {
    if handler.owned { PAGE_OF_ONES_OWN } else { LONGEST_PAGE }
}

/// Counts the changes that a cached list must not outlive. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Generation(Arc<AtomicU64>);

impl Generation {
    /// Something has changed.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// The count now.
    #[must_use]
    pub fn current(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The resources of a process. Clones share everything.
#[derive(Clone)]
pub struct Resources {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) pipeline: Pipeline,
    handlers: HashMap<String, Handler>,
    generation: Generation,
    /// First pages that are the same for everybody, with the generation they were read in.
    pages: Mutex<HashMap<String, (u64, Page)>>,
}

pub(super) struct Handler {
    pub(super) settings: ResourceHandler,
    catalogue: Option<Catalogue>,
    schema: Option<jsonschema::Validator>,
}

impl Resources {
    /// The handlers of the plan over this pipeline's store.
    ///
    /// # Errors
    /// A schema or a catalogue client cannot be made.
    pub fn new(pipeline: Pipeline, handlers: &[ResourceHandler], generation: Generation) -> anyhow::Result<Self> {
        let handlers = handlers
            .iter()
            .map(|settings| {
                let store = Arc::clone(&pipeline.parts().store);
                let catalogue = settings.pricing.as_ref().map(|pricing| Catalogue::new(&pricing.prices, store)).transpose()?;
                let schema = settings.schema.as_ref().map(jsonschema::validator_for).transpose();
                let schema = schema.map_err(|error| anyhow::anyhow!("schema of '{}': {error}", settings.name))?;
                Ok((settings.name.clone(), Handler { settings: settings.clone(), catalogue, schema }))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { inner: Arc::new(Inner { pipeline, handlers, generation, pages: Mutex::default() }) })
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
        user: Option<&CurrentUser>,
        body: Value,
        key: Option<IdempotencyKey>,
        traceparent: String,
    ) -> Result<(View, bool), ServiceError> {
        let handler = self.handler(handler)?;
        let row = key.zip(user).map(|(key, user)| IdempotencyRow {
            user: user.id.clone(),
            key: key.key,
            request_hash: key.request_hash,
            resource_id: String::new(),
        });
        if let Some(row) = &row
            && let Some(earlier) = self.store().idempotency(&row.user, &row.key).await?
        {
            return self.replay(handler, row, &earlier).await;
        }
        let data = handler.new_data(&body).await?;
        self.insert(handler, user, data, row, traceparent).await
    }

    /// Lists resources: the user's own, newest first, or (if nobody owns them) all by id.
    ///
    /// # Errors
    /// A cursor that was not made here; a limit outside 1 to 200.
    pub async fn list(
        &self,
        handler: &str,
        user: Option<&CurrentUser>,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Page, ServiceError> {
        let handler = self.handler(handler)?;
        // What belongs to nobody looks the same for everybody until something changes, and a shop's catalogue is read all day.
        if handler.settings.owned || handler.settings.workflow.is_some() || limit.is_some() || cursor.is_some() {
            return self.read_page(handler, user, limit, cursor).await;
        }
        let generation = self.inner.generation.current();
        if let Some((read_in, page)) = self.inner.pages.lock().get(&handler.settings.name)
            && *read_in == generation
        {
            return Ok(page.clone());
        }
        let page = self.read_page(handler, user, None, None).await?;
        self.inner.pages.lock().insert(handler.settings.name.clone(), (generation, page.clone()));
        Ok(page)
    }

    async fn read_page(
        &self,
        handler: &Handler,
        user: Option<&CurrentUser>,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Page, ServiceError> {
        let limit = limit.unwrap_or(usual_page(&handler.settings));
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(ServiceError::field("limit", format!("expected 1 to {LONGEST_PAGE}, got {limit}")));
        }
        let listing = Listing {
            kind: handler.settings.kind.clone(),
            owner: handler.owner(user)?,
            by_id: !handler.settings.owned,
            after: cursor.map(view::parse_cursor).transpose()?,
            limit: limit + 1,
        };
        let mut rows = self.store().resources(&listing).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(view::cursor);
        let levels = self.stock_levels(handler).await?;
        let items = rows.iter().map(|row| self.view(handler, row, levels.get(&row.id).copied(), None).body).collect();
        Ok(Page { items, next })
    }

    /// One resource with the last of its history, or with the last of it before that number.
    ///
    /// # Errors
    /// Not there, or somebody else's.
    pub async fn get(&self, handler: &str, user: Option<&CurrentUser>, id: &str, before: Option<u64>) -> Result<View, ServiceError> {
        let handler = self.handler(handler)?;
        let resource = self.own(handler, user, id).await?;
        self.view_before(handler, &resource, before.unwrap_or(u64::MAX)).await
    }

    /// Replaces the data of a resource that no workflow moves.
    ///
    /// # Errors
    /// Not there, invalid, moved by a workflow, or changed meanwhile (`if_version`).
    pub async fn update(
        &self,
        handler: &str,
        user: Option<&CurrentUser>,
        id: &str,
        body: Value,
        if_version: Option<u64>,
    ) -> Result<View, ServiceError> {
        let handler = self.handler(handler)?;
        let mut resource = self.own(handler, user, id).await?;
        handler.refuse_workflow(&resource)?;
        let guard = guard(&resource, if_version)?;
        resource.data = Arc::new(handler.new_data(&body).await?);
        resource.version += 1;
        resource.updated_at = self.inner.pipeline.parts().clock.now();
        if let Some(units) = handler.units(&resource.data) {
            self.store().set_stock(id, units).await?;
        }
        let commit = Commit { change: Some((guard, resource.clone())), ..Commit::default() };
        self.store().commit(commit).await?;
        self.inner.generation.advance();
        self.full_view(handler, &resource).await
    }

    /// Removes a resource that no workflow moves.
    ///
    /// # Errors
    /// Not there, moved by a workflow, or changed meanwhile.
    pub async fn delete(&self, handler: &str, user: Option<&CurrentUser>, id: &str, if_version: Option<u64>) -> Result<(), ServiceError> {
        let handler = self.handler(handler)?;
        let resource = self.own(handler, user, id).await?;
        handler.refuse_workflow(&resource)?;
        let removed = self.store().delete_resource(&handler.settings.kind, id, guard(&resource, if_version)?).await?;
        self.inner.generation.advance();
        if removed { Ok(()) } else { Err(handler.not_found(id)) }
    }

    /// Fires a named action (`cancel`, `retry`), or a transition by its own name; `body` may bring new private fields.
    ///
    /// # Errors
    /// Not there, invalid body, or the state does not allow it (409 naming the state).
    pub async fn act(&self, handler: &str, user: Option<&CurrentUser>, id: &str, action: &str, body: Value) -> Result<View, ServiceError> {
        let handler = self.handler(handler)?;
        let transitions = handler.settings.actions.get(action).cloned().unwrap_or_else(|| vec![action.to_owned()]);
        let merge = handler.action_fields(&body)?;
        self.own(handler, user, id).await?;
        let entered = self.store().timers(&handler.settings.kind, id).await?;
        let (steady, too_soon) = (self.inner.pipeline.parts().clock.steady(), Mutex::new(None));
        let choose = |resource: &Resource, machine: &Machine| {
            let transition = machine.transition_leaving(&resource.state, &transitions).ok_or_else(|| Refusal::WrongState {
                transition: action.to_owned(),
                from: transitions.join(" or "),
                state: resource.state.clone(),
            })?;
            if let Some(refusal) = course::too_late(resource, machine, transition, steady) {
                return Err(refusal);
            }
            if let Some(wait) = course::pause_left(resource, machine, transition, &entered, steady) {
                *too_soon.lock() = Some(wait);
                return Err(Refusal::WrongState { transition: action.to_owned(), from: String::new(), state: resource.state.clone() });
            }
            let input = Input::Fire { transition: transition.to_owned(), cause: Cause::Api };
            Ok((input, Origin { merge: merge.clone(), ..Origin::default() }))
        };
        match self.inner.pipeline.fire(&handler.settings.kind, id, &choose).await {
            Ok(resource) => self.full_view(handler, &resource).await,
            Err(FireError::Gone) => Err(handler.not_found(id)),
            Err(FireError::Refused(refusal)) => {
                if let Some(retry_after) = too_soon.into_inner() {
                    let detail =
                        format!("'{action}' was asked for a moment ago and changed nothing; it may be asked for again in a moment");
                    return Err(ServiceError::TooMany { detail, retry_after });
                }
                match self.inner.pipeline.withdraw(&handler.settings.kind, id, &transitions, (Cause::Api, merge.as_ref())).await {
                    Ok(resource) => self.full_view(handler, &resource).await,
                    Err(WithdrawError::Store(error)) => Err(error.into()),
                    Err(WithdrawError::Lookup(error)) => Err(ServiceError::Internal(error.into())),
                    Err(WithdrawError::Contended | WithdrawError::Meaningless) => {
                        let why = matches!(refusal, Refusal::Worn { .. } | Refusal::Overdue { .. }).then(|| refusal.to_string());
                        Err(self.impossible(handler, user, (id, action), why).await)
                    }
                    Err(refusal) => Err(self.impossible(handler, user, (id, action), Some(refusal.to_string())).await),
                }
            }
            Err(FireError::Contended) => Err(self.impossible(handler, user, (id, action), None).await),
            Err(FireError::Store(error)) => Err(error.into()),
            Err(error @ FireError::Lookup(_)) => Err(ServiceError::Internal(error.into())),
        }
    }

    /// That an action is not possible in the state of now, and why.
    async fn impossible(
        &self,
        handler: &Handler,
        user: Option<&CurrentUser>,
        (id, action): (&str, &str),
        why: Option<String>,
    ) -> ServiceError {
        match self.own(handler, user, id).await {
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
    pub async fn changes(
        &self,
        handler: &str,
        user: Option<&CurrentUser>,
        id: &str,
        after: u64,
    ) -> Result<BoxStream<'static, Change>, ServiceError> {
        let handler = self.handler(handler)?;
        self.own(handler, user, id).await?;
        Ok(changes::stream(self.inner.pipeline.clone(), &handler.settings.kind, id, after))
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.inner.pipeline.parts().store
    }

    pub(super) fn handlers(&self) -> impl Iterator<Item = &Handler> {
        self.inner.handlers.values()
    }

    pub(super) fn generation(&self) -> &Generation {
        &self.inner.generation
    }

    fn handler(&self, name: &str) -> Result<&Handler, ServiceError> {
        self.inner.handlers.get(name).ok_or_else(|| ServiceError::NotFound { what: format!("handler '{name}'") })
    }

    async fn insert(
        &self,
        handler: &Handler,
        user: Option<&CurrentUser>,
        data: Object,
        row: Option<IdempotencyRow>,
        traceparent: String,
    ) -> Result<(View, bool), ServiceError> {
        let resource = handler.new_resource(user, data, self.inner.pipeline.parts().clock.now())?;
        let owner = resource.owner.clone();
        let share = self.inner.pipeline.parts().per_owner.begin(&handler.settings.kind, owner.as_deref()).map_err(|_| handler.full())?;
        let place = handler.settings.workflow.as_deref().map(|workflow| self.place(workflow)).transpose()?;
        let mut decision = match &handler.settings.workflow {
            Some(workflow) => self.begin(workflow, resource, traceparent)?,
            None => commit_plan::plain(resource),
        };
        decision.commit.idempotency = row.clone().map(|row| IdempotencyRow { resource_id: decision.resource.id.clone(), ..row });
        if let Some(units) = handler.units(&decision.resource.data) {
            self.store().init_stock(&decision.resource.id, units).await?;
        }
        match self.inner.pipeline.commit(decision).await {
            Ok(resource) => {
                if let Some(share) = share {
                    share.keep(&resource.state);
                }
                match place {
                    Some(place) => place.keep(),
                    None => self.inner.generation.advance(),
                }
                let stock = handler.units(&resource.data);
                let course = resource.workflow.as_ref().map(|_| Course::default());
                Ok((self.view(handler, &resource, stock, course), false))
            }
            Err(StoreError::Conflict(Conflict::Idempotency(earlier))) => match &row {
                Some(row) => self.replay(handler, row, &earlier).await,
                None => Err(StoreError::Conflict(Conflict::Idempotency(earlier)).into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// A place for one more instance.
    fn place<'a>(&'a self, workflow: &'a str) -> Result<Place<'a>, ServiceError> {
        let parts = self.inner.pipeline.parts();
        parts.active.begin(workflow, parts.workflows.max_instances(workflow)).ok_or_else(|| {
            let detail = format!("'{workflow}' has as many unfinished instances as it may have; nothing was stored");
            ServiceError::Unavailable { detail, retry_after: FULL_RETRY_AFTER }
        })
    }

    fn begin(&self, workflow: &str, resource: Resource, traceparent: String) -> Result<commit_plan::Decision, ServiceError> {
        let parts = self.inner.pipeline.parts();
        let missing = || ServiceError::Internal(anyhow::anyhow!("there is no workflow '{workflow}'"));
        let pinned = parts.workflows.current(workflow).ok_or_else(missing)?;
        if let Some(reason) = parts.watermark.refusal() {
            let detail = format!("{reason}; nothing was stored");
            return Err(ServiceError::Unavailable { detail, retry_after: FULL_RETRY_AFTER });
        }
        let (instance, effects) = pinned.machine.create();
        let context = Context { events: &parts.events, pinned: &pinned, now: resource.created_at, steady: parts.clock.steady() };
        Ok(commit_plan::begin(context, resource, instance, &effects, Some(traceparent)))
    }

    async fn replay(&self, handler: &Handler, row: &IdempotencyRow, earlier: &IdempotencyRow) -> Result<(View, bool), ServiceError> {
        if earlier.request_hash != row.request_hash {
            tracing::info!(
                idempotency_key = row.key,
                instance = earlier.resource_id,
                "an idempotency key was used for another request: refused"
            );
            return Err(ServiceError::field("Idempotency-Key", format!("'{}' was used for another request", row.key)));
        }
        let resource = self.store().resource(&handler.settings.kind, &earlier.resource_id).await?;
        let resource = resource.ok_or_else(|| handler.not_found(&earlier.resource_id))?;
        Ok((self.full_view(handler, &resource).await?, true))
    }

    async fn own(&self, handler: &Handler, user: Option<&CurrentUser>, id: &str) -> Result<Resource, ServiceError> {
        let owner = handler.owner(user)?;
        let found = self.store().resource(&handler.settings.kind, id).await?;
        found.filter(|resource| !handler.settings.owned || resource.owner == owner).ok_or_else(|| handler.not_found(id))
    }

    async fn full_view(&self, handler: &Handler, resource: &Resource) -> Result<View, ServiceError> {
        self.view_before(handler, resource, u64::MAX).await
    }

    async fn stock_levels(&self, handler: &Handler) -> Result<HashMap<String, u64>, ServiceError> {
        if handler.settings.stock_field.is_none() {
            return Ok(HashMap::new());
        }
        Ok(self.store().stock().await?.into_iter().map(|level| (level.sku, level.on_hand - level.reserved)).collect())
    }

    pub(super) fn view(&self, handler: &Handler, resource: &Resource, stock: Option<u64>, course: Option<Course>) -> View {
        let stock = handler.settings.stock_field.as_deref().zip(stock);
        view::resource(&self.inner.pipeline.parts().events, resource, stock, course)
    }
}

impl Handler {
    async fn new_data(&self, body: &Value) -> Result<Object, ServiceError> {
        if let (Some(catalogue), Some(settings)) = (&self.catalogue, &self.settings.pricing) {
            return pricing::price(catalogue, settings.max_quantity, body).await;
        }
        let Some(object) = body.as_object() else {
            return Err(ServiceError::field("", "expected an object"));
        };
        if let Some(name) = view::host_owned(object) {
            return Err(ServiceError::field(format!("/{name}"), "this field is set by the host"));
        }
        if let Some(schema) = &self.schema {
            let errors: Vec<_> = schema
                .iter_errors(body)
                .map(|error| crate::services::error::FieldError { pointer: error.instance_path().to_string(), detail: error.to_string() })
                .collect();
            if !errors.is_empty() {
                return Err(ServiceError::fields(errors));
            }
        }
        if let Some(field) = self.settings.stock_field.as_ref().filter(|field| object.contains_key(*field))
            && self.units(object).is_none()
        {
            return Err(ServiceError::field(format!("/{field}"), "expected a whole number of units, 0 or more"));
        }
        Ok(object.clone())
    }

    /// What an action may bring: new values of private fields, nothing else.
    fn action_fields(&self, body: &Value) -> Result<Option<Object>, ServiceError> {
        let object = match body {
            Value::Null => return Ok(None),
            Value::Object(object) if object.is_empty() => return Ok(None),
            Value::Object(object) => object,
            _ => return Err(ServiceError::field("", "expected an object or nothing")),
        };
        let allowed = &self.settings.private_fields;
        if let Some(name) = object.keys().find(|name| !allowed.contains(name)) {
            let accepted = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
            return Err(ServiceError::field(
                crate::services::error::pointer("", name),
                format!("unknown field; accepted here: {accepted}"),
            ));
        }
        if self.catalogue.is_some() {
            return Ok(pricing::payment(body)?.map(|payment| Object::from_iter([("payment".to_owned(), payment)])));
        }
        Ok(Some(object.clone()))
    }

    fn new_resource(&self, user: Option<&CurrentUser>, data: Object, now: Timestamp) -> Result<Resource, ServiceError> {
        Ok(Resource {
            kind: self.settings.kind.clone(),
            id: format!("{}{}", self.settings.id_prefix, uuid::Uuid::now_v7()),
            owner: self.owner(user)?,
            state: "active".into(),
            version: 1,
            data: Arc::new(data),
            workflow: None,
            created_at: now,
            updated_at: now,
        })
    }

    /// Whose resources the caller means; an error when they belong to somebody and nobody asks.
    fn owner(&self, user: Option<&CurrentUser>) -> Result<Option<String>, ServiceError> {
        match (self.settings.owned, user) {
            (false, _) => Ok(None),
            (true, Some(user)) => Ok(Some(user.id.clone())),
            (true, None) => Err(ServiceError::Unauthorized("a token is needed".into())),
        }
    }

    pub(super) fn units(&self, data: &Object) -> Option<u64> {
        data.get(self.settings.stock_field.as_ref()?)?.as_u64().filter(|units| i64::try_from(*units).is_ok())
    }

    /// That an owner has as many of these as one may have.
    fn full(&self) -> ServiceError {
        let (kind, limit) = (&self.settings.kind, self.settings.per_owner.as_ref());
        let most = limit.map_or(0, |limit| limit.max_instances);
        let states = limit.into_iter().flat_map(|limit| &limit.states).map(String::as_str).collect::<Vec<_>>().join(", ");
        let actions = self.settings.actions.keys().map(String::as_str).collect::<Vec<_>>().join(" or ");
        let way = if actions.is_empty() { String::new() } else { format!("{actions} one of them, or ") };
        let detail = format!(
            "you have {most} {kind} in one of the states {states}, which is as many as one may have; nothing was stored: {way}ask again when one of them has gone on"
        );
        ServiceError::Full { detail, limit: most, retry_after: FULL_RETRY_AFTER }
    }

    fn refuse_workflow(&self, resource: &Resource) -> Result<(), ServiceError> {
        match &resource.workflow {
            Some(progress) => Err(ServiceError::Conflict(format!("'{}' is moved by workflow '{}'", resource.id, progress.workflow))),
            None => Ok(()),
        }
    }

    fn not_found(&self, id: &str) -> ServiceError {
        let shown: String = id.chars().take(80).collect();
        ServiceError::NotFound { what: format!("{} '{shown}'", self.settings.kind.trim_end_matches('s')) }
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
