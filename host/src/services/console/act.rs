//! What somebody does about one instance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::instance;
use super::service::Console;
use super::view::InstanceBody;
use crate::services::ServiceError;
use crate::store::{AuditEntry, Hold, Resource};

/// Characters of a reason.
const MAX_REASON: usize = 500;

/// What is done about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "InstanceAction")]
pub enum Action {
    /// What waits is due at once, and what was set aside gets another chance.
    Retry,
    /// Makes a transition that the machine allows.
    Fire,
    /// Pauses it.
    Hold,
    /// Lets it go on after a pause.
    Release,
    /// What its kind calls `cancel`.
    Cancel,
}

impl Action {
    /// As paths and commands write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Fire => "fire",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Cancel => "cancel",
        }
    }
}

/// Something to be done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// What.
    pub action: Action,
    /// Why; it is written down with who it was.
    pub reason: String,
    /// Transition to make, of `fire`.
    pub transition: Option<String>,
}

/// What a deed came to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Done {
    /// In one sentence.
    pub done: String,
    /// The instance after it.
    pub instance: InstanceBody,
}

impl Deed {
    /// Checks what does not depend on an instance.
    pub(super) fn check(&self) -> Result<(), ServiceError> {
        let length = self.reason.trim().chars().count();
        if length == 0 {
            return Err(ServiceError::field("/reason", "is empty; say why, for those who look at it later"));
        }
        if length > MAX_REASON {
            return Err(ServiceError::field("/reason", format!("has {length} characters; {MAX_REASON} are accepted")));
        }
        match (self.action, &self.transition) {
            (Action::Fire, None) => Err(ServiceError::field("/transition", "is missing; name the transition to make")),
            (Action::Fire, Some(_)) | (_, None) => Ok(()),
            (action, Some(_)) => Err(ServiceError::field("/transition", format!("is for `fire` only, and this is `{}`", action.name()))),
        }
    }
}

impl Console {
    /// Does something about one instance.
    ///
    /// # Errors
    /// It is not there, the deed means nothing for it now (409, and why), a reason is missing.
    pub async fn act(&self, actor: &Actor, kind: &str, id: &str, deed: &Deed) -> Result<Done, ServiceError> {
        deed.check()?;
        let done = self.do_one(actor, (kind, id), deed).await?;
        Ok(Done { done, instance: self.show(kind, id, None).await? })
    }

    /// The same, and what it came to in words.
    pub(super) async fn do_one(&self, actor: &Actor, (kind, id): (&str, &str), deed: &Deed) -> Result<String, ServiceError> {
        let not_found = || ServiceError::NotFound { what: format!("{kind} instance '{id}'") };
        let resource = self.parts.store.resource(kind, id).await?.filter(|one| one.workflow.is_some()).ok_or_else(not_found)?;
        if resource.workflow.as_ref().is_some_and(|progress| progress.finished) && deed.action != Action::Retry {
            return Err(ServiceError::Conflict(format!("'{id}' has ended in '{}', and nothing moves it any more", resource.state)));
        }
        let done = match deed.action {
            Action::Retry => self.retry(actor, &resource, deed).await?,
            Action::Hold => self.hold(actor, &resource, deed).await?,
            Action::Release => self.release(actor, &resource, deed).await?,
            Action::Fire => self.fire(actor, &resource, deed).await?,
            Action::Cancel => self.cancel(actor, &resource, deed).await?,
        };
        tracing::info!(
            instance = id,
            kind,
            action = deed.action.name(),
            who = actor.who(),
            reason = deed.reason,
            "an instance was acted on"
        );
        Ok(done)
    }

    async fn retry(&self, actor: &Actor, resource: &Resource, deed: &Deed) -> Result<String, ServiceError> {
        let (kind, id) = (resource.kind.as_str(), resource.id.as_str());
        if self.parts.holds.has(kind, id) {
            return Err(ServiceError::Conflict(format!("'{id}' is held; release it first")));
        }
        let runs = self.parts.store.hurry(kind, id, Some(self.entry(actor, resource, deed))).await?;
        if runs == 0 {
            return Err(ServiceError::Conflict(format!("no run of '{id}' waits or was set aside; `show` says what happens next")));
        }
        self.parts.pipeline.waker().look_again();
        Ok(format!("{runs} of its runs are due now"))
    }

