//! What a config means: every name resolved, every path absolute, every default filled in. A [`Plan`] cannot be wrong, so
//! nothing after it checks again. Made by [`crate::config`]; built by [`crate::app`].

pub mod access;
mod accounts;
pub mod changes;
mod copilot;
mod found_by;
pub mod paths;
pub mod peers;
mod secret;
mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::bus::Settings as Bus;
use crate::runtime;
use crate::store::Dsn;
pub use access::{Access, Owner, Scope, SudoAbove};
pub use accounts::{AccountOperation, AccountTopics, Auth};
pub use copilot::Copilot;
pub use found_by::{FieldForm, Figures, Filterable};
pub use secret::Secret;
pub use shop::ShopOperation;

/// Header that carries what processes of one installation know each other by.
pub const INTERNAL_HEADER: &str = "x-internal-secret";

/// A whole process: which parts there are and how they are set. By default there are none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The file it was made from.
    pub source: PathBuf,
    /// Listener; a process without one only drives workflows.
    pub server: Option<Server>,
    /// What who runs the process asks of it, with a listener of its own.
    pub operator: Option<Operator>,
    /// Routes in the sequence written.
    pub routes: Vec<Route>,
    /// Users and tokens.
    pub auth: Option<Auth>,
    /// Resources by handler, in the sequence written.
    pub resources: Vec<ResourceHandler>,
    /// Web files.
    pub files: Vec<FileServer>,
    /// Reverse proxies.
    pub proxies: Vec<Proxy>,
    /// The database; absent in a gateway.
    pub database: Option<Database>,
    /// Somebody has said where the database is: the config itself, or a variable that is set. Otherwise it is where a default says.
    pub is_database_placed: bool,
    /// The sandbox; absent when there are no components.
    pub runtime: Option<runtime::Settings>,
    /// Components, in the sequence written.
    pub components: Vec<runtime::ComponentSettings>,
    /// Workflows.
    pub workflows: Vec<Workflow>,
    /// How events travel.
    pub bus: Option<Bus>,
    /// Who reacts to events.
    pub handlers: Vec<MessagingHandler>,
    /// Events that fire transitions.
    pub event_triggers: Vec<EventTrigger>,
    /// Metrics.
    pub metrics: Option<Metrics>,
    /// Health endpoints.
    pub health: Option<Health>,
    /// Every module, in the sequence in which they start; they stop in reverse.
    pub modules: Vec<Module>,
}

impl Plan {
    /// Whether this process keeps accounts, rather than only checking the tokens of another one that does.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        let seeded = self.auth.as_ref().is_some_and(|auth| auth.seed_file.is_some());
        let answers = |route: &Route| matches!(route.endpoint, Endpoint::Account(_));
        seeded || self.routes.iter().any(answers)
    }
}

impl Plan {
    /// Its files of what is there from the first start.
    #[must_use]
    pub fn seeds(&self) -> Seeds {
        let users = self.auth.as_ref().and_then(|auth| Some((auth.name.clone(), auth.seed_file.clone()?)));
        Seeds { resources: self.resources.iter().filter_map(|handler| handler.seeds(self.resources.iter())).collect(), users }
    }
}

/// Files of what is there from the first start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seeds {
    /// Of resources.
    pub resources: Vec<SeedFile>,
    /// Of users: the module, and the file.
    pub users: Option<(String, PathBuf)>,
}

/// A file of resources that are there from the first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedFile {
    /// Module that names it.
    pub module: String,
    /// The file.
    pub path: PathBuf,
    /// Field that holds units in stock.
    pub stock_field: Option<String>,
    /// Some handler takes prices from these resources.
    pub is_priced: bool,
}

impl ResourceHandler {
    /// Its file of resources that are there from the first start, if it has one; `all` are the handlers of the process.
    #[must_use]
    pub fn seeds<'a>(&self, all: impl Iterator<Item = &'a Self>) -> Option<SeedFile> {
        let path = self.seed_file.clone()?;
        let mut pricing = all.filter_map(|handler| handler.pricing.as_ref());
        let is_priced = pricing.any(|pricing| matches!(&pricing.prices, Prices::Kind(priced) if *priced == self.kind));
        Some(SeedFile { module: self.name.clone(), path, stock_field: self.stock_field.clone(), is_priced })
    }
}

