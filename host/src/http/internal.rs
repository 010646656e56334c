//! What other processes of the same installation may ask, behind a secret that they share.
//!
//! Knows the secret and the size of a request; what is asked is the affair of the service behind.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use super::body::whole;
use super::error::ApiError;
use crate::clock::Clock;
use crate::plan::paths;
use crate::services::operations::agreement::{self, Comparison, Known};

/// The header that carries the secret.
const SECRET: HeaderName = HeaderName::from_static(crate::plan::INTERNAL_HEADER);
/// For a whole body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What answers, once a request is known to come from one of ours.
pub type InternalService = BoxCloneSyncService<axum::http::Request<Bytes>, axum::http::Response<Bytes>, Infallible>;

struct Guarded {
    /// Digests, so that comparing takes the same time whatever the length of what was sent.
    secrets: Vec<[u8; 32]>,
    service: InternalService,
}

/// Routes below `prefix`, which ends with a slash, for who knows one of `secrets`. Nobody knows an empty one.
pub fn internal(prefix: &str, secrets: &[&str], service: InternalService) -> Router {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty()).map(|secret| Sha256::digest(secret).into()).collect();
    Router::new().route(&paths::below(prefix), any(answer)).with_state(Arc::new(Guarded { secrets, service }))
}

/// Tells other processes whether settings that must be the same are, and what time it is by `clock`. It asks for no secret, because it is
/// about them, and it says nothing that who asks does not know already.
pub fn agreement(known: Known, clock: Clock) -> Router {
    Router::new().route(agreement::PATH, post(compare)).with_state((Arc::new(known), clock))
}

async fn compare(State((known, clock)): State<(Arc<Known>, Clock)>, request: Request) -> Result<Json<Comparison>, ApiError> {
    let body = whole(request.into_body(), BODY_TIMEOUT).await?;
    let asked = serde_json::from_slice(&body).map_err(|error| {
        ApiError::bad_request(format!("expected {{\"internalSecret\",\"jwtSecret\",\"issuer\"}}, fingerprints as text: {error}"))
    })?;
    Ok(Json(known.compare(&asked, clock.now())))
}

async fn answer(State(guarded): State<Arc<Guarded>>, request: Request) -> Result<Response, ApiError> {
    if let Err(refusal) = guarded.check(request.headers()) {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_string());
        tracing::warn!(peer, status = refusal.status().as_u16(), "an internal call without the right secret was refused");
        return Err(refusal);
    }
    let (parts, body) = request.into_parts();
    let request = Request::from_parts(parts, whole(body, BODY_TIMEOUT).await?);
    let response = guarded.service.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    Ok(response.map(Body::from).into_response())
}

impl Guarded {
    fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut sent = headers.get_all(SECRET).iter();
        let (Some(secret), None) = (sent.next(), sent.next()) else {
            return Err(ApiError::new(StatusCode::UNAUTHORIZED, "this is for processes of the same installation"));
        };
        let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let known = self.secrets.iter().fold(subtle::Choice::from(0), |known, secret| known | secret.ct_eq(&digest));
        if known.into() {
            return Ok(());
        }
        let detail = if self.secrets.is_empty() {
            "this process has no secret that others could know"
        } else {
            "this is not the secret of this installation"
        };
        Err(ApiError::new(StatusCode::FORBIDDEN, detail))
    }
}
