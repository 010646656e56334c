//! One trace for all that follows from an order, over three processes, Kafka, and a restart.

use serde_json::json;

use super::collector::{Collector, Received, parent, tree};
use crate::kafka::Topics;
use crate::kafka_broker::KafkaBroker;
use crate::processes::shop::{Shop, config};

const EVENTS: [&str; 5] = ["order.created", "order.validated", "order.paid", "order.shipped", "order.delivered"];

async fn open(broker: &KafkaBroker, collector: &Collector, more: &[(&'static str, &str)]) -> Shop {
    let mut variables = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    variables.extend(more);
    let orders = std::fs::read_to_string(config("orders.yaml")).unwrap();
    Shop::open_config(Topics::of_configs(&broker.address()), &orders, &variables).await
}

fn is_post(span: &Received) -> bool {
    span.service == "gateway" && span.kind == "server" && span.name == "POST /api/orders"
}

/// The spans of that name, which there are so many of.
fn named<'a>(trace: &'a [Received], name: &str, count: usize) -> Vec<&'a Received> {
    let found: Vec<&Received> = trace.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), count, "'{name}' in\n{}", tree(trace));
    found
}

/// The span is caused by one of `name`, in `service`.
fn caused_by<'a>(trace: &'a [Received], span: &Received, name: &str, service: &str) -> &'a Received {
    let cause = parent(trace, span).unwrap_or_else(|| panic!("'{}' has no cause in\n{}", span.name, tree(trace)));
    assert_eq!((cause.name.as_str(), cause.service.as_str()), (name, service), "'{}' in\n{}", span.name, tree(trace));
    cause
}

