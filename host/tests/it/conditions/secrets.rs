//! Secrets and settings as editors, secret stores and Windows leave them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;

use super::split::{INTERNAL_SECRET, Split, customer};
use super::test_env::until;
use crate::client::{Client, path_of};
use crate::process::{Home, wait_until_ready};
use crate::processes::shop::{HAPPY, config};
use crate::test_app::SECRET;

const OTHER: &str = "what only one of the two processes knows of";

/// Waits until a process is unhealthy because of its secrets, and answers what it says of them.
async fn until_unhealthy(process: &Client) -> String {
    let health = until("unhealthy because of a secret", || async {
        let answer = process.try_send(reqwest::Method::GET, "/healthz", None, &[]).await.ok()?;
        (answer.body["checks"]["shared-secrets"]["status"] == "down").then_some(answer)
    })
    .await;
    assert_eq!((health.status, &health.body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &Value::from("unhealthy")));
    assert_eq!(process.get("/livez").await.status, StatusCode::OK, "it is alive: to start it again helps nothing");
    health.body["checks"]["shared-secrets"]["message"].as_str().unwrap().to_owned()
}

/// Waits until a run was refused, which is no attempt.
async fn until_denied(orders: &Client) {
    until("a run that is not begun", || async {
        let metrics = orders.get("/metrics").await.body.as_str().unwrap_or_default().to_owned();
        let denied = r#"component_runs_total{component="inventory-checker",outcome="denied"}"#;
        metrics.lines().find(|line| line.contains(denied)).filter(|line| !line.ends_with(" 0")).map(drop)
    })
    .await;
}

