//! Two or three processes of orders over one database of PostgreSQL and one Kafka, behind one gateway.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::shop::{HAPPY, INTERNAL_SECRET, config};
use crate::client::{Client, PATIENCE, order, path_of};
use crate::crashes::check_history;
use crate::kafka::{EVENTS, Topics};
use crate::kafka_broker::{KafkaBroker, free_port};
use crate::observability::scraped::Scraped;
use crate::postgres::stop;
use crate::postgres_server::{Disk, Server};
use crate::process::{Home, Process};

/// Orders of each of four customers, at most: there are 999 of the product.
const MOST: usize = 220;

/// Processes of orders, each at its address once it is started, and what they need.
struct Pair {
    home: Home,
    server: Server,
    database: String,
    _broker: Arc<KafkaBroker>,
    topics: Topics,
    config: PathBuf,
    shared: Vec<(&'static str, String)>,
    addresses: Vec<String>,
    _users_products: Process,
    orders: Vec<Option<Process>>,
    gateway: Process,
}

fn as_variables<'a>(own: &[(&'a str, &'a str)], shared: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    own.iter().copied().chain(shared.iter().map(|(name, value)| (*name, value.as_str()))).collect()
}

impl Pair {
    /// Two of them, both started.
    async fn open() -> Self {
        Self::with(2, 2).await
    }

