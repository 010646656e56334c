//! All routes on one screen: those of the config, and those that every process has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use super::error::{ApiError, quoted};
use super::events::Streams;
use super::files::{self, Files};
use super::lists::Lists;
use super::middleware::{auth, cors, observe, rate_limit, request_id, security};
use super::{HttpParts, accounts, health, metrics, openapi, resources};
use crate::plan::paths::{self, template as routable};
use crate::plan::{self, Endpoint, Middleware, Operation};
use crate::services::resources::Resources;
use crate::services::shop::stock;
use crate::services::users::{CurrentUser, TokenVerifier, Users};
use crate::shutdown::Stop;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;

/// Used when the plan has no listener, for routers that are called without one.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What handlers share.
pub(super) struct Edge {
    pub(super) tokens: Option<TokenVerifier>,
    pub(super) users: Option<Users>,
    pub(super) resources: Option<Resources>,
    pub(super) metrics: Metrics,
    pub(super) health: super::HealthChecks,
    pub(super) writes: Tasks,
    pub(super) streams: Streams,
    pub(super) lists: Lists,
    pub(super) stop: Stop,
    pub(super) read_timeout: Duration,
    proxies: BTreeMap<String, Router>,
    /// Module name of `auth.jwt`, for metrics.
    accounts: String,
}

/// Everything that answers, as one value.
pub fn router(parts: HttpParts) -> Router {
    let plan = Arc::clone(&parts.plan);
    let internal = parts.internal.clone();
    let edge = Arc::new(Edge::new(parts));
    let mut routes = configured(&edge, &plan);
    let observer = observer(&edge, &plan, &routes);

    add(&mut routes, paths::OPENAPI, get(openapi::handler(&plan)));
    if let Some(settings) = &plan.metrics {
        add(&mut routes, paths::METRICS, metrics::route(&settings.access));
    }
    if let Some(settings) = &plan.health {
        add_probes(&mut routes, settings, Arc::new(health::Insiders::of(&plan)));
    }

    let router = routes
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(&path, methods))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(edge)
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

type Routes = BTreeMap<String, MethodRouter<Arc<Edge>>>;

/// The routes of the config, each behind its middlewares.
fn configured(edge: &Arc<Edge>, plan: &plan::Plan) -> Routes {
    let limiters = limiters(plan);
    let mut routes = Routes::new();
    for route in &plan.routes {
        let methods = routes.entry(routable(&route.path)).or_default();
        let added = behind(endpoint(route), &route.middlewares, edge, &limiters);
        *methods = std::mem::take(methods).merge(added);
    }
    for (path, settings) in preflights(plan) {
        let methods = routes.entry(path).or_default();
        let preflight = on(MethodFilter::OPTIONS, || async { StatusCode::NO_CONTENT }).route_layer(cors::layer(settings));
        *methods = std::mem::take(methods).merge(preflight);
    }
    routes
}

fn endpoint(route: &plan::Route) -> MethodRouter<Arc<Edge>> {
    let endpoint = Arc::new(route.endpoint.clone());
    let handler = move |State(edge): State<Arc<Edge>>, request: Request| {
        let endpoint = Arc::clone(&endpoint);
        async move { edge.answer(&endpoint, request).await }
    };
    let method = Method::from_bytes(route.method.as_bytes()).ok().and_then(|method| MethodFilter::try_from(method).ok());
    match method {
        Some(filter) => on(filter, handler),
        None => any(handler),
    }
}