/// One module of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// What starts and stops with it.
    pub runs: Runs,
}

/// What starts when it is a module's turn, and stops when its turn comes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// Nothing by itself: it is a part of what others do, and of answering requests, which begins when everything has started and ends
    /// before anything stops.
    Nothing,
    /// What keeps the database small and watches over it.
    Store,
    /// What makes transitions: due runs and timers, attempts.
    Engine,
    /// What looks for new versions of components.
    Component,
    /// What publishes events.
    Bus,
    /// What receives them.
    Consumer,
}

impl Plan {
    /// Names of the modules in the sequence in which they start; they stop in reverse.
    #[must_use]
    pub fn start_sequence(&self) -> Vec<&str> {
        self.modules.iter().map(|module| module.name.as_str()).collect()
    }

    /// Paths of what watches the process rather than uses it.
    #[must_use]
    pub fn probes(&self) -> Vec<String> {
        let health = self.health.iter().flat_map(|health| [&health.health_path, &health.ready_path, &health.live_path]).cloned();
        health.chain(self.metrics.iter().map(|_| paths::METRICS.to_owned())).collect()
    }
}

/// `http.server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Module name.
    pub name: String,
    /// `:8080` means all addresses.
    pub address: SocketAddr,
    /// From the first byte of a request to the last of its body.
    pub read_timeout: Duration,
    /// From the end of the request to the last byte of the answer; event streams are exempt.
    pub write_timeout: Duration,
    /// A connection without a request.
    pub idle_timeout: Duration,
    /// Of one request.
    pub head: HeadLimit,
    /// At once.
    pub max_connections: usize,
    /// Of one address.
    pub connections: ConnectionLimit,
    /// Event streams that one user may have open.
    pub streams_per_user: usize,
    /// Paths that are answered also where there is no room for other requests.
    pub probes: Vec<String>,
    /// Whether nothing else is answered at all.
    pub probes_only: bool,
    /// For how long requests are still served while `/readyz` says that the process stops.
    pub shutdown_delay: Duration,
}

/// How much a request may say before its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadLimit {
    /// From its first byte to its last.
    pub timeout: Duration,
    /// Header fields.
    pub max_headers: usize,
    /// Of the request line and the header fields.
    pub max_bytes: usize,
}

/// How many connections one address may have at once; a network of the 2^64 addresses that a customer of IPv6 has counts as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimit {
    /// So many.
    pub per_address: usize,
    /// Whether it holds for addresses of this machine and of private networks too: if the config says how many.
    pub everywhere: bool,
    /// Addresses and networks of proxies, each the peer of many clients at once: for them it never holds.
    pub trusted_proxies: Vec<String>,
}

/// `operator.api`: what is for those who run the process, and for nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Module name.
    pub name: String,
    /// Its own listener, where nothing else answers.
    pub server: Server,
    /// Path below which it answers, without a slash at its end; `/operator` by default.
    pub prefix: String,
    /// Whether anything may be changed.
    pub write: bool,
    /// Who may read.
    pub readers: OperatorReaders,
    /// The pages of the console, if it has them.
    pub pages: Option<FileServer>,
    /// The model that the copilot may ask, if there is one.
    pub copilot: Option<Copilot>,
    /// Names that it may be asked by although they may be public.
    pub hosts: Vec<String>,
    /// Whether this process can tell who a token is of. Where it cannot, who may read may write too, if anybody may.
    pub knows_tokens: bool,
}

/// Who may read what an `operator.api` tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorReaders {
    /// Who asks from this machine, also without a token; others need a role.
    Local,
    /// Who has a role.
    Roles,
}

/// One line of `workflows.http.routes`.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Upper case. `GET` also answers `HEAD`.
    pub method: String,
    /// With `{name}` placeholders.
    pub path: String,
    /// What answers.
    pub endpoint: Endpoint,
    /// Outermost first.
    pub middlewares: Vec<Middleware>,
    /// Who may call it.
    pub access: Access,
    /// Whose resources it reaches, for roles other than customer.
    pub scope: Scope,
    /// How long ago the caller was asked for the password again, at most; `None` does not ask.
    pub sudo: Option<Duration>,
    /// What is asked for the password again because of how much it is.
    pub sudo_above: Option<SudoAbove>,
}

