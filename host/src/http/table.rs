//! The one table of routes: what answers where, under which name, for whom and within which limits. The router is built from it, the
//! description of the API takes its names from it, and `millrace routes` prints it.

use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::operator::{Need, OPERATIONS, Operation as OfOperator};
use crate::plan::access::Roles;
use crate::plan::paths::{self, below};
use crate::plan::{
    self, Access, Endpoint, MAX_BODY_BYTES, MAX_TABLE_BYTES, MetricsAccess, Middleware, Operation, OperatorReaders, Owner, Plan, Scope,
    ShopOperation,
};

/// Who answers what no module does.
const HOST: &str = "millrace";

/// All routes of a process, in the sequence in which they are written, then those that every process has.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its lines.
    pub entries: Vec<Entry>,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// `GET` also answers `HEAD`; `*` is any.
    pub method: String,
    /// With `{name}` placeholders; its requests are counted under it.
    pub path: String,
    /// Name of the module that answers; `millrace` where none does.
    pub handler: String,
    /// What is done: the operation that the module counts.
    pub operation: String,
    /// Its names in the description of the API, one for each method; empty where it is not described.
    pub operation_ids: Vec<String>,
    /// Who may call it.
    pub who: Who,
    /// Whose the resources are that it is about; `None` where it is about none.
    #[serde(serialize_with = "owner")]
    pub owner: Option<Owner>,
    /// Which resources it reaches.
    #[serde(serialize_with = "scope")]
    pub scope: Scope,
    /// How many seconds ago the caller was asked for the password again, at most; `None` does not ask.
    pub sudo: Option<u64>,
    /// What bounds its requests.
    pub limits: Limits,
    #[serde(skip)]
    pub(super) answers: Answers,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// As the config says of its routes.
    Users(Access),
    /// Who asks from this machine or a private network.
    Near,
    /// Who has the token of the `metrics.collector`.
    Collector,
    /// Other processes of the installation.
    Processes,
    /// Who has one of these roles; of what is only looked at also who is on this machine, if the config lets them.
    Operators(Roles, Here),
}

/// Whether who is on this machine needs no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    /// They need none.
    Enough,
    /// They need one as everybody does.
    NotEnough,
}

/// What bounds the requests of a route; `None` is no bound of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Of one client, in the long run.
    pub requests_per_minute: Option<u32>,
    /// Of one client, at once.
    pub burst: Option<u32>,
    /// Bytes of a body.
    pub body_bytes: Option<u64>,
    /// What it creates, of one owner at once.
    pub per_owner: Option<u64>,
}

/// What answers.
#[derive(Debug, Clone)]
pub(super) enum Answers {
    /// A route of the config.
    Route(Box<plan::Route>),
    Health,
    Ready,
    Live,
    Metrics,
    Description,
    /// What other processes ask, answered by a router of their own.
    Internal,
    /// Files, which are asked last.
    Files,
    /// What is for those who run the process, at its own address.
    Operator(&'static OfOperator),
}

impl Table {
    /// Of the process of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mut entries: Vec<Entry> = plan.routes.iter().map(|route| configured(plan, route)).collect();
        if let Some(health) = &plan.health {
            for (path, answers) in
                [(&health.health_path, Answers::Health), (&health.ready_path, Answers::Ready), (&health.live_path, Answers::Live)]
            {
                entries.push(own(path, HOST, Who::Users(Access::Anyone), answers));
            }
        }
        if let Some(metrics) = &plan.metrics {
            let who = match metrics.access {
                MetricsAccess::Private { .. } => Who::Near,
                MetricsAccess::Token(_) => Who::Collector,
                MetricsAccess::Open => Who::Users(Access::Anyone),
            };
            entries.push(own(paths::METRICS, HOST, who, Answers::Metrics));
        }
        entries.push(own(paths::OPENAPI, HOST, Who::Users(Access::Anyone), Answers::Description));
        if let Some(handler) = plan.resources.iter().find(|handler| handler.stock_secret.is_some()) {
            let internal = |method: &str, path: &str, who| Entry {
                method: method.to_owned(),
                operation_ids: vec![],
                limits: Limits { body_bytes: Some(MAX_BODY_BYTES), ..Limits::default() },
                ..own(path, &handler.name, who, Answers::Internal)
            };
            entries.push(internal("*", &below(paths::RESERVATIONS), Who::Processes));
            if plan.has_accounts() {
                entries.push(internal("*", &below(paths::ACCOUNTS), Who::Processes));
            }
            entries.push(internal("POST", paths::AGREEMENT, Who::Users(Access::Anyone)));
        }
        for files in &plan.files {
            let limits = files.limit.as_ref().map(|limit| rate(limit, Limits::default())).unwrap_or_default();
            let path = format!("{}/{{*path}}", files.prefix.trim_end_matches('/'));
            let served = own(&path, &files.name, Who::Users(Access::Anyone), Answers::Files);
            entries.push(Entry { operation_ids: vec![], limits, ..served });
        }
        Self { entries }
    }

