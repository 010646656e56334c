//! A config that no longer names what unfinished orders need, and a program whose file is another one by now.

use std::path::PathBuf;

use serde_json::Value;

use super::components::until_it_pays;
use super::test_env::until;
use crate::observability::scraped::Scraped;
use crate::process::{Home, Process};
use crate::test_app::{built, from_anywhere, repository};

/// The monolith's config, with `before` under another name.
fn renamed(home: &Home, file: &str, before: &str, after: &str) -> PathBuf {
    let config = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
    assert!(config.contains(before), "{before}");
    let path = home.path().join(file);
    // Slow enough that orders are under way for some seconds.
    let patient = config.replace("retryBackoffMs: 1000\n      timeoutSeconds: 30\n", "retryBackoffMs: 3000\n      timeoutSeconds: 30\n");
    assert_ne!(patient, config);
    std::fs::write(&path, from_anywhere(&patient).replace(before, after)).unwrap();
    path
}

async fn start(home: &Home, config: &std::path::Path) -> Process {
    home.start_config(config, &[]).await
}

/// Orders whose payment is tried again in a second or two, and one that is not paid yet at all: under way when the process is killed.
async fn orders_under_way(home: &Home, config: &std::path::Path) -> Vec<String> {
    let process = start(home, config).await;
    let customer = process.client.customer("ada").await;
    let mut placed = Vec::new();
    for _ in 0..4 {
        placed.push(customer.order_until("prod-008", 1, "tok_gatewayTimeout", &["paying"]).await["id"].as_str().unwrap().to_owned());
    }
    process.kill();
    placed
}

async fn health(process: &Process) -> Value {
    process.client.get("/healthz").await.body
}

/// Restarts with the config `after`, in which what these orders need has another name, and then with theirs again.
async fn orders_wait_for_their_config(before: &str, after: &str, named: &str) {
    let home = Home::new();
    let config = renamed(&home, "before.yaml", "step-payment", "step-payment");
    let other = renamed(&home, "after.yaml", before, after);
    let placed = orders_under_way(&home, &config).await;

    let process = start(&home, &other).await;
    let listed = until("every run is set aside", || async {
        let listed = home.operate(&other, &["quarantined", "list"]).unwrap();
        listed.ends_with(&format!("\n{} quarantined runs\n", placed.len())).then_some(listed)
    })
    .await;
    assert!(listed.contains(&format!("the config names no {named}")), "{listed}");
    let found = health(&process).await;
    assert_eq!(found["status"], "degraded", "{found:#}");
    let check = &found["checks"]["order-processing"];
    let message = check["message"].as_str().unwrap();
    assert!(message.contains(&format!("{} unfinished instances", placed.len())) && message.contains(named), "{check:#}");
    assert!(process.log().lock().iter().any(|line| line.contains("ERROR") && line.contains(named)), "the start says so");
    let customer = process.client.login("ada").await;
    // A run that an operator lets go too early waits again.
    home.operate(&other, &["quarantined", "release", "--all"]).unwrap();
    // New orders run on what the config says now.
    customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    until("every run is set aside again", || async {
        let listed = home.operate(&other, &["quarantined", "list"]).unwrap();
        listed.ends_with(&format!("\n{} quarantined runs\n", placed.len())).then_some(())
    })
    .await;
    for id in &placed {
        let order = customer.get(&format!("/api/orders/{id}")).await.body;
        assert_eq!(order["state"], "paying", "{order:#}");
    }
    process.kill();

    let process = start(&home, &config).await;
    for ended in delivered(&process, &placed).await {
        let transitions: Vec<&str> = ended["history"].as_array().unwrap().iter().map(|row| row["transition"].as_str().unwrap()).collect();
        assert!(!transitions.contains(&"payment_declined"), "{transitions:?}");
    }
    let found = health(&process).await;
    assert!(found["checks"].get("order-processing").is_none(), "{found:#}");
}