    /// A gateway that knows of so many, of which some are started.
    async fn with(known: usize, started: usize) -> Self {
        let (server, broker) = tokio::task::spawn_blocking(|| (Server::start(Disk::Fast), KafkaBroker::shared())).await.unwrap();
        let (database, topics, home) = (server.database(), Topics::unique(&broker.address()), Home::new());
        let text = std::fs::read_to_string(config("orders.yaml")).unwrap();
        let mut text = text.replace("order.", &format!("{}.", topics.prefix())).replace("orders-group", topics.group());
        for (from, to) in [
            ("driver: sqlite", "driver: postgres"),
            ("dsn: ${DATA_DIR:-./data}/orders.db", "dsn: \"${DATABASE_URL}\""),
            ("      createIfMissing: ${DATABASE_CREATE:-true}\n", "      maxOpenConns: 8\n"),
        ] {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let file = home.path().join("orders.yaml");
        std::fs::write(&file, text).unwrap();
        let address = || format!("127.0.0.1:{}", free_port());
        let (catalogue, addresses) = (address(), (0..known).map(|_| address()).collect::<Vec<_>>());
        let targets = addresses.iter().map(|address| format!("http://{address}")).collect::<Vec<_>>().join(",");
        let web = home.path().join("web");
        std::fs::create_dir(&web).unwrap();
        std::fs::write(web.join("index.html"), "<title>the shop</title>").unwrap();
        let shared = vec![
            ("INTERNAL_SECRET", INTERNAL_SECRET.to_owned()),
            ("CATALOGUE_URL", format!("http://{catalogue}")),
            ("USERS_PRODUCTS_URL", format!("http://{catalogue}")),
            ("ORDERS_URL", targets),
            ("KAFKA_BROKERS", topics.address().to_owned()),
            ("DATABASE_URL", database.clone()),
            ("WEB_ROOT", web.display().to_string()),
        ];
        let data = home.path().join("users-products").display().to_string();
        let own = [("LISTEN", catalogue.as_str()), ("DATA_DIR", data.as_str())];
        let users_products = home.start_config(&config("users-products.yaml"), &as_variables(&own, &shared)).await;
        let gateway = home.start_config(&config("gateway.yaml"), &as_variables(&[], &shared)).await;
        let database = database.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
        let mut pair = Self {
            home,
            server,
            database,
            _broker: broker,
            topics,
            config: file,
            shared,
            addresses,
            _users_products: users_products,
            orders: (0..known).map(|_| None).collect(),
            gateway,
        };
        for which in 0..started {
            pair.start(which).await;
        }
        pair
    }

    /// Starts one of them, each with a folder of its own.
    async fn start(&mut self, which: usize) {
        let data = self.home.path().join(format!("orders-{which}")).display().to_string();
        let own = [("LISTEN", self.addresses[which].as_str()), ("DATA_DIR", data.as_str())];
        self.orders[which] = Some(self.home.start_config(&self.config, &as_variables(&own, &self.shared)).await);
    }

    fn client(&self, which: usize) -> &Client {
        &self.orders[which].as_ref().unwrap().client
    }

    fn ask(&self, sql: &str) -> String {
        self.server.ask(&self.database, sql)
    }

    /// Events that one of the two has given to the handler of notifications.
    async fn notified_by(&self, which: usize) -> f64 {
        let scraped = Scraped::of(self.client(which)).await;
        let labels = [("module", "notification-handler"), ("operation", "process")];
        scraped.value("ecommerce_orders_module_operations_total", &labels).unwrap_or_default()
    }

    /// Waits until the outbox is shared by so many processes, each of which has its part.
    async fn until_shared_by(&self, processes: usize) {
        let shares = "SELECT coalesce(string_agg(slots::text, ',' ORDER BY slots), '') FROM (
                          SELECT (SELECT count(*) FROM slots WHERE slots.owner = owners.id) AS slots FROM owners WHERE ended_at IS NULL
                      ) AS each";
        let deadline = Instant::now() + PATIENCE * 4;
        loop {
            let slots: Vec<u32> = self.ask(shares).split(',').filter_map(|slots| slots.parse().ok()).collect();
            let least = 64 / u32::try_from(processes).unwrap();
            // Of three the last one has what the shares of the others have left.
            if slots.len() == processes && slots.iter().sum::<u32>() == 64 && slots.iter().all(|slots| *slots >= least - 1) {
                return;
            }
            assert!(Instant::now() < deadline, "{processes} were expected: {slots:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Requests of customers that the gateway has had answered at the address of one of them.
    async fn answered_at(&self, which: usize) -> f64 {
        let labels = [("module", "api-proxy"), ("target", self.addresses[which].as_str()), ("outcome", "answered")];
        let scraped = Scraped::of(&self.gateway.client).await;
        scraped.value("ecommerce_gateway_proxy_target_requests_total", &labels).unwrap_or_default()
    }

    /// What the gateway says of those behind it, once that is `wanted`.
    async fn until_gateway_is(&self, wanted: &str) -> String {
        let deadline = Instant::now() + PATIENCE * 2;
        loop {
            let health = self.gateway.client.get("/healthz").await.body;
            if health["status"] == wanted {
                return health["checks"]["api-proxy"]["message"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < deadline, "the gateway should be {wanted}: {health:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Customers who order one after the other each, with a key for each order. They ask once.
struct Load {
    stop: Arc<AtomicBool>,
    paused: Arc<AtomicBool>,
    placed: Arc<Mutex<Vec<String>>>,
    customers: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(customer: &Client) -> Self {
        let (stop, paused) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let placed = Arc::<Mutex<Vec<String>>>::default();
        let order_again_and_again = |number: usize| {
            let (customer, stop, paused, placed) = (customer.clone(), Arc::clone(&stop), Arc::clone(&paused), Arc::clone(&placed));
            tokio::spawn(async move {
                let (body, mut errors) = (order("prod-008", 1, "tok_visa"), Vec::new());
                for count in 0..MOST {
                    while paused.load(Ordering::Relaxed) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("customer-{number}-order-{count}");
                    match customer.try_send(Method::POST, "/api/orders", Some(&body), &[("idempotency-key", &key)]).await {
                        Ok(answer) if answer.status == StatusCode::CREATED => {
                            placed.lock().push(answer.body["id"].as_str().unwrap().to_owned());
                        }
                        other => errors.push(format!("{key}: {other:?}")),
                    }
                    let looked = customer.try_send(Method::GET, "/api/orders?limit=1", None, &[]).await;
                    if !looked.as_ref().is_ok_and(|answer| answer.status == StatusCode::OK) {
                        errors.push(format!("the list: {looked:?}"));
                    }
                    // So that there is enough of the product for all of them.
                    tokio::time::sleep(Duration::from_millis(400)).await;
                }
                errors
            })
        };
        let customers = (0..4).map(order_again_and_again).collect();
        Self { stop, paused, placed, customers }
    }

    /// Nobody orders until it goes on, so that what takes its time does not use the orders up.
    fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    fn go_on(&self) {
        self.paused.store(false, Ordering::Relaxed);
    }

    async fn until_placed(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE * 4;
        while self.placed.lock().len() < count {
            assert!(Instant::now() < deadline, "{} orders were placed, {count} were expected", self.placed.lock().len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What was placed, when all are answered; and what went wrong.
    async fn end(self) -> (Vec<String>, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let mut errors = Vec::new();
        for customer in self.customers {
            errors.extend(customer.await.unwrap());
        }
        let placed = self.placed.lock().clone();
        (placed, errors)
    }
}

/// Each is delivered, was paid once, and has told of each of its states once: in the topics in their sequence, and to each consumer once.
async fn all_came_to_their_end_once(pair: &Pair, customer: &Client, placed: &[String]) {
    let mut transactions = HashSet::new();
    for id in placed {
        let ended = customer.wait_within(PATIENCE * 4, "orders", id, &["delivered", "failed", "cancelled"]).await;
        assert_eq!(path_of(&ended), HAPPY, "{ended:#}");
        check_history(&ended);
        assert!(transactions.insert(ended["data"]["transaction_id"].as_str().unwrap().to_owned()), "two orders share a transaction");
    }
    assert_eq!(placed.iter().collect::<HashSet<_>>().len(), placed.len(), "a key was answered with the order of another one");
    assert_eq!(pair.ask("SELECT count(*) FROM resources WHERE kind = 'orders'"), placed.len().to_string(), "one order for each key");
    pair.topics.until_told(placed).await;
    pair.topics.until_consumed().await;
    let unlike = "SELECT resource_id, count(*), count(DISTINCT to_state), count(*) FILTER (WHERE status = 'done') FROM step_runs
                  WHERE kind = 'task' AND name = 'notification-handler' GROUP BY resource_id";
    let deadline = Instant::now() + PATIENCE * 2;
    loop {
        let told = pair.ask(unlike);
        let each = format!("|{0}|{0}|{0}", EVENTS.len());
        let all_once = told.lines().count() == placed.len() && told.lines().all(|line| line.ends_with(&each));
        if all_once {
            break;
        }
        assert!(Instant::now() < deadline, "each order has {} events, each is handled once: {told}", EVENTS.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(pair.ask("SELECT count(*) FROM unpublished"), "0", "every event is published");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_of_orders_one_is_killed_under_load_and_no_client_and_no_event_notices() {
    let mut pair = Pair::open().await;
    let customer = pair.gateway.client.customer("ada").await;
    pair.until_gateway_is("healthy").await;
    let load = Load::on(&customer);
    load.until_placed(40).await;
    // Both have partitions of the group, and neither takes the place of the other.
    let deadline = Instant::now() + PATIENCE * 2;
    while pair.notified_by(0).await == 0.0 || pair.notified_by(1).await == 0.0 {
        let health = [pair.client(0).get("/healthz").await.body, pair.client(1).get("/healthz").await.body];
        assert!(Instant::now() < deadline, "{} and {}: {health:#?}", pair.notified_by(0).await, pair.notified_by(1).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for which in [0, 1] {
        let health = pair.client(which).get("/healthz").await.body;
        let told = health["checks"]["event-broker"]["message"].as_str().unwrap();
        assert!(!told.contains("takes part as"), "{told}");
    }

    let before = load.placed.lock().len();
    pair.orders[0].take().unwrap().kill();
    load.until_placed(before + 60).await;
    load.pause();
    let told = pair.until_gateway_is("degraded").await;
    assert!(told.contains(&pair.addresses[0]) && told.contains("accepts no connection") && !told.contains(&pair.addresses[1]), "{told}");

    // It comes back, and gets its part of the load again.
    pair.start(0).await;
    pair.until_gateway_is("healthy").await;
    load.go_on();
    let before = load.placed.lock().len();
    load.until_placed(before + 40).await;
    let (placed, errors) = load.end().await;
    assert_eq!(errors, Vec::<String>::new(), "each request was answered, after the kill by the other one");
    all_came_to_their_end_once(&pair, &customer, &placed).await;
    let scraped = Scraped::of(&pair.gateway.client).await;
    for address in &pair.addresses {
        let answered = [("module", "api-proxy"), ("target", address.as_str()), ("outcome", "answered")];
        let counted = scraped.value("ecommerce_gateway_proxy_target_requests_total", &answered).unwrap_or_default();
        assert!(counted > 0.0, "{address}: {}", scraped.text);
        let up = [("module", "api-proxy"), ("target", address.as_str())];
        assert_eq!(scraped.value("ecommerce_gateway_proxy_target_up", &up), Some(1.0), "{}", scraped.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_orders_come_and_go_under_load_one_then_three_then_two_and_no_client_notices() {
    let mut pair = Pair::with(3, 1).await;
    let customer = pair.gateway.client.customer("cyd").await;
    pair.until_gateway_is("degraded").await;
    let load = Load::on(&customer);
    load.until_placed(20).await;

    pair.start(1).await;
    pair.start(2).await;
    // They were started under load. That they find each other takes its time, which may not use the orders up.
    load.pause();
    pair.until_gateway_is("healthy").await;
    pair.until_shared_by(3).await;
    let before: Vec<f64> = vec![pair.answered_at(0).await, pair.answered_at(1).await, pair.answered_at(2).await];
    load.go_on();
    let deadline = Instant::now() + PATIENCE * 2;
    for which in [0, 1, 2] {
        while pair.answered_at(which).await <= before[which] {
            assert!(Instant::now() < deadline, "{} has no part of the load", pair.addresses[which]);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    // The one that was there first leaves, as an orchestrator has it leave, with requests and steps of its own under way.
    let first = pair.orders[0].take().unwrap();
    let placed = load.placed.lock().len();
    stop(first).await;
    load.pause();
    pair.until_shared_by(2).await;
    load.go_on();
    load.until_placed(placed + 40).await;
    let (placed, errors) = load.end().await;
    assert_eq!(errors, Vec::<String>::new(), "each request was answered, whoever came and went");
    all_came_to_their_end_once(&pair, &customer, &placed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_that_its_process_leaves_goes_on_at_the_other_one() {
    let mut pair = Pair::open().await;
    let customer = pair.gateway.client.customer("bea").await;
    let placed = customer.order_until("prod-008", 1, "tok_visa", &["delivered"]).await;
    let path = format!("/api/orders/{}/events", placed["id"].as_str().unwrap());
    let whole = customer.open(&path).await.text().await.unwrap();
    let ids: Vec<&str> = whole.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert!(ids.len() > 2, "{whole}");
    pair.orders[1].take().unwrap().kill();
    let rest = customer.send(Method::GET, &path, None, &[("last-event-id", ids[1])]).await;
    let Value::String(rest) = rest.body else { panic!("{rest:?}") };
    let resumed: Vec<&str> = rest.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(resumed, ids[2..], "{rest}");
}
