//! The same deed for many instances: looked at first, then done once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::act::{Action, Deed};
use super::actor::Actor;
use super::filter::Filter;
use super::known::{BulkResult, Failed};
use super::service::Console;
use crate::services::ServiceError;
use crate::services::engine::hex;
use crate::store::{Commit, Conflict, IdempotencyRow, LOOKED_AT, Sighted, StoreError};

/// Instances of one request.
const MOST: usize = 1_000;
/// Ids that a preview shows.
const SHOWN: usize = 20;

/// The same deed for all that a filter finds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "BulkRequest")]
pub struct Bulk {
    /// What is done.
    pub action: Action,
    /// For which instances.
    pub filter: Filter,
    /// Why.
    pub reason: String,
    /// Transition to make, of `fire`.
    pub transition: Option<String>,
    /// Only says how many there are, and which come first.
    #[serde(default)]
    pub preview: bool,
    /// As many as the preview has found: with another number nothing is done.
    pub expected: Option<u64>,
}

impl Console {
    /// Does the same for all that a filter finds, a thousand at most; `key` makes that it is done once however often it is asked for.
    /// Once `gone` is cancelled no further instance is touched: `done` is then less than `count`.
    ///
    /// # Errors
    /// A filter that is none or finds too little in much, no reason, another number than expected (409), no key, a key of another request.
    pub async fn bulk(&self, actor: &Actor, bulk: &Bulk, key: Option<&str>, gone: &CancellationToken) -> Result<BulkResult, ServiceError> {
        let deed = Deed { action: bulk.action, reason: bulk.reason.clone(), transition: bulk.transition.clone() };
        deed.check()?;
        if !bulk.preview {
            let key =
                key.ok_or_else(|| ServiceError::field("Idempotency-Key", "is missing; without it a repeated request would act twice"))?;
            if let Some(known) = self.known_of(actor, bulk, key).await? {
                return Ok(known);
            }
        }
        let Sighted { found, next } = self.find(&bulk.filter, None, MOST).await?;
        let more = next.is_some();
        if more && found.len() < MOST {
            return Err(ServiceError::field("/filter", too_many_to_look_at(found.len())));
        }
        let count = found.len() as u64;
        let first = found.iter().take(SHOWN).map(|one| format!("{}/{}", one.resource.kind, one.resource.id)).collect();
        let mut result = BulkResult { count, more, first, done: 0, failed: Vec::new(), replayed: false };
        if bulk.preview {
            return Ok(result);
        }
        if let Some(expected) = bulk.expected.filter(|expected| *expected != count) {
            return Err(ServiceError::Conflict(format!("{expected} instances were expected, and there are {count} now; nothing was done")));
        }
        if let Some(key) = key {
            self.claim(actor, bulk, key).await?;
        }
        for one in &found {
            if gone.is_cancelled() {
                let (action, by) = (deed.action.name(), actor.who());
                tracing::warn!(
                    action,
                    by,
                    done = result.done,
                    count,
                    "who asked for a deed on many instances has gone: the rest is left alone"
                );
                break;
            }
            let (kind, id) = (&one.resource.kind, &one.resource.id);
            match self.do_one(actor, (kind, id), &deed).await {
                Ok(_) => result.done += 1,
                Err(error) => result.failed.push(Failed { kind: kind.clone(), id: id.clone(), detail: error.to_string() }),
            }
        }
        if let Some(key) = key {
            self.known.0.lock().put(format!("{}|{key}", actor.who()), result.clone());
        }
        Ok(result)
    }

    /// What was answered to a request with this key.
    async fn known_of(&self, actor: &Actor, bulk: &Bulk, key: &str) -> Result<Option<BulkResult>, ServiceError> {
        let Some(earlier) = self.parts.store.idempotency(&user(actor), key).await? else { return Ok(None) };
        if earlier.request_hash != hash(bulk) {
            return Err(ServiceError::field("Idempotency-Key", format!("'{key}' was used for another request")));
        }
        let forgotten = BulkResult { count: 0, more: false, first: Vec::new(), done: 0, failed: Vec::new(), replayed: true };
        let known = self.known.0.lock().get(&format!("{}|{key}", actor.who())).cloned().unwrap_or(forgotten);
        Ok(Some(BulkResult { replayed: true, ..known }))
    }

    /// Writes that a request with this key is done, before it is.
    async fn claim(&self, actor: &Actor, bulk: &Bulk, key: &str) -> Result<(), ServiceError> {
        let row = IdempotencyRow { user: user(actor), key: key.to_owned(), request_hash: hash(bulk), resource_id: "bulk".into() };
        match self.parts.store.commit(Commit { idempotency: Some(row), ..Commit::default() }).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict(Conflict::Idempotency(_))) => {
                Err(ServiceError::Conflict("a request with this Idempotency-Key is being done".into()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Who asks again would look at the same ones.
fn too_many_to_look_at(found: usize) -> String {
    format!(
        "would have to look at more than the {LOOKED_AT} newest instances, of which {found} fit; say a kind, a state, an owner, a whole id, or that they \
         are unfinished, held or in need of a person"
    )
}

/// Apart from the keys of customers.
fn user(actor: &Actor) -> String {
    format!("operator:{}", actor.who())
}

fn hash(bulk: &Bulk) -> String {
    hex(&Sha256::digest(serde_json::to_vec(bulk).unwrap_or_default()))
}
