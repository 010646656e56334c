//! Modules that stand alone: server, users, database, web files, proxies, metrics, health.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::{Context, files, http, pick, setting, values};
use crate::config::document::Settings;
use crate::config::finding::Findings;
use crate::config::leaf::{HumanDuration, Retained};
use crate::config::modules::{FileRateLimit, MetricsAccess as Access, MetricsCollector, RetentionSettings};
use crate::config::report::Code;
use crate::config::tree::child;
use crate::plan::{
    Auth, ConnectionLimit, Database, FileServer, HeadLimit, Health, MAX_BODY_BYTES, Metrics, MetricsAccess, Proxy, RateLimit, Retention,
    Secret, Server,
};

/// Bytes that a key has at least.
const SECRET_BYTES: usize = 32;
/// Connections of one public address: a quarter of all, which is room for an office or a network behind one address.
const CONNECTIONS_PER_ADDRESS: usize = 256;
/// Connections at once.
const CONNECTIONS: usize = 1024;
/// Event streams that one user may have open: more than somebody looks at, whatever the page.
const STREAMS_PER_USER: usize = 16;
/// Files that a client may ask for in the place of one request, unless the config says otherwise: one page is many files.
const FILES_FOR_A_REQUEST: u32 = 20;
/// What a request may say before its body.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 16 * 1024;
/// The same where a gateway may have added to it.
const HEADERS_BEHIND_GATEWAY: usize = 100;
const HEAD_BYTES_BEHIND_GATEWAY: usize = 24 * 1024;
/// How long a process may serve after it was told to stop.
const MOST_SHUTDOWN_DELAY: Duration = Duration::from_secs(300);
/// How a key begins that was made on the first start of a development set-up.
const DEVELOPMENT_ONLY: &str = "development-only-";
/// Different characters that a key has at least; one of random hexadecimal digits has more.
const DISTINCT_CHARACTERS: usize = 8;
/// How values begin that somebody meant to replace.
const PLACEHOLDERS: [&str; 6] = ["changeme", "change-me", "change_me", "replace-me", "your-secret", "insecure"];
/// Schemes that people put before the path of an SQLite file.
const DSN_SCHEMES: [&str; 3] = ["sqlite://", "sqlite:", "file:"];

pub(super) fn seconds(given: Option<HumanDuration>, default: u64) -> Duration {
    given.map_or(Duration::from_secs(default), |d| d.0)
}

pub(super) fn server(context: &Context<'_>, findings: &mut Findings) -> Option<Server> {
    let (index, module, settings) = context.first(pick!(HttpServer))?;
    let address = address(&settings.address, index, findings);
    Some(Server {
        name: module.name.clone(),
        address: address?,
        read_timeout: seconds(settings.read_timeout, 15),
        write_timeout: seconds(settings.write_timeout, 30),
        idle_timeout: seconds(settings.idle_timeout, 60),
        head: head(context, settings.header_timeout),
        max_connections: settings.max_connections.map_or(CONNECTIONS, |most| most as usize),
        connections: ConnectionLimit {
            per_address: settings.max_connections_per_address.map_or(CONNECTIONS_PER_ADDRESS, |most| most as usize),
            everywhere: settings.max_connections_per_address.is_some(),
            trusted_proxies: trusted_proxies(context),
        },
        streams_per_user: settings.max_event_streams_per_user.map_or(STREAMS_PER_USER, |most| most as usize),
        probes: Vec::new(),
        probes_only: false,
        shutdown_delay: shutdown_delay(settings.shutdown_delay, index, findings),
    })
}

/// What a process takes that passes requests on is what those behind it take with what it adds.
fn head(context: &Context<'_>, timeout: Option<HumanDuration>) -> HeadLimit {
    let is_gateway = !context.all(pick!(Proxy)).is_empty();
    let (max_headers, max_bytes) = if is_gateway { (HEADERS, HEAD_BYTES) } else { (HEADERS_BEHIND_GATEWAY, HEAD_BYTES_BEHIND_GATEWAY) };
    HeadLimit { timeout: seconds(timeout, 5), max_headers, max_bytes }
}

