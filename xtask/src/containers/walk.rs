//! What is tried of the containers, from the outside, as a customer and an operator would.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::project::Project;
use crate::customer::{Customer, Wanted};
use crate::http;
use crate::kafka::jars;
use crate::observability::promql::Prometheus;
use crate::patience::until_answered;

/// Beside the program: adds a service that is nothing but a config.
const NOTIFICATIONS: &str = "docker-compose.notifications.yml";
/// Topics of an order's events.
const TOPICS: [&str; 11] = [
    "order.cancelled",
    "order.created",
    "order.delivered",
    "order.paid",
    "order.shipped",
    "order.validated",
    "refund.created",
    "refund.refunded",
    "refund.refused",
    "user.changed",
    "user.password_forgotten",
];
/// What an order's delivery may take.
const DELIVERY_LIMIT: Duration = Duration::from_secs(1);
/// What anything else may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);
/// How long Kafka is asked for the same: one of its commands gives up after a minute by itself.
const KAFKA_LIMIT: Duration = Duration::from_secs(150);
/// Has its card declined.
const DECLINED: &str = "tok_chargeDeclined";
/// Of the image.
const USER: &str = "10001";

/// Everything, each after the other. The first thing that is not as it should be ends it.
pub async fn walk(project: &mut Project<'_>) -> anyhow::Result<()> {
    start(project).await?;
    let customer = shop(project).await?;
    let told = orders(&customer).await?;
    topics(project, &told).await?;
    topics_from_this_machine(project).await?;
    metrics(project).await?;
    confinement(project).await?;
    restart(project, &customer).await?;
    notifications(project, &customer, &told).await?;
    monolith(project).await?;
    production(project).await
}

fn checked(what: &str) {
    println!("  ok  {what}");
}

/// In the sequence of their dependencies: a podman before 4.6 does not wait for health itself.
async fn start(project: &Project<'_>) -> anyhow::Result<()> {
    let begun = Instant::now();
    for services in [["kafka", "users-products"].as_slice(), &["orders"], &["gateway", "prometheus"]] {
        project.up(services).await?;
    }
    checked(&format!("kafka, users-products, orders, gateway and prometheus are healthy after {} s", begun.elapsed().as_secs()));
    println!("      grafana is left out: nothing here can take the place of its image");
    Ok(())
}

async fn shop(project: &Project<'_>) -> anyhow::Result<Customer> {
    let gateway = project.ports.gateway;
    let page = http::client()?.get(format!("http://{gateway}/")).send().await?.error_for_status()?.text().await?;
    ensure!(page.contains("<html"), "the gateway serves no page: {page}");
    let customer = Customer::register(gateway).await?;
    let products = customer.browse().await?;
    ensure!(products.as_array().is_some_and(|products| products.len() == 8), "the catalogue is not as seeded: {products}");
    checked("the gateway serves the store's pages, accounts from one container and 8 products");
    Ok(customer)
}

/// The events that each order has to have told, by its id.
type Told = BTreeMap<String, Vec<&'static str>>;

async fn orders(customer: &Customer) -> anyhow::Result<Told> {
    let begun = Instant::now();
    let delivered = customer.place(Wanted::default()).await?;
    customer.wait_for(&delivered, "delivered", PATIENCE).await?;
    let took = begun.elapsed();
    ensure!(took < DELIVERY_LIMIT, "an order was delivered after {took:?}, not within {DELIVERY_LIMIT:?}");
    checked(&format!("an order through the gateway is delivered after {} ms", took.as_millis()));

    let cancelled = customer.place(Wanted { payment: DECLINED, ..Wanted::default() }).await?;
    customer.wait_for(&cancelled, "payment_failed", PATIENCE).await?;
    customer.cancel(&cancelled).await?;
    checked("an order whose card is declined is cancelled by its customer");
    Ok(Told::from([
        (delivered, ["created", "validated", "paid", "shipped", "delivered"].to_vec()),
        (cancelled, ["created", "validated", "cancelled"].to_vec()),
    ]))
}

