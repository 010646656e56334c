//! What only staff do with resources: notes, and exports of what they search for.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Map;

use super::address::Client;
use super::body::Fields;
use super::error::ApiError;
use super::extract::{Asked, Id, Key, OfFields, Sent};
use super::resources::{Kept, REPLAYED, each_once, given, keep_out_of_shared_caches, name, parse_limit, request_hash};
use super::state::Serving;
use super::writes;
use crate::services::resources::{Caller, Exporting, IdempotencyKey, NoteBody};

/// Notes, the newest first.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Notes")]
pub(super) struct NotesBody {
    items: Vec<NoteBody>,
    /// To be sent as `cursor`; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    next_cursor: Option<String>,
}

/// A note that is written.
#[derive(JsonSchema)]
pub(super) struct NewNote {
    /// At most 2000 characters.
    #[schemars(length(min = 1, max = 2000))]
    text: String,
}

impl OfFields for NewNote {
    fn take(fields: &mut Fields) -> Self {
        Self { text: fields.text("text") }
    }
}

pub(super) async fn notes(
    kept: Kept,
    caller: Caller,
    Id(id): Id,
    Asked(query): Asked<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    let limit = given(&query, "limit")?.map(parse_limit).transpose()?;
    let (items, next_cursor) = kept.resources.notes(kept.handler(), &caller, &id, (limit, given(&query, "cursor")?)).await?;
    let mut response = Json(NotesBody { items, next_cursor }).into_response();
    keep_out_of_shared_caches(&caller, response.headers_mut());
    Ok(response)
}

#[expect(clippy::too_many_arguments, reason = "each is one thing of the request")]
pub(super) async fn add_note(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    method: Method,
    uri: Uri,
    Id(id): Id,
    Key(key): Key,
    Sent(note): Sent<NewNote>,
) -> Result<Response, ApiError> {
    let said = Map::from_iter([("text".to_owned(), note.text.as_str().into())]);
    let key = key.map(|key| IdempotencyKey { key, request_hash: request_hash(&method, uri.path(), &said) });
    let write = async move { kept.resources.add_note(kept.handler(), &caller, (&id, &note.text), key).await };
    let (noted, replayed) = writes::finish(&serving.app.writes, write).await?;
    let mut response = (StatusCode::CREATED, Json(noted)).into_response();
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What was counted, from the counters.
pub(super) async fn figures(kept: Kept, caller: Caller, Asked(query): Asked<Vec<(String, String)>>) -> Result<Response, ApiError> {
    each_once(&query)?;
    let mut response = Json(kept.resources.figures(kept.handler(), &query).await?).into_response();
    keep_out_of_shared_caches(&caller, response.headers_mut());
    Ok(response)
}

/// Everything that a search finds, as CSV: a page at a time, however much it is.
pub(super) async fn export(
    State(serving): State<Serving>,
    kept: Kept,
    caller: Caller,
    client: Client,
    Asked(query): Asked<Vec<(String, String)>>,
) -> Result<Response, ApiError> {
    each_once(&query)?;
    let turn = serving.app.lists.turn(&name(&caller, client)).await?;
    // The first page before the head of the answer: what is wrong with the query is told by its status.
    let export = kept.resources.export(kept.handler(), &caller, query).await?;
    let stop = serving.app.stop.clone();
    let pages = stream::unfold((Some(export), turn, stop), |(export, turn, stop)| async move {
        let Exporting { text, rest } = export?;
        if stop.is_requested() {
            return Some((Err(std::io::Error::other("the process stops")), (None, turn, stop)));
        }
        let next = match rest {
            None => Ok(None),
            Some(rest) => rest.next().await.map(Some),
        };
        match next {
            Ok(next) => Some((Ok(text), (next, turn, stop))),
            // The body ends early, which whoever reads it sees.
            Err(error) => Some((Err(std::io::Error::other(error)), (None, turn, stop))),
        }
    });
    let mut response = Body::from_stream(pages).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"export.csv\""));
    keep_out_of_shared_caches(&caller, headers);
    Ok(response)
}
