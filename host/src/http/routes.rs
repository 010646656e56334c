//! All routes on one screen: those of the config, and those that every process has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use super::error::{ApiError, quoted};
use super::files::{self, Files};
use super::middleware::{auth, cors, observe, rate_limit, request_id, security};
use super::proxy::AskedTwice;
use super::state::{AppState, DEFAULT_TIMEOUT};
use super::{HttpParts, access, accounts, health, metrics, openapi, resources, serves};
use crate::plan::paths::{self, template as routable};
use crate::plan::{self, Endpoint, Middleware, Operation};
use crate::services::resources::Caller;
use crate::services::shop::stock;

/// Everything that answers, as one value.
pub fn router(parts: HttpParts) -> Router {
    let plan = Arc::clone(&parts.plan);
    let internal = parts.internal.clone();
    let state = Arc::new(AppState::new(parts));
    let mut routes = configured(&state, &plan);
    let observer = observer(&state, &plan, &routes);

    add(&mut routes, paths::OPENAPI, get(openapi::handler(&plan)));
    if let Some(settings) = &plan.metrics {
        add(&mut routes, paths::METRICS, metrics::route(&settings.access));
    }
    if let Some(settings) = &plan.health {
        add_probes(&mut routes, settings, Arc::new(health::Insiders::of(&plan)), serves::told(&plan));
    }

    let router = routes
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(&path, methods))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(state)
        .merge(internal.unwrap_or_default())
        .fallback_service(get_or_refuse(Files::new(&plan.files)))
        .layer(CatchPanicLayer::custom(security::panicked))
        .layer(from_fn_with_state(observer, observe::record));
    let router = match cors::elsewhere(&plan) {
        Some(layer) => router.layer(from_fn_with_state(layer, cors::readable)),
        None => router,
    };
    router.layer(from_fn(security::headers))
}

type Routes = BTreeMap<String, MethodRouter<Arc<AppState>>>;

/// The routes of the config, each behind its middlewares.
fn configured(state: &Arc<AppState>, plan: &plan::Plan) -> Routes {
    let limiters = limiters(plan);
    let mut routes = Routes::new();
    for route in &plan.routes {
        let methods = routes.entry(routable(&route.path)).or_default();
        let added = behind(endpoint(route), &route.middlewares, state, &limiters);
        *methods = std::mem::take(methods).merge(added);
    }
    for (path, settings) in preflights(plan) {
        let methods = routes.entry(path).or_default();
        let preflight = on(MethodFilter::OPTIONS, || async { StatusCode::NO_CONTENT }).route_layer(cors::layer(settings));
        *methods = std::mem::take(methods).merge(preflight);
    }
    routes
}

fn endpoint(route: &plan::Route) -> MethodRouter<Arc<AppState>> {
    let served = Arc::new(route.clone());
    let handler = move |State(state): State<Arc<AppState>>, request: Request| {
        let served = Arc::clone(&served);
        async move { answer(&state, &served, request).await }
    };
    let method = Method::from_bytes(route.method.as_bytes()).ok().and_then(|method| MethodFilter::try_from(method).ok());
    match method {
        Some(filter) => on(filter, handler),
        None => any(handler),
    }
}

/// Wraps `methods` so that the first of `middlewares` is the outermost.
fn behind(
    methods: MethodRouter<Arc<AppState>>,
    middlewares: &[Middleware],
    state: &Arc<AppState>,
    limiters: &BTreeMap<String, Arc<rate_limit::RateLimiter>>,
) -> MethodRouter<Arc<AppState>> {
    middlewares.iter().rev().fold(methods, |inner, middleware| match middleware {
        Middleware::Cors(settings) => inner.route_layer(cors::layer(settings)),
        Middleware::RequestId => inner.route_layer(from_fn(request_id::echo)),
        Middleware::Auth => inner.route_layer(from_fn_with_state(Arc::clone(state), auth::require)),
        Middleware::RateLimit(settings) => match limiters.get(&settings.name) {
            Some(limiter) => inner.route_layer(from_fn_with_state(Arc::clone(limiter), rate_limit::limit)),
            None => inner,
        },
    })
}

/// One limiter for each module, so that its routes share the buckets.
fn limiters(plan: &plan::Plan) -> BTreeMap<String, Arc<rate_limit::RateLimiter>> {
    let mut limiters = BTreeMap::new();
    for middleware in plan.routes.iter().flat_map(|route| &route.middlewares) {
        if let Middleware::RateLimit(settings) = middleware {
            limiters.entry(settings.name.clone()).or_insert_with(|| Arc::new(rate_limit::RateLimiter::new(settings)));
        }
    }
    limiters
}

/// Paths that other origins may ask about, unless the config answers `OPTIONS` itself.
fn preflights(plan: &plan::Plan) -> BTreeMap<String, &plan::Cors> {
    let mut asked = BTreeMap::new();
    for route in &plan.routes {
        let cors = route.middlewares.iter().find_map(|m| if let Middleware::Cors(settings) = m { Some(settings) } else { None });
        if let Some(settings) = cors {
            asked.entry(routable(&route.path)).or_insert(settings);
        }
    }
    let answers =
        |route: &&plan::Route| Method::from_bytes(route.method.as_bytes()).is_ok_and(|m| m == Method::OPTIONS) || is_any(&route.method);
    for route in plan.routes.iter().filter(answers) {
        asked.remove(&routable(&route.path));
    }
    asked
}

