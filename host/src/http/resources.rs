//! Any resource: list, create, read, replace, remove, act. What a resource is, its handler's settings say.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::address::Client;
use super::error::{ApiError, quoted};
use super::extract::{Asked, Id, IfMatch, IfNoneMatch, Key, LastSeen, Maybe, Traceparent, Whole};
use super::number::{self, whole_number};
use super::state::{Route, Serving};
use super::{access, events as stream, writes};
use crate::services::ServiceError;
use crate::services::resources::view::ResourceBody;
use crate::services::resources::{CHANGED, Caller, IdempotencyKey, MAX_PAGE, Resources, View};
use crate::services::users::CurrentUser;

pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The resources of the route's handler.
pub(super) struct Kept {
    pub(super) resources: Resources,
    route: Arc<Route>,
}

impl FromRequestParts<Serving> for Kept {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, serving: &Serving) -> Result<Self, ApiError> {
        let missing = || ApiError::internal(anyhow::anyhow!("'{}' needs a store, and this process has none", serving.route.handler));
        Ok(Self { resources: serving.app.resources.clone().ok_or_else(missing)?, route: Arc::clone(&serving.route) })
    }
}

impl Kept {
    pub(super) fn handler(&self) -> &str {
        &self.route.handler
    }
}

/// A page of what was searched for.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageBody {
    #[schemars(with = "Vec<Value>")]
    items: Vec<ResourceBody>,
    /// To be sent as `cursor`, with the other parameters as they were; absent on the last page. A page may have fewer items than `limit`, and
    /// another one after it all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CourseQuery {
    history_before: Option<String>,
}

pub(super) async fn list(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    client: Client,
    uri: Uri,
    Asked(query): Asked<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    let narrowed = kept.resources.is_narrowed(kept.handler(), &query);
    let known = |(name, _): &(String, String)| narrowed || ["limit", "cursor"].contains(&name.as_str());
    let query: Vec<(String, String)> = query.into_iter().filter(known).collect();
    let limit = given(&query, "limit")?.map(parse_limit).transpose()?;
    let cursor = given(&query, "cursor")?;
    // The first page of what is the same for everybody is kept: it costs nothing.
    let _turn = if caller.user.is_some() || !query.is_empty() { Some(serving.app.lists.turn(&name(&caller, client)).await?) } else { None };
    let page = if narrowed {
        kept.resources.search(kept.handler(), &caller, &query).await?
    } else {
        kept.resources.list(kept.handler(), &caller, limit, cursor).await?
    };
    let mut response = Json(page.items).into_response();
    keep_out_of_shared_caches(&caller, response.headers_mut());
    if let Some(next) = page.next {
        let link = next_link(uri.path(), &query, &next);
        response.headers_mut().insert(header::LINK, header_value(&link)?);
    }
    Ok(response)
}

/// What everybody has, narrowed and searched.
pub(super) async fn search(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    client: Client,
    Asked(query): Asked<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    each_once(&query)?;
    if let Some(limit) = given(&query, "limit")? {
        parse_limit(limit)?;
    }
    let _turn = serving.app.lists.turn(&name(&caller, client)).await?;
    let page = kept.resources.search(kept.handler(), &caller, &query).await?;
    let mut response = Json(PageBody { items: page.items, next_cursor: page.next }).into_response();
    keep_out_of_shared_caches(&caller, response.headers_mut());
    Ok(response)
}

/// Nothing is given twice.
pub(super) fn each_once(query: &[(String, String)]) -> Result<(), ApiError> {
    query.iter().try_for_each(|(name, _)| given(query, name).map(drop))
}

