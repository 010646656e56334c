//! One resource handler of the plan: whose resources it keeps, and which bodies it accepts.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::caller::Caller;
use super::standing::Action;
use super::view;
use crate::plan::{Endpoint, Operation, Owner, ResourceHandler, Route, Scope};
use crate::services::ServiceError;
use crate::services::engine::commit_plan::CommitPlan;
use crate::services::error::{FieldError, pointer};
use crate::services::shop::catalogue::Catalogue;
use crate::services::shop::status::Status;
use crate::services::shop::{catalogue, pricing, products};
use crate::store::{Object, Resource, Resources, StoreError, Touched};
use crate::text;

/// Characters of a reason.
pub const MAX_REASON: usize = 500;
/// Characters of an id that somebody chooses.
pub(super) const MAX_ID: usize = 100;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 40;

/// A handler, ready to use.
pub(super) struct Handler {
    pub(super) settings: ResourceHandler,
    pub(super) catalogue: Option<Catalogue>,
    /// Those of its actions that a route leads to.
    pub(super) actions: Arc<[Action]>,
    schema: Option<jsonschema::Validator>,
}

/// What a new resource draws from.
pub(super) struct Source {
    /// Whose that is.
    pub(super) owner: Option<String>,
    /// The version at which it may be drawn from.
    pub(super) touched: Touched,
    /// What becomes of it in the same commit, if that draws all of it.
    pub(super) emptied: Option<CommitPlan>,
}

/// What is created.
pub(super) struct New {
    /// Its id, where somebody has chosen one.
    pub(super) id: Option<String>,
    pub(super) data: Object,
    /// What it draws from, if it does.
    pub(super) drawn: Option<Source>,
}

impl Handler {
    /// As its settings say, over this store. Of its actions those may be asked for that one of `routes` leads to.
    ///
    /// # Errors
    /// The schema cannot be made.
    pub(super) fn new(settings: &ResourceHandler, routes: &[Route], store: Arc<dyn Resources>) -> anyhow::Result<Self> {
        let catalogue = settings.pricing.as_ref().map(|pricing| Catalogue::new(pricing, store));
        let schema = settings.schema.as_ref().map(jsonschema::validator_for).transpose();
        let schema = schema.map_err(|error| anyhow::anyhow!("schema of '{}': {error}", settings.name))?;
        let actions = offered(settings, routes).collect();
        Ok(Self { settings: settings.clone(), catalogue, actions, schema })
    }

