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
use crate::services::users::{
    Code, Confirmation, Credentials, CurrentUser, Enrolled, Forgotten, PasswordChange, PasswordReset, Profile, ProfileChange, Registration,
    Session, Users,
};
use crate::telemetry::traces;

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
    /// `true` where a code is asked for beside the password; else left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    second_factor: bool,
}

/// A user and the token that speaks for them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub(super) struct SessionBody {
    /// For `Authorization: Bearer`.
    token: String,
    user: UserBody,
    /// `second-factor-enrolment`: the token is only good for setting up a second factor, which the roles of the account need.
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<&'static str>,
}

/// What an authenticator app needs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Enrolment")]
pub(super) struct EnrolmentBody {
    /// The key in base 32, to be typed in.
    secret: String,
    /// The same as `otpauth://`, for a QR code.
    uri: String,
}

/// A second factor that is asked for from now on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Enrolled")]
#[serde(rename_all = "camelCase")]
pub(super) struct EnrolledBody {
    /// For all roles of the account; the tokens from before have ended.
    token: String,
    user: UserBody,
    /// Each is good once, in the place of a code. They are shown this once.
    recovery_codes: Vec<String>,
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
    Ok(answer(SessionBody::from(users.login(&given.email, &given.password, given.code.as_deref(), client.0).await?)).into_response())
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

pub(super) async fn renew(users: Users, user: CurrentUser) -> Result<Response, ApiError> {
    Ok(answer(SessionBody::from(users.renew(&user).await?)).into_response())
}

pub(super) async fn sudo(users: Users, user: CurrentUser, client: Client, Sent(given): Sent<Confirmation>) -> Result<Response, ApiError> {
    Ok(answer(SessionBody::from(users.sudo(&user, &given, client.0).await?)).into_response())
}

pub(super) async fn change_password(
    State(serving): State<Serving>,
    users: Users,
    user: CurrentUser,
    client: Client,
    Sent(change): Sent<PasswordChange>,
) -> Result<Response, ApiError> {
    let change = async move { users.change_password(&user, &change, client.0).await };
    Ok(answer(SessionBody::from(writes::finish(&serving.app.writes, change).await?)).into_response())
}

/// Answered before anything is looked up, so that the answer says as little in its time as in its words.
pub(super) async fn forgotten(
    State(serving): State<Serving>,
    users: Users,
    client: Client,
    Sent(whose): Sent<Forgotten>,
) -> Result<StatusCode, ApiError> {
    users.may_ask_for_reset(&whose.email, client.0).await?;
    let sending = async move {
        if let Err(error) = users.send_reset(&whose.email).await {
            tracing::warn!(%error, "a link for another password was not sent");
        }
    };
    writes::begin(&serving.app.writes, traces::carried(sending));
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn reset(State(serving): State<Serving>, users: Users, Sent(reset): Sent<PasswordReset>) -> Result<StatusCode, ApiError> {
    writes::finish(&serving.app.writes, async move { users.reset_password(&reset).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn enrol_factor(State(serving): State<Serving>, users: Users, user: CurrentUser) -> Result<Response, ApiError> {
    let begun = writes::finish(&serving.app.writes, async move { users.enrol_factor(&user).await }).await?;
    Ok(answer(EnrolmentBody { secret: begun.secret, uri: begun.uri }).into_response())
}

pub(super) async fn confirm_factor(
    State(serving): State<Serving>,
    users: Users,
    user: CurrentUser,
    Sent(sent): Sent<Code>,
) -> Result<Response, ApiError> {
    let Enrolled { session, recovery_codes } =
        writes::finish(&serving.app.writes, async move { users.confirm_factor(&user, &sent.code).await }).await?;
    Ok(answer(EnrolledBody { token: session.token, user: session.user.into(), recovery_codes }).into_response())
}

pub(super) async fn remove_factor(State(serving): State<Serving>, users: Users, user: CurrentUser) -> Result<Response, ApiError> {
    let removed = writes::finish(&serving.app.writes, async move { users.remove_factor(&user).await }).await?;
    Ok(answer(SessionBody::from(removed)).into_response())
}

impl OfFields for PasswordChange {
    fn take(fields: &mut Fields) -> Self {
        Self { current_password: fields.text("currentPassword"), new_password: fields.text("newPassword") }
    }
}

impl OfFields for Forgotten {
    fn take(fields: &mut Fields) -> Self {
        Self { email: fields.text("email") }
    }
}

impl OfFields for PasswordReset {
    fn take(fields: &mut Fields) -> Self {
        Self { token: fields.text("token"), new_password: fields.text("newPassword") }
    }
}

impl OfFields for Code {
    fn take(fields: &mut Fields) -> Self {
        Self { code: fields.text("code") }
    }
}

impl OfFields for Confirmation {
    fn take(fields: &mut Fields) -> Self {
        Self { password: fields.text("password"), code: fields.optional_text("code") }
    }
}

impl OfFields for Registration {
    fn take(fields: &mut Fields) -> Self {
        Self { name: fields.text("name"), email: fields.text("email"), password: fields.text("password") }
    }
}

impl OfFields for Credentials {
    fn take(fields: &mut Fields) -> Self {
        Self { email: fields.text("email"), password: fields.text("password"), code: fields.optional_text("code") }
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
pub(super) fn answer(body: impl Serialize) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body))
}

impl From<Profile> for UserBody {
    fn from(user: Profile) -> Self {
        Self { id: user.id, email: user.email, name: user.name, created_at: user.created_at.to_string(), second_factor: user.second_factor }
    }
}

impl From<Session> for SessionBody {
    fn from(session: Session) -> Self {
        Self { token: session.token, user: session.user.into(), needs: session.enrols_only.then_some("second-factor-enrolment") }
    }
}
