//! How a resource looks from outside.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::standing::Standing;
use crate::services::ServiceError;
use crate::services::engine::Events;
use crate::store::{HistoryRow, Object, Resource};

/// Names that a client may not set: they are the host's.
pub const HOST_OWNED: [&str; 9] = ["id", "state", "version", "userId", "user_id", "owner", "role", "createdAt", "lastUpdate"];
/// How a cursor looks; which of those that look so were given out, only the host knows.
pub const CURSOR_PATTERN: &str = "^([0-9a-f]{2})+$";

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
    /// What the event holds.
    pub body: ChangeBody,
}

/// What an event of a stream holds: a transition, and the resource as it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Change")]
pub struct ChangeBody {
    /// Id of the resource.
    pub id: String,
    /// State entered by the transition.
    pub state: String,
    /// Nothing follows from that state: it is the last event.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// What the caller could ask for in that state when the event was sent; nothing if it was left already.
    pub actions: Vec<String>,
    /// Version of the resource when the event was sent.
    pub version: u64,
    /// The transition.
    pub transition: HistoryRow,
    /// The resource's public data when the event was sent.
    pub data: Object,
}

/// A resource of any kind.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Resource")]
pub struct ResourceBody {
    /// Its id.
    pub id: String,
    /// Business data, results of steps included.
    pub data: Object,
    /// State in its workflow, or `active` without one.
    pub state: String,
    /// Nothing follows from its state; of a resource with a workflow.
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub is_final: Option<bool>,
    /// What the caller may ask for now, each a route below that of the resource; of a resource with a workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub actions: Option<Vec<String>>,
    /// When it was last changed.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub last_update: Timestamp,
    /// When it was created.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: Timestamp,
    /// Grows with each change.
    pub version: u64,
    /// Why a person is asked to look at it; absent if nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub attention: Option<String>,
    /// What waits to happen by itself, where one resource with a workflow is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Next")]
    pub next: Option<Next>,
    /// The last 100 transitions it has made, the oldest first, where one resource with a workflow is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<HistoryRow>")]
    pub history: Option<Vec<HistoryRow>>,
    /// There is more history: what `historyBefore` asks for it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub history_next: Option<String>,
}

/// What is shown of a resource's course where it is shown alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// Transitions, the oldest first.
    pub history: Vec<HistoryRow>,
    /// What waits to happen by itself.
    pub next: Option<Next>,
}

/// A transition that a timer makes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Next {
    /// Its name.
    pub transition: String,
    /// When, as a date.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Which time it will be, from 1, those that somebody asked for included.
    pub attempt: u32,
    /// How many there are at most; without end if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub of: Option<u32>,
}

/// The body of a resource, with its course if that is to be shown.
#[must_use]
pub fn resource(
    events: &Events,
    resource: &Resource,
    stock: Option<(&str, u64)>,
    course: Option<Course>,
    standing: Option<Standing>,
) -> View {
    let mut data = events.public_data(resource);
    if resource.workflow.is_none() {
        data.shift_remove("state");
    }
    if let Some((field, available)) = stock {
        data.insert(field.to_owned(), available.into());
    }
    let (history, next) = course.map_or((None, None), |course| (Some(course.history), course.next));
    let earlier = history.as_ref().and_then(|history| history.first()).filter(|first| first.seq > 1).map(|first| first.seq);
    let (is_final, actions) = standing.map(|standing| (standing.is_final, standing.actions)).unzip();
    let body = ResourceBody {
        id: resource.id.clone(),
        data,
        state: resource.state.clone(),
        is_final,
        actions,
        last_update: resource.updated_at,
        created_at: resource.created_at,
        version: resource.version,
        attention: resource.workflow.as_ref().and_then(|progress| progress.attention.clone()),
        next,
        history,
        history_next: earlier.map(|seq| seq.to_string()),
    };
    View { units: stock.map(|(_, units)| units), earlier, body }
}

/// The cursor after `resource` in a list.
#[must_use]
pub fn cursor(resource: &Resource) -> String {
    cursor_at(resource.created_at, &resource.id)
}

/// The cursor after what was created then with this id.
#[must_use]
pub fn cursor_at(created_at: Timestamp, id: &str) -> String {
    crate::services::engine::hex(format!("{}|{id}", created_at.as_microsecond()).as_bytes())
}

/// Reads a cursor.
///
/// # Errors
/// It was not made by [`cursor`].
pub fn parse_cursor(text: &str) -> Result<(jiff::Timestamp, String), ServiceError> {
    let parse = || {
        let is_lower_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect();
        let text = String::from_utf8(bytes.filter(|_| is_lower_hex)?).ok()?;
        let (micros, id) = text.split_once('|')?;
        Some((jiff::Timestamp::from_microsecond(micros.parse().ok()?).ok()?, id.to_owned()))
    };
    parse().ok_or_else(|| ServiceError::field("cursor", "expected the cursor of a Link header, unchanged"))
}

/// The first of the names in `data` that a client may not set.
#[must_use]
pub fn host_owned(data: &Object) -> Option<&str> {
    data.keys().map(String::as_str).find(|name| HOST_OWNED.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cursor_that_was_given_out_is_taken_back() {
        let at = jiff::Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
        let text = crate::services::engine::hex(format!("{}|thing-é", at.as_microsecond()).as_bytes());
        assert_eq!(parse_cursor(&text).unwrap(), (at, "thing-é".to_owned()));
        for wrong in ["", "zz", "abc", "é", "31323334", &"ff".repeat(40), &text.to_uppercase(), "+1"] {
            assert!(parse_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