    async fn hold(&self, actor: &Actor, resource: &Resource, deed: &Deed) -> Result<String, ServiceError> {
        let hold = Hold { who: actor.who().to_owned(), reason: deed.reason.trim().to_owned(), at: self.parts.clock.now() };
        let entry = self.entry(actor, resource, deed);
        let held = self.parts.holds.hold(self.parts.store.as_ref(), (&resource.kind, &resource.id), hold, entry).await?;
        if !held {
            return Err(ServiceError::Conflict(format!("'{}' has just ended", resource.id)));
        }
        Ok("it is held; what is under way still lands".to_owned())
    }

    async fn release(&self, actor: &Actor, resource: &Resource, deed: &Deed) -> Result<String, ServiceError> {
        let entry = self.entry(actor, resource, deed);
        let was_held = self.parts.holds.let_go(self.parts.store.as_ref(), (&resource.kind, &resource.id), entry).await?;
        if !was_held {
            return Err(ServiceError::Conflict(format!("'{}' is not held", resource.id)));
        }
        self.parts.pipeline.waker().look_again();
        Ok("it goes on".to_owned())
    }

    async fn fire(&self, actor: &Actor, resource: &Resource, deed: &Deed) -> Result<String, ServiceError> {
        let transition = deed.transition.as_deref().unwrap_or_default();
        let Some(progress) = &resource.workflow else { return Ok(String::new()) };
        let pinned = self.parts.workflows.pinned(&progress.workflow, &progress.machine).await;
        let pinned = pinned.map_err(|error| ServiceError::Conflict(error.to_string()))?;
        let allowed = instance::fireable(&self.parts, resource, &pinned.machine);
        if !allowed.iter().any(|one| one.transition == transition) {
            let names: Vec<&str> = allowed.iter().map(|one| one.transition.as_str()).collect();
            let accepted = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let state = &resource.state;
            return Err(ServiceError::Conflict(format!("'{transition}' may not be fired by hand in '{state}'; accepted: {accepted}")));
        }
        let handler = self.handler(resource)?;
        let asked = (resource.id.as_str(), transition, Some(deed.reason.clone()));
        let view = self.parts.resources.act_because(handler, &actor.caller(), asked, serde_json::Value::Null).await?;
        Ok(format!("'{transition}' was made; it is in '{}' now", view.body.state))
    }

    async fn cancel(&self, actor: &Actor, resource: &Resource, deed: &Deed) -> Result<String, ServiceError> {
        if self.parts.resources.action_of(&resource.kind, "cancel").is_none() {
            let kind = &resource.kind;
            return Err(ServiceError::Conflict(format!("the api.handler of '{kind}' has no action `cancel`; fire a transition instead")));
        }
        let handler = self.handler(resource)?;
        let asked = (resource.id.as_str(), "cancel", Some(deed.reason.clone()));
        let view = self.parts.resources.act_because(handler, &actor.caller(), asked, serde_json::Value::Null).await?;
        Ok(format!("it was cancelled; it is in '{}' now", view.body.state))
    }

    /// For the audit log: an instance stays at its version where only its runs or its hold change.
    fn entry(&self, actor: &Actor, resource: &Resource, deed: &Deed) -> AuditEntry {
        let (kind, id) = (&resource.kind, &resource.id);
        let (action, subject) = (format!("{kind}.{}", deed.action.name()), format!("{kind}/{id}"));
        let did = actor.of.did(self.parts.clock.now(), action, subject, Some(deed.reason.clone()));
        AuditEntry { version_before: Some(resource.version), version_after: Some(resource.version), ..did }
    }

    fn handler(&self, resource: &Resource) -> Result<&str, ServiceError> {
        let missing = || ServiceError::Conflict(format!("no api.handler of this config keeps '{}'", resource.kind));
        self.parts.resources.handler_of(&resource.kind).ok_or_else(missing)
    }
}
