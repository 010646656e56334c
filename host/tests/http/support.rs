//! A small process with accounts in memory, and a client for it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use millrace::clock::Clock;
use millrace::http::{HealthChecks, HttpParts, router};
use millrace::plan::{self, Access, AccountOperation, Endpoint, Middleware, Plan, Route, Scope};
use millrace::services::audit::AuditLog;
use millrace::services::users::Users;
use millrace::shutdown::Stop;
use millrace::store::Store;
use millrace::store::memory::Memory;
use millrace::tasks::Tasks;
use millrace::telemetry::Metrics;
use serde_json::Value;
use tower::ServiceExt;

pub const SECRET: &str = "a secret for tests, longer than 32 bytes";

/// What the router is made of; change it, then [`Setup::start`].
pub struct Setup {
    pub plan: Plan,
    pub proxies: BTreeMap<String, Router>,
}

/// A process under test.
pub struct Edge {
    pub router: Router,
    pub server: plan::Server,
    pub store: Store,
    pub clock: Clock,
    pub health: HealthChecks,
    pub metrics: Metrics,
    pub stop: Stop,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that it is a whole problem of that status, and returns its detail.
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        assert!(body["title"].is_string() && body["type"].is_string(), "{body}");
        assert_eq!(body["error"], body["detail"]);
        body["detail"].as_str().unwrap().to_owned()
    }

    /// The fields that a 422 names.
    pub fn wrong_fields(&self) -> Vec<String> {
        self.problem(422);
        self.json()["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

impl Setup {
    pub fn new() -> Self {
        let plan = Plan {
            source: "test.yaml".into(),
            server: Some(server()),
            operator: None,
            routes: routes(),
            auth: Some(auth()),
            resources: vec![],
            files: vec![],
            proxies: vec![],
            database: None,
            is_database_placed: false,
            runtime: None,
            components: vec![],
            workflows: vec![],
            bus: None,
            handlers: vec![],
            event_triggers: vec![],
            metrics: Some(plan::Metrics {
                prefix: "shop".into(),
                access: plan::MetricsAccess::Private { trusted_proxies: vec![], hosts: vec![] },
            }),
            health: Some(plan::Health {
                name: "health".into(),
                health_path: "/healthz".into(),
                ready_path: "/readyz".into(),
                live_path: "/livez".into(),
                check_timeout: Duration::from_millis(200),
                address: None,
            }),
            modules: vec![],
        };
        Self { plan, proxies: BTreeMap::new() }
    }

    /// Adds a GET route to a router of the test's own.
    pub fn with_route(mut self, path: &str, middlewares: Vec<Middleware>, answer: Router) -> Self {
        self.plan.routes.push(route("GET", path, Endpoint::Proxy(path.to_owned()), middlewares));
        self.proxies.insert(path.to_owned(), answer);
        self
    }

    pub fn start(self) -> Edge {
        let store = Store::of(Arc::new(Memory::new()));
        let server = plan::Server { probes: self.plan.probes(), ..self.plan.server.clone().unwrap() };
        let (clock, health, metrics, stop) = (Clock::system(), HealthChecks::new(), Metrics::new("shop").unwrap(), Stop::new());
        let users = Users::new(Arc::clone(&store.users), self.plan.auth.as_ref().unwrap(), clock.clone(), metrics.clone()).unwrap();
        let router = router(HttpParts {
            audit: Some(AuditLog::new(Arc::clone(&store.audit), clock.clone())),
            plan: Arc::new(self.plan),
            tokens: None,
            users: Some(users),
            resources: None,
            console: None,
            configs: None,
            proxies: self.proxies,
            internal: None,
            metrics: metrics.clone(),
            health: health.clone(),
            writes: Tasks::new(),
            stop: stop.clone(),
        });
        Edge { router, server, store, clock, health, metrics, stop }
    }
}

fn server() -> plan::Server {
    plan::Server {
        name: "web".into(),
        address: "127.0.0.1:0".parse().unwrap(),
        read_timeout: Duration::from_secs(5),
        write_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(60),
        head: plan::HeadLimit { timeout: Duration::from_secs(5), max_headers: 64, max_bytes: 16 * 1024 },
        max_connections: 1024,
        connections: plan::ConnectionLimit { per_address: 256, everywhere: false, trusted_proxies: vec![] },
        streams_per_user: 16,
        probes: vec![],
        probes_only: false,
        shutdown_delay: Duration::ZERO,
    }
}

pub fn auth() -> plan::Auth {
    plan::Auth {
        name: "accounts".into(),
        secret: SECRET.into(),
        secret_name: "JWT_SECRET".into(),
        token_expiry: Duration::from_secs(3600),
        ..plan::Auth::default()
    }
}

pub fn cors() -> plan::Cors {
    plan::Cors {
        allowed_origins: vec!["https://shop.example".into()],
        allowed_methods: vec!["GET".into(), "POST".into(), "PUT".into()],
        allowed_headers: vec!["Authorization".into(), "Content-Type".into()],
        allow_credentials: true,
        max_age: Duration::from_secs(600),
    }
}

pub fn route(method: &str, path: &str, endpoint: Endpoint, middlewares: Vec<Middleware>) -> Route {
    let access = if middlewares.contains(&Middleware::Auth) { Access::SignedIn } else { Access::Anyone };
    Route { method: method.into(), path: path.into(), endpoint, middlewares, access, scope: Scope::Own, sudo: None, sudo_above: None }
}

fn routes() -> Vec<Route> {
    let open = || vec![Middleware::Cors(cors()), Middleware::RequestId];
    let closed = || vec![Middleware::Cors(cors()), Middleware::RequestId, Middleware::Auth];
    vec![
        route("POST", "/api/auth/register", Endpoint::Account(AccountOperation::Register), open()),
        route("POST", "/api/auth/login", Endpoint::Account(AccountOperation::Login), open()),
        route("GET", "/api/auth/profile", Endpoint::Account(AccountOperation::Profile), closed()),
        route("PUT", "/api/auth/profile", Endpoint::Account(AccountOperation::UpdateProfile), closed()),
        route("POST", "/api/auth/renew", Endpoint::Account(AccountOperation::Renew), closed()),
        route("POST", "/api/auth/sudo", Endpoint::Account(AccountOperation::Sudo), closed()),
    ]
}

impl Edge {
    /// Asks from this machine, unless the request has a peer.
    pub async fn ask(&self, mut request: Request<Body>) -> Answer {
        if request.extensions().get::<ConnectInfo<SocketAddr>>().is_none() {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from((Ipv4Addr::LOCALHOST, 4711))));
        }
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn send(&self, method: &str, path: &str, token: Option<&str>, body: impl Into<String>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.ask(request.body(Body::from(body.into())).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, None, body.to_string()).await
    }

    /// Registers Ada with this address; returns her token.
    pub async fn register(&self, email: &str) -> String {
        let body = serde_json::json!({"name": "Ada", "email": email, "password": "password123"});
        let answer = self.post("/api/auth/register", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    /// Logs in with the password of [`register`](Self::register); the token.
    pub async fn login(&self, email: &str) -> String {
        let answer = self.post("/api/auth/login", serde_json::json!({"email": email, "password": "password123"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["token"].as_str().unwrap().to_owned()
    }

    pub async fn profile(&self, token: &str) -> Answer {
        self.send("GET", "/api/auth/profile", Some(token), "").await
    }
}