/// What answers a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `auth.jwt`: what is done with an account.
    Account(AccountOperation),
    /// An `api.handler`: its name and what is done.
    Resource {
        /// Module name of the handler.
        handler: String,
        /// What is done.
        operation: Operation,
    },
    /// An `http.simple_proxy` of that name.
    Proxy(String),
    /// The audit log of the `persistence.store` of that name.
    Audit(String),
}

impl Endpoint {
    /// Name of the module that answers; of accounts there is one only.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        match self {
            Self::Account(_) => None,
            Self::Resource { handler, .. } => Some(handler),
            Self::Proxy(name) | Self::Audit(name) => Some(name),
        }
    }
}

/// What a route does to a resource; follows from its method and the shape of its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `GET /things`
    List,
    /// `GET /things` for those who reach the resources of everybody, of a handler that says what these are found by.
    Search,
    /// `POST /things`
    Create,
    /// `GET /things/{id}`
    Get,
    /// `PUT /things/{id}`
    Update,
    /// `DELETE /things/{id}`
    Delete,
    /// `GET /things/{id}/events`
    Events,
    /// `GET /things/export`, of a handler that says what its resources are found by.
    Export,
    /// `GET /things/figures`, of a handler that says what is counted.
    Figures,
    /// `GET /things/{id}/notes`
    Notes,
    /// `POST /things/{id}/notes`
    AddNote,
    /// `POST /things/{id}/<action>`
    Action(String),
    /// What the admin of a shop does with products.
    Shop(ShopOperation),
}

/// A middleware of a route.
#[derive(Debug, Clone, PartialEq)]
pub enum Middleware {
    /// `http.middleware.cors`
    Cors(Cors),
    /// `http.middleware.requestid`
    RequestId,
    /// `http.middleware.ratelimit`; routes with the same name share the buckets.
    RateLimit(RateLimit),
    /// `http.middleware.auth`
    Auth,
}

/// `http.middleware.cors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// `*` or origins.
    pub allowed_origins: Vec<String>,
    /// Methods.
    pub allowed_methods: Vec<String>,
    /// Request headers.
    pub allowed_headers: Vec<String>,
    /// Cookies and authorization of other origins; never together with `*`.
    pub allow_credentials: bool,
    /// How long a preflight may be cached.
    pub max_age: Duration,
}

/// `http.middleware.ratelimit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// Module name.
    pub name: String,
    /// Sustained rate per client.
    pub requests_per_minute: u32,
    /// Requests at once.
    pub burst_size: u32,
    /// A second, slower bucket.
    pub requests_per_hour: Option<u32>,
    /// Peers whose `X-Forwarded-For` is believed (IP addresses or CIDR prefixes).
    pub trusted_proxies: Vec<String>,
}

/// `api.handler`.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceHandler {
    /// Module name.
    pub name: String,
    /// Kind of its resources, `resourceName`.
    pub kind: String,
    /// Resources to add at start if they are not there: `[{id, data, state?}]`.
    pub seed_file: Option<PathBuf>,
    /// Workflow that a new resource starts, by name.
    pub workflow: Option<String>,
    /// Prefix of new ids, for example `return-`.
    pub id_prefix: String,
    /// Whose the resources are.
    pub owner: Owner,
    /// JSON Schema of a new resource's body; any object if absent.
    pub schema: Option<serde_json::Value>,
    /// Fields that are kept and given to components but never shown or published.
    pub private_fields: Vec<String>,
    /// Named actions (`/{id}/<action>`), each with the transitions it may fire: the one that leaves the current state.
    pub actions: BTreeMap<String, Vec<String>>,
    /// How many instances one owner may have in certain states.
    pub per_owner: Option<PerOwner>,
    /// Lines priced from a catalogue: this resource is an order of a shop.
    pub pricing: Option<Pricing>,
    /// What is looked at when somebody searches for a text.
    pub searchable: Vec<String>,
    /// What lists can be narrowed by.
    pub filterable: Vec<Filterable>,
    /// What is counted of them.
    pub figures: Option<Figures>,
    /// What it takes its amounts from.
    pub draws: Option<Draws>,
    /// Field that holds units in stock, which are then kept as stock and can be reserved.
    pub stock_field: Option<String>,
    /// Field that says whether customers see a product: these resources are products of a shop.
    pub status_field: Option<String>,
    /// What another process has to know to reserve stock over HTTP. Without it that is not offered; while it is empty all are refused.
    pub stock_secret: Option<Secret>,
}

