//! All routes on one screen: those of the config, and those that every process has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use bytes::Bytes;
use tower::ServiceExt;

use super::error::{ApiError, quoted};
use super::files::{self, Files};
use super::middleware::around::{self, Around};
use super::middleware::{auth, cors, observe, rate_limit, request_id};
use super::proxy::AskedTwice;
use super::state::{AppState, DEFAULT_TIMEOUT, Route as Served, Serving};
use super::table::{Answers, Entry, Table, is_any};
use super::{HttpParts, access, accounts, audit, back_office, health, metrics, openapi, operator, resources, serves, shop, staff};
use crate::plan::paths::{self, template as routable};
use crate::plan::{self, AccountOperation, Endpoint, Middleware, Operation, ShopOperation};

/// What answers at each address of a process.
pub struct Routers {
    /// Routes, files and probes.
    pub public: Router,
    /// What is for those who run the process.
    pub operator: Option<Router>,
}

/// Everything that answers customers, as one value.
pub fn router(parts: HttpParts) -> Router {
    routers(parts).public
}

/// Everything that answers, by address.
pub fn routers(parts: HttpParts) -> Routers {
    let plan = Arc::clone(&parts.plan);
    let internal = parts.internal.clone();
    let described = plan.operator.as_ref().map(|_| openapi::operator_document(&plan).to_string());
    let state = Arc::new(AppState::new(parts, described.map(Bytes::from).unwrap_or_default()));
    // One set of them: who asks at both addresses asks twice.
    let limiters = limiters(&plan);
    let operator = plan.operator.as_ref().map(|settings| of_operator(&state, settings, &limiters));
    Routers { public: public(&state, &plan, &limiters, internal), operator }
}

/// What is for those who run the process. No other origin is told anything.
fn of_operator(state: &Arc<AppState>, settings: &plan::Operator, limiters: &Limiters) -> Router {
    let console = Table::of_console(&state.plan);
    let mut table = Table::of_operator(&state.plan);
    let routes = operator::routes(state, settings).merge(of_console(state, settings, &console, limiters));
    table.entries.extend(console.entries);
    let around = Around { observer: observer(state, settings.server.write_timeout, &table), cors: None };
    let routes = routes.method_not_allowed_fallback(method_not_allowed);
    let routes = match &settings.pages {
        Some(pages) => routes.fallback_service(operator::files(pages)),
        None => routes.fallback(|uri: Uri| async move { ApiError::no_such_path(uri.path()) }),
    };
    routes.layer(from_fn_with_state(Arc::new(around), around::every_route))
}

/// Routes of customers that the pages of the console ask too. Other origins have no say here, so nothing is answered for them.
fn of_console(state: &Arc<AppState>, settings: &plan::Operator, table: &Table, limiters: &Limiters) -> Router {
    let mut routes = Routes::new();
    for entry in &table.entries {
        let Answers::Route(route) = &entry.answers else { continue };
        let middlewares: Vec<Middleware> = route.middlewares.iter().filter(|one| !matches!(one, Middleware::Cors(_))).cloned().collect();
        let methods = routes.entry(routable(&entry.path)).or_default();
        *methods = std::mem::take(methods).merge(behind(endpoint(entry, route, state), &middlewares, state, limiters));
    }
    if routes.is_empty() {
        return Router::new();
    }
    let router = routes.into_iter().fold(Router::new(), |router, (path, methods)| router.route(&path, methods));
    operator::guarded(state, settings, router)
}

fn public(state: &Arc<AppState>, plan: &Arc<plan::Plan>, limiters: &Limiters, internal: Option<Router>) -> Router {
    let table = Table::of(plan);
    let routes = of_table(state, plan, &table, limiters);
    let write_timeout = plan.server.as_ref().map_or(DEFAULT_TIMEOUT, |server| server.write_timeout);
    let around = Around { observer: observer(state, write_timeout, &table), cors: cors::elsewhere(plan) };
    routes
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(&path, methods))
        .method_not_allowed_fallback(method_not_allowed)
        .merge(internal.unwrap_or_default())
        .fallback_service(get_or_refuse(Files::new(&plan.files)))
        .layer(from_fn_with_state(Arc::new(around), around::every_route))
}

type Routes = BTreeMap<String, MethodRouter>;

/// The rate limiters of a process by the names of their modules: all routes of one share its buckets.
type Limiters = BTreeMap<String, Arc<rate_limit::RateLimiter>>;

