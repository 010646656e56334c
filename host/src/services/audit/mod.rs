//! The audit log: who has done something, what is written of it, and reading what was written.

mod refusals;

use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;

use self::refusals::Refusals;
use crate::clock::Clock;
use crate::plan::access::{Role, Roles};
use crate::services::ServiceError;
use crate::services::error::page_limit;
use crate::store::{Audit, AuditEntry, AuditListing, AuditRow};

/// Rows of a page, at most.
pub const MAX_PAGE: usize = 200;
/// Rows of a page, unless the caller says otherwise.
pub const USUAL_PAGE: usize = 50;
/// What a request is written as that a route has refused.
const REFUSED: &str = "refused";

/// Somebody with a role, and the request by which they do something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// Id of the account, or `cli:<user of the system>`.
    pub id: String,
    /// Roles that they have.
    pub roles: Roles,
    /// Whether they have just shown their password again.
    pub sudo: bool,
    /// Id of the request.
    pub request_id: Option<String>,
    /// Where the request comes from.
    pub address: Option<String>,
}

impl Actor {
    /// That they have done `action` to `subject`, for the audit log. The versions are those of the commit that it is a part of.
    #[must_use]
    pub fn did(&self, at: Timestamp, action: impl Into<String>, subject: impl Into<String>, reason: Option<String>) -> AuditEntry {
        AuditEntry {
            at,
            actor: self.id.clone(),
            roles: self.roles.iter().map(Role::name).map(str::to_owned).collect(),
            sudo: self.sudo,
            action: action.into(),
            subject: subject.into(),
            version_before: None,
            version_after: None,
            reason,
            request_id: self.request_id.clone(),
            address: self.address.clone(),
        }
    }
}

/// Which rows somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only of this action.
    pub action: Option<String>,
    /// Only about this subject.
    pub subject: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// Rows of the page.
    pub limit: Option<usize>,
}

/// One page of the audit log, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditPage {
    /// Its rows.
    pub items: Vec<AuditRow>,
    /// For the next page, to be sent as `cursor`; `null` on the last.
    pub next_cursor: Option<String>,
}

/// The audit log of a process. Clones share it.
#[derive(Clone)]
pub struct AuditLog {
    store: Arc<dyn Audit>,
    clock: Clock,
    refusals: Arc<Mutex<Refusals>>,
}

impl AuditLog {
    /// Over this store.
    #[must_use]
    pub fn new(store: Arc<dyn Audit>, clock: Clock) -> Self {
        Self { store, clock, refusals: Arc::default() }
    }

    /// A page of what was written.
    ///
    /// # Errors
    /// A cursor that was not given out; a limit outside 1 to [`MAX_PAGE`].
    pub async fn list(&self, query: AuditQuery) -> Result<AuditPage, ServiceError> {
        let AuditQuery { actor, action, subject, cursor, limit } = query;
        let limit = page_limit(limit.unwrap_or(USUAL_PAGE), MAX_PAGE)?;
        let unknown = || ServiceError::field("cursor", "expected the nextCursor of a page, unchanged");
        let before = cursor.map(|cursor| cursor.parse().map_err(|_| unknown())).transpose()?;
        let mut items = self.store.audited(&AuditListing { actor, action, subject, before, limit: limit + 1 }).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|row| row.seq.to_string());
        Ok(AuditPage { items, next_cursor })
    }

    /// Writes that a route has refused somebody who has a token, unless that was written a moment ago: nobody fills the disk by being refused.
    pub async fn refused(&self, actor: &Actor, route: &str) {
        let is_staff = !actor.roles.and(Roles::STAFF).is_empty();
        let Some(left_out) = self.refusals.lock().admit(self.clock.steady(), (&actor.id, is_staff), route) else { return };
        let reason = (left_out > 0).then(|| format!("{left_out} more were refused and not written before this"));
        let entry = actor.did(self.clock.now(), REFUSED, route, reason);
        if let Err(error) = self.store.note(vec![entry]).await {
            tracing::warn!(%error, actor = actor.id, route, "a refusal could not be written to the audit log");
        }
    }
}