fn address(written: &str, index: usize, findings: &mut Findings) -> Option<SocketAddr> {
    let address = values::socket_address(written);
    if address.is_none() && !written.is_empty() {
        let message = format!("'{written}' is not an address to listen on");
        let help = "write 127.0.0.1:8080, [::1]:8080, or :8080 for all addresses".to_owned();
        findings.error(setting(index, "address"), Code::InvalidValue, message, help);
    }
    address
}

/// Those of all rate limits: who may say on whose behalf it asks is the peer of many.
fn trusted_proxies(context: &Context<'_>) -> Vec<String> {
    let networks: std::collections::BTreeSet<&String> =
        context.all(pick!(RateLimit)).into_iter().flat_map(|(_, _, limit)| &limit.trusted_proxies).collect();
    networks.into_iter().cloned().collect()
}

fn shutdown_delay(given: Option<HumanDuration>, index: usize, findings: &mut Findings) -> Duration {
    let delay = seconds(given, 0);
    if delay > MOST_SHUTDOWN_DELAY {
        let message =
            format!("a process that serves for {} after it was told to stop seems not to stop", humantime::format_duration(delay));
        findings.error(
            setting(index, "shutdownDelay"),
            Code::InvalidValue,
            message,
            "write at most 5m, such as 10s, or leave it out".to_owned(),
        );
    }
    delay
}

pub(super) fn auth(context: &Context<'_>, findings: &mut Findings) -> Option<Auth> {
    let (index, module, settings) = context.first(pick!(AuthJwt))?;
    let secret = &settings.secret.0;
    check_secret(context, secret, &setting(index, "secret"), findings);
    let pointer = setting(index, "seedFile");
    Some(Auth {
        name: module.name.clone(),
        secret: secret.clone(),
        secret_name: context.called(&setting(index, "secret"), &format!("`secret` of module '{}'", module.name)),
        token_expiry: seconds(settings.token_expiry, 24 * 3600),
        issuer: settings.issuer.clone().unwrap_or_else(|| "millrace".to_owned()),
        seed_file: settings.seed_file.as_ref().map(|path| files::existing(context, path, "seed file", &pointer, findings)),
        allow_registration: settings.allow_registration.unwrap_or(true),
    })
}

/// Long enough, and in production none that was made for development or that anybody guesses.
pub(super) fn check_secret(context: &Context<'_>, secret: &str, pointer: &str, findings: &mut Findings) {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    let help = "make one with: openssl rand -base64 48".to_owned();
    if secret.trim().len() < secret.len() {
        let message = format!("`{key}` begins or ends with white space");
        findings.error(pointer, Code::InvalidValue, message, "write it without".to_owned());
        return;
    }
    if secret.is_empty() {
        return;
    }
    if secret.len() < SECRET_BYTES {
        let message = format!("`{key}` has {} bytes, but needs {SECRET_BYTES} or more", secret.len());
        findings.error(pointer, Code::WeakSecret, message, help);
    } else if secret.starts_with(DEVELOPMENT_ONLY) && context.environment.is_production() {
        findings.error(pointer, Code::WeakSecret, format!("`{key}` was made for development, and MILLRACE_ENV is production"), help);
    } else if let Some(weakness) = weakness(secret) {
        let message = format!("`{key}` {weakness}: who guesses it can sign tokens or call what is internal");
        if context.environment.is_production() {
            findings.error(pointer, Code::WeakSecret, message, help);
        } else {
            findings.warning(pointer, Code::WeakSecret, message, help);
        }
    }
}

/// Why a long secret is easily guessed, if it is.
fn weakness(secret: &str) -> Option<String> {
    let distinct = secret.chars().collect::<std::collections::BTreeSet<_>>().len();
    let lower = secret.to_lowercase();
    if distinct < DISTINCT_CHARACTERS {
        return Some(format!("has only {distinct} different characters"));
    }
    PLACEHOLDERS.iter().find(|word| lower.starts_with(**word)).map(|word| format!("begins with '{word}'"))
}

/// The file of a `dsn`.
fn file_of(dsn: &str) -> Option<&str> {
    let dsn = DSN_SCHEMES.iter().find_map(|scheme| dsn.strip_prefix(scheme)).unwrap_or(dsn);
    let path = dsn.split('?').next().unwrap_or_default();
    (!path.is_empty() && !path.contains(":memory:") && !path.ends_with('/')).then_some(path)
}