fn is_complete(trace: &[Received]) -> bool {
    let notified = trace.iter().filter(|span| span.name == "notification-handler").count();
    // The stock of a delivered order leaves the warehouse.
    let sold = trace.iter().any(|span| span.name == "commit" && parent(trace, span).is_some_and(|cause| cause.name == "inventory-checker"));
    sold && notified == EVENTS.len() && trace.iter().filter(|span| span.kind == "producer").count() == EVENTS.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_one_trace_from_the_browser_to_its_notifications() {
    let (broker, collector) = tokio::join!(async { tokio::task::spawn_blocking(KafkaBroker::start).await.unwrap() }, Collector::start());
    let shop = open(&broker, &collector, &[]).await;
    let customer = shop.client().customer("ada").await;
    customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let trace = collector.trace("the trace of an order", is_post, is_complete).await;
    println!("{}", tree(&trace));

    for process in [&shop.gateway, &shop.orders] {
        let log = process.process.as_ref().unwrap().log();
        let lines: Vec<serde_json::Value> = log.lock().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let logged =
            lines.iter().find(|line| line["message"] == "request" && line["method"] == "POST" && line["route"] == "/api/orders").unwrap();
        let span = trace.iter().find(|span| logged["span_id"] == span.id.as_str()).unwrap_or_else(|| panic!("{logged}"));
        assert_eq!((&logged["trace_id"], span.kind), (&span.trace.as_str().into(), "server"));
    }
    let root = trace.iter().find(|span| is_post(span)).unwrap();
    assert_eq!(root.parent, None);
    let passed_on = named(&trace, "POST", 1)[0];
    assert_eq!((passed_on.kind, passed_on.parent.as_ref()), ("client", Some(&root.id)));
    let placed = trace.iter().find(|span| span.name == "POST /api/orders" && span.service == "orders").unwrap();
    assert_eq!(
        (placed.kind, placed.parent.as_ref(), placed.attributes["http.response.status_code"].as_str()),
        ("server", Some(&passed_on.id), "201")
    );
    let priced = caused_by(&trace, named(&trace, "GET /api/products/{id}", 1)[0], "GET", "orders");
    assert_eq!(priced.parent.as_ref(), Some(&placed.id));

    for (step, component) in
        [("step-validate", "inventory-checker"), ("step-payment", "payment-processor"), ("step-shipping", "shipping-service")]
    {
        let attempt = named(&trace, step, 1)[0];
        caused_by(&trace, attempt, "POST /api/orders", "orders");
        let told = |name: &str| attempt.attributes[name].as_str();
        assert_eq!((told("millrace.component"), told("millrace.outcome"), told("millrace.attempt")), (component, "accepted", "1"));
        assert_eq!(told("millrace.component.digest").len(), 64);
    }
    let reserved =
        trace.iter().find(|span| span.service == "users-products" && span.attributes["url.path"].starts_with("/internal/")).unwrap();
    caused_by(&trace, reserved, "step-validate", "orders");
    let commits: Vec<&str> = named(&trace, "commit", 5).into_iter().map(|commit| parent(&trace, commit).unwrap().name.as_str()).collect();
    assert!(
        ["POST /api/orders", "step-validate", "step-payment", "step-shipping", "inventory-checker"]
            .iter()
            .all(|cause| commits.contains(cause)),
        "{commits:?}"
    );

    let causes = ["POST /api/orders", "step-validate", "step-payment", "step-shipping", "step-shipping"];
    for (event, cause) in EVENTS.iter().zip(causes) {
        let sent = named(&trace, &format!("send {event}"), 1)[0];
        assert_eq!((sent.kind, sent.attributes["messaging.system"].as_str()), ("producer", "kafka"));
        assert_eq!(sent.attributes["messaging.destination.name"], *event);
        caused_by(&trace, sent, cause, "orders");
    }
    for notified in named(&trace, "notification-handler", EVENTS.len()) {
        let consumed = parent(&trace, notified).unwrap();
        assert_eq!((consumed.kind, consumed.attributes["messaging.system"].as_str()), ("consumer", "kafka"));
        let sent = parent(&trace, consumed).unwrap();
        assert_eq!(sent.name, consumed.name.replacen("process", "send", 1), "an event is consumed by whom it was sent to");
    }
    assert!(trace.iter().all(|span| !span.failed && span.ended >= span.began), "{}", tree(&trace));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_on_after_a_restart_goes_on_in_the_same_trace() {
    let (broker, collector) = tokio::join!(async { tokio::task::spawn_blocking(KafkaBroker::start).await.unwrap() }, Collector::start());
    let mut shop = open(&broker, &collector, &[("PAYMENT_RETRY_AFTER", "1h")]).await;
    let customer = shop.client().customer("bea").await;
    let declined = customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let id = declined["id"].as_str().unwrap();
    // Killed with everything said: what a process has not exported dies with it.
    let is_told = |trace: &[Received]| {
        let declined = trace.iter().any(|span| span.attributes.get("millrace.outcome").is_some_and(|outcome| outcome == "rejected"));
        declined && trace.iter().filter(|span| span.name == "notification-handler").count() == 3
    };
    let before = collector.trace("the trace of a declined order", is_post, is_told).await;

    shop.orders.kill();
    shop.start_orders().await;
    let retried = customer.post(&format!("/api/orders/{id}/retry"), &json!({"payment": {"token": "tok_visa"}})).await;
    assert_eq!(retried.status, reqwest::StatusCode::OK, "{retried:?}");
    customer.wait_for("orders", id, &["delivered"]).await;
    let is_delivered = |trace: &[Received]| trace.iter().filter(|span| span.name == "notification-handler").count() == 6;
    let trace = collector.trace("the trace of an order that was paid later", is_post, is_delivered).await;
    println!("{}", tree(&trace));

    assert_eq!(trace[0].trace, before[0].trace);
    let payments = named(&trace, "step-payment", 2);
    assert_ne!(payments[0].process, payments[1].process);
    let placed = trace.iter().find(|span| span.name == "POST /api/orders" && span.service == "orders").unwrap();
    assert!(payments.iter().all(|payment| payment.parent.as_ref() == Some(&placed.id)), "{}", tree(&trace));
}
