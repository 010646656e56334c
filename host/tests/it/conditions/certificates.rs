//! A bank behind TLS: its certificate is of an authority of its own, or has expired.
//!
//! `host/tests/certificates` has an authority whose key nobody has any more, and two certificates of it for one key: `service.pem` counts until
//! 2126, `expired.pem` did until 2020.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use axum::Json;
use axum::routing::{get, post};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::test_env::until;
use crate::client::{Client, order};
use crate::process::{Home, Process};
use crate::test_app::{built, changed_monolith, repository};

fn file(name: &str) -> PathBuf {
    repository().join("host/tests/certificates").join(name)
}

/// A bank that charges everybody, behind TLS with this certificate; its port.
async fn bank(certificate: &str) -> u16 {
    let charged = || async { Json(json!({"status": "charged", "id": "ch_1", "last4": "4242"})) };
    let nothing = || async { (StatusCode::NOT_FOUND, Json(json!({}))) };
    let router = axum::Router::new()
        .route("/charges", post(charged))
        .route("/charges/{key}", get(nothing))
        .route("/charges/{key}/void", post(|| async { Json(json!({})) }));
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind = plain.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(plain, router).await });

    let chain = vec![CertificateDer::from_pem_file(file(certificate)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("service.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider())).with_safe_default_protocol_versions();
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await.ok()?;
                let mut inside = TcpStream::connect(behind).await.ok()?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await.ok()
            });
        }
    });
    port
}

/// The shop with this bank, in a home of its own.
fn shop(port: u16) -> (Home, PathBuf) {
    let home = Home::new();
    std::fs::copy(built("payment-bank.wasm"), home.component("payment.wasm")).unwrap();
    let granted =
        format!("      description: Charges\n      capabilities: {{http: [{{service: bank, url: \"https://127.0.0.1:{port}\"}}]}}\n");
    let changes = [
        ("      description: Charges the customer through the payment gateway\n", granted.as_str()),
        ("      maxRetries: 2\n      retryBackoffMs: 1000\n", "      maxRetries: 1\n      retryBackoffMs: 50\n"),
        ("after: ${PAYMENT_RETRY_AFTER:-10s}", "after: 100ms"),
    ];
    let config = changed_monolith(home.path(), &changes);
    (home, config)
}

async fn place(process: &Process, name: &str) -> (Client, String) {
    let customer = process.client.customer(name).await;
    let placed = customer.post("/api/orders", &order("prod-001", 1, "tok_visa")).await;
    assert_eq!(placed.status, StatusCode::CREATED, "{placed:?}");
    (customer, placed.body["id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_of_an_authority_of_ones_own_is_reached_and_before_that_orders_wait_and_the_health_says_why() {
    let (home, config) = shop(bank("service.pem").await);
    let process = home.start_config(&config, &[]).await;
    let mut orders = Vec::new();
    for name in ["ada", "bea", "cleo"] {
        orders.push(place(&process, name).await);
    }
    let told: Value = until("the health says what is wrong with the certificate", || async {
        let check = process.client.get("/healthz").await.body["checks"]["payment-processor"].clone();
        check["message"].as_str().is_some_and(|message| message.contains("an authority that this machine does not know")).then_some(check)
    })
    .await;
    assert!(told["status"] == "degraded" && told["message"].as_str().unwrap().contains("`SSL_CERT_FILE`"), "{told:#}");
    for (customer, id) in &orders {
        assert!(!["cancelled", "failed"].contains(&customer.get(&format!("/api/orders/{id}")).await.body["state"].as_str().unwrap()));
    }
    drop(process);
    let authority = file("authority.pem");
    let process = home.start_config(&config, &[("SSL_CERT_FILE", authority.to_str().unwrap())]).await;
    for (customer, id) in orders {
        process.client.with_token(customer.token()).wait_for("orders", &id, &["delivered"]).await;
    }
}

#[test]
fn a_wrong_path_of_ones_own_authorities_is_told_before_anything_starts_and_no_others_count() {
    let (home, config) = shop(1);
    let missing = home.path().join("authority.pem");
    let missing = missing.to_str().unwrap();
    for command in [&["validate", "--format", "lines"][..], &["run", "--config"]] {
        let mut told = Command::new(env!("CARGO_BIN_EXE_millrace"));
        told.args(command).arg(&config).current_dir(home.path());
        told.envs([("COMPONENTS_DIR", home.path().join("components")), ("DATA_DIR", home.path().join("data"))]);
        let output = told.envs([("JWT_SECRET", crate::test_app::SECRET), ("SSL_CERT_FILE", missing)]).output().unwrap();
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success() && told.contains(&format!("`SSL_CERT_FILE` is '{missing}'")), "{command:?}: {told}");
    }
    let checked = Command::new(env!("CARGO_BIN_EXE_millrace"))
        .arg("check")
        .arg(built("payment-bank.wasm"))
        .args(["--grant", "bank=https://127.0.0.1:1"])
        .env("SSL_CERT_FILE", missing)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && told.contains(&format!("`SSL_CERT_FILE` is '{missing}'")), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_bank_that_has_expired_is_told_of_and_costs_no_order() {
    let (home, config) = shop(bank("expired.pem").await);
    let authority = file("authority.pem");
    let process = home.start_config(&config, &[("SSL_CERT_FILE", authority.to_str().unwrap())]).await;
    let mut orders = Vec::new();
    for name in ["ada", "bea", "cleo"] {
        orders.push(place(&process, name).await);
    }
    until("the health says that the certificate has expired", || async {
        let check = process.client.get("/healthz").await.body["checks"]["payment-processor"].clone();
        check["message"].as_str().is_some_and(|message| message.contains("certificate") && message.contains("expired")).then_some(())
    })
    .await;
    for (customer, id) in &orders {
        assert!(!["cancelled", "failed"].contains(&customer.get(&format!("/api/orders/{id}")).await.body["state"].as_str().unwrap()));
    }
}
