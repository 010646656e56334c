//! Where a running gateway passes requests on to changes, and no request notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::saving::{digest, operator_of, save};
use super::until;
use crate::client::Client;
use crate::process::Home;

/// Somebody behind a gateway.
#[derive(Clone)]
struct Backend {
    name: &'static str,
    /// One for each slow request that may be answered.
    may_answer: Arc<Semaphore>,
    asked: Arc<Semaphore>,
}

impl Backend {
    /// One that listens, and its URL.
    async fn open(name: &'static str) -> (Self, String) {
        let backend = Self { name, may_answer: Arc::new(Semaphore::new(0)), asked: Arc::new(Semaphore::new(0)) };
        let router = Router::new().route("/api/who", get(who)).route("/api/slow", get(slow)).with_state(backend.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (backend, url)
    }
}

async fn who(State(backend): State<Backend>) -> axum::Json<Value> {
    axum::Json(json!({"name": backend.name}))
}

async fn slow(State(backend): State<Backend>) -> axum::Json<Value> {
    backend.asked.add_permits(1);
    backend.may_answer.acquire().await.unwrap().forget();
    who(State(backend)).await
}

/// A gateway whose one proxy passes on to these.
fn gateway(targets: &str) -> String {
    format!(
        "modules:
  - {{name: web-server, type: http.server, config: {{address: '${{LISTEN}}'}}}}
  - {{name: router, type: http.router, dependsOn: [web-server]}}
  - {{name: health, type: health.checker}}
  - {{name: metrics, type: metrics.collector}}
  - {{name: away, type: http.simple_proxy, config: {{targets: {targets}}}, dependsOn: [router]}}
  - {{name: operator-server, type: http.server, config: {{address: '${{OPERATOR_LISTEN}}'}}}}
  - {{name: operator, type: operator.api, config: {{server: operator-server, write: true}}}}
workflows:
  http:
    router: router
    server: web-server
    routes:
      - {{method: GET, path: /api/who, handler: away}}
      - {{method: GET, path: /api/slow, handler: away}}
"
    )
}

async fn taken(operator: &Client, text: &str) {
    let planned = operator.post("/operator/config/plan", &json!({"text": text})).await.body;
    assert_eq!((&planned["takes"], &planned["restart"]), (&json!("live"), &json!([])), "{planned:#}");
    let saved = save(operator, text, &digest(operator).await).await;
    assert_eq!((saved.status, &saved.body["runs"]), (StatusCode::OK, &json!(true)), "{saved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_target_takes_the_next_request_and_what_is_under_way_ends_where_it_began() {
    let (home, (first, first_url), (_, second_url)) = (Home::new(), Backend::open("first").await, Backend::open("second").await);
    let file = home.path().join("gateway.yaml");
    std::fs::write(&file, gateway(&format!("{{/api: '{first_url}'}}"))).unwrap();
    let process = home.start_config(&file, &[]).await;
    let (client, operator) = (process.client.clone(), operator_of(&process));
    let name = async || client.get("/api/who").await.body["name"].as_str().unwrap_or_default().to_owned();
    assert_eq!(name().await, "first");
    let slow = tokio::spawn({
        let client = client.clone();
        async move { client.get("/api/slow").await }
    });
    first.asked.acquire().await.unwrap().forget();

    // Somebody asks all the while, and is answered each time.
    let done = Arc::<AtomicBool>::default();
    let asking = tokio::spawn({
        let (client, done) = (client.clone(), Arc::clone(&done));
        async move {
            let mut answered = 0;
            while !done.load(Ordering::Acquire) {
                let answer = client.get("/api/who").await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                answered += 1;
            }
            answered
        }
    });
    taken(&operator, &gateway(&format!("{{/api: '{second_url}'}}"))).await;
    assert_eq!(name().await, "second");
    let (first_at, second_at) = (first_url.trim_start_matches("http://"), second_url.trim_start_matches("http://"));
    let metrics = client.get("/metrics").await.body;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains(second_at) && !metrics.contains(first_at), "{metrics}");

    taken(&operator, &gateway(&format!("{{/api: ['{first_url}', '{second_url}', 'http://127.0.0.1:9']}}"))).await;
    until("one of three is left out, and the others are asked", async || {
        let health = client.get("/healthz").await.body;
        let told = health["checks"]["away"]["message"].as_str().unwrap_or_default().contains("127.0.0.1:9");
        (told && name().await == "first" && name().await == "second").then_some(health)
    })
    .await;
    taken(&operator, &gateway(&format!("{{/api: '{first_url}'}}")).replace("away", "elsewhere")).await;
    assert_eq!(name().await, "first");
    let health = client.get("/healthz").await.body;
    assert!(health["checks"]["away"].is_null() && health["checks"]["elsewhere"]["status"] == "up", "{health:#}");

    done.store(true, Ordering::Release);
    assert!(asking.await.unwrap() > 0);
    assert!(!slow.is_finished(), "nobody has cut it off");
    first.may_answer.add_permits(1);
    let answer = slow.await.unwrap();
    assert_eq!((answer.status, &answer.body["name"]), (StatusCode::OK, &json!("first")), "{answer:?}");
}
