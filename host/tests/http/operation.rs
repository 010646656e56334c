//! Probes and metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::routing::any;
use millrace::http::{Check, Status};
use millrace::plan::{MetricsAccess, Secret};
use serde_json::json;

use crate::support::Setup;

#[tokio::test]
async fn health_is_as_bad_as_its_worst_part() {
    let edge = Setup::new().start();
    assert_eq!(edge.get("/healthz").await.json(), json!({"status": "healthy", "checks": {}}));
    edge.health.add("store", || async { Check::new(Status::Up, "writing") });
    edge.health.add("kafka", || async { Check::new(Status::Degraded, "no broker answers") });
    let degraded = edge.get("/healthz").await;
    assert_eq!(degraded.status, 200);
    let kafka = json!({"status": "degraded", "message": "no broker answers"});
    assert_eq!((&degraded.json()["status"], &degraded.json()["checks"]["kafka"]), (&json!("degraded"), &kafka));
    edge.health.add("disk", || async { Check::new(Status::Down, "full") });
    let down = edge.get("/healthz").await;
    assert_eq!((down.status.as_u16(), &down.json()["status"]), (503, &json!("unhealthy")));
}

#[tokio::test]
async fn strangers_are_told_how_a_process_is_and_not_what_it_is_made_of() {
    let edge = Setup::new().start();
    edge.health.set_ready(true);
    edge.health.add("payment", || async { Check::new(Status::Up, "payment 1.2.3 (0a1b2c)") });
    edge.health.add("kafka", || async { Check::new(Status::Degraded, "no broker answers at 10.1.2.3") });
    edge.health.add("disk", || async { Check::new(Status::Down, "/data is full") });
    let ask = async |path: &str, peer: &str, headers: &[(&str, &str)]| {
        let request = Request::get(path).extension(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 4711)));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        edge.ask(request.body(Body::empty()).unwrap()).await
    };
    let told = |message: &str, status: &str| json!({"status": status, "message": message});
    let bare = json!({"payment": told("up", "up"), "kafka": told("degraded", "degraded"), "disk": told("down", "down")});
    for (peer, headers) in [
        ("203.0.113.9", &[][..]),
        ("2001:db8::9", &[]),
        ("127.0.0.1", &[("x-forwarded-for", "203.0.113.9")]),
        ("127.0.0.1", &[("host", "evil.example")]),
    ] {
        let health = ask("/healthz", peer, headers).await;
        assert_eq!((health.status.as_u16(), health.json()), (503, json!({"status": "unhealthy", "checks": bare})));
        let ready = ask("/readyz", peer, headers).await;
        assert_eq!((ready.status.as_u16(), ready.json()), (503, json!({"status": "not ready", "reason": "disk"})));
    }
    for peer in ["127.0.0.1", "172.18.0.1", "fd00::7"] {
        let health = ask("/healthz", peer, &[]).await.json();
        assert_eq!(health["checks"]["payment"]["message"], "payment 1.2.3 (0a1b2c)");
        assert_eq!(ask("/readyz", peer, &[]).await.json()["reason"], "disk: /data is full");
    }
}

#[tokio::test]
async fn who_may_read_the_metrics_is_told_what_a_check_has_found() {
    let mut setup = Setup::new();
    setup.plan.metrics.as_mut().unwrap().access = MetricsAccess::Token(Secret("sixteen-or-more!".into()));
    let edge = setup.start();
    edge.health.add("payment", || async { Check::new(Status::Up, "payment 1.2.3") });
    let ask = async |token: &str| {
        let far = ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 4711)));
        let request = Request::get("/healthz").extension(far).header("authorization", format!("Bearer {token}"));
        edge.ask(request.body(Body::empty()).unwrap()).await.json()["checks"]["payment"]["message"].clone()
    };
    assert_eq!((ask("sixteen-or-more!").await, ask("sixteen-or-more?").await), (json!("payment 1.2.3"), json!("up")));
    assert_eq!(edge.get("/healthz").await.json()["checks"]["payment"]["message"], "payment 1.2.3", "who is near needs no token");
}

#[tokio::test]
async fn a_check_that_hangs_is_down_and_holds_up_nobody() {
    let edge = Setup::new().start();
    edge.health.add("stuck", || async {
        std::future::pending::<()>().await;
        Check::new(Status::Up, "")
    });
    let answer = tokio::time::timeout(Duration::from_secs(5), edge.get("/healthz")).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["checks"]["stuck"]["status"]), (503, &json!("down")));
}

#[tokio::test]
async fn a_costly_check_is_made_once_a_second_however_many_ask() {
    let edge = Setup::new().start();
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    edge.health.add_costly("backend", move || {
        let count = Arc::clone(&count);
        async move {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::task::yield_now().await;
            Check::new(Status::Up, format!("look {number}"))
        }
    });
    let begin = Instant::now();
    let asked = futures::future::join_all((0..50).map(|_| edge.get("/healthz"))).await;
    assert!(asked.iter().all(|answer| answer.status == 200));
    for _ in 0..50 {
        edge.get("/healthz").await;
    }
    let most = 1 + begin.elapsed().as_secs() + u64::from(begin.elapsed().subsec_nanos() > 0);
    assert!(made.load(Ordering::SeqCst) as u64 <= most, "{} looks in {:?}", made.load(Ordering::SeqCst), begin.elapsed());
    let deadline = Instant::now() + Duration::from_secs(20);
    while edge.get("/healthz").await.json()["checks"]["backend"]["message"] == "look 1" {
        assert!(Instant::now() < deadline, "it is looked at again");
    }
}

