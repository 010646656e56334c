//! `http.middleware.auth`: a bearer token, or 401.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::state::AppState;

/// Lets only requests with a valid token through, with a [`CurrentUser`](crate::services::users::CurrentUser) among their extensions.
pub(in crate::http) async fn require(State(state): State<Arc<AppState>>, mut request: Request, next: Next) -> Response {
    match state.authenticate(request.headers()).await {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}
