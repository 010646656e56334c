//! Whether the process is alive, ready and well. Told to probes, so cheap, and in no access log and no metric.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::{BoxFuture, join_all};
use moka::future::Cache;
use parking_lot::RwLock;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// However often somebody asks, a check that costs something is made once in this time.
const LASTS: Duration = Duration::from_secs(1);

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// How it is.
    pub status: Status,
    /// For a person.
    pub message: String,
}

impl Check {
    /// A finding.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

type Ask = Arc<dyn Fn() -> BoxFuture<'static, Check> + Send + Sync>;

/// The checks of a process, by module, and whether it is ready. Clones share them.
#[derive(Clone, Default)]
pub struct HealthChecks {
    inner: Arc<Inner>,
}

type AskStuck = Arc<dyn Fn() -> Option<String> + Send + Sync>;

#[derive(Default)]
struct Inner {
    checks: RwLock<BTreeMap<String, Ask>>,
    ready: AtomicBool,
    stopping: AtomicBool,
    stuck: RwLock<Option<AskStuck>>,
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

    /// Adds the check of a module that costs something: a request, a write, a look into a database. It is made once a second at most, by the
    /// first who asks, and others who ask meanwhile wait for what it finds.
    pub fn add_costly<F, Fut>(&self, module: impl Into<String>, check: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Check> + Send + 'static,
    {
        let found = Cache::builder().max_capacity(1).time_to_live(LASTS).build();
        self.add(module, move || {
            let (found, looking) = (found.clone(), check());
            async move { found.get_with((), looking).await }
        });
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

    /// Asks all modules at once; one that does not answer in `timeout` is down.
    pub async fn ask(&self, timeout: Duration) -> BTreeMap<String, Check> {
        let checks = self.inner.checks.read().clone();
        let asked = checks.into_iter().map(|(module, check)| async move {
            let found = tokio::time::timeout(timeout, check()).await;
            (module, found.unwrap_or_else(|_| Check::new(Status::Down, format!("no answer within {} ms", timeout.as_millis()))))
        });
        join_all(asked).await.into_iter().collect()
    }
}

/// `/healthz`
pub(super) async fn health(checks: &HealthChecks, timeout: Duration) -> Response {
    let found = checks.ask(timeout).await;
    let (code, status) = match found.values().map(|check| check.status).max() {
        Some(Status::Down) => (StatusCode::SERVICE_UNAVAILABLE, "unhealthy"),
        Some(Status::Degraded) => (StatusCode::OK, "degraded"),
        Some(Status::Up) | None => (StatusCode::OK, "healthy"),
    };
    answer(code, json!({"status": status, "checks": found}))
}

/// `/readyz`
pub(super) async fn ready(checks: &HealthChecks, timeout: Duration, stopping: bool) -> Response {
    let refuse = |reason: String| answer(StatusCode::SERVICE_UNAVAILABLE, json!({"status": "not ready", "reason": reason}));
    if stopping || checks.inner.stopping.load(Ordering::Acquire) {
        return refuse("stopping".into());
    }
    if !checks.is_ready() {
        return refuse("starting".into());
    }
    let found = checks.ask(timeout).await;
    match found.iter().find(|(_, check)| check.status == Status::Down) {
        Some((module, check)) => refuse(format!("{module}: {}", check.message)),
        None => answer(StatusCode::OK, json!({"status": "ready"})),
    }
}

/// `/livez`
pub(super) fn live(checks: &HealthChecks) -> Response {
    let ask = checks.inner.stuck.read().clone();
    match ask.and_then(|stuck| stuck()) {
        Some(reason) => answer(StatusCode::SERVICE_UNAVAILABLE, json!({"status": "stuck", "reason": reason})),
        None => answer(StatusCode::OK, json!({"status": "alive"})),
    }
}

fn answer(code: StatusCode, body: serde_json::Value) -> Response {
    (code, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response()
}
