//! Routes: what answers them, through which middlewares; and the resources behind them.

use std::collections::{BTreeMap, HashMap};

use super::triggers::Entries;
use crate::config::context::Context;
use crate::config::files;
use crate::config::finding::Findings;
use crate::config::leaf::ScopeName;
use crate::config::module_type::ModuleType as _;
use crate::config::modules::api_handler::ApiHandler;
use crate::config::modules::auth_jwt::AuthJwt;
use crate::config::modules::auth_middleware::AuthMiddleware;
use crate::config::modules::cors::Cors;
use crate::config::modules::http_router::HttpRouter;
use crate::config::modules::http_server::HttpServer;
use crate::config::modules::persistence_store::PersistenceStore;
use crate::config::modules::rate_limit::RateLimit;
use crate::config::modules::request_id::RequestId;
use crate::config::modules::simple_proxy::SimpleProxy;
use crate::config::report::Code;
use crate::config::sections::RouteEntry;
use crate::plan::paths::{beginning, meets, template};
use crate::plan::{Access, AccountOperation, Endpoint, Middleware, Operation, ResourceHandler, Route, Scope, ShopOperation};

const HANDLERS: [&str; 4] = [AuthJwt::TYPE, ApiHandler::TYPE, SimpleProxy::TYPE, PersistenceStore::TYPE];
const MIDDLEWARES: [&str; 4] = [Cors::TYPE, RequestId::TYPE, RateLimit::TYPE, AuthMiddleware::TYPE];
const RESOURCE_ROUTES: &str = "accepted: GET or POST /things, GET, PUT or DELETE /things/{id}, GET /things/{id}/events, POST /things/{id}/<action>; where the handler says so, GET /things/export, GET /things/figures and GET or POST /things/{id}/notes";

/// Routes by their position in the config; `None` where something is wrong.
pub(super) fn routes(context: &Context<'_>, middlewares: &HashMap<usize, Middleware>, findings: &mut Findings) -> Vec<Option<Route>> {
    let Some(workflow) = &context.workflows.http else { return Vec::new() };
    context.named(&workflow.router, &[HttpRouter::TYPE], "/workflows/http/router", findings);
    context.named(&workflow.server, &[HttpServer::TYPE], "/workflows/http/server", findings);
    let mut seen: HashMap<(String, String), usize> = HashMap::new();
    let mut routes = Vec::new();
    for (index, entry) in workflow.routes.iter().enumerate() {
        let pointer = format!("/workflows/http/routes/{index}");
        let complete = !entry.method.is_empty() && !entry.path.is_empty();
        if complete && let Some(first) = seen.insert((entry.method.clone(), template(&entry.path)), index) {
            let message = format!("{} {} is already route number {}", entry.method, entry.path, first + 1);
            findings.error(format!("{pointer}/path"), Code::Duplicate, message, "each method and path has one route".to_owned());
        }
        routes.push(route(context, middlewares, entry, &pointer, findings));
    }
    routes
}

fn route(
    context: &Context<'_>,
    middlewares: &HashMap<usize, Middleware>,
    entry: &RouteEntry,
    pointer: &str,
    findings: &mut Findings,
) -> Option<Route> {
    let middlewares: Vec<Middleware> = entry
        .middlewares
        .iter()
        .enumerate()
        .filter_map(|(i, name)| middleware(context, middlewares, name, &format!("{pointer}/middlewares/{i}"), findings))
        .collect();
    let proxied = context.module(&entry.handler).is_some_and(|module| module.is_one_of(&[SimpleProxy::TYPE]));
    let path_fits = check_path(&entry.path, proxied, &format!("{pointer}/path"), findings);
    let module = context.named(&entry.handler, &HANDLERS, &format!("{pointer}/handler"), findings)?;
    if !path_fits || entry.method.is_empty() {
        return None;
    }
    let (name, type_name) = (module.at.name, module.type_name.unwrap_or_default());
    let endpoint = match type_name {
        AuthJwt::TYPE => AccountOperation::asked(&entry.method, &entry.path).map(Endpoint::Account).ok_or_else(auth_routes),
        ApiHandler::TYPE => {
            check_placeholder(&entry.path, &format!("{pointer}/path"), findings)?;
            operation(entry, module.settings::<ApiHandler>())
                .map(|operation| Endpoint::Resource { handler: name.to_owned(), operation })
                .ok_or_else(|| RESOURCE_ROUTES.to_owned())
        }
        PersistenceStore::TYPE => {
            let is_a_list = entry.method == "GET" && !entry.path.contains('{');
            is_a_list.then(|| Endpoint::Audit(name.to_owned())).ok_or_else(|| "accepted: GET /audit, which lists the audit log".to_owned())
        }
        _ => {
            if let Some(proxy) = module.settings::<SimpleProxy>() {
                warn_of_no_target(entry, name, proxy, &format!("{pointer}/path"), findings);
            }
            Ok(Endpoint::Proxy(name.to_owned()))
        }
    };
    match endpoint {
        Ok(endpoint) => Some(Route {
            method: entry.method.clone(),
            path: entry.path.clone(),
            endpoint,
            middlewares,
            // Known when it is known whose the resources are.
            access: Access::Anyone,
            scope: Scope::Own,
            sudo: None,
            sudo_above: None,
        }),
        Err(accepted) => {
            let message = format!("'{name}' ({type_name}) does not know what to do on {} {}", entry.method, entry.path);
            findings.error(format!("{pointer}/path"), Code::InvalidValue, message, accepted);
            None
        }
    }
}