/// `draws` of an `api.handler`: each of its resources takes an amount from another resource, and all together never more than that has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draws {
    /// Kind of what is drawn from.
    pub from: String,
    /// Field with its id.
    pub by: String,
    /// Field with the amount, in minor units.
    pub amount: String,
    /// Field of what is drawn from, with an amount of money: so much may be drawn.
    pub up_to: String,
    /// States in which something can be drawn from it.
    pub states: BTreeSet<String>,
    /// Fields of it that are copied.
    pub take: Vec<String>,
    /// Fields that one of those that draw from the same may have as `true`, and no more.
    pub once: Vec<String>,
    /// Other fields of one that a hook makes.
    pub by_hook: serde_json::Map<String, serde_json::Value>,
    /// States in which it is fulfilled.
    pub fulfilled: BTreeSet<String>,
    /// Transition of what is drawn from that is made with the commit that draws all of it before it is fulfilled.
    pub emptied: Option<String>,
}

impl ResourceHandler {
    /// Whether its resources can be searched for.
    #[must_use]
    pub fn is_searched(&self) -> bool {
        !self.searchable.is_empty() || !self.filterable.is_empty()
    }
}

/// `perOwner` of an `api.handler`: of one owner, at most so many instances are in one of these states at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerOwner {
    /// So many, 1 or more.
    pub max_instances: u64,
    /// None of them is final.
    pub states: BTreeSet<String>,
}

/// How a shop prices what is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pricing {
    /// Where the prices are.
    pub prices: Prices,
    /// Units of one line, at most.
    pub max_quantity: u64,
    /// Field that says whether a product of this process is sold.
    pub status_field: Option<String>,
}

/// Units of one line, at most, whatever a config says.
pub const MAX_UNITS: u32 = 100_000;

/// Where a shop takes prices from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prices {
    /// A resource handler of this process, by kind.
    Kind(String),
    /// Base URL of a catalogue, for example `http://users-products:8080/api/products`.
    Url(String),
}

/// `static.fileserver`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileServer {
    /// Module name.
    pub name: String,
    /// Folder; it may be absent, then a page says how to make it.
    pub root: PathBuf,
    /// Path prefix, `/` by default.
    pub prefix: String,
    /// Navigation to an unknown path gets `index.html`.
    pub spa_fallback: bool,
    /// Of files that are neither `index.html` nor hashed.
    pub cache_max_age: Duration,
    /// Of one client.
    pub limit: Option<RateLimit>,
}

/// Largest body of a request that the routes of this program take, in bytes.
pub const MAX_BODY_BYTES: u64 = 64 * 1024;

/// Largest table that is taken in, in bytes.
pub const MAX_TABLE_BYTES: u64 = 1024 * 1024;

/// `http.simple_proxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Module name.
    pub name: String,
    /// Base URLs by path prefix, one or more each; the longest prefix wins.
    pub targets: BTreeMap<String, Vec<String>>,
    /// How long a connection to a target may take.
    pub connect_timeout: Duration,
    /// From the end of the request to the head of the answer; its body may take as long as it likes.
    pub response_timeout: Duration,
    /// Largest body of a request that is passed on.
    pub max_body_bytes: u64,
}

impl Proxy {
    /// What clients know the target of `prefix` by. A plain name of the config, such as `returns:8080`, says which part is meant; an address of
    /// the inside says nothing to a client, so there it is the last part of the prefix, or the name of the module. So it is where there are several.
    #[must_use]
    pub fn backend_name(&self, prefix: &str) -> String {
        let only = self.targets.get(prefix).and_then(|urls| if let [only] = &**urls { Some(only) } else { None });
        let authority = only.and_then(|url| url.split("//").nth(1)?.split('/').next()).unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") && !host.contains(['.', ':', '[', '@']) {
            return authority.to_owned();
        }
        prefix.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&self.name).to_owned()
    }
}