/// An order that meets a wrong secret, until `repair` has set that right.
async fn waits_and_goes_on(users_products: &[(&str, &str)], orders: &[(&str, &str)], told: &str) {
    let split = Split::new();
    let users = split.users_products(users_products).await;
    let process = split.orders(orders);
    let message = until_unhealthy(&process.client).await;
    assert!(message.contains("INTERNAL_SECRET") && message.contains(told), "{message}");
    for secret in [INTERNAL_SECRET, OTHER] {
        assert!(!message.contains(secret), "{message}");
    }
    let ada = customer(&users.client, &process.client, "ada").await;
    let placed = ada.order("prod-001", 2, "tok_visa").await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    let id = placed.body["id"].as_str().unwrap();
    until_denied(&process.client).await;
    assert_eq!(ada.get(&format!("/api/orders/{id}")).await.body["state"], "validating", "nothing was decided");

    // Whoever was wrong is started again with the right one.
    let (mut users, mut process) = (users, process);
    if users_products.is_empty() {
        drop(process);
        process = split.orders(&[]);
        wait_until_ready(&process.client).await;
    } else {
        // Nobody asks a process that is not there: that would be an attempt, and is no refusal.
        process.signal(Signal::STOP);
        drop(users);
        users = split.users_products(&[]).await;
        process.signal(Signal::CONT);
    }
    let delivered = ada.wait_for("orders", id, &["delivered", "failed", "cancelled"]).await;
    assert_eq!(path_of(&delivered), HAPPY);
    let validated = &delivered["history"].as_array().unwrap()[1];
    assert_eq!(validated["attempt"], 1, "a refused secret uses up no attempt: {validated}");
    assert_eq!(process.client.get("/healthz").await.body["checks"]["shared-secrets"]["status"], "up");
    crate::shop::wait_for_stock(&users.client, "prod-001", 48).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_internal_secret_fails_nothing_and_what_waited_is_delivered_when_it_is_right() {
    tokio::join!(
        waits_and_goes_on(&[("INTERNAL_SECRET", OTHER)], &[], "not the same"),
        waits_and_goes_on(&[("INTERNAL_SECRET", "")], &[], "not set in the process at"),
        waits_and_goes_on(&[], &[("INTERNAL_SECRET", "")], "not set here"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_for_tokens_is_told_before_the_first_customer_meets_it() {
    let split = Split::new();
    let _users = split.users_products(&[]).await;
    let process = split.orders_logging(&[("JWT_SECRET", OTHER)], "log");
    let message = until_unhealthy(&process.client).await;
    assert!(message.contains("JWT_SECRET is not the same") && !message.contains("INTERNAL_SECRET"), "{message}");
    until("/readyz says why it is not", || async {
        let ready = process.client.get("/readyz").await;
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{ready:?}");
        ready.body["reason"].as_str().unwrap().contains("JWT_SECRET").then_some(())
    })
    .await;
    let log = std::fs::read_to_string(split.home.path().join("log")).unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("ERROR") && line.contains("JWT_SECRET")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(!log.contains(OTHER) && !log.contains(SECRET), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_issuer_of_tokens_is_told_before_the_first_customer_meets_it() {
    let split = Split::new();
    let _users = split.users_products(&[]).await;
    let process = split.orders_of("issuer: workflow-store", "issuer: another-store");
    let message = until_unhealthy(&process.client).await;
    assert!(message.contains("`issuer` of auth.jwt is not the same") && !message.contains("_SECRET"), "{message}");
    until("/readyz says why it is not", || async {
        let ready = process.client.get("/readyz").await;
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE, "{ready:?}");
        ready.body["reason"].as_str().unwrap().contains("issuer").then_some(())
    })
    .await;
    drop(process);
    let mut process = split.orders(&[]);
    process.until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_the_same_whatever_an_editor_or_a_secret_store_leaves_around_them() {
    let split = Split::new();
    let file = |name: &str, text: String| {
        let path = split.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (token_file, internal_file) = (file("token", format!("\u{feff}{SECRET}\r\n")), file("internal", format!("{INTERNAL_SECRET}\n")));
    let (token, internal) = (format!("{SECRET}\n"), format!(" {INTERNAL_SECRET}\r"));
    let users = split.users_products(&[("JWT_SECRET", token.as_str()), ("INTERNAL_SECRET", internal.as_str())]).await;
    let given = [
        ("JWT_SECRET", ""),
        ("JWT_SECRET_FILE", token_file.as_str()),
        ("INTERNAL_SECRET", ""),
        ("INTERNAL_SECRET_FILE", internal_file.as_str()),
    ];
    let process = split.orders(&given);
    wait_until_ready(&process.client).await;
    let ada = customer(&users.client, &process.client, "ada").await;
    ada.order_until("prod-001", 1, "tok_visa", &["delivered"]).await;
}

#[test]
fn what_nobody_sees_in_a_setting_is_refused_by_name_at_the_start() {
    let home = Home::new();
    let data = home.path().join("data").display().to_string();
    let refused = |config_name: &str, name: &str, value: &OsStr| {
        let output = home.command(&config(config_name)).env("INTERNAL_SECRET", INTERNAL_SECRET).env(name, value).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{told}");
        told
    };
    for (value, flaw) in [
        (format!("{data}\r"), "carriage return (\\r)"),
        (format!("\"{data}\""), "begins and ends with quotes"),
        (format!("'{data}'"), "begins and ends with quotes"),
        ("~/data".to_owned(), "begins with '~'"),
        ("$HOME/data".to_owned(), "has '$' in it"),
        (format!("{data}\n"), "line break (\\n)"),
        (format!("{data} "), "a blank"),
        (format!("\u{feff}{data}"), "begins with a BOM"),
    ] {
        let told = refused("monolith.yaml", "DATA_DIR", value.as_ref());
        assert!(told.contains("DATA_DIR") && told.contains(flaw), "{value:?}: {told}");
    }
    // As the address bar of a browser has it: a link with two `#` leads to no page.
    let told = refused("monolith.yaml", "SHOP_URL", "https://shop.example.com/#/".as_ref());
    assert!(told.contains("resetLink") && told.contains("one # at most"), "{told}");
    assert!(refused("monolith.yaml", "LISTEN", "127.0.0.1:0\r".as_ref()).contains("LISTEN"));
    let latin_1 = OsStr::from_bytes(b"./donn\xe9es");
    let told = refused("monolith.yaml", "DATA_DIR", latin_1);
    assert!(told.contains("DATA_DIR") && told.contains("no UTF-8"), "{told}");
    let broken = format!("{}\n{}", &INTERNAL_SECRET[..20], &INTERNAL_SECRET[20..]);
    let told = refused("users-products.yaml", "INTERNAL_SECRET", broken.as_ref());
    assert!(told.contains("INTERNAL_SECRET") && told.contains("line break") && !told.contains(&INTERNAL_SECRET[..20]), "{told}");
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["components"], "no folder is made for a path that nobody means");
}
