//! Routes: what answers them, through which middlewares; and the resources behind them.

mod per_owner;

use std::collections::HashMap;
use std::time::Duration;

use super::parts::check_secret;
use super::triggers::Entries;
use super::{Context, files, pick, setting, values};
use crate::config::document::{RouteEntry, Settings};
use crate::config::finding::Findings;
use crate::config::modules::ApiHandler;
use crate::config::report::Code;
use crate::plan::paths::template;
use crate::plan::{Cors, Endpoint, MOST_UNITS, Middleware, Operation, Prices, Pricing, RateLimit, ResourceHandler, Route, Secret};

const HANDLERS: [&str; 3] = ["auth.jwt", "api.handler", "http.simple_proxy"];
const MIDDLEWARES: [&str; 4] = ["http.middleware.cors", "http.middleware.requestid", "http.middleware.ratelimit", "http.middleware.auth"];
const AUTH_ROUTES: &str = "accepted: POST .../register, POST .../login, GET .../profile, PUT .../profile";
const RESOURCE_ROUTES: &str =
    "accepted: GET or POST /things, GET, PUT or DELETE /things/{id}, GET /things/{id}/events, POST /things/{id}/<action>";

/// Routes by their position in the config; `None` where something is wrong.
pub(super) fn routes(context: &Context<'_>, findings: &mut Findings) -> Vec<Option<Route>> {
    let Some(workflow) = &context.document.workflows.http else { return Vec::new() };
    context.named(&workflow.router, &["http.router"], "/workflows/http/router", findings);
    context.named(&workflow.server, &["http.server"], "/workflows/http/server", findings);
    for (index, _, router) in context.all(pick!(HttpRouter)) {
        values::plain_path(router.prefix.as_deref(), "/api", &setting(index, "prefix"), findings);
    }
    let mut seen: HashMap<(String, String), usize> = HashMap::new();
    let mut routes = Vec::new();
    for (index, entry) in workflow.routes.iter().enumerate() {
        let pointer = format!("/workflows/http/routes/{index}");
        let complete = !entry.method.is_empty() && !entry.path.is_empty();
        if complete && let Some(first) = seen.insert((entry.method.clone(), template(&entry.path)), index) {
            let message = format!("{} {} is already route number {}", entry.method, entry.path, first + 1);
            findings.error(format!("{pointer}/path"), Code::Duplicate, message, "each method and path has one route".to_owned());
        }
        routes.push(route(context, entry, &pointer, findings));
    }
    routes
}

