//! What handlers take out of a request. Each says itself why it cannot.

use std::sync::Arc;

use axum::RequestPartsExt as _;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::address::Client;
use super::body::{self, Fields, Presence};
use super::error::ApiError;
use super::state::Serving;
use crate::services::audit::Actor;
use crate::services::resources::Caller;
use crate::services::users::{CurrentUser, Users};
use crate::telemetry::traces;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Of an `Idempotency-Key`.
pub(super) const MAX_KEY_BYTES: usize = 255;

/// Who asks. The route has let them in before any handler is called.
impl FromRequestParts<Serving> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        let unasked = || ApiError::internal(anyhow::anyhow!("a handler was called without asking who may call it"));
        parts.extensions.remove().ok_or_else(unasked)
    }
}

/// Who is let in by a role, for the audit log.
impl FromRequestParts<Serving> for Arc<Actor> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, serving: &Serving) -> Result<Self, ApiError> {
        let unasked =
            || ApiError::internal(anyhow::anyhow!("'{}' is for people with a role, and its route names none", serving.route.name));
        parts.extensions.get::<Self>().cloned().ok_or_else(unasked)
    }
}

/// Whom the token speaks for.
impl FromRequestParts<Serving> for CurrentUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, serving: &Serving) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, serving).await?;
        caller.user.ok_or_else(|| ApiError::unauthorized("a token is needed"))
    }
}

/// The accounts of this process.
impl FromRequestParts<Serving> for Users {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, serving: &Serving) -> Result<Self, ApiError> {
        let missing = || ApiError::internal(anyhow::anyhow!("a route needs accounts, and this process has none"));
        serving.app.users.clone().ok_or_else(missing)
    }
}

impl FromRequestParts<Serving> for Client {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        Ok(Self::of(&parts.extensions))
    }
}

/// The id: the last placeholder of the route's path.
pub(super) struct Id(pub(super) String);

impl FromRequestParts<Serving> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        let Path(parameters) =
            parts.extract::<Path<Vec<(String, String)>>>().await.map_err(|_| ApiError::bad_request("the path is not valid UTF-8"))?;
        let last = parameters.into_iter().next_back();
        let missing = || ApiError::internal(anyhow::anyhow!("a route of one resource has no placeholder"));
        last.map(|(_, value)| Self(value)).ok_or_else(missing)
    }
}

/// The query.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send + 'static> FromRequestParts<Serving> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        let query = parts.extract::<Query<T>>().await;
        let Query(query) = query.map_err(|error| ApiError::bad_request(format!("the query cannot be read: {}", error.body_text())))?;
        Ok(Self(query))
    }
}

/// The version that `If-Match` demands; `*` demands none.
pub(super) struct IfMatch(pub(super) Option<u64>);

impl FromRequestParts<Serving> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        let Some(sent) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        demanded(sent).map(Self)
    }
}

fn demanded(sent: &HeaderValue) -> Result<Option<u64>, ApiError> {
    let text = sent.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let version = tag.and_then(|tag| tag.split('.').next()).and_then(|version| version.parse().ok());
    version.map(Some).ok_or_else(|| ApiError::new(StatusCode::PRECONDITION_FAILED, "If-Match is not an ETag that was given out here"))
}

/// The tags that a client has already, as it lists them.
pub(super) struct IfNoneMatch(Vec<HeaderValue>);

impl IfNoneMatch {
    /// Whether `tag` is among them.
    pub(super) fn has(&self, tag: &str) -> bool {
        self.0.iter().any(|sent| lists(sent, tag))
    }
}

impl FromRequestParts<Serving> for IfNoneMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        Ok(Self(parts.headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect()))
    }
}

/// Whether the list of tags in a header holds `tag`, weakly compared.
fn lists(header: &HeaderValue, tag: &str) -> bool {
    let Ok(text) = header.to_str() else { return false };
    text.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// The last event that a client has seen; `None` when it begins.
pub(super) struct LastSeen(pub(super) Option<u64>);

impl FromRequestParts<Serving> for LastSeen {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        super::events::last_seen(&parts.headers).map(Self)
    }
}

/// The trace that a request is a part of.
pub(super) struct Traceparent(pub(super) String);

impl FromRequestParts<Serving> for Traceparent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        Ok(Self(traces::continued(parts.headers.get(traces::HEADER).and_then(|value| value.to_str().ok()))))
    }
}

/// The `Idempotency-Key`, if there is one.
pub(super) struct Key(pub(super) Option<String>);

impl FromRequestParts<Serving> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        let mut sent = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = sent.next() else { return Ok(Self(None)) };
        let key = value.to_str().unwrap_or_default().trim();
        let fits = (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if !fits || sent.next().is_some() {
            return Err(ApiError::bad_request(format!(
                "Idempotency-Key must be sent once, with 1 to {MAX_KEY_BYTES} visible ASCII characters"
            )));
        }
        Ok(Self(Some(key.to_owned())))
    }
}

/// A body that has to be there, an object.
pub(super) struct Whole(pub(super) Map<String, Value>);

impl FromRequest<Serving> for Whole {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        body::object(request, Presence::Required, serving.app.read_timeout).await.map(Self)
    }
}

/// A body that may be left out; without one it is an empty object.
pub(super) struct Maybe(pub(super) Map<String, Value>);

impl FromRequest<Serving> for Maybe {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        body::object(request, Presence::Optional, serving.app.read_timeout).await.map(Self)
    }
}

/// What a body of fixed fields is read into.
pub(super) trait OfFields: Sized {
    /// Takes its fields; what is wrong with them is remembered there.
    fn take(fields: &mut Fields) -> Self;
}

/// A body of fixed fields. Every wrong one is told, and those that nobody asked for.
pub(super) struct Sent<T>(pub(super) T);

impl<T: OfFields + Send + 'static> FromRequest<Serving> for Sent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        let Whole(object) = Whole::from_request(request, serving).await?;
        let mut fields = Fields::new(object);
        let taken = T::take(&mut fields);
        fields.finish()?;
        Ok(Self(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_in_lists_also_weak_ones() {
        for (sent, expected) in [("\"3\"", true), ("W/\"3\"", true), ("\"1\", \"3\"", true), ("*", true), ("\"33\"", false), ("3", false)] {
            assert_eq!(lists(&HeaderValue::from_str(sent).unwrap(), "\"3\""), expected, "{sent}");
        }
    }

    #[test]
    fn a_precondition_that_cannot_be_met_fails() {
        let with = |value: &'static str| demanded(&HeaderValue::from_static(value));
        assert_eq!(with("\"7\"").unwrap(), Some(7));
        assert_eq!(with("\"7.50\"").unwrap(), Some(7), "the stock may have moved meanwhile");
        assert_eq!(with("*").unwrap(), None);
        assert_eq!(with("W/\"7\"").unwrap_err().status(), StatusCode::PRECONDITION_FAILED);
    }
}
