//! What a crash leaves behind: every acknowledged order reaches its end, charged once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace::store::RunStatus;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::client::{PATIENCE, order};
use crate::observability::scraped::Scraped;
use crate::process::Home;
use crate::test_app::{TestApp, built, repository};

const ORDERS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_two_hundred_orders_loses_none_and_charges_each_once() {
    let home = Home::new();
    let process = home.start(&[]).await;
    let customer = process.client.customer("ada").await;
    let token = customer.login("ada").await.token().to_owned();

    let acknowledged: Arc<Mutex<HashMap<String, Value>>> = Arc::default();
    let placing: Vec<_> = (0..8)
        .map(|_| {
            let (customer, acknowledged) = (customer.clone(), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                for _ in 0..ORDERS / 8 {
                    let body = order("prod-008", 1, "tok_visa");
                    let Ok(answer) = customer.try_send(reqwest::Method::POST, "/api/orders", Some(&body), &[]).await else { return };
                    if answer.status == reqwest::StatusCode::CREATED {
                        acknowledged.lock().insert(answer.body["id"].as_str().unwrap().to_owned(), answer.body);
                    }
                }
            })
        })
        .collect();
    while acknowledged.lock().len() < ORDERS / 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    process.kill();
    for task in placing {
        task.await.unwrap();
    }

    let process = home.start(&[]).await;
    let customer = process.client.with_token(&token);
    let acknowledged = acknowledged.lock().clone();
    assert!(acknowledged.len() >= ORDERS / 2);
    let mut transactions = HashSet::new();
    for (id, answered) in &acknowledged {
        let ended = customer.wait_for("orders", id, &["delivered", "failed", "cancelled"]).await;
        assert_eq!(ended["state"], "delivered", "{ended:#}");
        assert_eq!(ended["data"]["items"], answered["data"]["items"]);
        assert_eq!(ended["data"]["total"], answered["data"]["total"]);
        check_history(&ended);
        assert!(transactions.insert(ended["data"]["transaction_id"].as_str().unwrap().to_owned()), "two orders share a transaction");
    }
    let (mut placed, mut path) = (0, "/api/orders?limit=200".to_owned());
    loop {
        let page = customer.get(&path).await;
        for row in page.body.as_array().unwrap() {
            let ended = customer.wait_for("orders", row["id"].as_str().unwrap(), &["delivered"]).await;
            check_history(&ended);
            placed += 1;
        }
        let Some(link) = page.headers.get("link").and_then(|link| link.to_str().ok()) else { break };
        path = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    crate::shop::wait_for_stock(&customer, "prod-008", 999 - placed).await;
}

