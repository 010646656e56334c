//! What is around every route and every file: one layer, since each costs a request what it is made of.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::CorsLayer;

use super::observe::Observer;
use super::{cors, observe, security};

/// What all answers of an address have in common.
pub(in crate::http) struct Around {
    pub(in crate::http) observer: Observer,
    /// What other origins may read of answers that no route gave.
    pub(in crate::http) cors: Option<CorsLayer>,
}

/// Has the request answered, counted and logged, and the answer get the headers that every one has.
pub(in crate::http) async fn every_route(State(around): State<Arc<Around>>, request: Request, next: Next) -> Response {
    let asked = around.cors.as_ref().and_then(|cors| Some((cors, cors::Asked::of(&request)?)));
    let mut response = observe::record(&around.observer, request, next).await;
    if let Some((cors, asked)) = asked {
        response = cors::readable(cors, asked, response).await;
    }
    security::set_headers(response.headers_mut());
    response
}
