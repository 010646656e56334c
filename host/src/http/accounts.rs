//! Registration, login and profile.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::address::Client;
use super::body::{self, Fields, Presence};
use super::error::ApiError;
use super::state::AppState;
use super::writes;
use crate::services::resources::Caller;
use crate::services::users::{Credentials, CurrentUser, Profile, ProfileChange, Registration, Session, Users};

/// A user.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
#[serde(rename_all = "camelCase")]
pub(super) struct UserBody {
    id: String,
    email: String,
    name: String,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
}

/// A user and the token that speaks for them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub(super) struct SessionBody {
    /// For `Authorization: Bearer`.
    token: String,
    user: UserBody,
}

pub(super) async fn register(state: &AppState, request: Request) -> Result<Response, ApiError> {
    let (users, client) = (users(state)?, Client::of(&request));
    let (_, body) = body::object(request, Presence::Required, state.read_timeout).await?;
    let mut fields = Fields::new(body);
    let registration = Registration { name: fields.text("name"), email: fields.text("email"), password: fields.text("password") };
    fields.finish()?;
    let session = writes::finish(&state.writes, async move { users.register(registration, client.0).await }).await?;
    Ok((StatusCode::CREATED, answer(SessionBody::from(session))).into_response())
}

pub(super) async fn login(state: &AppState, request: Request) -> Result<Response, ApiError> {
    let (users, client) = (users(state)?, Client::of(&request));
    let (_, body) = body::object(request, Presence::Required, state.read_timeout).await?;
    let mut fields = Fields::new(body);
    let given = Credentials { email: fields.text("email"), password: fields.text("password") };
    fields.finish()?;
    Ok(answer(SessionBody::from(users.login(&given.email, &given.password, client.0).await?)).into_response())
}

pub(super) async fn profile(state: &AppState, caller: Caller) -> Result<Response, ApiError> {
    let (users, user) = (users(state)?, current(caller)?);
    Ok(answer(UserBody::from(users.profile(&user).await?)).into_response())
}

pub(super) async fn update_profile(state: &AppState, caller: Caller, request: Request) -> Result<Response, ApiError> {
    let (users, user) = (users(state)?, current(caller)?);
    let (_, body) = body::object(request, Presence::Required, state.read_timeout).await?;
    let mut fields = Fields::new(body);
    let change = ProfileChange { name: fields.optional_text("name"), email: fields.optional_text("email") };
    fields.finish()?;
    let update = async move { users.update(&user, change.name.as_deref(), change.email.as_deref()).await };
    Ok(answer(UserBody::from(writes::finish(&state.writes, update).await?)).into_response())
}

/// A profile belongs to somebody.
fn current(caller: Caller) -> Result<CurrentUser, ApiError> {
    caller.user.ok_or_else(|| ApiError::unauthorized("a token is needed"))
}

fn users(state: &AppState) -> Result<Users, ApiError> {
    state.users.clone().ok_or_else(|| ApiError::internal(anyhow::anyhow!("a route needs accounts, and this process has none")))
}

/// Nothing of an account belongs in a cache.
fn answer(body: impl Serialize) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body))
}

impl From<Profile> for UserBody {
    fn from(user: Profile) -> Self {
        Self { id: user.id, email: user.email, name: user.name, created_at: user.created_at.to_string() }
    }
}

impl From<Session> for SessionBody {
    fn from(session: Session) -> Self {
        Self { token: session.token, user: session.user.into() }
    }
}