fn check_databases(context: &Context<'_>, findings: &mut Findings) {
    for (index, _, settings) in context.all(pick!(Database)) {
        if file_of(&settings.dsn).is_none() && !settings.dsn.is_empty() {
            let message = format!("'{}' does not name a file", settings.dsn);
            let help = "write a path such as ./data/store.db; what is only in memory survives nothing".to_owned();
            findings.error(setting(index, "dsn"), Code::InvalidValue, message, help);
        }
    }
}

pub(super) fn database(context: &Context<'_>, findings: &mut Findings) -> Option<Database> {
    check_databases(context, findings);
    let (index, module, store) = context.first(pick!(PersistenceStore))?;
    let (at, _, _) = context.named(&store.database, &["database.workflow"], &setting(index, "database"), findings)?;
    let (_, _, settings) = context.all(pick!(Database)).into_iter().find(|(i, _, _)| *i == at)?;
    Some(Database {
        name: module.name.clone(),
        path: files::absolute(&context.environment.working_dir, file_of(&settings.dsn)?),
        max_open_conns: settings.max_open_conns.unwrap_or(4),
        max_outbox_events: store.max_outbox_events.unwrap_or(1_000_000),
        retention: retention(store.retention.unwrap_or_default()),
    })
}

fn retention(settings: RetentionSettings) -> Retention {
    let kept = |given: Option<Retained>, hours: u64| given.map_or(Some(Duration::from_hours(hours)), |kept| kept.0);
    Retention { events: kept(settings.events, 72), runs: kept(settings.runs, 72), idempotency_keys: kept(settings.idempotency_keys, 24) }
}

pub(super) fn file_servers(context: &Context<'_>, findings: &mut Findings) -> Vec<FileServer> {
    let mut servers = Vec::new();
    for (index, module, settings) in context.all(pick!(FileServer)) {
        let root = files::absolute(context.base, &settings.root);
        if !settings.root.is_empty() && !root.is_dir() {
            warn_missing_root(index, &settings.root, &root, findings);
        }
        let prefix = values::plain_path(settings.prefix.as_deref(), "/", &setting(index, "prefix"), findings);
        if servers.iter().any(|s: &FileServer| s.prefix == prefix) {
            findings.error(setting(index, "prefix"), Code::Duplicate, format!("files are already served under '{prefix}'"), None);
        }
        servers.push(FileServer {
            name: module.name.clone(),
            root,
            prefix,
            spa_fallback: settings.spa_fallback,
            cache_max_age: settings.cache_max_age.map_or(Duration::from_secs(3600), |age| age.0),
            limit: settings.rate_limit.as_ref().and_then(|limit| file_limit(context, limit, (index, &module.name), findings)),
        });
    }
    servers
}

fn file_limit(context: &Context<'_>, settings: &FileRateLimit, (index, name): (usize, &str), findings: &mut Findings) -> Option<RateLimit> {
    let pointer = setting(index, "rateLimit/limiter");
    let (at, limiter, found) = context.named(&settings.limiter, &["http.middleware.ratelimit"], &pointer, findings)?;
    let Settings::RateLimit(found) = found else { return None };
    let one = http::rate_limit(found, &limiter.name, at, findings);
    let times = settings.times.unwrap_or(FILES_FOR_A_REQUEST);
    Some(RateLimit {
        name: name.to_owned(),
        requests_per_minute: one.requests_per_minute.saturating_mul(times),
        burst_size: one.burst_size.saturating_mul(times),
        requests_per_hour: one.requests_per_hour.map(|most| most.saturating_mul(times)),
        trusted_proxies: one.trusted_proxies,
    })
}

fn warn_missing_root(index: usize, written: &str, root: &Path, findings: &mut Findings) {
    let help = format!("it was looked for at {} (relative to the config file); a page says so until it is there", root.display());
    findings.warning(setting(index, "root"), Code::MissingFile, format!("folder '{written}' is not there"), help);
}

