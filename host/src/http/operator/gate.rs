//! Who is let in: asked before anything is looked up.
//!
//! Somebody on this machine may look without a token, if the config does not ask for roles. So whatever a browser of this machine could be
//! made to send by a page of somebody else is refused: another name than the listener's own, and what another origin sends.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::need::Need;
use super::operations::Operation;
use crate::http::access::{actor, check_sudo, let_through};
use crate::http::address::{forwarded, peer};
use crate::http::error::ApiError;
use crate::http::hosts::Hosts;
use crate::http::state::AppState;
use crate::http::writes;
use crate::plan::{self, OperatorReaders};
use crate::services::audit;
use crate::services::console::Actor;

/// Lets in who may.
pub(super) struct Gate {
    app: Arc<AppState>,
    name: String,
    hosts: Hosts,
    write: bool,
    readers: OperatorReaders,
    knows_tokens: bool,
}

impl Gate {
    pub(super) fn new(app: Arc<AppState>, settings: &plan::Operator) -> Self {
        let plan::Operator { name, hosts, write, readers, knows_tokens, .. } = settings;
        let (name, hosts) = (name.clone(), Hosts::new(hosts));
        Self { app, name, hosts, write: *write, readers: *readers, knows_tokens: *knows_tokens }
    }

    /// Who asks, if they may do what is needed.
    async fn check(&self, request: &mut Request, operation: &'static Operation) -> Result<Actor, ApiError> {
        let need = operation.need;
        self.check_origin(request)?;
        let actor = self.actor(request, operation).await?;
        if need.writes() && !self.write {
            let detail = format!("this process may only be looked at here: `write` of the module '{}' is false", self.name);
            return Err(ApiError::new(StatusCode::FORBIDDEN, detail));
        }
        Ok(actor)
    }

    async fn actor(&self, request: &mut Request, operation: &'static Operation) -> Result<Actor, ApiError> {
        let need = operation.need;
        let sends_token = request.headers().contains_key(header::AUTHORIZATION);
        if self.knows_tokens && (sends_token || !self.is_enough_to_be_here(request, need)) {
            let user = self.app.authenticate(request.headers()).await?;
            let (actor, left) = (actor(&user, request), user.left);
            if need.roles().and(user.roles).is_empty() {
                self.write_refusal(actor, operation);
                let detail = format!("this is for the roles {}, and the token has none of them", need.roles().joined(", "));
                return Err(ApiError::new(StatusCode::FORBIDDEN, detail));
            }
            if let Some(limit) = need.sudo() {
                check_sudo(limit, &user).inspect_err(|_| self.write_refusal(actor.clone(), operation))?;
            }
            return Ok(Actor::new(actor, left));
        }
        if is_here(request) {
            return Ok(Actor::local());
        }
        let detail = "this process cannot check tokens (it has no auth.jwt), so only this machine is answered here";
        Err(ApiError::new(StatusCode::FORBIDDEN, detail))
    }

    /// Whether who is on this machine needs no token for it.
    fn is_enough_to_be_here(&self, request: &Request, need: Need) -> bool {
        need == Need::See && self.readers == OperatorReaders::Local && is_here(request)
    }

    /// Who was refused does not wait for it.
    fn write_refusal(&self, actor: audit::Actor, operation: &'static Operation) {
        if let Some(log) = self.app.audit.clone() {
            let route = format!("{} {}", operation.method, operation.path);
            writes::begin(&self.app.writes, async move { log.refused(&actor, &route).await });
        }
    }

    fn check_origin(&self, request: &Request) -> Result<(), ApiError> {
        let headers = request.headers();
        if let Some(name) = self.hosts.foreign(headers) {
            let detail = format!(
                "anybody can have '{}' lead here; ask by an address or a name without dots, or list the name in `hosts` of the module '{}'",
                name.escape_debug(),
                self.name
            );
            return Err(ApiError::new(StatusCode::FORBIDDEN, detail));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads && comes_from_elsewhere(headers) {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "a page of another origin may change nothing here"));
        }
        Ok(())
    }
}

/// Whether somebody on this machine asks, and for nobody else.
fn is_here(request: &Request) -> bool {
    let is_loopback = |client: crate::http::address::Forwarded<'_>| client.address().is_some_and(|address| address.is_loopback());
    peer(request).to_canonical().is_loopback() && forwarded(request.headers()).into_iter().all(is_loopback)
}

/// Whether a browser says that a page of another origin asks.
fn comes_from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or("?"));
    let Some(origin) = text(header::ORIGIN) else { return false };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_none() || authority != text(header::HOST)
}

/// Lets a request through with an [`Actor`] among its extensions, and counts what became of it.
pub(super) async fn admit(State((gate, operation)): State<(Arc<Gate>, &'static Operation)>, mut request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let actor = gate.check(&mut request, operation).await;
    let (response, status) = let_through(actor, request, next).await;
    gate.app.metrics.module_operation(&gate.name, operation.id, status, begin.elapsed());
    response
}

/// Lets through what no other origin asks for.
pub(super) async fn admit_here(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.check_origin(&request) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_page_of_another_origin_is_told_from_one_of_this_listener_and_from_no_page() {
        let from = |origin: Option<&'static str>| {
            let mut headers: HeaderMap = [(header::HOST, HeaderValue::from_static("127.0.0.1:9080"))].into_iter().collect();
            headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
            comes_from_elsewhere(&headers)
        };
        assert!(!from(None) && !from(Some("http://127.0.0.1:9080")));
        for other in ["http://127.0.0.1:8080", "https://evil.example", "null", "http://127.0.0.1:9080.evil.example"] {
            assert!(from(Some(other)), "{other}");
        }
    }
}
