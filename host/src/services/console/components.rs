//! Components: which version serves, how it does, and another one in its place.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::actor::Actor;
use super::component_view::{ComponentBody, ComponentDetail, ComponentList, GrantBody, LimitsBody, VersionBody};
use super::room::Ticket;
use super::service::Console;
use crate::runtime::{ActiveVersion, ComponentStatus, GrantTarget, NotNow};
use crate::services::ServiceError;
use crate::store::AuditEntry;

/// After which time a file may be uploaded again that could not be taken for want of something.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Longest that an uploaded file is judged, with the time in which others are compiled. It may be computed for 120 s, beside runs that come first:
/// on a busy machine that is minutes, and whoever tries again begins anew.
const JUDGED_WITHIN: Duration = Duration::from_secs(900);

/// A version that is to serve, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SwapRequest")]
pub struct SwapBody {
    /// Why; it is written down with who it was.
    pub reason: String,
    /// SHA-256 of the version, in hex. To roll back it may be left out: then the version that served before is meant.
    pub digest: Option<String>,
}

/// What a swap came to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SwapResult")]
pub struct SwapResult {
    /// In one sentence.
    pub done: String,
    /// The component after it.
    pub component: ComponentBody,
}

/// Why a file is not kept, for who has sent it.
pub(super) fn refusal(error: &anyhow::Error) -> ServiceError {
    match error.downcast_ref::<NotNow>() {
        Some(not_now) => ServiceError::Unavailable { detail: not_now.to_string(), retry_after: RETRY_AFTER },
        None => ServiceError::field("", format!("{error:#}")),
    }
}

/// What judging a file comes to, if that comes in time.
pub(super) async fn judged(judging: impl Future<Output = anyhow::Result<ActiveVersion>>) -> Result<ActiveVersion, ServiceError> {
    let late = |_| ServiceError::Unavailable {
        detail: format!("the file was not judged within {} s, and nothing is known against it", JUDGED_WITHIN.as_secs()),
        retry_after: RETRY_AFTER,
    };
    tokio::time::timeout(JUDGED_WITHIN, judging).await.map_err(late)?.map_err(|error| refusal(&error))
}

impl Console {
    /// A place in the line of uploads, to be entered before a file is received.
    ///
    /// # Errors
    /// There are too many.
    pub fn enter_upload(&self) -> Result<Ticket, ServiceError> {
        self.room.uploads.enter()
    }

    /// All components, by name.
    #[must_use]
    pub fn components(&self) -> ComponentList {
        ComponentList { items: self.parts.runtime.status().into_iter().map(|status| self.component_body(status)).collect() }
    }