pub(super) fn proxies(context: &Context<'_>, findings: &mut Findings) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for (index, module, settings) in context.all(pick!(Proxy)) {
        let pointer = setting(index, "targets");
        if settings.targets.is_empty() {
            findings.error(
                &pointer,
                Code::InvalidValue,
                "`targets` must not be empty",
                "write /api/returns: http://returns:8080".to_owned(),
            );
        }
        for (prefix, url) in &settings.targets {
            if !files::is_route(prefix) || prefix.contains(['{', '}']) {
                let help = "a prefix begins with a slash and does not end with one, for example /api/returns".to_owned();
                findings.error(child(&pointer, prefix), Code::InvalidValue, format!("'{prefix}' is not a path prefix"), help);
            }
            if values::base_url(url).is_none() {
                findings.error(
                    child(&pointer, prefix),
                    Code::InvalidValue,
                    format!("'{url}' is not a base URL"),
                    "write http://host:port".to_owned(),
                );
            }
        }
        for (prefix, url) in settings.targets.iter().filter(|(_, url)| url.starts_with("https:")) {
            let help = "write http://host:port; encryption between processes is the affair of the network they share".to_owned();
            findings.error(child(&pointer, prefix), Code::InvalidValue, format!("'{url}' is https, and a proxy speaks http only"), help);
        }
        let targets = settings.targets.iter().filter_map(|(prefix, url)| Some((prefix.clone(), values::base_url(url)?))).collect();
        proxies.push(Proxy {
            name: module.name.clone(),
            targets,
            connect_timeout: seconds(settings.connect_timeout, 2),
            response_timeout: seconds(settings.response_timeout, 30),
            max_body_bytes: settings.max_body_bytes.unwrap_or(MAX_BODY_BYTES),
        });
    }
    proxies
}

pub(super) fn metrics(context: &Context<'_>, findings: &mut Findings) -> Option<Metrics> {
    let (index, _, settings) = context.first(pick!(Metrics))?;
    let namespace = settings.namespace.as_deref().unwrap_or("millrace");
    Some(Metrics {
        prefix: settings.subsystem.as_ref().map_or_else(|| namespace.to_owned(), |subsystem| format!("{namespace}_{subsystem}")),
        access: metrics_access(context, settings, index, findings),
    })
}

fn metrics_access(context: &Context<'_>, settings: &MetricsCollector, index: usize, findings: &mut Findings) -> MetricsAccess {
    let access = settings.access.unwrap_or(Access::Private);
    match (access, &settings.token) {
        (Access::Token, Some(token)) => return MetricsAccess::Token(Secret(token.0.clone())),
        (Access::Token, None) => findings.error(
            setting(index, "access"),
            Code::InvalidValue,
            "`access: token` needs a `token`",
            "write token: ${METRICS_SECRET}, and set that variable to 16 characters or more".to_owned(),
        ),
        (_, Some(_)) => findings.error(
            setting(index, "token"),
            Code::InvalidValue,
            "a `token` is asked for only where `access` is token",
            "write access: token, or leave the token out".to_owned(),
        ),
        (Access::Private | Access::Open, None) => {}
    }
    if access == Access::Open { MetricsAccess::Open } else { MetricsAccess::Private { trusted_proxies: trusted_proxies(context) } }
}

/// Where probes are answered too: not where everything else is.
fn probes_address(context: &Context<'_>, written: &str, index: usize, findings: &mut Findings) -> Option<SocketAddr> {
    let address = address(written, index, findings)?;
    let (_, server, settings) = context.first(pick!(HttpServer))?;
    if address.port() != 0 && values::socket_address(&settings.address) == Some(address) {
        let message = format!("'{written}' is the address of module '{}' already, and probes are answered there anyway", server.name);
        findings.error(setting(index, "address"), Code::InvalidValue, message, "write another port, or leave it out".to_owned());
    }
    Some(address)
}

pub(super) fn health(context: &Context<'_>, findings: &mut Findings) -> Option<Health> {
    let (index, _, settings) = context.first(pick!(Health))?;
    let mut path = |given: &Option<String>, default, key| values::plain_path(given.as_deref(), default, &setting(index, key), findings);
    let [health_path, ready_path, live_path] = [
        path(&settings.health_path, "/healthz", "healthPath"),
        path(&settings.ready_path, "/readyz", "readyPath"),
        path(&settings.live_path, "/livez", "livePath"),
    ];
    Some(Health {
        health_path,
        ready_path,
        live_path,
        check_timeout: seconds(settings.check_timeout, 5),
        address: settings.address.as_ref().and_then(|written| probes_address(context, written, index, findings)),
    })
}
