//! The admin of a shop: products with whatever status, their prices, a table of many, and their stock.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::body;
use super::error::{ApiError, quoted};
use super::extract::{Asked, Id, Key, Whole};
use super::resources::{Kept, REPLAYED, parse_limit, request_hash};
use super::state::Serving;
use super::writes;
use crate::plan::MAX_TABLE_BYTES;
use crate::services::ServiceError;
use crate::services::resources::{Caller, IdempotencyKey, ProductQuery};

#[derive(Deserialize)]
pub(super) struct ProductsQuery {
    search: Option<String>,
    status: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct LevelsQuery {
    search: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PageQuery {
    cursor: Option<String>,
    limit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImportQuery {
    dry_run: Option<String>,
    digest: Option<String>,
}

/// A table of comma-separated values.
pub(super) struct Table(Bytes);

impl FromRequest<Serving> for Table {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        check_type(request.headers())?;
        let limit = serving.app.read_timeout.min(body::MAX_BODY_TIME).max(Duration::from_millis(1));
        body::whole_of(request.into_body(), limit, MAX_TABLE_BYTES).await.map(Self)
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |detail: String| Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refused("the body must not be compressed".to_owned());
    }
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "text/csv" { Ok(()) } else { refused(format!("content type '{}' is not accepted; send text/csv", quoted(sent))) }
}

/// What staff reads is kept nowhere.
fn answered(body: impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What tells one caller from another.
fn name(caller: &Caller) -> &str {
    caller.user.as_ref().map(|user| user.id.as_str()).unwrap_or_default()
}

pub(super) async fn search(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    Asked(query): Asked<ProductsQuery>,
) -> Result<Response, ApiError> {
    let ProductsQuery { search, status, cursor, limit } = query;
    let limit = limit.as_deref().map(parse_limit).transpose()?;
    let _turn = serving.app.lists.turn(name(&caller)).await?;
    let query = ProductQuery { search, status, cursor, limit };
    Ok(answered(kept.resources.products(kept.handler(), &caller, &query).await?))
}

pub(super) async fn prices(kept: Kept, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    Ok(answered(kept.resources.prices(kept.handler(), &caller, &id).await?))
}

pub(super) async fn import(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    Asked(query): Asked<ImportQuery>,
    Table(table): Table,
) -> Result<Response, ApiError> {
    let is_dry = match query.dry_run.as_deref() {
        // Who has the digest of a preview has seen it.
        None => query.digest.is_none(),
        Some("true") => true,
        Some("false") => false,
        Some(other) => return Err(ServiceError::field("dryRun", format!("expected true or false, got '{}'", quoted(other))).into()),
    };
    let digest = query.digest.filter(|_| !is_dry);
    if !is_dry && digest.is_none() {
        return Err(
            ServiceError::field("digest", "is missing: send the digest of the preview, so that what is done is what was seen").into()
        );
    }
    let _turn = serving.app.lists.turn(name(&caller)).await?;
    let write = async move { kept.resources.import(kept.handler(), &caller, &table, digest.as_deref()).await };
    Ok(answered(writes::finish(&serving.app.writes, write).await?))
}

pub(super) async fn levels(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    Asked(LevelsQuery { search, cursor, limit }): Asked<LevelsQuery>,
) -> Result<Response, ApiError> {
    let limit = limit.as_deref().map(parse_limit).transpose()?;
    let _turn = serving.app.lists.turn(name(&caller)).await?;
    Ok(answered(kept.resources.levels(kept.handler(), search.as_deref(), (cursor.as_deref(), limit)).await?))
}

pub(super) async fn moves(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    Id(id): Id,
    Asked(PageQuery { cursor, limit }): Asked<PageQuery>,
) -> Result<Response, ApiError> {
    let limit = limit.as_deref().map(parse_limit).transpose()?;
    let _turn = serving.app.lists.turn(name(&caller)).await?;
    Ok(answered(kept.resources.moves(kept.handler(), &caller, &id, (cursor.as_deref(), limit)).await?))
}

#[expect(clippy::too_many_arguments, reason = "each is one thing of the request")]
pub(super) async fn make_move(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    method: Method,
    uri: Uri,
    Id(id): Id,
    Key(key): Key,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let key = key.map(|key| IdempotencyKey { key, request_hash: request_hash(&method, uri.path(), &body) });
    let write = async move { kept.resources.move_stock(kept.handler(), &caller, &id, &body, key).await };
    let (made, replayed) = writes::finish(&serving.app.writes, write).await?;
    let mut response = (StatusCode::CREATED, answered(made)).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