/// `database.workflow` with the `persistence.store` on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Module name of the store.
    pub name: String,
    /// Database file; its folder is made. With a `server` there is no such file: the process keeps those under this name that it keeps beside it.
    pub path: PathBuf,
    /// Where the database is on a server.
    pub server: Option<Dsn>,
    /// A database is made where none is.
    pub create_if_missing: bool,
    /// Connections that read.
    pub max_open_conns: u32,
    /// Events that may wait to be published; with more nothing new begins.
    pub max_outbox_events: u64,
    /// How long what is of no more use is kept.
    pub retention: Retention,
}

/// `retention` of a `persistence.store`; `None` is for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Published events, and that they were taken.
    pub events: Option<Duration>,
    /// Ended runs of instances of which nothing goes on.
    pub runs: Option<Duration>,
    /// Idempotency keys.
    pub idempotency_keys: Option<Duration>,
    /// Reservations of stock, after their end.
    pub reservations: Option<Duration>,
    /// Finished instances.
    pub instances: Option<Archive>,
}

/// Where finished instances go once they are old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// How long after their last change.
    pub after: Duration,
    /// Folder of the files; it is made.
    pub folder: PathBuf,
}

/// One entry of `workflows.statemachine.definitions`, with its steps and hooks.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// Checked.
    pub machine: millrace_workflow::Machine,
    /// Unfinished instances at once; creation beyond is refused with `Retry-After`.
    pub max_instances: Option<u64>,
    /// Processing steps of the config, those included that no hook starts any more: instances may have begun on a definition that does.
    pub steps: BTreeSet<String>,
    /// Config that a step gives its component beyond the component's own, by step name.
    pub step_config: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
}

/// `messaging.handler`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagingHandler {
    /// Module name.
    pub name: String,
    /// What its topic pattern has before `.*`: entering state S is the event `<prefix>.S`.
    pub prefix: String,
    /// Component that it runs; without one it only logs.
    pub component: Option<String>,
    /// Topics it is subscribed to.
    pub topics: Vec<String>,
}

/// `triggers.event.subscriptions`: an event on `topic` of type `event` fires `transition` of its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTrigger {
    /// Topic.
    pub topic: String,
    /// CloudEvents `type`.
    pub event: String,
    /// Workflow.
    pub workflow: String,
    /// Transition.
    pub transition: String,
}

/// `metrics.collector`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// `namespace`, or `namespace_subsystem`: what comes before each name.
    pub prefix: String,
    /// Who may read them.
    pub access: MetricsAccess,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Who asks from this machine or from a private network, and for nobody else.
    Private {
        /// Peers that may have a public address themselves, if those they ask for have none (IP addresses or CIDR prefixes).
        trusted_proxies: Vec<String>,
        /// Names that it may be asked by although they may be public.
        hosts: Vec<String>,
    },
    /// Who sends this bearer token, 16 characters or more.
    Token(Secret),
    /// Everybody.
    Open,
}

/// `health.checker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Module name.
    pub name: String,
    /// `/healthz`
    pub health_path: String,
    /// `/readyz`
    pub ready_path: String,
    /// `/livez`
    pub live_path: String,
    /// Of one check.
    pub check_timeout: Duration,
    /// Where probes are answered beside the server's own address.
    pub address: Option<SocketAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_know_a_backend_by_its_plain_name_or_by_what_it_is_for() {
        for (prefix, url, name) in [
            ("/api/returns", "http://returns:8080", "returns:8080"),
            ("/api/returns", "http://returns", "returns"),
            ("/api/returns", "http://returns:8080/base", "returns:8080"),
            ("/api/returns", "http://127.0.0.1:8082", "returns"),
            ("/api/returns", "http://[::1]:8082", "returns"),
            ("/api/returns", "http://localhost:8082", "returns"),
            ("/api/returns", "http://returns.shop.internal:8080", "returns"),
            ("/", "http://10.0.0.7", "proxy"),
            ("/api/returns", "http://returns-a:8080,http://returns-b:8080", "returns"),
        ] {
            let urls: Vec<String> = url.split(',').map(str::to_owned).collect();
            let proxy = Proxy {
                name: "proxy".into(),
                targets: [(prefix.to_owned(), urls)].into(),
                connect_timeout: Duration::ZERO,
                response_timeout: Duration::ZERO,
                max_body_bytes: 1,
            };
            assert_eq!(proxy.backend_name(prefix), name, "{url}");
        }
    }
}
