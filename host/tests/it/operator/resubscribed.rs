//! Who receives which events, and what events make happen, changes in a running shop, and no event is lost by it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::killed_saves::administrator;
use super::saving::{digest, save};
use crate::client::{Client, PATIENCE};
use crate::kafka::Topics;
use crate::kafka_broker::{Driver, KafkaBroker, monolith_over_kafka, without_automatic_transitions};
use crate::process::{Home, Process};
use crate::swaps::seed_with_plenty;
use crate::test_app::{changed_monolith, from_anywhere};

const ENDS: [&str; 3] = ["delivered", "failed", "cancelled"];
/// What the shop's own handler is subscribed to.
const SUBSCRIPTIONS: &str = "    subscriptions:\n      - topic: order.created\n";
/// What has a payment begin.
const TRIGGER: &str =
    "      - topic: order.validated\n        event: order.validated\n        workflow: order-processing\n        action: start_payment\n";

/// A shop of its own, and Ann, who may save.
struct Shop {
    home: Home,
    file: PathBuf,
    process: Process,
    admin: Client,
}

impl Shop {
    async fn open(text: Option<&str>) -> Self {
        let home = Home::new();
        let folder = home.path().join("config");
        std::fs::create_dir(&folder).unwrap();
        let file = changed_monolith(&folder, &[]);
        if let Some(text) = text {
            std::fs::write(&file, from_anywhere(text)).unwrap();
        }
        let seed = home.path().join("products.json");
        let mut products: Value = serde_json::from_str(&std::fs::read_to_string(seed_with_plenty()).unwrap()).unwrap();
        products.as_array_mut().unwrap().push(json!({"id": "scarce", "data": {"name": "Scarce", "price": 1.25, "stock": 1}}));
        std::fs::write(&seed, products.to_string()).unwrap();
        let variables = [("PRODUCTS_SEED", seed.to_str().unwrap()), ("PAYMENT_RETRY_AFTER", "1h"), ("OPERATOR_WRITES", "true")];
        let process = home.start_config(&file, &variables).await;
        process.client.customer("ann").await;
        home.operate(&file, &["users", "grant", "ann@example.com", "admin"]).unwrap();
        let admin = administrator(&process).await;
        Self { home, file, process, admin }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }

    /// Saves a text, of which the process says before that nothing of it takes a restart.
    async fn save(&self, text: &str) {
        let planned = self.admin.post("/operator/config/plan", &json!({"text": text})).await.body;
        assert_eq!((&planned["takes"], &planned["restart"]), (&json!("live"), &json!([])), "{planned:#}");
        let saved = save(&self.admin, text, &digest(&self.admin).await).await;
        assert_eq!((saved.status, &saved.body["runs"], &saved.body["problem"]), (StatusCode::OK, &json!(true), &Value::Null), "{saved:?}");
    }

    /// Topics of the events that a handler without a component has received of an order.
    fn received(&self, handler: &str, order: &str) -> Vec<String> {
        let log = self.process.log();
        // The process goes on logging meanwhile: under the lock only the text is looked at, and what is parsed is little.
        let may_be = |line: &&String| line.contains("event received") && line.contains(order);
        let texts: Vec<String> = log.lock().iter().filter(may_be).cloned().collect();
        let lines: Vec<Value> = texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let of_it = |line: &&Value| line["message"] == "event received" && line["handler"] == handler && line["instance"] == order;
        lines.iter().filter(of_it).map(|line| line["topic"].as_str().unwrap().to_owned()).collect()
    }

