//! Any resource: list, create, read, replace, remove, act. What a resource is, its handler's settings say.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{RequestExt, RequestPartsExt};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::address::Client;
use super::body::{self, Presence};
use super::error::{ApiError, quoted};
use super::number::whole_number;
use super::state::AppState;
use super::{events, writes};
use crate::plan::Operation;
use crate::services::ServiceError;
use crate::services::resources::{Caller, IdempotencyKey, MAX_PAGE, Resources, View};
use crate::services::users::CurrentUser;
use crate::telemetry::traces;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Of an `Idempotency-Key`.
pub(super) const MAX_KEY_BYTES: usize = 255;

/// Who asks what of which handler.
struct Call {
    resources: Resources,
    handler: String,
    caller: Caller,
}

/// Answers a route of the resource handler `handler`.
pub(super) async fn answer(
    state: &AppState,
    handler: &str,
    operation: &Operation,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let resources = state.resources.clone();
    let resources = resources.ok_or_else(|| ApiError::internal(anyhow::anyhow!("'{handler}' needs a store, and this process has none")))?;
    let call = Call { resources, handler: handler.to_owned(), caller };
    match operation {
        Operation::List => call.list(state, request).await,
        Operation::Create => call.create(state, request).await,
        Operation::Get => call.get(request).await,
        Operation::Update => call.update(state, request).await,
        Operation::Delete => call.delete(state, request).await,
        Operation::Events => call.events(state, request).await,
        Operation::Action(action) => call.act(state, action.clone(), request).await,
    }
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CourseQuery {
    history_before: Option<String>,
}

impl Call {
    async fn list(self, state: &AppState, mut request: Request) -> Result<Response, ApiError> {
        let Query(query) = request.extract_parts::<Query<ListQuery>>().await.map_err(unreadable_query)?;
        let limit = query.limit.as_deref().map(parse_limit).transpose()?;
        // The first page of what is the same for everybody is kept: it costs nothing.
        let _turn = if self.caller.user.is_some() || limit.is_some() || query.cursor.is_some() {
            Some(state.lists.turn(&self.name(&request)).await?)
        } else {
            None
        };
        let page = self.resources.list(&self.handler, &self.caller, limit, query.cursor.as_deref()).await?;
        let mut response = Json(page.items).into_response();
        self.keep_out_of_shared_caches(response.headers_mut());
        if let Some(next) = page.next {
            let link = next_link(request.uri().path(), limit, &next);
            response.headers_mut().insert(header::LINK, header_value(&link)?);
        }
        Ok(response)
    }

    async fn create(self, state: &AppState, request: Request) -> Result<Response, ApiError> {
        let (parts, body) = body::object(request, Presence::Required, state.read_timeout).await?;
        let key = idempotency_key(&parts, &body)?;
        let traceparent = traces::continued(parts.headers.get(traces::HEADER).and_then(|value| value.to_str().ok()));
        let Self { resources, handler, caller } = self;
        let write = async move { resources.create(&handler, &caller, Value::Object(body), key, traceparent).await };
        let (view, replayed) = writes::finish(&state.writes, write).await?;
        let location = format!("{}/{}", parts.uri.path().trim_end_matches('/'), percent_encoded(&view.body.id));
        let mut response = (StatusCode::CREATED, [(header::LOCATION, header_value(&location)?)], shown(view)?).into_response();
        if replayed {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    async fn get(self, request: Request) -> Result<Response, ApiError> {
        let (mut parts, id) = with_id(request).await?;
        let Query(query) = parts.extract::<Query<CourseQuery>>().await.map_err(unreadable_query)?;
        let before = query.history_before.as_deref().map(parse_before).transpose()?;
        let view = self.resources.get(&self.handler, &self.caller, &id, before).await?;
        let (tag, earlier) = (etag(&view), view.earlier);
        let mut response = if parts.headers.get_all(header::IF_NONE_MATCH).iter().any(|sent| lists(sent, &tag)) {
            (StatusCode::NOT_MODIFIED, [(header::ETAG, header_value(&tag)?)]).into_response()
        } else {
            shown(view)?
        };
        self.keep_out_of_shared_caches(response.headers_mut());
        if let Some(seq) = earlier {
            let link = format!("<{}?historyBefore={seq}>; rel=\"next\"", parts.uri.path());
            response.headers_mut().insert(header::LINK, header_value(&link)?);
        }
        Ok(response)
    }

    async fn update(self, state: &AppState, request: Request) -> Result<Response, ApiError> {
        let (mut parts, body) = body::object(request, Presence::Required, state.read_timeout).await?;
        let (id, expected) = (last_parameter(&mut parts).await?, if_match(&parts.headers)?);
        let Self { resources, handler, caller } = self;
        let write = async move { resources.update(&handler, &caller, &id, Value::Object(body), expected).await };
        let view = writes::finish(&state.writes, write).await.map_err(|e| unless_matched(e, expected))?;
        shown(view)
    }

    async fn delete(self, state: &AppState, request: Request) -> Result<Response, ApiError> {
        let (parts, id) = with_id(request).await?;
        let expected = if_match(&parts.headers)?;
        let Self { resources, handler, caller } = self;
        let write = async move { resources.delete(&handler, &caller, &id, expected).await };
        writes::finish(&state.writes, write).await.map_err(|e| unless_matched(e, expected))?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    async fn act(self, state: &AppState, action: String, request: Request) -> Result<Response, ApiError> {
        let (mut parts, body) = body::object(request, Presence::Optional, state.read_timeout).await?;
        let id = last_parameter(&mut parts).await?;
        let Self { resources, handler, caller } = self;
        let write = async move { resources.act(&handler, &caller, &id, &action, Value::Object(body)).await };
        shown(writes::finish(&state.writes, write).await?)
    }

    async fn events(self, state: &AppState, request: Request) -> Result<Response, ApiError> {
        let (parts, id) = with_id(request).await?;
        let after = events::last_seen(&parts.headers)?;
        let reader = |user: &CurrentUser| Ok::<_, ApiError>(events::Reader { place: state.streams.open(&user.id)?, left: user.left });
        let reader = self.caller.user.as_ref().map(reader).transpose()?;
        let changes = self.resources.changes(&self.handler, &self.caller, &id, after.unwrap_or(0)).await?;
        Ok(events::stream(changes, after, reader, state.stop.clone()).await)
    }

    /// What tells one caller from another: the user, or where the request comes from.
    fn name(&self, request: &Request) -> String {
        match &self.caller.user {
            Some(user) => user.id.clone(),
            None => Client::of(request).0.to_string(),
        }
    }

    fn keep_out_of_shared_caches(&self, headers: &mut HeaderMap) {
        let value = if self.caller.user.is_some() { "private, no-cache" } else { "no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
        headers.append(header::VARY, HeaderValue::from_static("Authorization"));
    }
}

fn shown(view: View) -> Result<Response, ApiError> {
    let tag = header_value(&etag(&view))?;
    Ok(([(header::ETAG, tag)], Json(view.body)).into_response())
}

async fn with_id(request: Request) -> Result<(Parts, String), ApiError> {
    let (mut parts, _) = request.into_parts();
    let id = last_parameter(&mut parts).await?;
    Ok((parts, id))
}

/// The id: the last placeholder of the route's path.
async fn last_parameter(parts: &mut Parts) -> Result<String, ApiError> {
    let Path(parameters) =
        parts.extract::<Path<Vec<(String, String)>>>().await.map_err(|_| ApiError::bad_request("the path is not valid UTF-8"))?;
    let last = parameters.into_iter().next_back();
    last.map(|(_, value)| value).ok_or_else(|| ApiError::internal(anyhow::anyhow!("a route of one resource has no placeholder")))
}

fn unreadable_query(error: QueryRejection) -> ApiError {
    ApiError::bad_request(format!("the query cannot be read: {}", error.body_text()))
}

fn parse_before(text: &str) -> Result<u64, ApiError> {
    let wrong = || ServiceError::field("historyBefore", format!("expected the number of a transition, from 1, got '{}'", quoted(text)));
    whole_number(text).filter(|seq| *seq > 0).ok_or_else(|| wrong().into())
}

fn parse_limit(text: &str) -> Result<usize, ApiError> {
    let limit = whole_number(text).and_then(|limit| usize::try_from(limit).ok());
    let wrong = || ServiceError::field("limit", format!("expected a whole number from 1 to {MAX_PAGE}, got '{}'", quoted(text)));
    limit.ok_or_else(|| wrong().into())
}

fn next_link(path: &str, limit: Option<usize>, cursor: &str) -> String {
    let limit = limit.map(|limit| format!("limit={limit}&")).unwrap_or_default();
    format!("<{path}?{limit}cursor={}>; rel=\"next\"", percent_encoded(cursor))
}

fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn header_value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(ApiError::internal)
}

fn etag(view: &View) -> String {
    match view.units {
        // Stock moves without a new version of its resource.
        Some(units) => format!("\"{}.{units}\"", view.body.version),
        None => format!("\"{}\"", view.body.version),
    }
}

/// Whether the list of tags in a header holds `tag`, weakly compared.
fn lists(header: &HeaderValue, tag: &str) -> bool {
    let Ok(text) = header.to_str() else { return false };
    text.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// The version that `If-Match` demands; `*` demands none.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(sent) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = sent.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    let version = tag.and_then(|tag| tag.split('.').next()).and_then(|version| version.parse().ok());
    version.map(Some).ok_or_else(|| ApiError::new(StatusCode::PRECONDITION_FAILED, "If-Match is not an ETag that was given out here"))
}

/// With `If-Match`, a conflict means that the precondition failed.
fn unless_matched(error: ServiceError, expected: Option<u64>) -> ApiError {
    let conflict = matches!(error, ServiceError::Conflict(_));
    let error = ApiError::from(error);
    if conflict && expected.is_some() { error.with_status(StatusCode::PRECONDITION_FAILED) } else { error }
}

fn idempotency_key(parts: &Parts, body: &Map<String, Value>) -> Result<Option<IdempotencyKey>, ApiError> {
    let mut sent = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = sent.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    let fits = (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if !fits || sent.next().is_some() {
        return Err(ApiError::bad_request(format!(
            "Idempotency-Key must be sent once, with 1 to {MAX_KEY_BYTES} visible ASCII characters"
        )));
    }
    Ok(Some(IdempotencyKey { key: key.to_owned(), request_hash: request_hash(parts, body) }))
}

/// The same for the same content, in whatever sequence its keys come and however it is spaced: a client that makes a request again may
/// write it differently.
fn request_hash(parts: &Parts, body: &Map<String, Value>) -> String {
    let mut body = Value::Object(body.clone());
    body.sort_all_objects();
    let mut hash = Sha256::new();
    for part in [parts.method.as_str(), "\n", parts.uri.path(), "\n", &body.to_string()] {
        hash.update(part);
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_link_keeps_the_limit_and_hides_nothing_of_the_cursor() {
        assert_eq!(next_link("/api/things", Some(2), "a/b=c"), "</api/things?limit=2&cursor=a%2Fb%3Dc>; rel=\"next\"");
        assert_eq!(next_link("/api/things", None, "x"), "</api/things?cursor=x>; rel=\"next\"");
    }

    #[test]
    fn tags_are_found_in_lists_also_weak_ones() {
        for (sent, expected) in [("\"3\"", true), ("W/\"3\"", true), ("\"1\", \"3\"", true), ("*", true), ("\"33\"", false), ("3", false)] {
            assert_eq!(lists(&HeaderValue::from_str(sent).unwrap(), "\"3\""), expected, "{sent}");
        }
    }

    #[test]
    fn a_precondition_that_cannot_be_met_fails() {
        let with = |value: &str| HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_str(value).unwrap())]);
        assert_eq!(if_match(&with("\"7\"")).unwrap(), Some(7));
        assert_eq!(if_match(&with("\"7.50\"")).unwrap(), Some(7), "the stock may have moved meanwhile");
        assert_eq!(if_match(&with("*")).unwrap(), None);
        assert_eq!(if_match(&with("W/\"7\"")).unwrap_err().status(), StatusCode::PRECONDITION_FAILED);
    }

    #[test]
    fn a_conflict_is_a_failed_precondition_only_when_one_was_sent() {
        let conflict = || ServiceError::Conflict("changed".into());
        assert_eq!(unless_matched(conflict(), Some(1)).status(), StatusCode::PRECONDITION_FAILED);
        assert_eq!(unless_matched(conflict(), None).status(), StatusCode::CONFLICT);
    }
}
