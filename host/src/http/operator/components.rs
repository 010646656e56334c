//! Components: shown, judged, swapped.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde::Deserialize;

use super::instances::{Body, private};
use super::templates;
use crate::http::body::whole_of;
use crate::http::error::{ApiError, quoted};
use crate::http::extract::{Asked, Id};
use crate::http::state::Serving;
use crate::http::writes;
use crate::services::console::{
    Actor, CanaryBody, CompareBody, ConfigDesk, Console, MAX_COMPONENT_BYTES, PlaceBody, ReplayBody, StopBody, SwapBody, TrialBody,
};

/// For a whole file.
const UPLOAD_LIMIT: Duration = Duration::from_secs(60);
/// Header with the text of an uploaded file's signature.
const SIGNATURE: &str = "X-Signature";

pub(super) async fn list(console: Console) -> Response {
    private(Json(console.components()))
}

/// The component that a path names, also where a deed comes after it.
fn named(console: &Console, Id(name): &Id) -> Result<String, ApiError> {
    console.component(name)?;
    Ok(name.clone())
}

pub(super) async fn show(console: Console, Id(name): Id) -> Result<Response, ApiError> {
    Ok(private(Json(console.component(&name)?)))
}

pub(super) async fn upload(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    id: Id,
    request: Request,
) -> Result<Response, ApiError> {
    let name = named(&console, &id)?;
    check_media(&request)?;
    // Before the body, which is kept in memory.
    let ticket = console.enter_upload()?;
    let signature = request.headers().get(SIGNATURE).map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned());
    let file = whole_of(request.into_body(), UPLOAD_LIMIT, MAX_COMPONENT_BYTES as u64).await?;
    let write = async move { console.upload(&actor, &name, (file, signature), ticket).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

fn check_media(request: &Request) -> Result<(), ApiError> {
    let media = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if matches!(media, "application/wasm" | "application/octet-stream") {
        return Ok(());
    }
    let detail = format!("content type '{}' is not accepted; send application/wasm", quoted(media));
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

pub(super) async fn introduce(
    State(serving): State<Serving>,
    console: Console,
    desk: ConfigDesk,
    actor: Actor,
    Id(name): Id,
    request: Request,
) -> Result<Response, ApiError> {
    let name = templates::name(&name)?;
    check_media(&request)?;
    let place = desk.place_of_new(&name)?;
    let ticket = console.enter_upload()?;
    let file = whole_of(request.into_body(), UPLOAD_LIMIT, MAX_COMPONENT_BYTES as u64).await?;
    let write = async move { console.introduce(&actor, &name, (place, file), ticket).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

pub(super) async fn settle(
    State(serving): State<Serving>,
    console: Console,
    desk: ConfigDesk,
    actor: Actor,
    Id(name): Id,
    Body(body): Body<PlaceBody>,
) -> Result<Response, ApiError> {
    let name = templates::name(&name)?;
    let place = desk.place_of_new(&name)?;
    let write = async move { console.settle(&actor, &name, place, &body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

pub(super) async fn swap(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    id: Id,
    Body(body): Body<SwapBody>,
) -> Result<Response, ApiError> {
    let name = named(&console, &id)?;
    let write = async move { console.swap(&actor, &name, &body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

pub(super) async fn rollback(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    id: Id,
    Body(body): Body<SwapBody>,
) -> Result<Response, ApiError> {
    let name = named(&console, &id)?;
    let write = async move { console.roll_back(&actor, &name, &body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

pub(super) async fn trial(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    Id(name): Id,
    Body(body): Body<TrialBody>,
) -> Result<Response, ApiError> {
    let trial = async move { console.try_out(&actor, &name, body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, trial).await?)))
}

pub(super) async fn canary(console: Console, Id(name): Id) -> Result<Response, ApiError> {
    Ok(private(Json(console.canary(&name)?)))
}

pub(super) async fn begin_canary(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    id: Id,
    Body(body): Body<CanaryBody>,
) -> Result<Response, ApiError> {
    let name = named(&console, &id)?;
    let write = async move { console.begin_canary(&actor, &name, &body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

pub(super) async fn stop_canary(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    id: Id,
    Body(body): Body<StopBody>,
) -> Result<Response, ApiError> {
    let name = named(&console, &id)?;
    let write = async move { console.stop_canary(&actor, &name, &body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}

pub(super) async fn compare(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    id: Id,
    Body(body): Body<CompareBody>,
) -> Result<Response, ApiError> {
    let name = named(&console, &id)?;
    let compare = async move { console.compare(&actor, &name, &body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, compare).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordingsQuery {
    component: Option<String>,
}

pub(super) async fn recordings(console: Console, Asked(asked): Asked<RecordingsQuery>) -> Result<Response, ApiError> {
    Ok(private(Json(console.recordings(asked.component.as_deref())?)))
}

pub(super) async fn replay(
    State(serving): State<Serving>,
    console: Console,
    actor: Actor,
    id: Id,
    Body(body): Body<ReplayBody>,
) -> Result<Response, ApiError> {
    let name = named(&console, &id)?;
    let replay = async move { console.replay(&actor, &name, &body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, replay).await?)))
}
