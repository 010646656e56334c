//! What a valid config means to the router that serves it: it takes every path, whatever the program answers beside the routes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use millrace::clock::Clock;
use millrace::config::{self, Environment};
use millrace::http::{HealthChecks, HttpParts, InternalService, agreement, internal, router};
use millrace::plan::{Plan, paths};
use millrace::services::operations::agreement::Known;
use millrace::shutdown::Stop;
use millrace::tasks::Tasks;
use millrace::telemetry::Metrics;
use proptest::prelude::*;

/// Everything that claims a path.
#[derive(Debug, Clone)]
struct Claims {
    routes: Vec<(&'static str, String)>,
    probes: [String; 3],
    /// Other processes reserve stock here.
    stock: bool,
    files: String,
}

impl Claims {
    fn written(&self) -> String {
        let [health, ready, live] = &self.probes;
        let secret = if self.stock { ", secret: 3f9c2ab04d7e3f9c2ab04d7e3f9c2ab04d7e" } else { "" };
        let entries: String = self
            .routes
            .iter()
            .map(|(method, path)| format!("      - {{method: {method}, path: '{path}', handler: proxy, middlewares: [cors]}}\n"))
            .collect();
        format!(
            "modules:\n  - {{name: web, type: http.server, config: {{address: ':8080'}}}}\n  - {{name: router, type: http.router}}\n  \
             - {{name: cors, type: http.middleware.cors}}\n  - {{name: metrics, type: metrics.collector}}\n  \
             - {{name: health, type: health.checker, config: {{healthPath: '{health}', readyPath: '{ready}', livePath: '{live}'}}}}\n  \
             - {{name: pages, type: static.fileserver, config: {{root: /, prefix: '{}'}}}}\n  \
             - {{name: proxy, type: http.simple_proxy, config: {{targets: {{/api: 'http://other:8080', /internal: 'http://other:8080'}}}}}}\n  \
             - {{name: db, type: database.workflow, config: {{driver: sqlite, dsn: ./x.db}}}}\n  \
             - {{name: store, type: persistence.store, config: {{database: db}}}}\n  \
             - {{name: things, type: api.handler, config: {{resourceName: things, stock: {{field: units{secret}}}}}}}\n\
             workflows:\n  http:\n    router: router\n    server: web\n    routes:\n{entries}",
            self.files
        )
    }

    /// The router of the running process.
    fn serve(&self, plan: Plan) {
        let service = InternalService::new(tower::service_fn(|_| async { Ok::<_, Infallible>(axum::http::Response::new(Bytes::new())) }));
        let reservations =
            self.stock.then(|| internal(paths::RESERVATIONS, &["secret"], service).merge(agreement(Known::of(&plan), Clock::system())));
        let _served = router(HttpParts {
            audit: None,
            plan: Arc::new(plan),
            tokens: None,
            users: None,
            resources: None,
            console: None,
            configs: None,
            proxies: BTreeMap::new(),
            internal: reservations,
            metrics: Metrics::new("shop").unwrap(),
            health: HealthChecks::new(),
            writes: Tasks::new(),
            stop: Stop::new(),
        });
    }
}

fn path() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["api", "products", "internal", "reservations", "agreement", "{id}", "{key}", "healthz"]);
    let last = prop::sample::select(vec![
        "products",
        "reservations",
        "agreement",
        "internal",
        "*",
        "{rest...}",
        "{id}",
        "metrics",
        "openapi.json",
        "livez",
    ]);
    (prop::collection::vec(segment, 0..3), last).prop_map(|(mut segments, last)| {
        segments.push(last);
        format!("/{}", segments.join("/"))
    })
}

fn probe(default: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(default.to_owned()), 1 => path().prop_filter("a probe has no placeholder", |path| !path.contains(['{', '*']))]
}

fn claims() -> impl Strategy<Value = Claims> {
    let routes = prop::collection::vec((prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE"]), path()), 0..4);
    let files = prop::sample::select(vec!["/", "/pages", "/api", "/internal", "/internal/reservations"]).prop_map(str::to_owned);
    let probes = (probe("/healthz"), probe("/readyz"), probe("/livez"));
    (routes, probes, any::<bool>(), files).prop_map(|(routes, (health, ready, live), stock, files)| Claims {
        routes,
        probes: [health, ready, live],
        stock,
        files,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_is_valid_can_be_served(claims in claims()) {
        let checked = config::check_text(Path::new("/nowhere/served.yaml"), &claims.written(), &Environment::default());
        if let Some(plan) = checked.plan {
            let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| claims.serve(plan)));
            prop_assert!(served.is_ok(), "{}", claims.written());
        }
    }
}

#[test]
fn paths_that_two_would_answer_are_told_before_anything_starts() {
    let usual =
        || Claims { routes: vec![], probes: ["/healthz", "/readyz", "/livez"].map(str::to_owned), stock: true, files: "/".to_owned() };
    let said =
        |claims: Claims| config::check_text(Path::new("/nowhere/served.yaml"), &claims.written(), &Environment::default()).report.lines();
    assert_eq!(said(usual()), "");
    for (routes, word) in [
        (vec!["/internal/reservations/{id}"], "the reservations of stock"),
        (vec!["/internal/reservations/*"], "the reservations of stock"),
        (vec!["/internal/agreement"], "the comparison of settings"),
        (vec!["/api/products/{id}", "/api/products/*"], "route number 1, GET /api/products/{id}"),
        (vec!["/api/products/*", "/api/products/{id}"], "route number 1, GET /api/products/*"),
        (vec!["/api/*", "/api/{rest...}"], "route number 1"),
        (vec!["/{anything}/reservations", "/{anything}/*"], "files under '/' are never served: route number 2"),
        (vec!["/metrics"], "the metrics"),
        (vec!["/openapi.json"], "the description of the API"),
        (vec!["/livez"], "`livePath`"),
    ] {
        let claims = Claims { routes: routes.iter().map(|path| ("GET", (*path).to_owned())).collect(), ..usual() };
        let said = said(claims);
        assert!(said.contains("error") && said.contains(word), "{routes:?}: {said}");
    }
    for routes in [
        vec!["/internal"],
        vec!["/internal/{id}"],
        vec!["/internal/reservations"],
        vec!["/api/products", "/api/products/{id}", "/api/products/new"],
    ] {
        let claims = Claims { routes: routes.iter().map(|path| ("GET", (*path).to_owned())).collect(), ..usual() };
        assert_eq!(said(claims.clone()), "", "{routes:?}");
        let plan = config::check_text(Path::new("/nowhere/served.yaml"), &claims.written(), &Environment::default()).plan.unwrap();
        claims.serve(plan);
    }
}
