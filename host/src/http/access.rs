//! Who is let in by a route: asked before anything is looked up, so that what is there and what is not are refused alike. That somebody
//! was not let in where only staff is, is written to the audit log.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;

use super::address::Client;
use super::error::ApiError;
use super::middleware::request_id;
use super::state::Serving;
use super::writes;
use crate::plan::Access;
use crate::plan::access::{Denied, Roles};
use crate::services::audit::Actor;
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
    // Where a role decides, what is done and what is refused is written.
    let is_watched = matches!(access, Access::Roles(named) if !named.and(Roles::STAFF).is_empty());
    let actor = user.as_ref().filter(|_| is_watched).map(|user| Arc::new(actor(user, request)));
    if let Err(denied) = access.admit(roles) {
        if let Some(actor) = actor {
            write_refusal(serving, actor);
        }
        return Err(refusal(denied));
    }
    // A customer who is let in as one does what is their own.
    let actor = actor.filter(|actor| !actor.roles.and(Roles::STAFF).is_empty());
    if let Some(actor) = &actor {
        request.extensions_mut().insert(Arc::clone(actor));
    }
    Ok(Caller { user, scope: serving.route.scope.of(access, roles.unwrap_or_default()), actor })
}

/// Who somebody is for the audit log.
pub(super) fn actor(user: &CurrentUser, request: &Request) -> Actor {
    let request_id = request.headers().get(request_id::NAME).and_then(|id| id.to_str().ok());
    Actor {
        id: user.id.clone(),
        roles: user.roles,
        sudo: false,
        request_id: request_id.map(str::to_owned),
        address: Some(Client::of(request.extensions()).0.to_string()),
    }
}

/// Who was refused does not wait for it.
fn write_refusal(serving: &Serving, actor: Arc<Actor>) {
    if let Some(log) = serving.app.audit.clone() {
        let route = Arc::clone(&serving.route);
        writes::begin(&serving.app.writes, async move { log.refused(&actor, &route.name).await });
    }
}

fn refusal(denied: Denied) -> ApiError {
    match denied {
        Denied::Unknown => ApiError::unauthorized("a token is needed"),
        Denied::Without(roles) => {
            ApiError::new(StatusCode::FORBIDDEN, format!("this is for the roles {}, and the token has none of them", roles.joined(", ")))
        }
    }
}
