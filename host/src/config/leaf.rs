//! Kinds of values that several settings share. Each says in its schema, as `x-expected`, how a message calls it.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::plan::access::{Role, Roles};

/// One to five numbers with units, not all of them zero.
const DURATION_PATTERN: &str = "^(?=.*[1-9])([0-9]{1,9}(ms|s|m|h|d)){1,5}$";
const DURATION_EXPECTED: &str = "a duration above zero such as 500ms, 15s, 10m or 24h";
/// The longest: ten years, as for waits of workflows. What is written for "never" leads to dates that nothing can tell.
const MAX_DURATION: Duration = Duration::from_secs(315_360_000);

/// A duration as people write it, `500ms` or `1h30m`; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration =
            humantime::parse_duration(&text).map_err(|e| de::Error::custom(format!("'{text}' is not {DURATION_EXPECTED}: {e}")))?;
        if duration > MAX_DURATION {
            let (given, most) = (duration.as_secs(), MAX_DURATION.as_secs());
            return Err(de::Error::custom(format!("'{text}' is {given} s; at most {most} s (ten years) are accepted")));
        }
        Ok(Self(duration))
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0).to_string().replace(' ', ""))
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": DURATION_PATTERN, "x-expected": DURATION_EXPECTED })
    }
}

/// How long something may be kept: a number of seconds, zero included, or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxAge(pub Duration);

impl<'de> Deserialize<'de> for MaxAge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(seconds) => seconds
                .as_u64()
                .map(|s| Self(Duration::from_secs(s)))
                .ok_or_else(|| de::Error::custom(format!("{seconds} is not a number of seconds"))),
            other => HumanDuration::deserialize(other).map(|d| Self(d.0)).map_err(de::Error::custom),
        }
    }
}

impl JsonSchema for MaxAge {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MaxAge".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"], "minimum": 0, "maximum": 315_360_000, "pattern": DURATION_PATTERN,
            "x-expected": "a number of seconds up to ten years, or a duration such as 10m or 24h"
        })
    }
}

const RETENTION_PATTERN: &str = "^(forever|([0-9]{1,9}(ms|s|m|h|d)){1,5})$";
const RETENTION_EXPECTED: &str = "a duration such as 72h, 30d or 0s, or forever";

/// How long something is kept once it is of no use to the program itself; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retained(pub Option<Duration>);

impl<'de> Deserialize<'de> for Retained {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "forever" {
            return Ok(Self(None));
        }
        let told = |error| de::Error::custom(format!("'{text}' is not {RETENTION_EXPECTED}: {error}"));
        humantime::parse_duration(&text).map(|kept| Self(Some(kept))).map_err(told)
    }
}

impl JsonSchema for Retained {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Retained".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": RETENTION_PATTERN, "x-expected": RETENTION_EXPECTED })
    }
}

/// A list that may be left out: a key with nothing behind it is an empty one, which is not the same.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Option::<Vec<String>>::deserialize(deserializer).map(|given| Some(given.unwrap_or_default()))
}

/// Names of roles, one or more. Names that are none were reported and are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RoleList(Vec<String>);

impl RoleList {
    /// The roles that are named.
    #[must_use]
    pub fn roles(&self) -> Roles {
        self.0.iter().filter_map(|name| Role::from_name(name)).collect()
    }
}

impl JsonSchema for RoleList {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RoleList".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = Role::ALL.map(Role::name);
        let expected = format!("a list of one or more roles: {}", names.join(", "));
        json_schema!({
            "type": "array", "minItems": 1, "x-expected": expected,
            "items": { "type": "string", "enum": names, "x-noun": "role" }
        })
    }
}

/// Whose the resources of a handler are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OwnerName {
    /// Of who has created them.
    Creator,
    /// Nobody's.
    None,
}

impl JsonSchema for OwnerName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Owner".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["creator", "none"], "x-noun": "owner" })
    }
}

/// Which resources a route reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScopeName {
    /// The caller's own.
    Own,
    /// Everybody's.
    All,
}

impl JsonSchema for ScopeName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Scope".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": ["own", "all"], "x-noun": "scope" })
    }
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "description": "32 bytes or more.", "x-expected": "text of 32 bytes or more, in quotes", "x-secret": true })
    }
}

/// Value of a header that may be a secret.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
pub struct HeaderValue(pub String);

impl std::fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl JsonSchema for HeaderValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^[\x20-\x7e]*$", "x-expected": "printable ASCII text", "x-secret": true })
    }
}