/// The value of a parameter, which is given once at most.
pub(super) fn given<'q>(query: &'q [(String, String)], name: &str) -> Result<Option<&'q str>, ApiError> {
    let mut values = query.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let first = values.next();
    match values.next() {
        Some(_) => Err(ApiError::bad_request(format!("the query cannot be read: '{}' is given twice", quoted(name)))),
        None => Ok(first),
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one thing of the request")]
pub(super) async fn create(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    method: Method,
    uri: Uri,
    Key(key): Key,
    Traceparent(traceparent): Traceparent,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    access::check_amount(&serving, &caller, &body)?;
    let key = key.map(|key| IdempotencyKey { key, request_hash: request_hash(&method, uri.path(), &body) });
    let write = async move { kept.resources.create(kept.handler(), &caller, Value::Object(body), key, traceparent).await };
    let (view, replayed) = writes::finish(&serving.app.writes, write).await?;
    let location = format!("{}/{}", uri.path().trim_end_matches('/'), percent_encoded(&view.body.id));
    let mut response = (StatusCode::CREATED, [(header::LOCATION, header_value(&location)?)], shown(view)?).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

pub(super) async fn get(
    kept: Kept,
    caller: Caller,
    Id(id): Id,
    uri: Uri,
    known: IfNoneMatch,
    Asked(query): Asked<CourseQuery>,
) -> Result<Response, ApiError> {
    let before = query.history_before.as_deref().map(parse_before).transpose()?;
    let view = kept.resources.get(kept.handler(), &caller, &id, before).await?;
    let (tag, earlier) = (etag(&view), view.earlier);
    let mut response =
        if known.has(&tag) { (StatusCode::NOT_MODIFIED, [(header::ETAG, header_value(&tag)?)]).into_response() } else { shown(view)? };
    keep_out_of_shared_caches(&caller, response.headers_mut());
    if let Some(seq) = earlier {
        let link = format!("<{}?historyBefore={seq}>; rel=\"next\"", uri.path());
        response.headers_mut().insert(header::LINK, header_value(&link)?);
    }
    Ok(response)
}

pub(super) async fn update(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    Id(id): Id,
    IfMatch(expected): IfMatch,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let write = async move { kept.resources.update(kept.handler(), &caller, &id, Value::Object(body), expected).await };
    let view = writes::finish(&serving.app.writes, write).await.map_err(|e| unless_matched(e, expected))?;
    shown(view)
}

pub(super) async fn delete(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    Id(id): Id,
    IfMatch(expected): IfMatch,
) -> Result<Response, ApiError> {
    let write = async move { kept.resources.delete(kept.handler(), &caller, &id, expected).await };
    writes::finish(&serving.app.writes, write).await.map_err(|e| unless_matched(e, expected))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The action is what the route does.
pub(super) async fn act(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    Id(id): Id,
    Maybe(body): Maybe,
) -> Result<Response, ApiError> {
    let write = async move { kept.resources.act(kept.handler(), &caller, &id, &kept.route.operation, Value::Object(body)).await };
    shown(writes::finish(&serving.app.writes, write).await?)
}

pub(super) async fn events(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    Id(id): Id,
    LastSeen(after): LastSeen,
) -> Result<Response, ApiError> {
    let reader = |user: &CurrentUser| Ok::<_, ApiError>(stream::Reader { place: serving.app.streams.open(&user.id)?, left: user.left });
    let reader = caller.user.as_ref().map(reader).transpose()?;
    let changes = kept.resources.changes(kept.handler(), &caller, &id, after.unwrap_or(0)).await?;
    Ok(stream::stream(changes, after, reader, serving.app.stop.clone()).await)
}

/// What tells one caller from another: the user, or where the request comes from.
pub(super) fn name(caller: &Caller, client: Client) -> String {
    match &caller.user {
        Some(user) => user.id.clone(),
        None => client.0.to_string(),
    }
}

pub(super) fn keep_out_of_shared_caches(caller: &Caller, headers: &mut HeaderMap) {
    let value = if caller.user.is_some() { "private, no-cache" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
    headers.append(header::VARY, HeaderValue::from_static("Authorization"));
}

fn shown(view: View) -> Result<Response, ApiError> {
    let tag = header_value(&etag(&view))?;
    Ok(([(header::ETAG, tag)], Json(view.body)).into_response())
}

fn parse_before(text: &str) -> Result<u64, ApiError> {
    let wrong = || ServiceError::field("historyBefore", format!("expected the number of a transition, from 1, got '{}'", quoted(text)));
    whole_number(text).filter(|seq| *seq > 0).ok_or_else(|| wrong().into())
}

pub(super) fn parse_limit(text: &str) -> Result<usize, ApiError> {
    number::parse_limit(text, MAX_PAGE)
}

/// Leads to the page at `cursor` of the same `query`.
fn next_link(path: &str, query: &[(String, String)], cursor: &str) -> String {
    let others = query.iter().filter(|(name, _)| name != "cursor");
    let others: String = others.map(|(name, value)| format!("{}={}&", percent_encoded(name), percent_encoded(value))).collect();
    format!("<{path}?{others}cursor={}>; rel=\"next\"", percent_encoded(cursor))
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

/// With `If-Match`, a conflict means that the precondition failed.
fn unless_matched(error: ServiceError, expected: Option<u64>) -> ApiError {
    let conflict = matches!(error, ServiceError::Conflict(_) | ServiceError::Moved { .. } | ServiceError::Differs { code: CHANGED, .. });
    let error = ApiError::from(error);
    if conflict && expected.is_some() { error.with_status(StatusCode::PRECONDITION_FAILED) } else { error }
}

/// The same for the same content, in whatever sequence its keys come and however it is spaced: a client that makes a request again may
/// write it differently.
pub(super) fn request_hash(method: &Method, path: &str, body: &Map<String, Value>) -> String {
    let mut body = Value::Object(body.clone());
    body.sort_all_objects();
    let mut hash = Sha256::new();
    for part in [method.as_str(), "\n", path, "\n", &body.to_string()] {
        hash.update(part);
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_link_keeps_the_limit_and_hides_nothing_of_the_cursor() {
        assert_eq!(
            next_link("/api/things", &[("limit".into(), "2".into()), ("cursor".into(), "z".into())], "a/b=c"),
            "</api/things?limit=2&cursor=a%2Fb%3Dc>; rel=\"next\""
        );
        assert_eq!(next_link("/api/things", &[], "x"), "</api/things?cursor=x>; rel=\"next\"");
    }

    #[test]
    fn a_conflict_is_a_failed_precondition_only_when_one_was_sent() {
        let conflict = || ServiceError::Conflict("changed".into());
        assert_eq!(unless_matched(conflict(), Some(1)).status(), StatusCode::PRECONDITION_FAILED);
        assert_eq!(unless_matched(conflict(), None).status(), StatusCode::CONFLICT);
    }
}