    /// What is for those who run the process of `plan`, at an address of its own; nothing where there is no `operator.api`.
    #[must_use]
    pub fn of_operator(plan: &Plan) -> Self {
        let entries = plan.operator.iter().flat_map(|settings| OPERATIONS.iter().map(move |operation| for_operators(settings, operation)));
        Self { entries: entries.collect() }
    }

    /// What the pages of the console are, and what they ask besides: a way to sign in, and the audit log. Nothing where there are no pages.
    #[must_use]
    pub fn of_console(plan: &Plan) -> Self {
        let Some((settings, pages)) = plan.operator.as_ref().and_then(|settings| Some((settings, settings.pages.as_ref()?))) else {
            return Self { entries: vec![] };
        };
        let is_free = |route: &&plan::Route| !route.path.starts_with(&format!("{}/", settings.prefix));
        let routes = plan.routes.iter().filter(|route| is_asked_by_console(route)).filter(is_free).map(|route| configured(plan, route));
        let mut entries: Vec<Entry> = routes.collect();
        entries.push(own("/console/{*path}", &pages.name, Who::Users(Access::Anyone), Answers::Files));
        // They are described where customers ask for them.
        let named = |entry| Entry { handler: settings.name.clone(), operation_ids: vec![], ..entry };
        Self { entries: entries.into_iter().map(named).collect() }
    }
}

fn is_asked_by_console(route: &plan::Route) -> bool {
    use plan::AccountOperation::{Login, Renew, Sudo};
    matches!(route.endpoint, Endpoint::Account(Login | Renew | Sudo) | Endpoint::Audit(_))
}

fn for_operators(settings: &plan::Operator, operation: &'static OfOperator) -> Entry {
    let here = match (operation.need, settings.readers, settings.knows_tokens) {
        (_, _, false) | (Need::See, OperatorReaders::Local, true) => Here::Enough,
        (_, _, true) => Here::NotEnough,
    };
    Entry {
        method: operation.method.to_owned(),
        path: format!("{}{}", settings.prefix, operation.path),
        handler: settings.name.clone(),
        operation: operation.id.to_owned(),
        operation_ids: vec![operation.id.to_owned()],
        who: Who::Operators(operation.need.roles(), here),
        owner: None,
        scope: Scope::All,
        sudo: operation.need.sudo().filter(|_| settings.knows_tokens).map(|limit| limit.as_secs()),
        limits: Limits { body_bytes: operation.body.map(|_| MAX_BODY_BYTES), ..Limits::default() },
        answers: Answers::Operator(operation),
    }
}

/// What the program answers by itself: its description names it.
fn own(path: &str, handler: &str, who: Who, answers: Answers) -> Entry {
    Entry {
        method: "GET".to_owned(),
        path: path.to_owned(),
        handler: handler.to_owned(),
        operation: answers.word().to_owned(),
        operation_ids: names("GET", path),
        who,
        owner: None,
        scope: Scope::Own,
        sudo: None,
        limits: Limits::default(),
        answers,
    }
}

fn configured(plan: &Plan, route: &plan::Route) -> Entry {
    let accounts = plan.auth.as_ref().map(|auth| auth.name.as_str()).unwrap_or_default();
    let kept = plan.resources.iter().find(|resource| Some(resource.name.as_str()) == route.endpoint.module());
    Entry {
        method: if is_any(&route.method) { "*".to_owned() } else { route.method.clone() },
        path: route.path.clone(),
        handler: route.endpoint.module().unwrap_or(accounts).to_owned(),
        operation: operation(&route.endpoint).to_owned(),
        operation_ids: names(&route.method, &route.path),
        who: Who::Users(route.access),
        owner: kept.map(|resource| resource.owner),
        scope: route.scope,
        sudo: route.sudo.map(|limit| limit.as_secs()),
        limits: limits(plan, route),
        answers: Answers::Route(Box::new(route.clone())),
    }
}

fn limits(plan: &Plan, route: &plan::Route) -> Limits {
    let none = Limits::default();
    let takes = match &route.endpoint {
        Endpoint::Proxy(name) => plan.proxies.iter().find(|proxy| proxy.name == *name).map(|proxy| proxy.max_body_bytes),
        Endpoint::Resource { operation: Operation::Shop(ShopOperation::Import), .. } => Some(MAX_TABLE_BYTES),
        _ if matches!(route.method.as_str(), "POST" | "PUT" | "PATCH") => Some(MAX_BODY_BYTES),
        _ => None,
    };
    let per_owner = match &route.endpoint {
        Endpoint::Resource { handler, operation: Operation::Create } => plan
            .resources
            .iter()
            .find(|resource| resource.name == *handler)
            .and_then(|resource| Some(resource.per_owner.as_ref()?.max_instances)),
        _ => None,
    };
    let bounded = route.middlewares.iter().find_map(|one| if let Middleware::RateLimit(limit) = one { Some(limit) } else { None });
    let limits = Limits { body_bytes: takes, per_owner, ..none };
    bounded.map_or(limits, |limit| rate(limit, limits))
}