    async fn until_received(&self, handler: &str, order: &str, topic: &str) {
        // A topic that is new at Kafka is received once the group has shared it out.
        let deadline = Instant::now() + PATIENCE * 2;
        while self.received(handler, order) != [topic] {
            assert!(Instant::now() < deadline, "'{handler}' has of {order}: {:?}", self.received(handler, order));
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// The text with a handler that logs what it hears, of one topic.
fn with_handler(text: &str, name: &str, pattern: &str, topic: &str) -> String {
    let module = format!(
        "modules:\n  - name: {name}\n    type: messaging.handler\n    config: {{topic: \"{pattern}\"}}\n    dependsOn: [event-broker]\n"
    );
    let at = text.find("    subscriptions:\n").expect("the config has subscriptions");
    let (before, after) = text.split_at(at + "    subscriptions:\n".len());
    format!("{before}      - topic: {topic}\n        handler: {name}\n{after}").replacen("modules:\n", &module, 1)
}

/// An order from its beginning to its end.
struct Bought {
    id: String,
    began: Instant,
    ended: Instant,
}

/// Orders without end, each of which is delivered, and counted then.
fn buying(customer: Client, done: &Arc<AtomicBool>, count: &Arc<AtomicUsize>) -> JoinHandle<Vec<Bought>> {
    let (done, count) = (Arc::clone(done), Arc::clone(count));
    tokio::spawn(async move {
        let mut bought = Vec::new();
        while !done.load(Ordering::Acquire) {
            let began = Instant::now();
            let order = customer.order_until("plenty", 1, "tok_visa", &ENDS).await;
            assert_eq!(order["state"], "delivered", "{order:#}");
            bought.push(Bought { id: order["id"].as_str().unwrap().to_owned(), began, ended: Instant::now() });
            count.fetch_add(1, Ordering::AcqRel);
        }
        bought
    })
}

async fn delivered(customer: &Client) -> Value {
    let order = customer.order_until("plenty", 1, "tok_visa", &ENDS).await;
    assert_eq!(order["state"], "delivered", "{order:#}");
    order
}

fn id(order: &Value) -> &str {
    order["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_comes_hears_of_something_else_and_goes_and_no_event_is_lost() {
    let shop = Shop::open(None).await;
    let plain = shop.text();
    assert!(plain.contains(SUBSCRIPTIONS), "{SUBSCRIPTIONS}");
    let (done, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut customers = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        customers.push(buying(shop.process.client.customer(name).await, &done, &count));
    }
    let eve = shop.process.client.customer("eve").await;
    let early = delivered(&eve).await;
    let mut phases = Vec::new();
    for (name, topic) in [("listener", "order.paid"), ("listener", "order.shipped"), ("other-listener", "order.shipped")] {
        shop.save(&with_handler(&plain, name, "order.*", topic)).await;
        let (begin, before) = (Instant::now(), count.load(Ordering::Acquire));
        let end = loop {
            // Of four orders of three customers one is the second of its customer: all of it was in this phase.
            let (is_enough, now) = (count.load(Ordering::Acquire) >= before + 4, Instant::now());
            let order = delivered(&eve).await;
            shop.until_received(name, id(&order), topic).await;
            // The events of what had ended before this order began were told before its own.
            if is_enough {
                break now;
            }
            assert!(begin.elapsed() < PATIENCE * 4, "the others buy nothing");
        };
        phases.push((name, topic, begin, end));
    }
    shop.save(&plain).await;
    let late = delivered(&eve).await;
    done.store(true, Ordering::Release);
    let mut bought = Vec::new();
    for customer in customers {
        bought.extend(customer.await.unwrap());
    }
    for (name, topic, begin, end) in phases {
        let whole: Vec<&Bought> = bought.iter().filter(|one| one.began > begin && one.ended < end).collect();
        assert!(!whole.is_empty(), "others bought while '{name}' heard of {topic}");
        for one in &whole {
            shop.until_received(name, &one.id, topic).await;
        }
        eprintln!("{name} heard of each of {} orders once, on {topic}", whole.len());
    }
    for order in [&early, &late] {
        for handler in ["listener", "other-listener"] {
            assert_eq!(shop.received(handler, id(order)), [""; 0], "nobody had subscribed for it");
        }
    }
    let letters = shop.admin.get("/operator/waiting").await.body;
    assert_eq!(letters["deadLetters"]["count"], 0, "{letters:#}");
    assert_eq!(shop.process.client.get("/healthz").await.body["status"], "healthy");
}

fn cause_of(order: &Value, transition: &str) -> Value {
    let rows = order["history"].as_array().unwrap();
    rows.iter().find(|row| row["transition"] == transition).unwrap_or_else(|| panic!("{order:#}"))["cause"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_event_makes_happen_comes_and_goes_unless_an_instance_waits_for_it() {
    let shop = Shop::open(None).await;
    let automatic = shop.text();
    let (driven, without) = (without_automatic_transitions(&automatic), automatic.replacen(TRIGGER, "", 1));
    assert!(driven != automatic && without != automatic);
    let ada = shop.process.client.customer("ada").await;
    assert_eq!(cause_of(&delivered(&ada).await, "start_payment"), "automatic");
    shop.save(&driven).await;
    assert_eq!(cause_of(&delivered(&ada).await, "start_payment"), "event");

    let waiting = ada.order_until("plenty", 1, "tok_chargeDeclined", &["payment_failed"]).await;
    let refused = save(&shop.admin, &without, &digest(&shop.admin).await).await;
    assert_eq!((refused.status, &refused.body["code"]), (StatusCode::CONFLICT, &json!("would_strand")), "{refused:?}");
    assert!(refused.body["stranded"].to_string().contains("the event that fires 'start_payment'"), "{refused:?}");
    let cancelled = ada.post(&format!("/api/orders/{}/cancel", id(&waiting)), &json!({})).await;
    assert_eq!(cancelled.body["state"], "cancelled", "{cancelled:?}");
    shop.save(&without).await;
    assert_eq!(cause_of(&delivered(&ada).await, "start_payment"), "automatic");
    shop.save(&driven).await;
    assert_eq!(cause_of(&delivered(&ada).await, "start_payment"), "event", "it counts at once");
    drop(shop.home);
}

/// The text of a config in a folder of its own, as the program finds its files from there.
fn over_kafka(broker: &KafkaBroker, topics: &Topics) -> String {
    monolith_over_kafka(&broker.address(), topics.prefix(), Driver::Events)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_kafka_topics_come_and_go_while_events_drive_orders_and_each_is_delivered() {
    let broker = tokio::task::spawn_blocking(KafkaBroker::shared).await.unwrap();
    let topics = Topics::unique(&broker.address());
    let shop = Shop::open(Some(&over_kafka(&broker, &topics))).await;
    let plain = shop.text();
    let (done, count) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut customers = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        customers.push(buying(shop.process.client.customer(name).await, &done, &count));
    }
    let eve = shop.process.client.customer("eve").await;
    delivered(&eve).await;
    // A topic that is received already, one that nobody has received before, and none of both.
    let (paid, failed) = (topics.topic("paid"), topics.topic("failed"));
    let pattern = format!("{}.*", topics.prefix());
    shop.save(&with_handler(&plain, "listener", &pattern, &paid)).await;
    let first = delivered(&eve).await;
    shop.until_received("listener", id(&first), &paid).await;
    let text = with_handler(&with_handler(&plain, "listener", &pattern, &paid), "other-listener", &pattern, &failed);
    let fewer_attempts = text.replacen("maxAttempts: 3", "maxAttempts: 2", 1);
    assert_ne!(fewer_attempts, text, "the config has three attempts");
    shop.save(&fewer_attempts).await;
    let second = delivered(&eve).await;
    shop.until_received("listener", id(&second), &paid).await;
    let refused = eve.order_until("scarce", 2, "tok_visa", &ENDS).await;
    assert_eq!(refused["state"], "failed", "there is one of it: {refused:#}");
    shop.until_received("other-listener", id(&refused), &failed).await;
    shop.save(&plain).await;
    delivered(&eve).await;
    done.store(true, Ordering::Release);
    let mut bought = 0;
    for customer in customers {
        bought += customer.await.unwrap().len();
    }
    eprintln!("{bought} orders were delivered by their events while topics came and went");
    let unfinished = shop.admin.get("/operator/instances/counts?kind=orders&finished=false").await.body;
    assert_eq!(unfinished["count"], 0, "{unfinished}");
    let letters = shop.admin.get("/operator/waiting").await.body;
    assert_eq!(letters["deadLetters"]["count"], 0, "{letters:#}");
}
