//! `http.middleware.cors`: which other origins a browser may call from.

use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, Any, CorsLayer};

use crate::http::middleware::request_id;
use crate::plan;

/// The layer for `settings`. Credentials are never allowed to any origin at once.
pub(in crate::http) fn layer(settings: &plan::Cors) -> CorsLayer {
    let any = settings.allowed_origins.iter().any(|origin| origin == "*");
    let origins = settings.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let exposed = [request_id::NAME, axum::http::header::ETAG, axum::http::header::LINK, axum::http::header::LOCATION];
    CorsLayer::new()
        .allow_origin(if any { AllowOrigin::from(Any) } else { AllowOrigin::list(origins) })
        .allow_methods(methods(&settings.allowed_methods))
        .allow_headers(headers(&settings.allowed_headers))
        .allow_credentials(settings.allow_credentials && !any)
        .expose_headers(exposed)
        .max_age(settings.max_age)
}

/// Names, never `*`: browsers take a star literally when credentials are allowed.
fn methods(names: &[String]) -> AllowMethods {
    if names.iter().any(|name| name == "*") {
        return AllowMethods::mirror_request();
    }
    AllowMethods::list(names.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok()))
}

fn headers(names: &[String]) -> AllowHeaders {
    if names.iter().any(|name| name == "*") {
        return AllowHeaders::mirror_request();
    }
    AllowHeaders::list(names.iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()))
}
