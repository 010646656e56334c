//! A commit as it is given to a writer: its JSON was written, and what its resource is found by was looked for, by the caller's task, since the
//! writer has better things to do.

use std::sync::Arc;

use super::columns::deadlines_text;
use super::figures::{self, Figure};
use super::keys::Keyed;
use super::{Commit, KeysOf, Object, Resource};

pub(super) struct Prepared {
    pub(super) commit: Commit,
    pub(super) data: String,
    pub(super) instance: Option<String>,
    pub(super) deadlines: Option<String>,
    pub(super) keys: Option<Keys>,
    pub(super) figure: Option<Figure>,
    pub(super) also: Vec<Self>,
}

/// What a resource is found by; there is none if its kind is found by nothing but its id.
pub(super) struct Keys {
    pub(super) is: Keyed,
    /// What it was found by until now, if the caller knows.
    pub(super) was: Option<Keyed>,
}

impl Keys {
    fn new(spec: &KeysOf, resource: &Resource, before: Option<&Arc<Object>>) -> Self {
        let is = spec.of(&resource.id, &resource.data);
        let was = before.map(|before| if Arc::ptr_eq(before, &resource.data) { is.clone() } else { spec.of(&resource.id, before) });
        Self { is, was }
    }
}

impl Prepared {
    /// # Errors
    /// Something of it cannot be JSON.
    pub(super) fn new(mut commit: Commit, keys: &[KeysOf]) -> serde_json::Result<Self> {
        let also = std::mem::take(&mut commit.also).into_iter().map(|other| Self::new(other, keys)).collect::<Result<_, _>>()?;
        let resource = commit.change.as_ref().map(|(_, resource)| resource);
        debug_assert!(resource.is_some() || commit.history.is_empty(), "history belongs to a change");
        let data = resource.map(|resource| serde_json::to_string(&*resource.data)).transpose()?.unwrap_or_default();
        let progress = resource.and_then(|resource| resource.workflow.as_ref());
        let instance = progress.map(|progress| serde_json::to_string(&progress.instance)).transpose()?;
        let deadlines = progress.map(|progress| deadlines_text(&progress.deadlines)).transpose()?.flatten();
        let figure = figures::added(&commit, keys);
        let keys = resource.and_then(|resource| {
            let spec = keys.iter().find(|keys| keys.kind == resource.kind)?;
            Some(Keys::new(spec, resource, commit.before.as_ref()))
        });
        Ok(Self { commit, data, instance, deadlines, keys, figure, also })
    }
}