#[tokio::test]
async fn a_client_that_goes_before_its_answer_is_counted_as_that() {
    let never = Router::new().fallback(any(|| async { std::future::pending::<()>().await }));
    let edge = Setup::new().with_route("/api/things/{id}", vec![], never).start();
    let asking = edge.get("/api/things/1");
    assert!(tokio::time::timeout(Duration::from_millis(50), asking).await.is_err(), "nobody answers");
    let metrics = edge.get("/metrics").await.text;
    let counted = r#"shop_http_requests_total{method="GET",path="/api/things/{id}",status_code="499"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn readiness_tells_the_truth() {
    let edge = Setup::new().start();
    assert_eq!(edge.get("/readyz").await.status, 503);
    edge.health.set_ready(true);
    let ready = edge.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), ready.json()), (200, json!({"status": "ready"})));
    edge.stop.request();
    assert_eq!(edge.get("/readyz").await.status, 503);
    assert_eq!(edge.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_process_that_stops_is_not_ready_while_it_still_serves() {
    let edge = Setup::new().start();
    edge.health.set_ready(true);
    edge.health.set_stopping();
    let answer = edge.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["reason"]), (503, &json!("stopping")));
    assert_eq!(edge.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_process_that_does_not_get_on_is_not_alive() {
    let edge = Setup::new().start();
    assert_eq!(edge.get("/livez").await.json(), json!({"status": "alive"}));
    edge.health.set_stuck(|| Some("the scheduler has not got on for 60 s".into()));
    let answer = edge.get("/livez").await;
    assert_eq!((answer.status.as_u16(), answer.json()["reason"].as_str()), (503, Some("the scheduler has not got on for 60 s")));
    assert_eq!(edge.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn what_is_down_is_not_ready() {
    let edge = Setup::new().start();
    edge.health.set_ready(true);
    edge.health.add("store", || async { Check::new(Status::Down, "closed") });
    let answer = edge.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["reason"]), (503, &json!("store: closed")));
}

#[tokio::test]
async fn what_can_still_be_read_is_ready_and_not_well() {
    let edge = Setup::new().start();
    edge.health.set_ready(true);
    edge.health.add("store", || async { Check::only_reads("the disk is full") });
    assert_eq!(edge.get("/readyz").await.status, 200);
    let health = edge.get("/healthz").await;
    let expected = json!({"status": "unhealthy", "checks": {"store": {"status": "down", "message": "the disk is full"}}});
    assert_eq!((health.status.as_u16(), health.json()), (503, expected));
}

#[tokio::test]
async fn a_check_of_the_host_and_a_module_of_its_name_are_both_told() {
    let edge = Setup::new().start();
    for name in ["log", "catalogue"] {
        edge.health.add_own(name, || async { Check::new(Status::Degraded, "of the host") });
    }
    edge.health.add("log", || async { Check::new(Status::Up, "of the module") });
    let checks = edge.get("/healthz").await.json()["checks"].clone();
    let messages = ["log", "host:log", "catalogue"].map(|name| checks[name]["message"].as_str().unwrap_or_default().to_owned());
    assert_eq!(messages, ["of the module", "of the host", "of the host"], "{checks:#}");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_what_was_sent() {
    let things = Router::new().fallback(any(|| async { "ok" }));
    let edge = Setup::new().with_route("/api/things/{id}", vec![], things).start();
    for path in ["/api/things/1", "/api/things/2", "/nowhere/3", "/healthz", "/readyz", "/livez", "/metrics"] {
        edge.get(path).await;
    }
    edge.send("DELETE", "/api/things/1", None, "").await;
    edge.profile("no token").await;
    let metrics = edge.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "shop_http_requests_total{method=\"GET\",path=\"/api/things/{id}\",status_code=\"200\"} 2",
        "shop_http_requests_total{method=\"DELETE\",path=\"/api/things/{id}\",status_code=\"405\"} 1",
        "shop_http_requests_total{method=\"GET\",path=\"/{*path}\",status_code=\"404\"} 1",
        "shop_http_requests_total{method=\"GET\",path=\"/api/auth/profile\",status_code=\"401\"} 1",
        "shop_http_request_duration_seconds_count{method=\"GET\",path=\"/api/things/{id}\"} 2",
    ] {
        assert!(metrics.text.lines().any(|l| l == line), "no line {line} in\n{}", metrics.text);
    }
    assert!(!metrics.text.contains("healthz") && !metrics.text.contains("path=\"/metrics\""), "{}", metrics.text);
}

#[tokio::test]
async fn operations_of_modules_are_counted_with_their_result() {
    let edge = Setup::new().start();
    edge.register("ada@example.com").await;
    edge.post("/api/auth/login", json!({"email": "eve@example.com", "password": "password123"})).await;
    let text = edge.get("/metrics").await.text;
    for line in [
        "shop_module_operations_total{module=\"accounts\",operation=\"register\",status=\"success\"} 1",
        "shop_module_operations_total{module=\"accounts\",operation=\"login\",status=\"rejected\"} 1",
        "shop_module_operation_duration_seconds_count{module=\"accounts\",operation=\"login\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "no line {line} in\n{text}");
    }
}
