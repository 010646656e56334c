//! Who is let in by a route: asked before anything is looked up, so that what is there and what is not are refused alike. That somebody
//! was not let in where only staff is, is written to the audit log.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::address::Client;
use super::error::ApiError;
use super::middleware::request_id;
use super::state::Serving;
use super::writes;
use crate::plan::access::{Denied, Roles};
use crate::plan::{Access, AccountOperation, SudoAbove};
use crate::services::audit::Actor;
use crate::services::resources::Caller;
use crate::services::users::CurrentUser;

/// What a route is about that asks for the password again.
const SUDO: &str = "sudo-required";
/// What is said where a second factor has to be set up first.
const ENROLMENT: &str = "second-factor-enrolment-required";

/// Lets a request through, with `admitted` among its extensions, or answers why not. Also says what became of it, in the word of the metrics.
pub(super) async fn let_through<A>(admitted: Result<A, ApiError>, mut request: Request, next: Next) -> (Response, &'static str)
where
    A: Clone + Send + Sync + 'static,
{
    let response = match admitted {
        Ok(admitted) => {
            request.extensions_mut().insert(admitted);
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    };
    let status = match response.status().as_u16() {
        500.. => "error",
        400.. => "rejected",
        _ => "success",
    };
    (response, status)
}

/// Who asks, if the route lets them in. An error is 401 without a token that is good, and 403 without a role that is named, or where the
/// password has to be shown again.
pub(super) async fn admit(serving: &Serving, request: &mut Request) -> Result<Caller, ApiError> {
    let access = serving.route.access;
    let user = match request.extensions_mut().remove::<CurrentUser>() {
        Some(user) => Some(user),
        None if access == Access::Anyone => None,
        None => Some(serving.app.authenticate(request.headers()).await?),
    };
    // Where a role decides, what is done and what is refused is written.
    let is_watched = matches!(access, Access::Roles(named) if !named.and(Roles::STAFF).is_empty());
    let actor = user.as_ref().filter(|_| is_watched).map(|user| Arc::new(actor(user, request)));
    if let Err(refused) = check(serving, user.as_ref()) {
        if let Some(actor) = actor {
            write_refusal(serving, actor);
        }
        return Err(refused);
    }
    // A customer who is let in as one does what is their own.
    let actor = actor.filter(|actor| !actor.roles.and(Roles::STAFF).is_empty());
    if let Some(actor) = &actor {
        request.extensions_mut().insert(Arc::clone(actor));
    }
    let roles = user.as_ref().map(|user| user.roles).unwrap_or_default();
    Ok(Caller { user, scope: serving.route.scope.of(access, roles), actor })
}

/// The token is good for this route, its roles are among those of the route, and the password was shown lately where that is asked for.
fn check(serving: &Serving, user: Option<&CurrentUser>) -> Result<(), ApiError> {
    if let Some(user) = user {
        check_purpose(serving, user)?;
    }
    serving.route.access.admit(user.map(|user| user.roles)).map_err(refusal)?;
    match (serving.route.sudo, user) {
        (Some(limit), Some(user)) => check_sudo(limit, user),
        _ => Ok(()),
    }
}

/// Whether who asks for this may have it without showing the password again: not for a large amount.
pub(super) fn check_amount(serving: &Serving, caller: &Caller, body: &Map<String, Value>) -> Result<(), ApiError> {
    let (Some(SudoAbove { field, above, within }), Some(user)) = (&serving.route.sudo_above, &caller.user) else { return Ok(()) };
    // A whole number may be written as 1e6; what is no number is refused by its schema.
    #[expect(clippy::cast_precision_loss, reason = "limits are amounts of money, far below 2^53")]
    let is_little = |asked: &Value| asked.as_f64().is_none_or(|asked| asked <= *above as f64);
    if body.get(field).is_none_or(is_little) {
        return Ok(());
    }
    let refused = check_sudo(*within, user);
    if let (Err(_), Some(actor)) = (&refused, &caller.actor) {
        write_refusal(serving, Arc::clone(actor));
    }
    refused
}

/// Who somebody is for the audit log.
pub(super) fn actor(user: &CurrentUser, request: &Request) -> Actor {
    let request_id = request.headers().get(request_id::NAME).and_then(|id| id.to_str().ok());
    Actor {
        id: user.id.clone(),
        roles: user.roles,
        sudo: user.confirmed.is_some_and(|ago| ago <= AccountOperation::SUDO),
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

/// A token that is good for setting up a second factor only is good for nothing else.
fn check_purpose(serving: &Serving, user: &CurrentUser) -> Result<(), ApiError> {
    if !user.enrols_only || serving.route.enrols {
        return Ok(());
    }
    let detail = "this token is only good for setting up a second factor, which the roles of its account need: POST .../totp gives a key \
                  for an authenticator app, POST .../totp/confirm takes a code of it and gives a token for everything";
    Err(ApiError::new(StatusCode::FORBIDDEN, detail).coded(ENROLMENT))
}

pub(super) fn check_sudo(limit: Duration, user: &CurrentUser) -> Result<(), ApiError> {
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