/// With Kafka's own commands, in its container.
async fn topics(project: &Project<'_>, told: &Told) -> anyhow::Result<()> {
    until_answered(KAFKA_LIMIT, async || {
        let list = in_kafka(project, &["/opt/kafka/bin/kafka-topics.sh", "--list"]).await?;
        // Beside them are Kafka's own, and for each one its dead-letter topic.
        let listed: Vec<&str> = list.lines().filter(|topic| !topic.starts_with("__") && !topic.ends_with(".dlq")).collect();
        ensure!(listed == TOPICS, "the topics are {listed:?}");
        Ok(())
    })
    .await?;

    let expected = told.values().map(Vec::len).sum::<usize>().to_string();
    let consumer = ["/opt/kafka/bin/kafka-console-consumer.sh", "--from-beginning", "--timeout-ms", "20000", "--include", r"order\.[a-z]+"];
    let consumer = [&consumer, ["--max-messages", &expected].as_slice()].concat();
    until_answered(KAFKA_LIMIT, async || check_records(&in_kafka(project, &consumer).await?, told)).await?;
    checked(&format!("the six topics in Kafka hold the {expected} events of both orders"));
    Ok(())
}

async fn in_kafka(project: &Project<'_>, command: &[&str]) -> anyhow::Result<String> {
    project.execute("kafka", &[command, &["--bootstrap-server", "localhost:9092"]].concat()).await
}

/// Whether these records, a line each, are the events of each order in turn, and no others.
fn check_records(records: &str, told: &Told) -> anyhow::Result<()> {
    let mut events: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
    for record in records.lines() {
        let event: Value = serde_json::from_str(record).with_context(|| format!("no event: {record}"))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seq = event["data"]["seq"].as_u64().with_context(|| format!("no place in the history: {record}"))?;
        events.entry(text(&event["data"]["orderId"])).or_default().push((seq, text(&event["type"]).replace("order.", "")));
    }
    for (order, told) in told {
        let mut of_order = events.remove(order).unwrap_or_default();
        of_order.sort();
        let names: Vec<&str> = of_order.iter().map(|(_, name)| name.as_str()).collect();
        ensure!(names == *told, "Kafka has of {order} {names:?}, not {told:?}");
    }
    ensure!(events.is_empty(), "Kafka has events of other orders: {events:?}");
    Ok(())
}

/// Kafka's port on this machine: its answer names an address, and that has to lead there too.
async fn topics_from_this_machine(project: &Project<'_>) -> anyhow::Result<()> {
    let server = format!("localhost:{}", project.ports.kafka.port());
    let libs = jars::prepare()?.join("*");
    until_answered(KAFKA_LIMIT, async || {
        let mut consumer = tokio::process::Command::new("java");
        consumer.args(["-Xmx128m", "-cp"]).arg(&libs).arg("org.apache.kafka.tools.consumer.ConsoleConsumer");
        consumer.args(["--bootstrap-server", &server, "--topic", "order.delivered", "--from-beginning", "--max-messages", "1"]);
        let read = consumer.args(["--timeout-ms", "20000"]).output().await.context("java could not be started")?;
        let (record, complaint) = (String::from_utf8_lossy(&read.stdout), String::from_utf8_lossy(&read.stderr));
        ensure!(record.contains("\"order.delivered\""), "Kafka at {server} gives '{record}' to this machine: {complaint}");
        Ok(())
    })
    .await?;
    checked(&format!("a program of this machine reads an event from {server}"));
    Ok(())
}

async fn metrics(project: &Project<'_>) -> anyhow::Result<()> {
    let prometheus = Prometheus::new(project.ports.prometheus)?;
    until_measured(&prometheus, r#"count(up{job=~"gateway|users-products|orders"} == 1)"#, |count| count >= 3.0).await?;
    for expression in [
        "count(ecommerce_orders_module_operation_duration_seconds_bucket)",
        "sum(ecommerce_gateway_http_request_duration_seconds_count)",
        "sum(ecommerce_users_products_http_request_duration_seconds_count)",
    ] {
        until_measured(&prometheus, expression, |value| value > 0.0).await?;
    }
    checked("Prometheus scrapes all three, and has their metrics");
    Ok(())
}

/// What the process in a container may do there.
async fn confinement(project: &Project<'_>) -> anyhow::Result<()> {
    for service in ["gateway", "users-products", "orders"] {
        let user = project.execute(service, &["id", "-u"]).await?;
        ensure!(user == USER, "{service} runs as user {user}");
        let refusal = project.refuse(service, &["touch", "/app/written"]).await?;
        ensure!(refusal.contains("Read-only file system"), "{service} may write beside its data: {refusal}");
        let status = project.execute(service, &["cat", "/proc/1/status"]).await?;
        for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
            ensure!(status.contains(line), "process 1 of {service} lacks '{line}': {status}");
        }
    }
    checked("all three run as a user of their own, without capabilities, on a read-only file system");
    Ok(())
}

