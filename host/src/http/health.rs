//! Whether the process is alive, ready and well. Told to probes, so cheap, and in no access log and no metric.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::{BoxFuture, join_all};
use moka::future::Cache;
use parking_lot::RwLock;
use schemars::JsonSchema;
use serde::Serialize;

use super::metrics::Readers;
use super::{address, serves};
use crate::plan::{MetricsAccess, Plan};

/// However often somebody asks, a check that costs something is made once in this time.
const LASTS: Duration = Duration::from_secs(1);

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Up,
    /// Something is missing, and the process is of use without it.
    Degraded,
    /// The process is of no use.
    Down,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// How it is.
    pub status: Status,
    /// For a person.
    pub message: String,
    /// Whether the process is of use for reading all the same, so that it stays ready.
    #[serde(skip)]
    pub reads: bool,
}

impl Check {
    /// A finding.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), reads: status < Status::Down }
    }

    /// As strangers are told.
    fn without_details(&mut self) {
        self.message = match self.status {
            Status::Up => "up",
            Status::Degraded => "degraded",
            Status::Down => "down",
        }
        .to_owned();
    }

    /// The process cannot write, and answers what is only read as ever.
    pub fn only_reads(message: impl Into<String>) -> Self {
        Self { reads: true, ..Self::new(Status::Down, message) }
    }
}

/// What `/healthz` tells.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Health")]
pub(super) struct HealthBody {
    status: Verdict,
    /// By module.
    checks: BTreeMap<String, Check>,
}

/// Which process has answered.
#[derive(Debug, Default)]
pub(super) struct About {
    /// Name of its config file.
    pub(super) process: Option<String>,
    /// Version of the program.
    pub(super) version: Option<String>,
    /// SHA-256 of the config that it runs, in hex; nothing where it does not know.
    pub(super) config: Option<String>,
}

/// Headers of an answer that say which process has given it.
const ABOUT: [HeaderName; 3] = [
    HeaderName::from_static("x-millrace-process"),
    HeaderName::from_static("x-millrace-version"),
    HeaderName::from_static("x-millrace-config"),
];

impl About {
    fn tell(self, headers: &mut HeaderMap) {
        for (name, text) in ABOUT.into_iter().zip([self.process, self.version, self.config]) {
            headers.extend(text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok()).map(|value| (name, value)));
        }
    }

    /// What an answer with these headers says; another program says nothing.
    pub(super) fn heard(headers: &HeaderMap) -> Self {
        let [process, version, config] =
            ABOUT.map(|name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()));
        Self { process, version, config }
    }
}

/// How the process is as a whole.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Healthy,
    Degraded,
    Unhealthy,
}

impl Verdict {
    /// By all checks.
    pub(super) fn of<'a>(found: impl Iterator<Item = &'a Check>) -> Self {
        match found.map(|check| check.status).max() {
            Some(Status::Down) => Self::Unhealthy,
            Some(Status::Degraded) => Self::Degraded,
            Some(Status::Up) | None => Self::Healthy,
        }
    }

    /// As it is told.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The one that is told so.
    pub(super) fn named(text: &str) -> Option<Self> {
        [Self::Healthy, Self::Degraded, Self::Unhealthy].into_iter().find(|verdict| verdict.name() == text)
    }
}

/// What `/readyz` and `/livez` tell.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Probe")]
pub(super) struct ProbeBody {
    status: &'static str,
    /// Why not, if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    reason: Option<String>,
}

impl ProbeBody {
    fn well(status: &'static str) -> Response {
        answer(StatusCode::OK, Self { status, reason: None })
    }

    fn not(status: &'static str, reason: String) -> Response {
        answer(StatusCode::SERVICE_UNAVAILABLE, Self { status, reason: Some(reason) })
    }
}

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Check> + Send + Sync>;

/// The checks of a process, by module or by what else they are of, and whether it is ready. Clones share them.
#[derive(Clone, Default)]
pub struct HealthChecks {
    inner: Arc<Inner>,
}

type AskStuck = Arc<dyn Fn() -> Option<String> + Send + Sync>;

#[derive(Default)]
struct Inner {
    checks: RwLock<BTreeMap<String, Ask>>,
    own: RwLock<BTreeMap<String, Ask>>,
    ready: AtomicBool,
    stopping: AtomicBool,
    stuck: RwLock<Option<AskStuck>>,
    database: RwLock<Option<HeaderValue>>,
}

/// A check that is made once in [`LASTS`] at most.
fn once_in_a_while<F, Fut>(check: F) -> impl Fn() -> BoxFuture<'static, Check> + Send + Sync + 'static
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Check> + Send + 'static,
{
    let found = Cache::builder().max_capacity(1).time_to_live(LASTS).build();
    move || {
        let (found, looking) = (found.clone(), check());
        Box::pin(async move { found.get_with((), looking).await })
    }
}