fn is_any(method: &str) -> bool {
    Method::from_bytes(method.as_bytes()).ok().and_then(|method| MethodFilter::try_from(method).ok()).is_none()
}

/// Adds a route that every process has. A config with a route of its own there is not valid.
fn add(routes: &mut Routes, path: &str, methods: MethodRouter<Arc<AppState>>) {
    routes.insert(path.to_owned(), methods);
}

fn observer(state: &AppState, plan: &plan::Plan, routes: &Routes) -> Arc<observe::Observer> {
    let mut templates: HashMap<_, _> = routes.keys().map(|path| (path.clone(), path.clone())).collect();
    for path in [paths::OPENAPI, &paths::below(stock::PATH)] {
        templates.insert(path.to_owned(), path.to_owned());
    }
    for route in plan.routes.iter().rev() {
        templates.insert(routable(&route.path), route.path.clone());
    }
    let write_timeout = plan.server.as_ref().map_or(DEFAULT_TIMEOUT, |server| server.write_timeout);
    Arc::new(observe::Observer {
        metrics: state.metrics.clone(),
        templates,
        deadline: state.read_timeout + write_timeout,
        bounded: observe::BoundedLines::new(),
    })
}

fn add_probes(routes: &mut Routes, settings: &plan::Health, insiders: Arc<health::Insiders>, served: Option<HeaderValue>) {
    let timeout = settings.check_timeout;
    let of_ready = Arc::clone(&insiders);
    let health = move |State(state): State<Arc<AppState>>, request: Request| {
        let is_insider = insiders.include(&request);
        async move { health::health(&state.health, timeout, is_insider).await }
    };
    let ready = move |State(state): State<Arc<AppState>>, request: Request| {
        let is_insider = of_ready.include(&request);
        async move { health::ready(&state.health, timeout, state.stop.is_requested(), is_insider).await }
    };
    add(routes, &settings.health_path, get(health));
    add(routes, &settings.ready_path, get(ready));
    let live = move |State(state): State<Arc<AppState>>| async move {
        (served.map(|served| [(serves::HEADER, served)]), health::live(&state.health))
    };
    add(routes, &settings.live_path, get(live));
}

/// The router adds which methods are allowed; who asks for just that gets just that.
async fn method_not_allowed(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method == Method::OPTIONS && !cors::is_preflight(&method, &headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let detail = format!("{method} is not allowed for '{}'", quoted(uri.path()));
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response()
}

fn get_or_refuse(files: Files) -> MethodRouter {
    any(files::serve).with_state(Arc::new(files))
}

async fn answer(state: &AppState, route: &plan::Route, mut request: Request) -> Response {
    let begin = Instant::now();
    let (module, operation) = operation(state, &route.endpoint);
    let answer = match access::admit(state, route, &mut request) {
        Ok(caller) => admitted(state, &route.endpoint, caller, request).await,
        Err(refused) => Err(refused),
    };
    let response = answer.into_response();
    let status = match response.status().as_u16() {
        500.. => "error",
        400.. => "rejected",
        _ => "success",
    };
    state.metrics.module_operation(module, operation, status, begin.elapsed());
    if response.extensions().get::<AskedTwice>().is_some() {
        state.metrics.module_operation(module, "ask_again", status, begin.elapsed());
    }
    response
}

async fn admitted(state: &AppState, endpoint: &Endpoint, caller: Caller, request: Request) -> Result<Response, ApiError> {
    match endpoint {
        Endpoint::Register => accounts::register(state, request).await,
        Endpoint::Login => accounts::login(state, request).await,
        Endpoint::Profile => accounts::profile(state, caller).await,
        Endpoint::UpdateProfile => accounts::update_profile(state, caller, request).await,
        Endpoint::Resource { handler, operation } => resources::answer(state, handler, operation, caller, request).await,
        Endpoint::Proxy(name) => proxy(state, name, request).await,
    }
}

async fn proxy(state: &AppState, name: &str, request: Request) -> Result<Response, ApiError> {
    match state.proxies.get(name) {
        Some(proxy) => Ok(proxy.clone().oneshot(request).await.into_response()),
        None => Err(ApiError::internal(anyhow::anyhow!("the proxy '{name}' was not built"))),
    }
}

/// Module and operation that a request counts for.
fn operation<'a>(state: &'a AppState, endpoint: &'a Endpoint) -> (&'a str, &'a str) {
    match endpoint {
        Endpoint::Register => (&state.accounts, "register"),
        Endpoint::Login => (&state.accounts, "login"),
        Endpoint::Profile => (&state.accounts, "profile"),
        Endpoint::UpdateProfile => (&state.accounts, "update_profile"),
        Endpoint::Resource { handler, operation } => (handler, operation_name(operation)),
        Endpoint::Proxy(name) => (name, "proxy"),
    }
}

fn operation_name(operation: &Operation) -> &str {
    match operation {
        Operation::List => "list",
        Operation::Create => "create",
        Operation::Get => "get",
        Operation::Update => "update",
        Operation::Delete => "delete",
        Operation::Events => "events",
        Operation::Action(action) => action,
    }
}
