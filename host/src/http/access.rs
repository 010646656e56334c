//! Who is let in by a route: asked before anything is looked up, so that what is there and what is not are refused alike.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;

use super::error::ApiError;
use super::state::Serving;
use crate::plan::Access;
use crate::plan::access::Denied;
use crate::services::resources::Caller;
use crate::services::users::CurrentUser;

/// What a route is about that asks for the password again.
const SUDO: &str = "sudo-required";
/// What is said where a second factor has to be set up first.
const ENROLMENT: &str = "second-factor-enrolment-required";

/// Who asks, if the route lets them in. An error is 401 without a token that is good, and 403 without a role that is named, or where the
/// password has to be shown again.
pub(super) async fn admit(serving: &Serving, request: &mut Request) -> Result<Caller, ApiError> {
    let access = serving.route.access;
    let user = match request.extensions_mut().remove::<CurrentUser>() {
        Some(user) => Some(user),
        None if access == Access::Anyone => None,
        None => Some(serving.app.authenticate(request.headers()).await?),
    };
    let roles = user.as_ref().map(|user| user.roles);
    if let Some(user) = &user {
        check_purpose(serving, user)?;
    }
    access.admit(roles).map_err(refusal)?;
    if let (Some(limit), Some(user)) = (serving.route.sudo, &user) {
        check_sudo(limit, user)?;
    }
    Ok(Caller { user, scope: serving.route.scope.of(access, roles.unwrap_or_default()) })
}

/// A token that is good for setting up a second factor only is good for nothing else.
fn check_purpose(serving: &Serving, user: &CurrentUser) -> Result<(), ApiError> {
    if !user.enrols_only || serving.route.enrols {
        return Ok(());
    }
    let detail = "this token is only good for setting up a second factor, which the roles of its account need: POST .../totp gives a key \
                  for an authenticator app, POST .../totp/confirm takes a code of it and gives a token for everything";
    Err(ApiError::new(StatusCode::FORBIDDEN, detail).coded(ENROLMENT))
}

fn check_sudo(limit: Duration, user: &CurrentUser) -> Result<(), ApiError> {
    if user.enrols_only || user.confirmed.is_some_and(|ago| ago <= limit) {
        return Ok(());
    }
    let limit = humantime::format_duration(limit);
    let detail = format!(
        "this needs the password again: send it to POST .../sudo, and repeat this request within {limit} with the token that is answered there"
    );
    Err(ApiError::new(StatusCode::FORBIDDEN, detail).coded(SUDO))
}

fn refusal(denied: Denied) -> ApiError {
    match denied {
        Denied::Unknown => ApiError::unauthorized("a token is needed"),
        Denied::Without(roles) => {
            ApiError::new(StatusCode::FORBIDDEN, format!("this is for the roles {}, and the token has none of them", roles.joined(", ")))
        }
    }
}