fn route(context: &Context<'_>, entry: &RouteEntry, pointer: &str, findings: &mut Findings) -> Option<Route> {
    let middlewares: Vec<Middleware> = entry
        .middlewares
        .iter()
        .enumerate()
        .filter_map(|(i, name)| middleware(context, name, &format!("{pointer}/middlewares/{i}"), findings))
        .collect();
    let proxied = context.module(&entry.handler).is_some_and(|(_, m)| matches!(m.settings, Some(Settings::Proxy(_))));
    let path_fits = check_path(&entry.path, proxied, &format!("{pointer}/path"), findings);
    let (_, module, settings) = context.named(&entry.handler, &HANDLERS, &format!("{pointer}/handler"), findings)?;
    if !path_fits || entry.method.is_empty() {
        return None;
    }
    let endpoint = match settings {
        Settings::AuthJwt(_) => auth_endpoint(entry).ok_or(AUTH_ROUTES),
        Settings::ApiHandler(_) => {
            check_placeholder(&entry.path, &format!("{pointer}/path"), findings)?;
            operation(entry).map(|operation| Endpoint::Resource { handler: module.name.clone(), operation }).ok_or(RESOURCE_ROUTES)
        }
        _ => Ok(Endpoint::Proxy(module.name.clone())),
    };
    match endpoint {
        Ok(endpoint) => Some(Route { method: entry.method.clone(), path: entry.path.clone(), endpoint, middlewares }),
        Err(accepted) => {
            let message =
                format!("'{}' ({}) does not know what to do on {} {}", module.name, settings.type_name(), entry.method, entry.path);
            findings.error(format!("{pointer}/path"), Code::InvalidValue, message, accepted.to_owned());
            None
        }
    }
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

fn auth_endpoint(entry: &RouteEntry) -> Option<Endpoint> {
    match (entry.method.as_str(), entry.path.rsplit('/').next()?) {
        ("POST", "register") => Some(Endpoint::Register),
        ("POST", "login") => Some(Endpoint::Login),
        ("GET", "profile") => Some(Endpoint::Profile),
        ("PUT", "profile") => Some(Endpoint::UpdateProfile),
        _ => None,
    }
}

/// Follows from the method and where the id stands.
fn operation(entry: &RouteEntry) -> Option<Operation> {
    let segments: Vec<&str> = entry.path.split('/').collect();
    let ids = segments.iter().filter(|s| **s == "{id}").count();
    let last = *segments.last()?;
    let after_id = segments.len().checked_sub(2).and_then(|i| segments.get(i)) == Some(&"{id}");
    match (entry.method.as_str(), ids) {
        ("GET", 0) => Some(Operation::List),
        ("POST", 0) => Some(Operation::Create),
        ("GET", 1) if last == "{id}" => Some(Operation::Get),
        ("PUT", 1) if last == "{id}" => Some(Operation::Update),
        ("DELETE", 1) if last == "{id}" => Some(Operation::Delete),
        ("GET", 1) if after_id && last == "events" => Some(Operation::Events),
        ("POST", 1) if after_id => Some(Operation::Action(last.to_owned())),
        _ => None,
    }
}

/// Reported at the module, once, however many routes use it.
fn middleware(context: &Context<'_>, name: &str, pointer: &str, findings: &mut Findings) -> Option<Middleware> {
    let (index, module, settings) = context.named(name, &MIDDLEWARES, pointer, findings)?;
    match settings {
        Settings::Cors(cors) => Some(Middleware::Cors(self::cors(cors, index, findings))),
        Settings::RequestId(_) => Some(Middleware::RequestId),
        Settings::RateLimit(limit) => Some(Middleware::RateLimit(rate_limit(limit, &module.name, index, findings))),
        Settings::AuthMiddleware(_) => Some(Middleware::Auth),
        _ => None,
    }
}

fn cors(settings: &crate::config::modules::Cors, index: usize, findings: &mut Findings) -> Cors {
    let or =
        |given: &Option<Vec<String>>, default: &[&str]| given.clone().unwrap_or_else(|| default.iter().map(|s| (*s).to_owned()).collect());
    let allowed_origins = or(&settings.allowed_origins, &["*"]);
    for (i, origin) in allowed_origins.iter().enumerate().filter(|(_, o)| !o.is_empty() && !values::origin(o)) {
        let help = "write https://shop.example, without a slash at the end, or *".to_owned();
        findings.error(setting(index, &format!("allowedOrigins/{i}")), Code::InvalidValue, format!("'{origin}' is not an origin"), help);
    }
    if settings.allow_credentials && allowed_origins.iter().any(|o| o == "*") {
        let message = "`allowCredentials` cannot be true while `allowedOrigins` has '*': any page could act as the user";
        findings.error(setting(index, "allowCredentials"), Code::InvalidValue, message, "list the origins".to_owned());
    }
    for (i, method) in settings.allowed_methods.iter().flatten().enumerate() {
        if !method.is_empty() && (http::Method::from_bytes(method.as_bytes()).is_err() || method.chars().any(|c| c.is_ascii_lowercase())) {
            let help = "methods are written in capitals, for example GET".to_owned();
            findings.error(setting(index, &format!("allowedMethods/{i}")), Code::InvalidValue, format!("'{method}' is not a method"), help);
        }
    }
    for (i, header) in settings.allowed_headers.iter().flatten().enumerate() {
        if !header.is_empty() && http::HeaderName::from_bytes(header.as_bytes()).is_err() {
            findings.error(
                setting(index, &format!("allowedHeaders/{i}")),
                Code::InvalidValue,
                format!("'{header}' is not the name of a header"),
                None,
            );
        }
    }
    Cors {
        allowed_origins,
        allowed_methods: or(&settings.allowed_methods, &["GET", "POST", "PUT", "DELETE", "OPTIONS"]),
        allowed_headers: or(&settings.allowed_headers, &["Content-Type", "Authorization"]),
        allow_credentials: settings.allow_credentials,
        max_age: settings.max_age.map_or(Duration::from_secs(600), |age| age.0),
    }
}

pub(super) fn rate_limit(settings: &crate::config::modules::RateLimit, name: &str, index: usize, findings: &mut Findings) -> RateLimit {
    for (i, network) in settings.trusted_proxies.iter().enumerate().filter(|(_, n)| !n.is_empty() && !values::network(n)) {
        let help = "write an address such as 10.0.0.7 or a network such as 10.0.0.0/8".to_owned();
        findings.error(setting(index, &format!("trustedProxies/{i}")), Code::InvalidValue, format!("'{network}' is not a network"), help);
    }
    let requests_per_minute = settings.requests_per_minute.unwrap_or(60);
    RateLimit {
        name: name.to_owned(),
        requests_per_minute,
        burst_size: settings.burst_size.unwrap_or(requests_per_minute),
        requests_per_hour: settings.requests_per_hour,
        trusted_proxies: settings.trusted_proxies.clone(),
    }
}

/// One for each `api.handler`.
pub(super) fn resources(
    context: &Context<'_>,
    routes: &[Option<Route>],
    entries: &Entries,
    findings: &mut Findings,
) -> Vec<ResourceHandler> {
    let mut resources: Vec<ResourceHandler> = Vec::new();
    for (index, module, settings) in context.all(pick!(ApiHandler)) {
        if resources.iter().any(|r| r.kind == settings.resource_name && !r.kind.is_empty()) {
            let message = format!("another handler already has the resources '{}'", settings.resource_name);
            findings.error(setting(index, "resourceName"), Code::Duplicate, message, None);
        }
        let seed_pointer = setting(index, "seedFile");
        let mut actions = settings.actions.clone();
        entries.add_actions(&module.name, &mut actions);
        check_actions(context, routes, &module.name, &actions, findings);
        check_schema(settings, index, findings);
        resources.push(ResourceHandler {
            name: module.name.clone(),
            kind: settings.resource_name.clone(),
            seed_file: settings.seed_file.as_ref().map(|path| files::existing(context, path, "seed file", &seed_pointer, findings)),
            workflow: settings.workflow_type.clone(),
            id_prefix: settings.instance_id_prefix.clone().unwrap_or_default(),
            owned: is_owned(routes, &module.name),
            schema: settings.schema.clone().map(serde_json::Value::Object),
            private_fields: settings.private_fields.clone(),
            actions,
            per_owner: per_owner::limit(context, routes, (index, &module.name, settings), findings),
            pricing: pricing(context, settings, index, findings),
            stock_field: settings.stock.as_ref().map(|stock| stock.field.clone()),
            stock_secret: stock_secret(context, settings, index, findings),
        });
    }
    resources
}

/// Only the owner sees a resource if creating one takes a token.
fn is_owned(routes: &[Option<Route>], handler: &str) -> bool {
    creating(routes, handler).is_some_and(|route| route.middlewares.contains(&Middleware::Auth))
}

/// The route that creates resources of `handler`.
fn creating<'r>(routes: &'r [Option<Route>], handler: &str) -> Option<&'r Route> {
    let creates =
        |route: &&Route| matches!(&route.endpoint, Endpoint::Resource { handler: h, operation: Operation::Create } if h == handler);
    routes.iter().flatten().find(creates)
}