/// No gap, from `new` to the state it is in, one capture.
pub fn check_history(ended: &Value) {
    let history = ended["history"].as_array().unwrap();
    let mut state = "new";
    for (index, row) in history.iter().enumerate() {
        assert_eq!(row["seq"], index + 1);
        assert_eq!(row["from"], state, "{ended:#}");
        state = row["to"].as_str().unwrap();
    }
    assert_eq!(ended["state"], state);
    let captures = history.iter().filter(|row| row["transition"] == "payment_approved").count();
    assert_eq!(captures, 1, "{ended:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_which_the_process_died_three_times_waits_for_a_person_who_lets_it_go_on() {
    let home = Home::new();
    std::fs::copy(built("hostile.wasm"), home.component("hostile.wasm")).unwrap();
    let config = home.path().join("jobs.yaml");
    let patient = std::fs::read_to_string(repository().join("host/tests/it/configs/jobs.yaml")).unwrap();
    std::fs::write(&config, patient.replace("timeoutSeconds: 1\n", "timeoutSeconds: 20\n")).unwrap();

    let process = home.start_config(&config, &[]).await;
    let customer = process.client.customer("ada").await;
    let id = customer.post("/api/jobs", &json!({"mode": "sleep"})).await.body["id"].as_str().unwrap().to_owned();
    let mut process = Some(process);
    for _ in 0..3 {
        home.until_inside_a_component("jobs", &id).await;
        process.take().unwrap().kill();
        process = Some(home.start_config(&config, &[]).await);
    }

    let client = &process.as_ref().unwrap().client;
    let health = client.get("/healthz").await.body;
    assert_eq!(health["checks"]["persistence"]["status"], "degraded", "{health:#}");
    assert_eq!(client.login("ada").await.get(&format!("/api/jobs/{id}")).await.body["state"], "working");
    let listed = home.operate(&config, &["parked", "list"]).unwrap();
    let key = listed.split(' ').next().unwrap().to_owned();
    assert!(
        listed.contains(&format!("jobs={id}")) && listed.contains("crashes=3") && listed.ends_with("\n1 quarantined runs\n"),
        "{listed}"
    );

    let refused = home.operate(&config, &["parked", "release", &key, "job-0:work:1"]).unwrap_err();
    assert!(refused.contains("job-0:work:1") && refused.contains("Nothing was changed"), "{refused}");
    assert_eq!(home.operate(&config, &["parked", "release", &key]).unwrap(), "1 quarantined runs go on\n");
    assert_eq!(home.operate(&config, &["parked", "list"]).unwrap(), "0 quarantined runs\n");
    home.until_inside_a_component("jobs", &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_database_is_refused() {
    let home = Home::new();
    let process = home.start(&[]).await;
    let output = home.second_start();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("ecommerce.db"), "{text}");
    process.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_loses_nothing_and_timers_survive_it() {
    let app = TestApp::start("configs/monolith.yaml", &[("PAYMENT_RETRY_AFTER", "3s")]).await;
    let customer = app.client.customer("ada").await;
    let mut placed = Vec::new();
    for _ in 0..20 {
        placed.push(customer.order("prod-008", 1, "tok_visa").await.body["id"].as_str().unwrap().to_owned());
    }
    let declined = customer.order_until("prod-001", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let folder = app.stop().await;

    let app = TestApp::start_in(folder, &repository().join("configs/monolith.yaml"), &[("PAYMENT_RETRY_AFTER", "3s")]).await;
    let customer = app.client.login("ada").await;
    for id in &placed {
        let ended = customer.wait_for("orders", id, &["delivered", "failed", "cancelled"]).await;
        check_history(&ended);
    }
    let cancelled = customer.wait_for("orders", declined["id"].as_str().unwrap(), &["cancelled", "delivered"]).await;
    assert_eq!(cancelled["state"], "cancelled");
    crate::shop::wait_for_stock(&customer, "prod-001", 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_published_again_change_nothing() {
    let app = TestApp::monolith().await;
    let customer = app.client.customer("ada").await;
    let delivered = customer.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
    let id = delivered["id"].as_str().unwrap();
    // Published, and every run that follows from an event done.
    let quiet = || async {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // In this sequence: once nothing is left to publish, no run is added any more.
            let published = app.store.operations.backlog().await.unwrap().outbox == 0;
            let runs = app.store.instances.runs("orders", id).await.unwrap();
            if published && runs.iter().all(|run| run.status == RunStatus::Done) {
                return runs;
            }
            assert!(Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let before = quiet().await;
    let told = || async { Scraped::of(&app.client).await.value("ecommerce_component_runs_total", &[("component", "notification-sender")]) };
    assert_eq!(told().await, Some(5.0));
    for _ in 0..2 {
        assert_eq!(
            app.store.messages.republish(jiff::Timestamp::UNIX_EPOCH).await.unwrap(),
            5,
            "created, validated, paid, shipped, delivered"
        );
        assert_eq!(quiet().await, before);
        assert_eq!(told().await, Some(5.0), "the customer is not told again");
    }
    let now = customer.get(&format!("/api/orders/{id}")).await.body;
    assert_eq!(now, delivered);
}