fn rate(limit: &plan::RateLimit, others: Limits) -> Limits {
    Limits { requests_per_minute: Some(limit.requests_per_minute), burst: Some(limit.burst_size), ..others }
}

/// What an endpoint does, as its module counts it.
pub(super) fn operation(endpoint: &Endpoint) -> &str {
    match endpoint {
        Endpoint::Account(operation) => operation.name(),
        Endpoint::Proxy(_) => "proxy",
        Endpoint::Audit(_) => "audit",
        Endpoint::Resource { operation, .. } => match operation {
            Operation::List => "list",
            Operation::Search => "search",
            Operation::Export => "export",
            Operation::Figures => "figures",
            Operation::Notes => "notes",
            Operation::AddNote => "add_note",
            Operation::Create => "create",
            Operation::Get => "get",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Events => "events",
            Operation::Action(action) => action,
            Operation::Shop(operation) => operation.name(),
        },
    }
}

/// The methods that a route answers, as OpenAPI writes them.
pub(super) fn methods(method: &str) -> &'static [&'static str] {
    match method {
        "GET" => &["get"],
        "POST" => &["post"],
        "PUT" => &["put"],
        "PATCH" => &["patch"],
        "DELETE" => &["delete"],
        "OPTIONS" => &["options"],
        "HEAD" => &["head"],
        _ => &["get", "post", "put", "delete"],
    }
}

/// Method and path, in words.
fn id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

/// The names of a route's operations, one for each of its [`methods`].
fn names(method: &str, path: &str) -> Vec<String> {
    methods(method).iter().map(|method| id(method, path)).collect()
}

/// Whether a route is for every method.
pub(super) fn is_any(method: &str) -> bool {
    let method = axum::http::Method::from_bytes(method.as_bytes()).ok();
    method.and_then(|method| axum::routing::MethodFilter::try_from(method).ok()).is_none()
}

impl Answers {
    fn word(&self) -> &'static str {
        match self {
            Self::Route(_) => "answer",
            Self::Health => "health",
            Self::Ready => "readiness",
            Self::Live => "liveness",
            Self::Metrics => "metrics",
            Self::Description => "description",
            Self::Internal => "internal",
            Self::Files => "files",
            Self::Operator(operation) => operation.id,
        }
    }
}

impl Entry {
    /// Roles of which one is needed; all of them where none is.
    #[must_use]
    pub fn roles(&self) -> Option<Roles> {
        match self.who {
            Who::Users(Access::Roles(roles)) | Who::Operators(roles, _) => Some(roles),
            _ => None,
        }
    }
}

/// As people read it.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Users(Access::Anyone) => f.write_str("public"),
            Self::Users(Access::SignedIn) => f.write_str("signed in"),
            Self::Users(Access::Roles(roles)) => f.write_str(&roles.joined(", ")),
            Self::Near => f.write_str("private networks"),
            Self::Collector => f.write_str("token of the collector"),
            Self::Processes => f.write_str("processes with the secret"),
            Self::Operators(roles, Here::Enough) => write!(f, "this machine, or {}", roles.joined(", ")),
            Self::Operators(roles, Here::NotEnough) => f.write_str(&roles.joined(", ")),
        }
    }
}

/// `{"kind": "roles", "roles": ["support"]}`.
impl Serialize for Who {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, roles) = match self {
            Self::Users(Access::Anyone) => ("public", None),
            Self::Users(Access::SignedIn) => ("signedIn", None),
            Self::Users(Access::Roles(roles)) => ("roles", Some(roles)),
            Self::Near => ("privateNetworks", None),
            Self::Collector => ("collector", None),
            Self::Processes => ("processes", None),
            Self::Operators(roles, Here::Enough) => ("rolesOrLocal", Some(roles)),
            Self::Operators(roles, Here::NotEnough) => ("roles", Some(roles)),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", kind)?;
        if let Some(roles) = roles {
            map.serialize_entry("roles", roles)?;
        }
        map.end()
    }
}

fn owner<S: Serializer>(owner: &Option<Owner>, serializer: S) -> Result<S::Ok, S::Error> {
    match owner {
        None => serializer.serialize_none(),
        Some(Owner::Nobody) => serializer.serialize_str("none"),
        Some(Owner::Creator) => serializer.serialize_str("creator"),
    }
}

fn scope<S: Serializer>(scope: &Scope, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match scope {
        Scope::Own => "own",
        Scope::All => "all",
    })
}