/// Each line of the table, those of the config behind their middlewares. A config with a route of its own where the program answers is not
/// valid.
fn of_table(state: &Arc<AppState>, plan: &Arc<plan::Plan>, table: &Table, limiters: &Limiters) -> Routes {
    let insiders = Arc::new(health::Insiders::of(plan));
    let timeout = plan.health.as_ref().map_or(Duration::ZERO, |health| health.check_timeout);
    let mut routes = Routes::new();
    for entry in &table.entries {
        let added = match &entry.answers {
            Answers::Route(route) => behind(endpoint(entry, route, state), &route.middlewares, state, limiters),
            Answers::Health => health_probe(timeout, &insiders).with_state(Arc::clone(state)),
            Answers::Ready => ready_probe(timeout, &insiders).with_state(Arc::clone(state)),
            Answers::Live => live_probe(serves::told(plan)).with_state(Arc::clone(state)),
            Answers::Metrics => match &plan.metrics {
                Some(settings) => metrics::route(&settings.access).with_state(Arc::clone(state)),
                None => continue,
            },
            Answers::Description => get(openapi::handler(plan)),
            // By routers of their own.
            Answers::Internal | Answers::Files | Answers::Operator(_) => continue,
        };
        let methods = routes.entry(routable(&entry.path)).or_default();
        *methods = std::mem::take(methods).merge(added);
    }
    for (path, settings) in preflights(plan) {
        let methods = routes.entry(path).or_default();
        let preflight = on(MethodFilter::OPTIONS, || async { StatusCode::NO_CONTENT }).route_layer(cors::layer(settings));
        *methods = std::mem::take(methods).merge(preflight);
    }
    routes
}

/// The handler of a route of the config, behind the question who may call it.
fn endpoint(entry: &Entry, route: &plan::Route, state: &Arc<AppState>) -> MethodRouter {
    let method = Method::from_bytes(route.method.as_bytes()).ok().and_then(|method| MethodFilter::try_from(method).ok());
    let handled: MethodRouter<Serving> = match &route.endpoint {
        Endpoint::Account(operation) => account(*operation, method),
        Endpoint::Proxy(_) => with(method, proxy),
        Endpoint::Audit(_) => with(method, audit::list),
        Endpoint::Resource { operation, .. } => match operation {
            Operation::List => with(method, resources::list),
            Operation::Search => with(method, resources::search),
            Operation::Export => with(method, back_office::export),
            Operation::Figures => with(method, back_office::figures),
            Operation::Notes => with(method, back_office::notes),
            Operation::AddNote => with(method, back_office::add_note),
            Operation::Create => with(method, resources::create),
            Operation::Get => with(method, resources::get),
            Operation::Update => with(method, resources::update),
            Operation::Delete => with(method, resources::delete),
            Operation::Events => with(method, resources::events),
            Operation::Action(_) => with(method, resources::act),
            Operation::Shop(operation) => match operation {
                ShopOperation::Search => with(method, shop::search),
                ShopOperation::Prices => with(method, shop::prices),
                ShopOperation::Import => with(method, shop::import),
                ShopOperation::Levels => with(method, shop::levels),
                ShopOperation::Moves => with(method, shop::moves),
                ShopOperation::Move => with(method, shop::make_move),
            },
        },
    };
    let served = Served {
        handler: entry.handler.clone(),
        operation: entry.operation.clone(),
        name: format!("{} {}", entry.method, entry.path),
        access: route.access,
        scope: route.scope,
        sudo: route.sudo,
        sudo_above: route.sudo_above.clone(),
        enrols: matches!(&route.endpoint, Endpoint::Account(operation) if operation.enrols()),
    };
    let serving = Serving { app: Arc::clone(state), route: Arc::new(served) };
    handled.route_layer(from_fn_with_state(serving.clone(), admitted_and_counted)).with_state(serving)
}

