//! Which instances somebody looks for.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::services::ServiceError;
use crate::services::engine::Workflows;
use crate::store::{LOOKED_AT, Sought};

/// Digits of a digest that are told apart, at least.
const LEAST_DIGITS: usize = 6;

/// Which instances somebody looks for: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "InstanceFilter")]
pub struct Filter {
    /// Kind of the resource, for example `returns`.
    pub kind: Option<String>,
    /// Name of the workflow.
    pub workflow: Option<String>,
    /// State.
    pub state: Option<String>,
    /// Whether it has ended.
    pub finished: Option<bool>,
    /// `true`: only those that ask for a person's attention.
    pub attention: Option<bool>,
    /// `true`: only those that are held.
    pub held: Option<bool>,
    /// Id of the user it belongs to.
    pub owner: Option<String>,
    /// Beginning of the digest of a component that has moved it, 6 hex digits or more.
    pub digest: Option<String>,
    /// A part of its id.
    pub text: Option<String>,
    /// How long ago it last changed at least, for example `5m`.
    pub older_than: Option<String>,
}

impl Filter {
    /// What it means now for the resources of one kind, beginning `after` that one.
    ///
    /// # Errors
    /// A value that is none; all of them are named.
    pub(super) fn sought(
        &self,
        now: Timestamp,
        workflows: &Workflows,
        (after, limit): (Option<(Timestamp, String)>, usize),
    ) -> Result<Sought, ServiceError> {
        let digest = self.digest.as_ref().map(|digest| digest.to_ascii_lowercase());
        if digest.as_ref().is_some_and(|digest| digest.len() < LEAST_DIGITS || !digest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            let detail = format!("expected {LEAST_DIGITS} hex digits or more, got '{}'", self.digest.as_deref().unwrap_or_default());
            return Err(ServiceError::field("/digest", detail));
        }
        Ok(Sought {
            kind: self.kind.clone().unwrap_or_default(),
            workflow: self.workflow.clone(),
            state: self.state.clone(),
            finished: self.finished.or_else(|| self.follows_from_state(workflows)),
            attention: self.attention.unwrap_or(false),
            held: self.held.unwrap_or(false),
            owner: self.owner.clone(),
            digest,
            text: self.text.clone(),
            unchanged_since: self.older_than.as_deref().map(|text| before(now, text)).transpose()?,
            after,
            limit,
            look_at: LOOKED_AT,
        })
    }

    /// A state that is final in no workflow has unfinished instances only, which are found faster.
    fn follows_from_state(&self, workflows: &Workflows) -> Option<bool> {
        let state = self.state.as_ref()?;
        let machines = workflows.machines();
        let definitions = machines.iter().map(|pinned| pinned.machine.definition());
        let of_workflows = definitions.filter(|one| self.workflow.as_ref().is_none_or(|name| *name == one.name));
        let known = of_workflows.filter_map(|one| one.states.get(state)).map(|state| state.is_final).collect::<Vec<_>>();
        (!known.is_empty() && known.iter().all(|is_final| !is_final)).then_some(false)
    }
}

fn before(now: Timestamp, text: &str) -> Result<Timestamp, ServiceError> {
    let wrong = || ServiceError::field("/olderThan", format!("expected a time such as 30s, 5m or 2h, got '{text}'"));
    let ago = humantime::parse_duration(text).map_err(|_| wrong())?;
    now.checked_sub(SignedDuration::try_from(ago).map_err(|_| wrong())?).map_err(|_| wrong())
}