/// Each of these orders, once it has ended: it is delivered.
async fn delivered(process: &Process, placed: &[String]) -> Vec<Value> {
    let customer = process.client.login("ada").await;
    let mut orders = Vec::new();
    for id in placed {
        let ended = customer.wait_for("orders", id, &["delivered", "cancelled", "failed"]).await;
        assert_eq!(ended["state"], "delivered", "{ended:#}");
        orders.push(ended);
    }
    orders
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_component_has_another_name_wait_for_the_name_they_know() {
    orders_wait_for_their_config("payment-processor", "card-charger", "component 'payment-processor'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_step_has_another_name_wait_for_the_name_they_know() {
    orders_wait_for_their_config("step-payment", "step-charge", "step 'step-payment'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_workflow_has_another_name_wait_for_the_name_they_know() {
    orders_wait_for_their_config("order-processing", "sales-processing", "workflow 'order-processing'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_kept_under_another_name_wait_for_the_name_they_know() {
    let home = Home::new();
    let config = renamed(&home, "before.yaml", "resourceName: orders\n", "resourceName: orders\n");
    let text = std::fs::read_to_string(&config).unwrap();
    let other = home.path().join("after.yaml");
    let after =
        text.replace("resourceName: orders\n", "resourceName: purchases\n").replace("resourceType: orders\n", "resourceType: purchases\n");
    std::fs::write(&other, after).unwrap();
    let placed = orders_under_way(&home, &config).await;

    let process = start(&home, &other).await;
    until("every run is set aside", || async {
        let listed = home.operate(&other, &["quarantined", "list"]).unwrap();
        let all = listed.ends_with(&format!("\n{} quarantined runs\n", placed.len()));
        (all && listed.contains("the config names no resource 'orders'")).then_some(())
    })
    .await;
    let found = health(&process).await;
    let message = found["checks"]["order-processing"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("4 unfinished instances") && message.contains("need resource 'orders'"), "{found:#}");
    assert_eq!(found["checks"]["event-broker"]["status"], "up", "no other shop is accused: {found:#}");
    process.kill();

    let process = start(&home, &config).await;
    delivered(&process, &placed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_unfinished_orders_name_is_missed_aloud() {
    let home = Home::new();
    let other = renamed(&home, "after.yaml", "notification-handler", "teller");
    let config = renamed(&home, "before.yaml", "step-payment", "step-payment");
    let placed = orders_under_way(&home, &config).await;
    let process = start(&home, &other).await;
    let found = health(&process).await;
    let text = found["checks"]["order-processing"].to_string();
    assert!(text.contains("handler 'notification-handler'") && text.contains(&placed.len().to_string()), "{found:#}");
    // They go on all the same; what it would have told of them is told by nobody, and becomes nobody's dead letter.
    let customer = process.client.login("ada").await;
    for id in &placed {
        customer.wait_for("orders", id, &["delivered"]).await;
    }
    let published = |scraped: &Scraped| scraped.value("ecommerce_outbox_events", &[]) == Some(0.0);
    Scraped::until(&process.client, "no events wait", published).await;
    // The handler of the new config tells of what begins with it.
    let fresh = customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await["id"].as_str().unwrap().to_owned();
    let told_of_payment = |id: &str| process.log().lock().iter().any(|line| line.contains("Payment received") && line.contains(id));
    until("a new order is told of", || async { told_of_payment(&fresh).then_some(()) }).await;
    assert!(placed.iter().all(|id| !told_of_payment(id)), "they were paid when nobody was there who tells");
    let letters = home.operate(&other, &["dlq", "list"]).unwrap();
    assert!(letters.starts_with("0 dead letters"), "{letters}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_whose_file_is_replaced_goes_on_taking_new_components() {
    let mut home = Home::new();
    let installed = home.install_program().to_owned();
    let process = home.start(&[]).await;
    // As a package manager does it: the new file takes the name, and the one that runs has none any more.
    let newer = installed.with_extension("newer");
    std::fs::write(&newer, "#!/bin/sh\nexit 2\n").unwrap();
    std::fs::rename(&newer, &installed).unwrap();

    let payment = built("payment-v2.wasm");
    std::fs::copy(&payment, home.component("payment.wasm")).unwrap();
    until_it_pays(&process.client, &payment).await;
    assert_eq!(health(&process).await["status"], "healthy");
}