/// Every action that has a route is defined.
fn check_actions(
    context: &Context<'_>,
    routes: &[Option<Route>],
    name: &str,
    actions: &std::collections::BTreeMap<String, Vec<String>>,
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

fn check_schema(settings: &ApiHandler, index: usize, findings: &mut Findings) {
    let Some(schema) = &settings.schema else { return };
    if let Err(error) = jsonschema::validator_for(&serde_json::Value::Object(schema.clone())) {
        let pointer = format!("{}{}", setting(index, "schema"), error.instance_path().as_str());
        findings.error(pointer, Code::InvalidValue, format!("`schema` is not a JSON Schema: {error}"), None);
    }
}

fn stock_secret(context: &Context<'_>, settings: &ApiHandler, index: usize, findings: &mut Findings) -> Option<Secret> {
    let secret = settings.stock.as_ref().and_then(|stock| stock.secret.as_ref()).map(|secret| &secret.0)?;
    check_secret(context, secret, &setting(index, "stock/secret"), findings);
    Some(Secret(secret.clone()))
}

fn pricing(context: &Context<'_>, settings: &ApiHandler, index: usize, findings: &mut Findings) -> Option<Pricing> {
    let settings = settings.pricing.as_ref()?;
    let prices = prices(context, &settings.catalogue, index, findings)?;
    Some(Pricing { prices, max_quantity: settings.max_quantity.unwrap_or(MOST_UNITS).into() })
}

fn prices(context: &Context<'_>, catalogue: &str, index: usize, findings: &mut Findings) -> Option<Prices> {
    let pointer = setting(index, "pricing/catalogue");
    if catalogue.contains("://") {
        let url = values::base_url(catalogue);
        if url.is_none() {
            findings.error(
                pointer,
                Code::InvalidValue,
                format!("'{catalogue}' is not a base URL"),
                "write http://host:port/path".to_owned(),
            );
        }
        return url.map(Prices::Url);
    }
    match context.named(catalogue, &["api.handler"], &pointer, findings)?.2 {
        Settings::ApiHandler(handler) => Some(Prices::Kind(handler.resource_name.clone())),
        _ => None,
    }
}