async fn restart(project: &Project<'_>, customer: &Customer) -> anyhow::Result<()> {
    let before = customer.orders().await?;
    project.restart("orders").await?;
    let after = customer.orders().await?;
    ensure!(before == after && after > 0, "of {before} orders {after} are left after a restart of their container");
    let order = customer.place(Wanted::default()).await?;
    customer.wait_for(&order, "delivered", PATIENCE).await?;
    checked("orders keeps its orders over a restart, and delivers the next one");
    Ok(())
}

/// A further service is a config and an entry in a compose file.
async fn notifications(project: &mut Project<'_>, customer: &Customer, told: &Told) -> anyhow::Result<()> {
    project.add_file(NOTIFICATIONS);
    project.up(&["notifications", "prometheus"]).await?;
    let order = customer.place(Wanted::default()).await?;
    customer.wait_for(&order, "delivered", PATIENCE).await?;
    // Its group is new, so it is told everything that is in the topics: of the orders before it too.
    let expected = told.values().map(Vec::len).sum::<usize>() as f64 + 2.0 * 5.0;
    let runs =
        r#"sum(ecommerce_notifications_module_operations_total{module="notification-handler",operation="process",status="accepted"})"#;
    let seen = until_measured(&Prometheus::new(project.ports.prometheus)?, runs, |runs| runs >= expected).await?;
    ensure!((seen - expected).abs() < f64::EPSILON, "{seen} notifications for {expected} events");
    checked(&format!("notifications, added by a config and a compose entry, has told of each of {expected} events once"));
    Ok(())
}

async fn monolith(project: &Project<'_>) -> anyhow::Result<()> {
    project.up(&["store"]).await?;
    let customer = Customer::register(project.ports.monolith).await?;
    let order = customer.place(Wanted::default()).await?;
    customer.wait_for(&order, "delivered", PATIENCE).await?;
    checked("the store in one process, of the profile `monolith`, delivers an order on its port");
    Ok(())
}

/// The secrets that were made on the first start are for development only.
async fn production(project: &Project<'_>) -> anyhow::Result<()> {
    let secret = "a-secret-that-somebody-has-chosen-for-production";
    let production = ("MILLRACE_ENV", "production");
    for (service, config) in [("users-products", "users-products"), ("orders", "orders"), ("store", "monolith")] {
        let config = format!("/app/configs/{config}.yaml");
        let (accepted, said) = project.run_once(service, &[production], &["validate", &config]).await?;
        ensure!(!accepted && said.contains("development"), "{service} accepts development secrets in production: {said}");
        let given = [production, ("JWT_SECRET", secret), ("INTERNAL_SECRET", secret)];
        let (accepted, said) = project.run_once(service, &given, &["validate", &config]).await?;
        ensure!(accepted, "{service} refuses secrets that were chosen: {said}");
    }
    checked("in production the secrets of the first start are refused, and chosen ones are accepted");
    Ok(())
}

/// Asks Prometheus until `expression` has one value, that `enough` accepts.
async fn until_measured(prometheus: &Prometheus, expression: &str, enough: impl Fn(f64) -> bool) -> anyhow::Result<f64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let values = prometheus.values(expression).await?;
        if let [value] = values[..]
            && enough(value)
        {
            return Ok(value);
        }
        ensure!(Instant::now() < deadline, "Prometheus says of {expression} after {PATIENCE:?}: {values:?}");
        sleep(POLL).await;
    }
}
