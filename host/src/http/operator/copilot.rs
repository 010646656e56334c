//! The model that the copilot may ask.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use tokio::sync::oneshot;

use super::config::sent;
use super::instances::{Body, private};
use crate::http::error::ApiError;
use crate::http::state::Serving;
use crate::http::writes;
use crate::services::ServiceError;
use crate::services::console::{Actor, AppliedBody, AskBody, AskError, ConfigDesk, ModelError};

/// Who hangs up stops the question: nothing was changed by it. What it has taken is written down all the same.
pub(super) async fn ask(State(serving): State<Serving>, desk: ConfigDesk, actor: Actor, request: Request) -> Result<Response, ApiError> {
    let body: AskBody = sent(request, &serving, "").await?;
    let settings = serving.app.plan.operator.as_ref().and_then(|operator| operator.copilot.clone());
    let none = || ApiError::new(StatusCode::NOT_FOUND, "the config names no model: its operator.api has no `copilot`");
    let settings = settings.ok_or_else(none)?;
    // It goes with this future, which is dropped when nobody waits for it any more.
    let (_waits, gone) = oneshot::channel::<()>();
    let work = async move {
        let stopped = async move { gone.await.unwrap_or_default() };
        Ok::<_, ServiceError>(desk.ask(&settings, &actor, &body, stopped).await)
    };
    let answer = writes::finish(&serving.app.writes, work).await?;
    answer.map(|answer| private(Json(answer))).map_err(|error| match error {
        AskError::Service(error) => error.into(),
        AskError::Model(error) => of_model(error),
        stopped @ AskError::Stopped => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, stopped.to_string()),
    })
}

fn of_model(error: ModelError) -> ApiError {
    let detail = error.to_string();
    match error {
        ModelError::Busy(retry_after) => ServiceError::Unavailable { detail, retry_after }.into(),
        ModelError::Silent(_) => ApiError::new(StatusCode::GATEWAY_TIMEOUT, detail),
        _ => ApiError::new(StatusCode::BAD_GATEWAY, detail),
    }
}

pub(super) async fn applied(
    State(serving): State<Serving>,
    desk: ConfigDesk,
    actor: Actor,
    Body(body): Body<AppliedBody>,
) -> Result<Response, ApiError> {
    let write = async move { desk.applied(&actor, &body).await };
    Ok(private(Json(writes::finish(&serving.app.writes, write).await?)))
}
