//! Every metric is recorded, and none has more series than it may.

use millrace::store::{Commit, OutboxRow};
use serde_json::json;

use super::scraped::Scraped;
use crate::test_app::{TestApp, built};

/// What one delivered order leaves: names without the prefix, and labels of a series that must be there.
const AFTER_ONE: &[(&str, &[(&str, &str)])] = &[
    ("workflow_executions_total", &[("workflow_type", "order-processing"), ("status", "success")]),
    ("workflow_duration_seconds", &[("workflow_type", "order-processing")]),
    ("http_requests_total", &[("method", "POST"), ("path", "/api/orders"), ("status_code", "201")]),
    ("http_request_duration_seconds", &[("method", "POST"), ("path", "/api/orders")]),
    ("module_operations_total", &[("module", "step-payment"), ("operation", "process"), ("status", "accepted")]),
    ("module_operation_duration_seconds", &[("module", "step-payment")]),
    ("workflow_instances", &[("workflow_type", "order-processing"), ("state", "delivered")]),
    ("component_runs_total", &[("component", "payment-processor"), ("outcome", "accepted")]),
    ("component_run_duration_seconds", &[("component", "payment-processor")]),
    ("step_overhead_seconds", &[("component", "payment-processor")]),
    ("component_info", &[("component", "payment-processor")]),
    ("component_compile_seconds", &[("component", "payment-processor")]),
    ("commit_units", &[]),
    ("sqlite_commit_seconds", &[]),
    ("sqlite_wal_bytes", &[]),
    ("disk_free_bytes", &[]),
    ("disk_size_bytes", &[]),
    ("bus_up", &[("bus", "event-broker")]),
    ("config_info", &[("version", env!("CARGO_PKG_VERSION"))]),
];

/// What there is, and should be 0 in a shop that is well.
const AT_REST: &[&str] = &[
    "active_workflows",
    "breaker_state",
    "component_quarantined",
    "component_unserved_in_a_row",
    "outbox_events",
    "outbox_oldest_age_seconds",
    "consumer_lag_events",
    "dead_letters_total",
    "sandbox_limits_total",
    "parked_runs",
    "attention_instances",
    "timers_due",
    "oldest_active_seconds",
];

#[tokio::test(flavor = "multi_thread")]
async fn one_order_leaves_every_metric_behind() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("ada").await;
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let at_rest = |scraped: &Scraped| {
        AT_REST.iter().all(|name| scraped.value(&format!("ecommerce_{name}"), &[]) == Some(0.0))
            && scraped.value("ecommerce_workflow_instances", &[("state", "delivered")]) == Some(1.0)
    };
    let scraped = Scraped::until(&app.client, "everything has come to rest", at_rest).await;
    for (name, labels) in AFTER_ONE {
        let value = scraped.value(&format!("ecommerce_{name}"), labels);
        assert!(value.is_some_and(|value| value > 0.0), "{name} {labels:?} is {value:?}:\n{}", scraped.text);
    }
    assert_eq!(scraped.value("ecommerce_workflow_instances", &[]), Some(1.0), "it is in one state only");
    assert!(scraped.value("process_resident_memory_bytes", &[]).unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_what_fails_is_counted() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = app.client.customer("bea").await;
    customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    app.clock.advance(jiff::SignedDuration::from_mins(1));
    std::fs::write(app.component("payment.wasm"), b"garbage").unwrap();
    assert!(app.runtime.reload("payment-processor").await.is_err());
    std::fs::remove_file(app.component("payment.wasm")).unwrap();
    assert!(app.runtime.reload("payment-processor").await.is_err());
    let told = |scraped: &Scraped| {
        let is = |name: &str, labels: &[(&str, &str)]| scraped.value(&format!("ecommerce_{name}"), labels);
        is("workflow_instances", &[("state", "payment_failed")]) == Some(1.0)
            && is("active_workflows", &[]) == Some(1.0)
            && is("component_runs_total", &[("component", "payment-processor"), ("outcome", "rejected")]) == Some(1.0)
            && is("component_swaps_total", &[("component", "payment-processor"), ("outcome", "refused")]) >= Some(1.0)
            && is("component_swaps_total", &[("component", "payment-processor"), ("outcome", "removed")]) >= Some(1.0)
            && is("oldest_active_seconds", &[]).is_some_and(|age| (60.0..120.0).contains(&age))
    };
    Scraped::until(&app.client, "an order that waits and a file that was refused", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_the_number_of_series_has_an_end() {
    let app = TestApp::start("host/tests/it/configs/jobs.yaml", &[]).await;
    let customer = app.client.customer("eve").await;
    let wasm = std::fs::read(built("hostile.wasm")).unwrap();
    for n in 0..100_u32 {
        // Another version: the same code, and a section that means nothing.
        let version = [wasm.as_slice(), &[0, 5, 4], format!("v{n:03}").as_bytes()].concat();
        std::fs::write(app.component("hostile.wasm"), version).unwrap();
        app.runtime.reload("worker").await.unwrap();
        let job = customer.post("/api/jobs", &json!({"mode": "accept"})).await;
        customer.wait_for("jobs", job.body["id"].as_str().unwrap(), &["done"]).await;
    }
    let before = Scraped::of(&app.client).await;
    for n in 0..300 {
        for path in [format!("/nothing/evil-{n}"), format!("/api/evil-{n}"), format!("/api/jobs/evil-{n}"), format!("/evil-{n}/metrics")] {
            let method = reqwest::Method::from_bytes(["GET", "EVIL", "DELETE"][n % 3].as_bytes()).unwrap();
            app.client.send(method, &path, None, &[]).await;
        }
    }
    let row = |n: usize| OutboxRow {
        position: 0,
        event_id: format!("evil-{n}"),
        topic: format!("evil-{n}.topic"),
        key: format!("evil-{n}"),
        seq: 1,
        payload: "no event at all".into(),
        traceparent: None,
    };
    app.store.resources.commit(Commit { outbox: (0..300).map(row).collect(), ..Commit::default() }).await.unwrap();

    let after = Scraped::of(&app.client).await;
    assert!(!after.text.contains("evil") && !after.text.contains("EVIL"), "{}", after.text);
    assert!(after.size() <= before.size() + 200, "{} series before, {} after", before.size(), after.size());
    let digests = after.series("jobs_component_run_duration_seconds");
    assert_eq!(digests.len(), 16, "{digests:#?}");
    assert_eq!(after.series("jobs_component_info").len(), 1);
    assert_eq!(after.value("jobs_component_runs_total", &[("outcome", "accepted")]), Some(100.0));
}
