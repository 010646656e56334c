//! Who is let in by a route: asked before anything is looked up, so that what is there and what is not are refused alike.

use axum::extract::Request;
use axum::http::StatusCode;

use super::error::ApiError;
use super::state::AppState;
use crate::plan::access::Denied;
use crate::plan::{Access, Route};
use crate::services::resources::Caller;
use crate::services::users::CurrentUser;

/// Who asks, if `route` lets them in. An error is 401 without a token that is good, and 403 without a role that is named.
pub(super) fn admit(state: &AppState, route: &Route, request: &mut Request) -> Result<Caller, ApiError> {
    let user = match request.extensions_mut().remove::<CurrentUser>() {
        Some(user) => Some(user),
        None if route.access == Access::Anyone => None,
        None => Some(state.authenticate(request.headers())?),
    };
    let roles = user.as_ref().map(|user| user.roles);
    route.access.admit(roles).map_err(refusal)?;
    Ok(Caller { user, scope: route.scope.of(route.access, roles.unwrap_or_default()) })
}

fn refusal(denied: Denied) -> ApiError {
    match denied {
        Denied::Unknown => ApiError::unauthorized("a token is needed"),
        Denied::Without(roles) => {
            ApiError::new(StatusCode::FORBIDDEN, format!("this is for the roles {}, and the token has none of them", roles.joined(", ")))
        }
    }
}
