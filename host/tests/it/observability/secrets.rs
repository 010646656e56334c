//! No line of any log has a secret of anybody, whatever happens and however much is logged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::StatusCode;
use serde_json::json;

use crate::client::{Client, PATIENCE};
use crate::kafka::Topics;
use crate::kafka_broker::KafkaBroker;
use crate::processes::shop::{INTERNAL_SECRET, Shop, config};
use crate::test_app::SECRET;

/// What nobody may read in a log, and what it is.
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn keep(&mut self, what: &str, secret: &str) {
        self.0.push((what.to_owned(), secret.to_owned()));
    }

    /// A token as a whole, and its parts that open something or say who it is.
    fn keep_token(&mut self, token: &str) {
        self.keep("a token", token);
        let parts: Vec<&str> = token.split('.').collect();
        self.keep("the claims of a token", parts[1]);
        self.keep("the signature of a token", parts[2]);
    }

    fn check(&self, lines: &[String]) {
        for line in lines {
            for (what, secret) in &self.0 {
                assert!(!line.contains(secret.as_str()), "{what} is in a line of the log: {line}");
            }
        }
    }
}

/// Registers, logs in, fails to, and changes what can be changed.
async fn live(visitor: &Client, name: &str, secrets: &mut Secrets) -> Client {
    let (email, password) = (format!("{name}.private@example.com"), format!("hunter2-of-{name}"));
    secrets.keep("an e-mail", &format!("{name}.private"));
    secrets.keep("a password", &password);
    let registered = visitor.post("/api/auth/register", &json!({"name": name, "email": email, "password": password})).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
    let again = visitor.post("/api/auth/register", &json!({"name": name, "email": email, "password": password})).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let wrong = format!("wrong-{password}");
    assert_eq!(visitor.post("/api/auth/login", &json!({"email": email, "password": wrong})).await.status, StatusCode::UNAUTHORIZED);
    let malformed = json!({"email": email, "password": password, "surprise": password});
    assert_eq!(visitor.post("/api/auth/login", &malformed).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let logged_in = visitor.post("/api/auth/login", &json!({"email": email, "password": password})).await;
    let token = logged_in.body["token"].as_str().unwrap();
    secrets.keep_token(registered.body["token"].as_str().unwrap());
    secrets.keep_token(token);
    let customer = visitor.with_token(token);
    let moved = json!({"email": format!("{name}.private.moved@example.com"), "currentPassword": password});
    assert_eq!(customer.send(reqwest::Method::PUT, "/api/auth/profile", Some(&moved), &[]).await.status, StatusCode::OK);
    assert_eq!(visitor.with_token(&format!("{token}x")).get("/api/orders").await.status, StatusCode::UNAUTHORIZED);
    customer
}

async fn until_logged(log: &Arc<Mutex<Vec<String>>>, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !log.lock().iter().any(|line| line.contains(what)) {
        assert!(Instant::now() < deadline, "nothing of '{what}' was logged");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_line_has_a_secret_even_when_everything_is_logged_and_much_goes_wrong() {
    let broker = tokio::task::spawn_blocking(KafkaBroker::not_started).await.unwrap();
    let orders = std::fs::read_to_string(config("orders.yaml")).unwrap();
    let variables = [("MILLRACE_LOG", "debug"), ("PAYMENT_RETRY_AFTER", "50ms")];
    let mut shop = Shop::open_config(Topics::of_configs(&broker.address()), &orders, &variables).await;
    let mut logs: Vec<_> = [&shop.gateway, &shop.users_products, &shop.orders].map(|one| one.process.as_ref().unwrap().log()).into();
    let mut secrets = Secrets(Vec::new());
    secrets.keep("the key of tokens", SECRET);
    secrets.keep("the secret of the installation", INTERNAL_SECRET);

    let customer = live(shop.client(), "zelda", &mut secrets).await;
    secrets.keep("a payment token", "tok_chargeDeclined");
    customer.order_until("prod-001", 1, "tok_chargeDeclined", &["cancelled"]).await;
    customer.order_until("prod-002", 1, "tok_visa", &["delivered"]).await;
    std::fs::write(shop.home.component("payment.wasm"), format!("garbage {INTERNAL_SECRET}")).unwrap();
    until_logged(&logs[2], "was refused").await;
    customer.order_until("prod-002", 1, "tok_visa", &["delivered"]).await;
    until_logged(&logs[2], "Kafka is not available").await;
    shop.orders.kill();
    assert_eq!(customer.order("prod-002", 1, "tok_visa").await.status, StatusCode::BAD_GATEWAY);
    shop.start_orders().await;
    logs.push(shop.orders.process.as_ref().unwrap().log());
    customer.order_until("prod-003", 1, "tok_visa", &["delivered"]).await;
    live(shop.client(), "yorick", &mut secrets).await;

    let lines: Vec<String> = logs.iter().flat_map(|log| log.lock().clone()).collect();
    assert!(lines.iter().any(|line| line.contains("\"level\":\"DEBUG\"")), "everything is logged");
    secrets.check(&lines);
}
