//! How a resource looks from outside.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ServiceError;
use super::events::Events;
use super::resources::View;
use crate::store::{HistoryRow, Object, Resource};

/// What is shown of a resource's course where it is shown alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Course {
    /// Transitions, the oldest first.
    pub history: Vec<HistoryRow>,
    /// What waits to happen by itself.
    pub next: Option<Next>,
}

/// A transition that a timer makes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Next {
    /// Its name.
    pub transition: String,
    /// When, as a date.
    pub at: Timestamp,
    /// Which time it will be, from 1, those that somebody asked for included.
    pub attempt: u32,
    /// How many there are at most; without end if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u32>,
}

/// The body of a resource, with its course if that is to be shown.
#[must_use]
pub fn resource(events: &Events, resource: &Resource, stock: Option<(&str, u64)>, course: Option<&Course>) -> View {
    let mut data = events.public_data(resource);
    if resource.workflow.is_none() {
        data.shift_remove("state");
    }
    if let Some((field, available)) = stock {
        data.insert(field.to_owned(), available.into());
    }
    let mut body = Map::new();
    body.insert("id".into(), resource.id.as_str().into());
    body.insert("data".into(), Value::Object(data));
    body.insert("state".into(), resource.state.as_str().into());
    body.insert("lastUpdate".into(), resource.updated_at.to_string().into());
    body.insert("createdAt".into(), resource.created_at.to_string().into());
    body.insert("version".into(), resource.version.into());
    if let Some(reason) = resource.workflow.as_ref().and_then(|progress| progress.attention.as_ref()) {
        body.insert("attention".into(), reason.as_str().into());
    }
    if let Some(next) = course.and_then(|course| course.next.as_ref()) {
        body.insert("next".into(), json!(next));
    }
    let earlier = course.and_then(|course| course.history.first()).filter(|first| first.seq > 1).map(|first| first.seq);
    if let Some(course) = course {
        body.insert("history".into(), json!(course.history));
    }
    if let Some(seq) = earlier {
        body.insert("historyNext".into(), seq.to_string().into());
    }
    let units = stock.map(|(_, units)| units);
    View { id: resource.id.clone(), version: resource.version, units, earlier, body: Value::Object(body) }
}

/// The cursor after `resource` in a list.
#[must_use]
pub fn cursor(resource: &Resource) -> String {
    super::workflows::hex(format!("{}|{}", resource.created_at.as_microsecond(), resource.id).as_bytes())
}

/// Reads a cursor.
///
/// # Errors
/// It was not made by [`cursor`].
pub fn parse_cursor(text: &str) -> Result<(jiff::Timestamp, String), ServiceError> {
    let parse = || {
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect();
        let text = String::from_utf8(bytes?).ok()?;
        let (micros, id) = text.split_once('|')?;
        Some((jiff::Timestamp::from_microsecond(micros.parse().ok()?).ok()?, id.to_owned()))
    };
    parse().ok_or_else(|| ServiceError::field("cursor", "expected the cursor of a Link header, unchanged"))
}

/// A name that a client may not set: it is the host's.
#[must_use]
pub fn host_owned(data: &Object) -> Option<&str> {
    const NAMES: [&str; 9] = ["id", "state", "version", "userId", "user_id", "owner", "role", "createdAt", "lastUpdate"];
    data.keys().map(String::as_str).find(|name| NAMES.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cursor_that_was_given_out_is_taken_back() {
        let at = jiff::Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
        let text = super::super::workflows::hex(format!("{}|thing-é", at.as_microsecond()).as_bytes());
        assert_eq!(parse_cursor(&text).unwrap(), (at, "thing-é".to_owned()));
        for wrong in ["", "zz", "abc", "é", "31323334", &"ff".repeat(40)] {
            assert!(parse_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