    /// One component, with its versions, limits and grants.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn component(&self, name: &str) -> Result<ComponentDetail, ServiceError> {
        let status = self.status(name)?;
        let of = |found: Vec<ActiveVersion>, served| found.into_iter().map(move |about| VersionBody::new(about, served));
        let versions = of(self.parts.runtime.versions(name), true).chain(of(self.parts.runtime.uploaded(name), false)).collect();
        let settings = self.parts.runtime.settings(name);
        let about = status.active.clone();
        let grant = |grant: &crate::runtime::Grant| GrantBody {
            service: grant.service.clone(),
            target: match &grant.target {
                GrantTarget::Url(url) => url.clone(),
                GrantTarget::Handler(handler) => format!("module {handler}"),
            },
            headers: grant.headers.iter().map(|(name, _)| name.clone()).collect(),
        };
        Ok(ComponentDetail {
            body: self.component_body(status),
            summary: about.as_ref().map(|about| about.summary.clone()),
            config_schema: about.map_or(Value::Null, |about| about.config_schema),
            versions,
            limits: settings.as_ref().map(|settings| LimitsBody::from(&settings.limits)),
            grants: settings.as_ref().map(|settings| settings.capabilities.http.iter().map(grant).collect()).unwrap_or_default(),
            config_keys: settings
                .map(|settings| settings.capabilities.config.iter().map(|(key, _)| key.clone()).collect())
                .unwrap_or_default(),
        })
    }

    /// Judges a file as if it were that of the component, and keeps it by its digest if it is good. Nothing else happens. `signature` is the text
    /// of its signature, which it needs where the config asks for one. `ticket` is what [`Console::enter_upload`] has given.
    ///
    /// # Errors
    /// There is no such component; the file would be refused, and why; or it cannot be taken now, whatever it is.
    pub async fn upload(
        &self,
        actor: &Actor,
        name: &str,
        (file, signature): (Bytes, Option<String>),
        ticket: Ticket,
    ) -> Result<VersionBody, ServiceError> {
        self.status(name)?;
        let turn = ticket.turn().await?;
        let about = judged(self.parts.runtime.judge(name, file, signature)).await?;
        drop(turn);
        self.note_design(actor, (name, "upload"), &about.digest).await?;
        tracing::info!(component = name, digest = about.digest, who = actor.who(), "a version of a component was uploaded");
        let served = self.parts.runtime.versions(name).iter().any(|version| version.digest == about.digest);
        Ok(VersionBody::new(about, served))
    }

    /// Has an uploaded version serve: it is written where the config says that the component's file is, and taken from there.
    ///
    /// # Errors
    /// There is no such component or version, no reason, the file cannot be written or is refused.
    pub async fn swap(&self, actor: &Actor, name: &str, swap: &SwapBody) -> Result<SwapResult, ServiceError> {
        check_reason(&swap.reason)?;
        let digest = swap.digest.as_deref().ok_or_else(|| ServiceError::field("/digest", "is missing; upload says it"))?;
        self.status(name)?;
        let conflict = |error: anyhow::Error| ServiceError::Conflict(format!("{error:#}"));
        self.note(self.swap_entry(actor, (name, "swap"), swap)).await?;
        self.parts.runtime.put_in_place(name, digest).await.map_err(conflict)?;
        self.parts.runtime.reload(name).await.map_err(conflict)?;
        self.swapped(actor, name, digest, swap)
    }

    /// Has a version serve that served before: at once, and as the component's file for the next start.
    ///
    /// # Errors
    /// There is no such component or version, no reason. That the file cannot be written is told by the result: the version serves all the same.
    pub async fn roll_back(&self, actor: &Actor, name: &str, swap: &SwapBody) -> Result<SwapResult, ServiceError> {
        check_reason(&swap.reason)?;
        let status = self.status(name)?;
        let serving = status.active.map(|active| active.digest);
        let digest = match &swap.digest {
            Some(digest) => digest.clone(),
            None => {
                let earlier = self.parts.runtime.versions(name).into_iter().find(|version| Some(&version.digest) != serving.as_ref());
                let none =
                    || ServiceError::Conflict(format!("no other version of '{name}' has served since the start; name one by its digest"));
                earlier.ok_or_else(none)?.digest
            }
        };
        let conflict = |error: anyhow::Error| ServiceError::Conflict(format!("{error:#}"));
        self.note(self.swap_entry(actor, (name, "rollback"), swap)).await?;
        self.parts.runtime.activate(name, &digest).await.map_err(conflict)?;
        let written = self.parts.runtime.keep_in_place(name, &digest).await;
        let mut result = self.swapped(actor, name, &digest, swap)?;
        if let Err(error) = written {
            let _ = write!(
                result.done,
                ", and its file could not be written, so that of another version is taken at the next start: {error:#}"
            );
        }
        Ok(result)
    }

    fn swap_entry(&self, actor: &Actor, (name, action): (&str, &str), swap: &SwapBody) -> AuditEntry {
        let digest = swap.digest.as_deref().map_or_else(String::new, |digest| format!("@{digest}"));
        let subject = format!("components/{name}{digest}");
        actor.of.did(self.parts.clock.now(), format!("components.{action}"), subject, Some(swap.reason.clone()))
    }

    fn swapped(&self, actor: &Actor, name: &str, digest: &str, swap: &SwapBody) -> Result<SwapResult, ServiceError> {
        tracing::info!(component = name, digest, who = actor.who(), reason = swap.reason, "a version of a component was put in its place");
        let component = self.component_body(self.status(name)?);
        let serves = component.digest.as_deref() == Some(digest);
        let done =
            if serves { format!("version {digest} serves") } else { format!("version {digest} is in its place and is being looked at") };
        Ok(SwapResult { done, component })
    }

    fn status(&self, name: &str) -> Result<ComponentStatus, ServiceError> {
        let found = self.parts.runtime.status().into_iter().find(|status| status.name == name);
        found.ok_or_else(|| ServiceError::NotFound { what: format!("component '{name}'") })
    }

    fn component_body(&self, status: ComponentStatus) -> ComponentBody {
        let digest = status.active.as_ref().map(|active| active.digest.clone());
        let level = self.parts.breakers.level(&status.name, digest.as_deref().unwrap_or_default(), self.parts.clock.steady());
        let crowd = self.parts.runtime.crowd(&status.name);
        let figures = self.parts.metrics.component_figures(&status.name, digest.as_deref().unwrap_or_default());
        ComponentBody {
            source: status.source.to_string(),
            version: status.active.as_ref().map(|active| active.version.clone()),
            bytes: status.active.as_ref().map(|active| active.size),
            since: status.active.as_ref().map(|active| active.since),
            reversible: status.active.as_ref().is_some_and(|active| active.reversible),
            refused: status.refused.map(|refusal| refusal.reason),
            breaker: match level {
                0 => "closed",
                1 => "half open",
                _ => "open",
            },
            running: crowd.map_or(0, |crowd| crowd.running as u64),
            waiting: crowd.map_or(0, |crowd| crowd.waiting as u64),
            runs: figures.outcomes.iter().map(|(_, runs)| runs).sum(),
            outcomes: figures.outcomes.into_iter().filter(|(_, runs)| *runs > 0).map(|(name, runs)| (name.to_owned(), runs)).collect(),
            p50_seconds: figures.median,
            p95_seconds: figures.p95,
            name: status.name,
            digest,
        }
    }
}

/// That something is said.
pub(super) fn check_reason(reason: &str) -> Result<(), ServiceError> {
    if reason.trim().is_empty() {
        return Err(ServiceError::field("/reason", "is empty; say why, for those who look at it later"));
    }
    Ok(())
}
