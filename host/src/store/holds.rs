//! Instances that somebody has paused, and looking for instances whatever they are.

use jiff::Timestamp;

use super::Resource;

/// Why an instance is paused. What was under way when it was still lands; nothing new begins, and no timer fires, until it is let go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Who has paused it.
    pub who: String,
    /// Why, in their words.
    pub reason: String,
    /// Since when, as a date.
    pub at: Timestamp,
}

/// An event that came for an instance while somebody held it: it moves that instance once it is let go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingEvent {
    /// Its place among all that ever waited, from 1; the store gives it.
    pub number: u64,
    /// Kind of the instance.
    pub kind: String,
    /// Id of the instance.
    pub id: String,
    /// Consumer that has received it.
    pub consumer: String,
    /// Id of the event; with the consumer it is unique.
    pub event_id: String,
    /// Transition that it asks for.
    pub transition: String,
    /// W3C trace context to pass on.
    pub traceparent: Option<String>,
    /// When it came, as a date.
    pub at: Timestamp,
}

/// An instance and its hold, if it is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The instance.
    pub resource: Resource,
    /// Its hold.
    pub hold: Option<Hold>,
}

/// Instances that were found, the newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sighted {
    /// Those for which all holds that was given, at most as many as asked for.
    pub found: Vec<Found>,
    /// There may be more after this `(created_at, id)`: there were as many as asked for, or as many were looked at as one look does.
    pub next: Option<(Timestamp, String)>,
}

/// Instances that one look looks at, unless somebody says otherwise: then it answers what it has found among them.
pub const LOOKED_AT: usize = 20_000;

/// Which instances of a kind somebody looks for: all that is given must hold. The newest come first (by `created_at`, then `id`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// Kind of the resource.
    pub kind: String,
    /// Name of the workflow.
    pub workflow: Option<String>,
    /// State.
    pub state: Option<String>,
    /// Whether a final state was reached.
    pub finished: Option<bool>,
    /// Only those that ask for a person's attention.
    pub attention: bool,
    /// Only those that are held.
    pub held: bool,
    /// Id of the user it belongs to.
    pub owner: Option<String>,
    /// Beginning of the digest of a component that has moved it, in hex.
    pub digest: Option<String>,
    /// A part of its id. Where it is the whole id of an instance, it is that one and no other.
    pub text: Option<String>,
    /// Last changed before this date.
    pub unchanged_since: Option<Timestamp>,
    /// Start after this `(created_at, id)`.
    pub after: Option<(Timestamp, String)>,
    /// At most this many.
    pub limit: usize,
    /// Instances that are looked at. What an index tells of more than these, a state for example, is not counted.
    pub look_at: usize,
}

impl Default for Sought {
    fn default() -> Self {
        Self {
            kind: String::new(),
            workflow: None,
            state: None,
            finished: None,
            attention: false,
            held: false,
            owner: None,
            digest: None,
            text: None,
            unchanged_since: None,
            after: None,
            limit: 0,
            look_at: LOOKED_AT,
        }
    }
}

impl Sought {
    /// Whether an instance that is `held` or not is one of them, as far as itself tells: its history is not asked.
    #[must_use]
    pub fn fits(&self, resource: &Resource, held: bool) -> bool {
        let Some(progress) = &resource.workflow else { return false };
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        resource.kind == self.kind
            && is(&self.workflow, &progress.workflow)
            && is(&self.state, &resource.state)
            && self.finished.is_none_or(|finished| finished == progress.finished)
            && (!self.attention || progress.attention.is_some())
            && (!self.held || held)
            && (self.owner.is_none() || self.owner == resource.owner)
            && self.text.as_ref().is_none_or(|text| resource.id.contains(text.as_str()))
            && self.unchanged_since.is_none_or(|since| resource.updated_at < since)
    }
}
