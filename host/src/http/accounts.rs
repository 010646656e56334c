//! Registration, login and profile.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::address::Client;
use super::body::Fields;
use super::error::ApiError;
use super::extract::{OfFields, Sent};
use super::state::Serving;
use super::writes;
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

pub(super) async fn register(
    State(serving): State<Serving>,
    users: Users,
    client: Client,
    Sent(registration): Sent<Registration>,
) -> Result<Response, ApiError> {
    let session = writes::finish(&serving.app.writes, async move { users.register(registration, client.0).await }).await?;
    Ok((StatusCode::CREATED, answer(SessionBody::from(session))).into_response())
}

pub(super) async fn login(users: Users, client: Client, Sent(given): Sent<Credentials>) -> Result<Response, ApiError> {
    Ok(answer(SessionBody::from(users.login(&given.email, &given.password, client.0).await?)).into_response())
}

pub(super) async fn profile(users: Users, user: CurrentUser) -> Result<Response, ApiError> {
    Ok(answer(UserBody::from(users.profile(&user).await?)).into_response())
}

pub(super) async fn update_profile(
    State(serving): State<Serving>,
    users: Users,
    user: CurrentUser,
    client: Client,
    Sent(change): Sent<ProfileChange>,
) -> Result<Response, ApiError> {
    let update = async move { users.update(&user, &change, client.0).await };
    Ok(answer(UserBody::from(writes::finish(&serving.app.writes, update).await?)).into_response())
}

impl OfFields for Registration {
    fn take(fields: &mut Fields) -> Self {
        Self { name: fields.text("name"), email: fields.text("email"), password: fields.text("password") }
    }
}

impl OfFields for Credentials {
    fn take(fields: &mut Fields) -> Self {
        Self { email: fields.text("email"), password: fields.text("password") }
    }
}

impl OfFields for ProfileChange {
    fn take(fields: &mut Fields) -> Self {
        Self {
            name: fields.optional_text("name"),
            email: fields.optional_text("email"),
            current_password: fields.optional_text("currentPassword"),
        }
    }
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
