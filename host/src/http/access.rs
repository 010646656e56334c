//! Who is let in by a route: asked before anything is looked up, so that what is there and what is not are refused alike.

use axum::extract::Request;
use axum::http::StatusCode;

use super::error::ApiError;
use super::state::Serving;
use crate::plan::Access;
use crate::plan::access::Denied;
use crate::services::resources::Caller;
use crate::services::users::CurrentUser;

/// Who asks, if the route lets them in. An error is 401 without a token that is good, and 403 without a role that is named.
pub(super) fn admit(serving: &Serving, request: &mut Request) -> Result<Caller, ApiError> {
    let access = serving.route.access;
    let user = match request.extensions_mut().remove::<CurrentUser>() {
        Some(user) => Some(user),
        None if access == Access::Anyone => None,
        None => Some(serving.app.authenticate(request.headers())?),
    };
    let roles = user.as_ref().map(|user| user.roles);
    access.admit(roles).map_err(refusal)?;
    Ok(Caller { user, scope: serving.route.scope.of(access, roles.unwrap_or_default()) })
}

fn refusal(denied: Denied) -> ApiError {
    match denied {
        Denied::Unknown => ApiError::unauthorized("a token is needed"),
        Denied::Without(roles) => {
            ApiError::new(StatusCode::FORBIDDEN, format!("this is for the roles {}, and the token has none of them", roles.joined(", ")))
        }
    }
}
