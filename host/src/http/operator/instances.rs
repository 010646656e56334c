//! Instances: found, shown, acted on.

use axum::Json;
use axum::RequestPartsExt as _;
use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::http::error::ApiError;
use crate::http::extract::{Asked, Key, Whole};
use crate::http::number::whole_number;
use crate::http::state::Serving;
use crate::http::writes;
use crate::services::ServiceError;
use crate::services::console::{Action, Actor, Bulk, Console, Deed, Filter};
use crate::services::error::FieldError;

impl FromRequestParts<Serving> for Console {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, serving: &Serving) -> Result<Self, ApiError> {
        let none = || ApiError::new(StatusCode::NOT_FOUND, "this process has no database, so it keeps no instances");
        serving.app.console.clone().ok_or_else(none)
    }
}

/// A body that is read into a `T`, strictly.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequest<Serving> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        let Whole(object) = Whole::from_request(request, serving).await?;
        serde_path_to_error::deserialize(Value::Object(object)).map(Self).map_err(|error| {
            let path = error.path().to_string();
            let pointer = if path == "." { String::new() } else { format!("/{}", path.replace(['.', '['], "/").replace(']', "")) };
            ApiError::invalid(vec![FieldError { pointer, detail: error.into_inner().to_string() }])
        })
    }
}

/// Kind and id of an instance, from the path.
pub(super) struct Named(String, String);

impl FromRequestParts<Serving> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Serving) -> Result<Self, ApiError> {
        let found = parts.extract::<Path<Vec<(String, String)>>>().await;
        let Path(found) = found.map_err(|_| ApiError::bad_request("the path is not valid UTF-8"))?;
        let mut values = found.into_iter().map(|(_, value)| value);
        let missing = || ApiError::internal(anyhow::anyhow!("a route of one instance has no placeholders"));
        values.next().zip(values.next()).map(|(kind, id)| Self(kind, id)).ok_or_else(missing)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListQuery {
    kind: Option<String>,
    workflow: Option<String>,
    state: Option<String>,
    finished: Option<bool>,
    attention: Option<bool>,
    held: Option<bool>,
    owner: Option<String>,
    digest: Option<String>,
    text: Option<String>,
    older_than: Option<String>,
    cursor: Option<String>,
    limit: Option<String>,
}

pub(super) async fn list(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    Asked(query): Asked<ListQuery>,
) -> Result<Response, ApiError> {
    let ListQuery { kind, workflow, state, finished, attention, held, owner, digest, text, older_than, cursor, limit } = query;
    let filter = Filter { kind, workflow, state, finished, attention, held, owner, digest, text, older_than };
    let limit = limit.as_deref().map(|text| number("limit", text)).transpose()?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let _turn = serving.app.lists.turn(actor.who()).await?;
    Ok(private(Json(console.list(&filter, limit, cursor.as_deref()).await?)))
}

pub(super) async fn count(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    Asked(filter): Asked<Filter>,
) -> Result<Response, ApiError> {
    let _turn = serving.app.lists.turn(actor.who()).await?;
    Ok(private(Json(console.count(&filter).await?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CourseQuery {
    history_before: Option<String>,
}

pub(super) async fn show(console: Console, Named(kind, id): Named, Asked(query): Asked<CourseQuery>) -> Result<Response, ApiError> {
    let before = query.history_before.as_deref().map(|text| number("historyBefore", text)).transpose()?;
    Ok(private(Json(console.show(&kind, &id, before).await?)))
}

/// Why something is done.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "DeedRequest")]
pub(in crate::http) struct DeedBody {
    /// Why; it is written down with who it was. 1 to 500 characters.
    reason: String,
    /// Transition to make, of `fire`.
    transition: Option<String>,
}

macro_rules! deed {
    ($name:ident, $action:ident) => {
        pub(super) async fn $name(
            serving: State<Serving>,
            console: Console,
            actor: Actor,
            named: Named,
            body: Body<DeedBody>,
        ) -> Result<Response, ApiError> {
            act(serving, (console, actor), named, (Action::$action, body.0)).await
        }
    };
}

deed!(retry, Retry);
deed!(fire, Fire);
deed!(hold, Hold);
deed!(release, Release);
deed!(cancel, Cancel);

async fn act(
    State(serving): State<Serving>,
    (console, actor): (Console, Actor),
    Named(kind, id): Named,
    (action, body): (Action, DeedBody),
) -> Result<Response, ApiError> {
    let deed = Deed { action, reason: body.reason, transition: body.transition };
    let write = async move { console.act(&actor, &kind, &id, &deed).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

pub(super) async fn bulk(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    Key(key): Key,
    Body(bulk): Body<Bulk>,
) -> Result<Response, ApiError> {
    // Who goes away while it is done wants it to end.
    let gone = CancellationToken::new();
    let _here = gone.clone().drop_guard();
    let write = async move { console.bulk(&actor, &bulk, key.as_deref(), &gone).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

fn number(name: &'static str, text: &str) -> Result<u64, ApiError> {
    whole_number(text).ok_or_else(|| ServiceError::field(name, "expected a whole number").into())
}

/// Nobody keeps a copy of what operators see.
pub(super) fn private(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}