fn account(operation: AccountOperation, method: Option<MethodFilter>) -> MethodRouter<Serving> {
    match operation {
        AccountOperation::Register => with(method, accounts::register),
        AccountOperation::Login => with(method, accounts::login),
        AccountOperation::Profile => with(method, accounts::profile),
        AccountOperation::UpdateProfile => with(method, accounts::update_profile),
        AccountOperation::Renew => with(method, accounts::renew),
        AccountOperation::Sudo => with(method, accounts::sudo),
        AccountOperation::ListUsers => with(method, staff::list),
        AccountOperation::Contact => with(method, staff::contact),
        AccountOperation::SetRoles => with(method, staff::set_roles),
        AccountOperation::Disable => with(method, staff::disable),
        AccountOperation::Enable => with(method, staff::enable),
        AccountOperation::ChangePassword => with(method, accounts::change_password),
        AccountOperation::ForgottenPassword => with(method, accounts::forgotten),
        AccountOperation::ResetPassword => with(method, accounts::reset),
        AccountOperation::EnrolFactor => with(method, accounts::enrol_factor),
        AccountOperation::ConfirmFactor => with(method, accounts::confirm_factor),
        AccountOperation::RemoveFactor => with(method, accounts::remove_factor),
    }
}

fn with<T: 'static>(method: Option<MethodFilter>, handler: impl Handler<T, Serving>) -> MethodRouter<Serving> {
    match method {
        Some(filter) => on(filter, handler),
        None => any(handler),
    }
}

/// Wraps `methods` so that the first of `middlewares` is the outermost.
fn behind(
    methods: MethodRouter,
    middlewares: &[Middleware],
    state: &Arc<AppState>,
    limiters: &BTreeMap<String, Arc<rate_limit::RateLimiter>>,
) -> MethodRouter {
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
fn limiters(plan: &plan::Plan) -> Limiters {
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

fn observer(state: &AppState, write_timeout: Duration, table: &Table) -> observe::Observer {
    // Probes are no traffic, nor is what processes compare; files have no path of their own.
    let is_counted = |entry: &&Entry| match entry.answers {
        Answers::Route(_) | Answers::Description | Answers::Operator(_) => true,
        Answers::Internal => entry.path != paths::AGREEMENT,
        Answers::Health | Answers::Ready | Answers::Live | Answers::Metrics | Answers::Files => false,
    };
    let counted = table.entries.iter().filter(is_counted);
    // Of several with one template the first gives its name.
    let templates: HashMap<_, _> = counted.rev().map(|entry| (routable(&entry.path), entry.path.clone())).collect();
    observe::Observer {
        metrics: state.metrics.clone(),
        templates,
        deadline: state.read_timeout + write_timeout,
        bounded: observe::BoundedLines::new(),
    }
}

fn health_probe(timeout: Duration, insiders: &Arc<health::Insiders>) -> MethodRouter<Arc<AppState>> {
    let insiders = Arc::clone(insiders);
    get(move |State(state): State<Arc<AppState>>, request: Request| {
        let about = insiders.include(&request).then(|| health::About {
            process: Some(operator::process_name(&state.plan)),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            config: state.running_digest(),
        });
        async move { health::health(&state.health, timeout, about).await }
    })
}

fn ready_probe(timeout: Duration, insiders: &Arc<health::Insiders>) -> MethodRouter<Arc<AppState>> {
    let insiders = Arc::clone(insiders);
    get(move |State(state): State<Arc<AppState>>, request: Request| {
        let is_insider = insiders.include(&request);
        async move { health::ready(&state.health, timeout, state.stop.is_requested(), is_insider).await }
    })
}

fn live_probe(served: Option<HeaderValue>) -> MethodRouter<Arc<AppState>> {
    get(move |State(state): State<Arc<AppState>>| async move {
        let database = state.health.database().map(|database| [(serves::DATABASE, database)]);
        (served.map(|served| [(serves::HEADER, served)]), database, health::live(&state.health))
    })
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

/// Asks who may call, before the handler takes anything of the request, and counts what became of it.
async fn admitted_and_counted(State(serving): State<Serving>, mut request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let caller = access::admit(&serving, &mut request).await;
    let (response, status) = access::let_through(caller, request, next).await;
    let Served { handler, operation, .. } = &*serving.route;
    serving.app.metrics.module_operation(handler, operation, status, begin.elapsed());
    if response.extensions().get::<AskedTwice>().is_some() {
        serving.app.metrics.module_operation(handler, "ask_again", status, begin.elapsed());
    }
    response
}

async fn proxy(State(serving): State<Serving>, request: Request) -> Result<Response, ApiError> {
    let name = &serving.route.handler;
    match serving.app.proxies.get(name) {
        Some(proxy) => Ok(proxy.clone().oneshot(request).await.into_response()),
        None => Err(ApiError::internal(anyhow::anyhow!("the proxy '{name}' was not built"))),
    }
}