/// Wraps `methods` so that the first of `middlewares` is the outermost.
fn behind(
    methods: MethodRouter<Arc<Edge>>,
    middlewares: &[Middleware],
    edge: &Arc<Edge>,
    limiters: &BTreeMap<String, Arc<rate_limit::RateLimiter>>,
) -> MethodRouter<Arc<Edge>> {
    middlewares.iter().rev().fold(methods, |inner, middleware| match middleware {
        Middleware::Cors(settings) => inner.route_layer(cors::layer(settings)),
        Middleware::RequestId => inner.route_layer(from_fn(request_id::echo)),
        Middleware::Auth => inner.route_layer(from_fn_with_state(Arc::clone(edge), auth::require)),
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
fn add(routes: &mut Routes, path: &str, methods: MethodRouter<Arc<Edge>>) {
    routes.insert(path.to_owned(), methods);
}

fn observer(edge: &Edge, plan: &plan::Plan, routes: &Routes) -> Arc<observe::Observer> {
    let mut templates: HashMap<_, _> = routes.keys().map(|path| (path.clone(), path.clone())).collect();
    for path in [paths::OPENAPI, &paths::below(stock::PATH)] {
        templates.insert(path.to_owned(), path.to_owned());
    }
    for route in plan.routes.iter().rev() {
        templates.insert(routable(&route.path), route.path.clone());
    }
    let write_timeout = plan.server.as_ref().map_or(DEFAULT_TIMEOUT, |server| server.write_timeout);
    Arc::new(observe::Observer {
        metrics: edge.metrics.clone(),
        templates,
        deadline: edge.read_timeout + write_timeout,
        bounded: observe::BoundedLines::new(),
    })
}

fn add_probes(routes: &mut Routes, settings: &plan::Health, insiders: Arc<health::Insiders>) {
    let timeout = settings.check_timeout;
    let of_ready = Arc::clone(&insiders);
    let health = move |State(edge): State<Arc<Edge>>, request: Request| {
        let is_insider = insiders.include(&request);
        async move { health::health(&edge.health, timeout, is_insider).await }
    };
    let ready = move |State(edge): State<Arc<Edge>>, request: Request| {
        let is_insider = of_ready.include(&request);
        async move { health::ready(&edge.health, timeout, edge.stop.is_requested(), is_insider).await }
    };
    add(routes, &settings.health_path, get(health));
    add(routes, &settings.ready_path, get(ready));
    add(routes, &settings.live_path, get(|State(edge): State<Arc<Edge>>| async move { health::live(&edge.health) }));
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

impl Edge {
    fn new(parts: HttpParts) -> Self {
        let tokens = parts.tokens.or_else(|| parts.users.as_ref().map(|users| users.tokens().clone()));
        let read_timeout = parts.plan.server.as_ref().map_or(DEFAULT_TIMEOUT, |server| server.read_timeout);
        let streams_per_user = parts.plan.server.as_ref().map_or(usize::MAX, |server| server.streams_per_user);
        let readers = parts.plan.database.as_ref().map_or(1, |database| database.max_open_conns);
        let accounts = parts.plan.auth.as_ref().map_or_else(String::new, |auth| auth.name.clone());
        Self {
            tokens,
            users: parts.users,
            resources: parts.resources,
            metrics: parts.metrics,
            health: parts.health,
            writes: parts.writes,
            streams: Streams::new(streams_per_user),
            lists: Lists::new(usize::try_from(readers / 2).unwrap_or(1).max(1)),
            stop: parts.stop,
            read_timeout,
            proxies: parts.proxies,
            accounts,
        }
    }

    /// Who the headers speak for; an error is 401.
    pub(super) fn authenticate(&self, headers: &HeaderMap) -> Result<CurrentUser, ApiError> {
        match &self.tokens {
            Some(tokens) => auth::authenticate(tokens, headers),
            None => Err(ApiError::internal(anyhow::anyhow!("a route needs tokens, and this process cannot check any"))),
        }
    }

    async fn answer(&self, endpoint: &Endpoint, request: Request) -> Response {
        let begin = Instant::now();
        let (module, operation) = self.operation(endpoint);
        let answer = match endpoint {
            Endpoint::Register => accounts::register(self, request).await,
            Endpoint::Login => accounts::login(self, request).await,
            Endpoint::Profile => accounts::profile(self, request).await,
            Endpoint::UpdateProfile => accounts::update_profile(self, request).await,
            Endpoint::Resource { handler, operation } => resources::answer(self, handler, operation, request).await,
            Endpoint::Proxy(name) => self.proxy(name, request).await,
        };
        let response = answer.into_response();
        let status = match response.status().as_u16() {
            500.. => "error",
            400.. => "rejected",
            _ => "success",
        };
        self.metrics.module_operation(module, operation, status, begin.elapsed());
        response
    }

    async fn proxy(&self, name: &str, request: Request) -> Result<Response, ApiError> {
        match self.proxies.get(name) {
            Some(proxy) => Ok(proxy.clone().oneshot(request).await.into_response()),
            None => Err(ApiError::internal(anyhow::anyhow!("the proxy '{name}' was not built"))),
        }
    }

    /// Module and operation that a request counts for.
    fn operation<'a>(&'a self, endpoint: &'a Endpoint) -> (&'a str, &'a str) {
        match endpoint {
            Endpoint::Register => (&self.accounts, "register"),
            Endpoint::Login => (&self.accounts, "login"),
            Endpoint::Profile => (&self.accounts, "profile"),
            Endpoint::UpdateProfile => (&self.accounts, "update_profile"),
            Endpoint::Resource { handler, operation } => (handler, operation_name(operation)),
            Endpoint::Proxy(name) => (name, "proxy"),
        }
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
