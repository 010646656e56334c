//! `http.middleware.cors`: which other origins a browser may call from.

use std::convert::Infallible;
use std::future::ready;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, Any, CorsLayer};

use crate::http::middleware::request_id;
use crate::plan::{self, Middleware, Plan};

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

/// The layer for answers that no route gave: that of the routes, if they have one and agree on it.
pub(in crate::http) fn elsewhere(plan: &Plan) -> Option<CorsLayer> {
    let mut all = plan.routes.iter().flat_map(|route| &route.middlewares).filter_map(|middleware| match middleware {
        Middleware::Cors(settings) => Some(settings),
        _ => None,
    });
    let first = all.next()?;
    all.all(|other| other == first).then(|| layer(first))
}

/// What a script of another origin asks.
pub(super) struct Asked {
    headers: Vec<(HeaderName, HeaderValue)>,
    is_preflight: bool,
}

impl Asked {
    /// Nothing if nobody of another origin does.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let (method, headers) = (request.method(), request.headers());
        if !headers.contains_key(header::ORIGIN) {
            return None;
        }
        let names = [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_REQUEST_HEADERS];
        let asked = names.into_iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect();
        Some(Self { headers: asked, is_preflight: is_preflight(method, headers) })
    }
}

/// Has scripts of other origins read also the errors that came about without a route that allows it: 404, 405, 431 and so on.
pub(super) async fn readable(cors: &CorsLayer, asked: Asked, response: Response) -> Response {
    let Asked { headers: asked, is_preflight } = asked;
    let status = response.status();
    // Every layer exposes headers.
    let has_passed_one = response.headers().contains_key(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    if has_passed_one || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let mut again = Request::new(());
    if is_preflight && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
        *again.method_mut() = Method::OPTIONS;
    }
    again.headers_mut().extend(asked);
    let mut response = Some(response);
    let given = service_fn(move |_: Request<()>| ready(Ok::<Response, Infallible>(response.take().unwrap_or_default())));
    cors.layer(given).oneshot(again).await.unwrap_or_else(|never| match never {})
}

/// Whether a browser asks before it sends the request itself.
pub(in crate::http) fn is_preflight(method: &Method, headers: &axum::http::HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(header::ORIGIN) && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
