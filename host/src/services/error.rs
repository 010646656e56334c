//! Why a service did not do it, split by what the caller can do about it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

/// The `code` of an answer that says that nothing at all is at this path, as another than that a resource is not there.
pub const NO_SUCH_PATH: &str = "no_such_path";

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "WrongField")]
pub struct FieldError {
    /// JSON pointer into the body, for example `/items/0/quantity`.
    pub pointer: String,
    /// What is wrong, with the value and what would be accepted.
    pub detail: String,
}

/// The JSON pointer to `key` of the object at `parent` (RFC 6901).
#[must_use]
pub fn pointer(parent: &str, key: &str) -> String {
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.pointer.is_empty() { "the body" } else { &self.pointer };
        write!(f, "{place}: {}", self.detail)
    }
}

/// Why it was not done. The texts are for the caller: no SQL, no paths, no inner errors.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no such thing, or the caller may not know that there is (404).
    #[error("{what} not found")]
    NotFound {
        /// What was asked for, for example `return 'r-1'`.
        what: String,
    },
    /// The request was understood and breaks a rule (422).
    #[error("{detail}")]
    Invalid {
        /// In one sentence.
        detail: String,
        /// By field.
        errors: Vec<FieldError>,
    },
    /// It does not fit what is there now (409).
    #[error("{0}")]
    Conflict(String),
    /// What it was decided on has changed meanwhile (409).
    #[error("{kind} '{id}' has changed meanwhile")]
    Moved {
        /// Kind of the resource.
        kind: String,
        /// Id of the resource.
        id: String,
    },
    /// It does not fit what is there now, and this is what is there (409).
    #[error("{detail}")]
    Differs {
        /// What differs, for the caller.
        detail: String,
        /// A word for programs, for example `price_changed`.
        code: &'static str,
        /// What is there now, as members of the answer.
        members: crate::store::Object,
    },
    /// Who are you? (401)
    #[error("{0}")]
    Unauthorized(String),
    /// The password is right, and that is not enough (401).
    #[error("{detail}")]
    SecondFactor {
        /// What is needed, for the caller.
        detail: String,
        /// A word for programs, for example `second-factor-required`.
        code: &'static str,
    },
    /// You may not (403).
    #[error("{0}")]
    Forbidden(String),
    /// What you have sent to show that you may does not show it (403).
    #[error("{}: {}", .0.pointer, .0.detail)]
    Unproven(FieldError),
    /// Not now; nothing was stored (503).
    #[error("{detail}")]
    Unavailable {
        /// Why, for the caller.
        detail: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// Too often; nothing was tried (429).
    #[error("{detail}")]
    TooMany {
        /// Of what, for the caller.
        detail: String,
        /// When to come back.
        retry_after: Duration,
    },
    /// The caller has as much of it as one may have; nothing was stored (429).
    #[error("{detail}")]
    Full {
        /// Of what, and what to do, for the caller.
        detail: String,
        /// As many as that.
        limit: u64,
        /// When to come back.
        retry_after: Duration,
    },
    /// Our fault (500). The cause is logged where this is made, and never shown.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

impl ServiceError {
    /// One field is wrong.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.into(), detail: detail.into() };
        Self::Invalid { detail: error.to_string(), errors: vec![error] }
    }

    /// Several fields are wrong; the detail names the first.
    ///
    /// # Panics
    /// Never: an empty list gives a general detail.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = errors.first().map_or_else(|| "the request is invalid".to_owned(), ToString::to_string);
        Self::Invalid { detail, errors }
    }
}

/// `limit`, if a page may have so many entries.
///
/// # Errors
/// It is not 1 to `most`.
pub(super) fn page_limit(limit: usize, most: usize) -> Result<usize, ServiceError> {
    if (1..=most).contains(&limit) { Ok(limit) } else { Err(ServiceError::field("limit", format!("expected 1 to {most}, got {limit}"))) }
}

impl From<crate::store::StoreError> for ServiceError {
    fn from(error: crate::store::StoreError) -> Self {
        use crate::store::StoreError as E;
        match error {
            E::Unavailable(detail) => {
                tracing::warn!(%detail, "the store refused a write");
                Self::Unavailable { detail: "the store cannot write now".into(), retry_after: Duration::from_secs(1) }
            }
            E::Conflict(crate::store::Conflict::Version { kind, id }) => Self::Moved { kind, id },
            E::Conflict(conflict) => Self::Conflict(conflict.to_string()),
            E::Taken(what) => Self::Conflict(format!("{what} is taken")),
            E::Last(role) => Self::Conflict(format!("nobody else has the role {role}: give it to somebody first")),
            other => Self::Internal(other.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_to_its_key_whatever_that_is_called() {
        assert_eq!(pointer("/items/0", "quantity"), "/items/0/quantity");
        let body = serde_json::json!({"a/b~c": {"": 1}});
        assert_eq!(body.pointer(&pointer(&pointer("", "a/b~c"), "")), Some(&serde_json::json!(1)));
    }
}