fn warn_of_no_target(entry: &RouteEntry, name: &str, proxy: &SimpleProxy, pointer: &str, findings: &mut Findings) {
    let asked = beginning(&entry.path);
    if proxy.targets.is_empty() || proxy.targets.keys().any(|prefix| meets(&asked, prefix)) {
        return;
    }
    let prefixes = proxy.targets.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let message = format!("no target of '{name}' is for '{}': it is always answered with 404", entry.path);
    findings.warning(pointer, Code::UnknownName, message, format!("its targets are for {prefixes}"));
}

fn check_path(path: &str, proxied: bool, pointer: &str, findings: &mut Findings) -> bool {
    if path.is_empty() {
        return false;
    }
    // What is passed on may stand for everything below; what is answered here has one shape.
    let (fixed, rest) = path.rsplit_once('/').unwrap_or(("", path));
    let wildcard = proxied && (rest == "*" || rest.strip_prefix('{').and_then(|s| s.strip_suffix("...}")).is_some_and(is_name));
    let checked = if wildcard { fixed } else { path };
    let placeholder = |s: &str| s.strip_prefix('{').and_then(|s| s.strip_suffix('}')).is_some_and(is_name);
    let segments_fit = checked.split('/').all(|segment| !segment.contains(['{', '}']) || placeholder(segment));
    if segments_fit && (files::is_route(checked) || (wildcard && fixed.is_empty())) {
        return true;
    }
    let end = if proxied { "; the last one may be *" } else { "" };
    let help = format!("a path begins with a slash and does not end with one; a placeholder is a whole segment such as {{id}}{end}");
    findings.error(pointer, Code::InvalidValue, format!("'{path}' is not a path of a route"), help);
    false
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A resource has one placeholder, its id.
fn check_placeholder(path: &str, pointer: &str, findings: &mut Findings) -> Option<()> {
    let unknown = path.split('/').find(|segment| segment.starts_with('{') && *segment != "{id}");
    if let Some(unknown) = unknown {
        findings.error(pointer, Code::UnknownName, format!("unknown placeholder {unknown} in '{path}'"), "accepted: {id}".to_owned());
        return None;
    }
    Some(())
}

/// What may be asked of accounts.
fn auth_routes() -> String {
    let routes: Vec<String> = AccountOperation::ALL.iter().map(|(_, method, end)| format!("{method} ...{end}")).collect();
    format!("accepted: {}", routes.join(", "))
}

/// Follows from the method and where the id stands.
fn operation(entry: &RouteEntry, handler: Option<&ApiHandler>) -> Option<Operation> {
    if let Some(operation) = handler.and_then(|handler| shop_operation(entry, handler)) {
        return Some(Operation::Shop(operation));
    }
    let segments: Vec<&str> = entry.path.split('/').collect();
    let ids = segments.iter().filter(|s| **s == "{id}").count();
    let last = *segments.last()?;
    let is_searched = entry.scope == Some(ScopeName::All) && handler.is_some_and(ApiHandler::is_searched);
    let is_counted = entry.scope == Some(ScopeName::All) && handler.is_some_and(|handler| handler.figures.is_some());
    let of_notes = last == "notes" && handler.is_some_and(|handler| handler.notes);
    let after_id = segments.len().checked_sub(2).and_then(|i| segments.get(i)) == Some(&"{id}");
    match (entry.method.as_str(), ids) {
        ("GET", 0) if is_searched && last == "export" => Some(Operation::Export),
        ("GET", 0) if is_counted && last == "figures" => Some(Operation::Figures),
        ("GET", 0) if is_searched => Some(Operation::Search),
        ("GET", 0) => Some(Operation::List),
        ("POST", 0) => Some(Operation::Create),
        ("GET", 1) if last == "{id}" => Some(Operation::Get),
        ("PUT", 1) if last == "{id}" => Some(Operation::Update),
        ("DELETE", 1) if last == "{id}" => Some(Operation::Delete),
        ("GET", 1) if after_id && last == "events" => Some(Operation::Events),
        ("GET", 1) if after_id && of_notes => Some(Operation::Notes),
        ("POST", 1) if after_id && of_notes => Some(Operation::AddNote),
        ("POST", 1) if after_id => Some(Operation::Action(last.to_owned())),
        _ => None,
    }
}

/// What only the admin of a shop asks for, of a handler that keeps products or stock.
fn shop_operation(entry: &RouteEntry, handler: &ApiHandler) -> Option<ShopOperation> {
    let segments: Vec<&str> = entry.path.split('/').collect();
    let (last, before) = (*segments.last()?, segments.len().checked_sub(2).and_then(|i| segments.get(i)).copied());
    let (of_one, of_all) = (before == Some("{id}"), !segments.contains(&"{id}"));
    let (products, stock) = (handler.products.is_some(), handler.stock.is_some());
    match (entry.method.as_str(), last) {
        ("GET", "stock") if stock && of_all && handler.resource_name != last => Some(ShopOperation::Levels),
        ("GET", "moves") if stock && of_one => Some(ShopOperation::Moves),
        ("POST", "moves") if stock && of_one && !handler.actions.contains_key(last) => Some(ShopOperation::Move),
        ("GET", "prices") if products && of_one => Some(ShopOperation::Prices),
        ("POST", "import") if products && of_all && handler.resource_name != last => Some(ShopOperation::Import),
        ("GET", _) if products && of_all && entry.scope == Some(ScopeName::All) => Some(ShopOperation::Search),
        _ => None,
    }
}

/// What the module of that name does to requests. What is wrong with it is reported at the module, however many routes use it.
fn middleware(
    context: &Context<'_>,
    middlewares: &HashMap<usize, Middleware>,
    name: &str,
    pointer: &str,
    findings: &mut Findings,
) -> Option<Middleware> {
    middlewares.get(&context.named(name, &MIDDLEWARES, pointer, findings)?.at.index).cloned()
}

/// Adds what triggers say of each `api.handler`, and checks that its routes and they agree.
pub(super) fn complete_resources(
    context: &Context<'_>,
    routes: &[Option<Route>],
    triggers: &Entries,
    resources: &mut [ResourceHandler],
    findings: &mut Findings,
) {
    for resource in resources {
        triggers.add_actions(&resource.name, &mut resource.actions);
        check_actions(context, routes, &resource.name, &resource.actions, findings);
    }
}

/// The route that creates resources of `handler`.
pub(super) fn creating<'r>(routes: &'r [Option<Route>], handler: &str) -> Option<&'r Route> {
    let creates =
        |route: &&Route| matches!(&route.endpoint, Endpoint::Resource { handler: h, operation: Operation::Create } if h == handler);
    routes.iter().flatten().find(creates)
}

/// Every action that has a route is defined.
fn check_actions(
    context: &Context<'_>,
    routes: &[Option<Route>],
    name: &str,
    actions: &BTreeMap<String, Vec<String>>,
    findings: &mut Findings,
) {
    for (index, route) in routes.iter().enumerate() {
        let Some(Endpoint::Resource { handler, operation: Operation::Action(action) }) = route.as_ref().map(|r| &r.endpoint) else {
            continue;
        };
        if handler == name && !actions.contains_key(action) {
            let message = format!("'{name}' has no action '{action}'");
            let help = format!(
                "{}; define it under `actions` of '{name}' or in `triggers.http.routes`",
                context.suggest(action, actions.keys().map(String::as_str))
            );
            findings.error(format!("/workflows/http/routes/{index}/path"), Code::UnknownName, message, help);
        }
    }
}