    pub(super) async fn new_data(&self, body: &Value) -> Result<Object, ServiceError> {
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
                .map(|error| FieldError { pointer: error.instance_path().to_string(), detail: error.to_string() })
                .collect();
            if !errors.is_empty() {
                return Err(ServiceError::fields(errors));
            }
        }
        if let Some(status) = &self.settings.status_field {
            let wrong = products::wrong(object, status);
            if !wrong.is_empty() {
                return Err(ServiceError::fields(wrong));
            }
        }
        if let Some(field) = self.settings.stock_field.as_ref().filter(|field| object.contains_key(*field))
            && self.units(object).is_none()
        {
            return Err(ServiceError::field(format!("/{field}"), "expected a whole number of units, 0 or more"));
        }
        Ok(object.clone())
    }

    /// Why somebody of the staff acts, taken out of what they have sent: it goes into the audit log and nowhere else. Whoever acts on what belongs
    /// to others has to say it.
    pub(super) fn reason(&self, caller: &Caller, body: &mut Value) -> Result<Option<String>, ServiceError> {
        if caller.actor.is_none() || self.settings.private_fields.iter().any(|field| field == "reason") {
            return Ok(None);
        }
        let Some(given) = body.as_object_mut().and_then(|body| body.shift_remove("reason")) else {
            let missing = || ServiceError::field("/reason", format!("is missing: say in words why, 1 to {MAX_REASON} characters"));
            return if caller.scope == Scope::All { Err(missing()) } else { Ok(None) };
        };
        let reason = given.as_str().map(str::trim).filter(|reason| (1..=MAX_REASON).contains(&text::length(reason)));
        let wrong = || ServiceError::field("/reason", format!("expected in words why, 1 to {MAX_REASON} characters"));
        reason.map(|reason| Some(reason.to_owned())).ok_or_else(wrong)
    }

    /// Whether the caller may know of a resource that they reach: customers do not of a product that is not offered.
    pub(super) fn shows(&self, caller: &Caller, resource: &Resource) -> bool {
        let offered = |field: &String| Status::of(&resource.data, field) == Status::Active;
        caller.scope == Scope::All || self.settings.status_field.as_ref().is_none_or(offered)
    }

    /// Whether the caller looks after the products of a shop.
    pub(super) fn keeps_products(&self, caller: &Caller) -> bool {
        self.settings.status_field.is_some() && caller.scope == Scope::All
    }

    /// What is wrong with an id that somebody chooses.
    pub(super) fn check_id(&self, id: &str) -> Result<(), String> {
        if catalogue::is_one_segment(id) && text::length(id) <= MAX_ID {
            return Ok(());
        }
        let shown = text::quoted(id, MAX_SHOWN);
        Err(format!("'{shown}' is no identifier: 1 to {MAX_ID} characters without '/', '\\', '%' or control characters"))
    }

    /// What an action may bring: new values of private fields, nothing else.
    pub(super) fn action_fields(&self, body: &Value) -> Result<Option<Object>, ServiceError> {
        let object = match body {
            Value::Null => return Ok(None),
            Value::Object(object) if object.is_empty() => return Ok(None),
            Value::Object(object) => object,
            _ => return Err(ServiceError::field("", "expected an object or nothing")),
        };
        let allowed = &self.settings.private_fields;
        if let Some(name) = object.keys().find(|name| !allowed.contains(name)) {
            let accepted = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
            return Err(ServiceError::field(pointer("", name), format!("unknown field; accepted here: {accepted}")));
        }
        if self.catalogue.is_some() {
            return Ok(pricing::payment(body)?.map(|payment| Object::from_iter([("payment".to_owned(), payment)])));
        }
        Ok(Some(object.clone()))
    }

    pub(super) fn new_resource(&self, caller: &Caller, data: Object, now: Timestamp) -> Result<Resource, ServiceError> {
        Ok(Resource {
            kind: self.settings.kind.clone(),
            id: format!("{}{}", self.settings.id_prefix, uuid::Uuid::now_v7()),
            owner: self.creator(caller)?.map(str::to_owned),
            state: "active".into(),
            version: 1,
            data: Arc::new(data),
            workflow: None,
            created_at: now,
            updated_at: now,
        })
    }

    /// Who owns what the caller creates; an error when it would belong to somebody and nobody asks.
    fn creator<'c>(&self, caller: &'c Caller) -> Result<Option<&'c str>, ServiceError> {
        match (self.settings.owner, &caller.user) {
            (Owner::Nobody, _) => Ok(None),
            (Owner::Creator, Some(user)) => Ok(Some(&user.id)),
            (Owner::Creator, None) => Err(ServiceError::Unauthorized("a token is needed".into())),
        }
    }

    /// Whose resources the caller reaches, `None` for those of everybody; an error when they belong to somebody and nobody asks.
    pub(super) fn reach<'c>(&self, caller: &'c Caller) -> Result<Option<&'c str>, ServiceError> {
        let own = self.creator(caller)?;
        Ok(if caller.scope == Scope::All { None } else { own })
    }

    pub(super) fn units(&self, data: &Object) -> Option<u64> {
        data.get(self.settings.stock_field.as_ref()?)?.as_u64().filter(|units| i64::try_from(*units).is_ok())
    }

    /// That an owner has as many of these as one may have, and is to come back after `retry_after`.
    pub(super) fn full(&self, retry_after: Duration) -> ServiceError {
        let (kind, limit) = (&self.settings.kind, self.settings.per_owner.as_ref());
        let most = limit.map_or(0, |limit| limit.max_instances);
        let states = limit.into_iter().flat_map(|limit| &limit.states).map(String::as_str).collect::<Vec<_>>().join(", ");
        let actions = self.settings.actions.keys().map(String::as_str).collect::<Vec<_>>().join(" or ");
        let way = if actions.is_empty() { String::new() } else { format!("{actions} one of them, or ") };
        let detail = format!(
            "you have {most} {kind} in one of the states {states}, which is as many as one may have; nothing was stored: {way}ask again when one of them has gone on"
        );
        ServiceError::Full { detail, limit: most, retry_after }
    }

    /// Why its data is not what was sent.
    pub(super) fn not_changed(&self, error: StoreError) -> ServiceError {
        match (error, &self.settings.stock_field) {
            (StoreError::Short(short), Some(field)) => {
                let reserved = short.first().map_or(0, |shortage| shortage.requested);
                ServiceError::field(format!("/{field}"), format!("{reserved} units are reserved, expected as many or more"))
            }
            (error, _) => error.into(),
        }
    }

    pub(super) fn refuse_workflow(&self, resource: &Resource) -> Result<(), ServiceError> {
        match &resource.workflow {
            Some(progress) => Err(ServiceError::Conflict(format!("'{}' is moved by workflow '{}'", resource.id, progress.workflow))),
            None => Ok(()),
        }
    }

    pub(super) fn not_found(&self, id: &str) -> ServiceError {
        let shown: String = id.chars().take(80).collect();
        ServiceError::NotFound { what: format!("{} '{shown}'", self.settings.kind.trim_end_matches('s')) }
    }
}

/// The actions that a route leads to. Without a definition an action is the transition of its name.
fn offered(settings: &ResourceHandler, routes: &[Route]) -> impl Iterator<Item = Action> {
    routes.iter().filter_map(|route| {
        let Endpoint::Resource { handler, operation: Operation::Action(name) } = &route.endpoint else { return None };
        let transitions = || settings.actions.get(name).cloned().unwrap_or_else(|| vec![name.clone()]);
        (*handler == settings.name).then(|| Action {
            name: name.clone(),
            transitions: transitions(),
            access: route.access,
            scope: route.scope,
            owner: settings.owner,
        })
    })
}