impl HealthChecks {
    /// No checks, not ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the check of a module. It is asked with every probe, so it should cost little.
    pub fn add<F, Fut>(&self, module: impl Into<String>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Check> + Send + 'static,
    {
        self.inner.checks.write().insert(module.into(), Arc::new(move || Box::pin(check())));
    }

    /// Forgets the check of a module.
    pub fn remove(&self, module: &str) {
        self.inner.checks.write().remove(module);
    }

    /// Adds a check of what is no module. If a module has its name, it is called `host:<name>`.
    pub fn add_own<F, Fut>(&self, name: impl Into<String>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Check> + Send + 'static,
    {
        self.inner.own.write().insert(name.into(), Arc::new(move || Box::pin(check())));
    }

    /// Adds the check of a module that costs something: a request, a write, a look into a database. It is made once a second at most, by the
    /// first who asks, and others who ask meanwhile wait for what it finds.
    pub fn add_costly<F, Fut>(&self, module: impl Into<String>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Check> + Send + 'static,
    {
        self.add(module, once_in_a_while(check));
    }

    /// The same of what is no module.
    pub fn add_own_costly<F, Fut>(&self, name: impl Into<String>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Check> + Send + 'static,
    {
        self.add_own(name, once_in_a_while(check));
    }

    /// All checks, by the names that they are told under.
    fn all(&self) -> BTreeMap<String, Ask> {
        let mut checks = self.inner.checks.read().clone();
        for (name, check) in self.inner.own.read().iter() {
            let name = if checks.contains_key(name) { format!("host:{name}") } else { name.clone() };
            checks.insert(name, Arc::clone(check));
        }
        checks
    }

    /// Tells that everything is open, or no longer.
    pub fn set_ready(&self, ready: bool) {
        self.inner.ready.store(ready, Ordering::Release);
    }

    /// Whether everything was open, as told.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.inner.ready.load(Ordering::Acquire)
    }

    /// Tells that the process will stop: it is not ready any more, whatever it still serves.
    pub fn set_stopping(&self) {
        self.inner.stopping.store(true, Ordering::Release);
    }

    /// Has `stuck` asked by `/livez`: why the process does not get on and has to be started again, or `None`.
    pub fn set_stuck(&self, stuck: impl Fn() -> Option<String> + Send + Sync + 'static) {
        *self.inner.stuck.write() = Some(Arc::new(stuck));
    }

    /// Says which database this process keeps, so that who asks notices when two answer under one name.
    pub fn set_database(&self, identity: &str) {
        *self.inner.database.write() = serves::database(identity);
    }

    /// What `/livez` tells of the database of this process.
    pub(super) fn database(&self) -> Option<HeaderValue> {
        self.inner.database.read().clone()
    }

    /// Asks all modules at once; one that does not answer in `timeout` is down.
    pub async fn ask(&self, timeout: Duration) -> BTreeMap<String, Check> {
        let asked = self.all().into_iter().map(|(module, check)| async move {
            let found = tokio::time::timeout(timeout, check()).await;
            (module, found.unwrap_or_else(|_| Check::new(Status::Down, format!("no answer within {} ms", timeout.as_millis()))))
        });
        join_all(asked).await.into_iter().collect()
    }
}

/// Who is told what a check has found: versions, files and addresses are for whoever looks after the process. Others are told how it is.
pub(super) struct Insiders(Vec<Readers>);

impl Insiders {
    /// Those of this machine and of private networks, and those who may read the metrics.
    pub(super) fn of(plan: &Plan) -> Self {
        let trusted_proxies = plan.server.as_ref().map(|server| server.connections.trusted_proxies.clone()).unwrap_or_default();
        let hosts = match plan.metrics.as_ref().map(|metrics| &metrics.access) {
            Some(MetricsAccess::Private { hosts, .. }) => hosts.clone(),
            _ => Vec::new(),
        };
        let near = MetricsAccess::Private { trusted_proxies, hosts };
        let metrics = plan.metrics.iter().map(|metrics| &metrics.access);
        Self([&near].into_iter().chain(metrics).map(Readers::of).collect())
    }

    pub(super) fn include(&self, request: &Request) -> bool {
        let peer = address::peer(request).to_canonical();
        self.0.iter().any(|readers| readers.include(peer, request.headers()))
    }
}

/// `/healthz`. `about` is told to insiders.
pub(super) async fn health(checks: &HealthChecks, timeout: Duration, about: Option<About>) -> Response {
    let mut found = checks.ask(timeout).await;
    if about.is_none() {
        found.values_mut().for_each(Check::without_details);
    }
    let status = Verdict::of(found.values());
    let code = if matches!(status, Verdict::Unhealthy) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut response = answer(code, HealthBody { status, checks: found });
    if let Some(about) = about {
        about.tell(response.headers_mut());
    }
    response
}

/// `/readyz`
pub(super) async fn ready(checks: &HealthChecks, timeout: Duration, stopping: bool, is_insider: bool) -> Response {
    let refuse = |reason: String| ProbeBody::not("not ready", reason);
    if stopping || checks.inner.stopping.load(Ordering::Acquire) {
        return refuse("stopping".into());
    }
    if !checks.is_ready() {
        return refuse("starting".into());
    }
    let found = checks.ask(timeout).await;
    match found.iter().find(|(_, check)| !check.reads) {
        Some((module, check)) if is_insider => refuse(format!("{module}: {}", check.message)),
        Some((module, _)) => refuse(module.clone()),
        None => ProbeBody::well("ready"),
    }
}

/// `/livez`
pub(super) fn live(checks: &HealthChecks) -> Response {
    let ask = checks.inner.stuck.read().clone();
    match ask.and_then(|stuck| stuck()) {
        Some(reason) => ProbeBody::not("stuck", reason),
        None => ProbeBody::well("alive"),
    }
}

fn answer(code: StatusCode, body: impl Serialize) -> Response {
    (code, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response()
}
