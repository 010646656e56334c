//! The monolith's config with Kafka as its bus, and a reader of what is in the topics.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use millrace::store::{HistoryRow, Listing, Resource, StepRun, StockLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, Message as _};
use serde_json::Value;

use crate::client::PATIENCE;
use crate::test_app::{TestApp, repository};

/// What happens to an order, in its sequence; each is a topic.
pub const EVENTS: [&str; 5] = ["created", "validated", "paid", "shipped", "delivered"];

/// Who makes the transitions after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The commit before them, and the event once more.
    CommitAndEvents,
    /// The event alone.
    Events,
}

/// A shop config with topics and a group of its own, on a broker that others may use too.
pub struct Shop {
    folder: tempfile::TempDir,
    address: String,
    prefix: String,
}

impl Shop {
    pub fn new(address: &str, driver: Driver) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let prefix = format!("shop-{}.order", NEXT.fetch_add(1, Ordering::Relaxed));
        let shop = Self { folder: tempfile::tempdir().unwrap(), address: address.to_owned(), prefix };
        std::fs::write(shop.config(), shop.text(driver)).unwrap();
        shop
    }

    fn text(&self, driver: Driver) -> String {
        let monolith = std::fs::read_to_string(repository().join("configs/monolith.yaml")).unwrap();
        let begin = monolith.find("    type: messaging.broker\n").unwrap();
        let end = begin + monolith[begin..].find("    dependsOn:").unwrap();
        let kafka =
            format!("    type: messaging.kafka\n    config:\n      brokers: [\"{}\"]\n      groupId: {}\n", self.address, self.group());
        let mut text = format!("{}{kafka}{}", &monolith[..begin], &monolith[end..]).replace("order.", &format!("{}.", self.prefix));
        if driver == Driver::Events {
            for (from, to) in [("validated", "paying"), ("paid", "shipping")] {
                let automatic = format!("            fromState: {from}\n            toState: {to}\n            autoTransform: true\n");
                assert!(text.contains(&automatic), "{from} -> {to}");
                text = text.replace(&automatic, &automatic.replace("            autoTransform: true\n", ""));
            }
        }
        text
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("shop-kafka.yaml")
    }

    pub fn group(&self) -> String {
        format!("{}-group", self.prefix)
    }

    pub fn topic(&self, event: &str) -> String {
        format!("{}.{event}", self.prefix)
    }

    fn topics(&self) -> Vec<String> {
        EVENTS.iter().chain(&["cancelled"]).map(|event| self.topic(event)).collect()
    }

    pub async fn start(&self) -> TestApp {
        let seed = repository().join("seed/products.json");
        TestApp::start(&self.config().display().to_string(), &[("PRODUCTS_SEED", &seed.display().to_string())]).await
    }

    /// Runs `millrace` with this config, as an operator would beside the running process.
    pub fn operate(&self, app: &TestApp, arguments: &[&str]) -> String {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .envs(variables(app.folder.path()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// All that is in the topics.
    pub async fn records(&self) -> Vec<Record> {
        let (address, topics) = (self.address.clone(), self.topics());
        tokio::task::spawn_blocking(move || topics.iter().flat_map(|topic| read(&address, topic)).collect()).await.unwrap()
    }

    /// The events that the topics have of each order, in the sequence of the orders' histories. Fails on an event whose record
    /// is not as it should be.
    pub async fn events(&self) -> BTreeMap<String, Vec<(u64, String)>> {
        let mut by_order: BTreeMap<String, Vec<(u64, String)>> = BTreeMap::new();
        for record in self.records().await {
            let event: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
            assert_eq!(event["type"], record.topic);
            assert_eq!(event["data"]["orderId"], record.key);
            assert_eq!(record.headers["ce_id"], event["id"].as_str().unwrap());
            assert!(record.headers["content-type"].starts_with("application/cloudevents+json"));
            let name = record.topic.rsplit('.').next().unwrap().to_owned();
            by_order.entry(record.key).or_default().push((event["data"]["seq"].as_u64().unwrap(), name));
        }
        by_order.values_mut().for_each(|events| {
            events.sort();
            events.dedup();
        });
        by_order
    }

    /// Waits until the topics have every event of these delivered orders.
    pub async fn until_told(&self, orders: &[String]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.events().await;
            let incomplete = orders.iter().find(|id| {
                let names = events.get(*id).map(|events| events.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>());
                names.as_deref() != Some(&EVENTS)
            });
            let Some(incomplete) = incomplete else { return };
            assert!(Instant::now() < deadline, "the topics have of '{incomplete}' only {:?}", events.get(incomplete));
        }
    }

    /// Waits until the group has stored the offset of everything that is in the topics.
    pub async fn until_consumed(&self) {
        until_consumed(self.address.clone(), self.group(), self.topics()).await;
    }

    /// Writes records as any other program could.
    pub async fn produce(&self, records: &[Record]) {
        let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", &self.address).create().unwrap();
        for record in records {
            let headers = record
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(rdkafka::message::Header { key, value: Some(value) }));
            let mut outgoing: FutureRecord<'_, str, [u8]> = FutureRecord::to(&record.topic).key(&*record.key).headers(headers);
            outgoing.payload = record.payload.as_deref();
            producer.send(outgoing, PATIENCE).await.unwrap();
        }
    }
}

/// Waits until a group has stored the offset of everything that is in these topics.
pub async fn until_consumed(address: String, group: String, topics: Vec<String>) {
    tokio::task::spawn_blocking(move || {
        let reader: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &address).set("group.id", &group).create().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while topics.iter().any(|topic| lag(&reader, topic) > 0) {
            assert!(Instant::now() < deadline, "the group is behind");
        }
    })
    .await
    .unwrap();
}

fn variables(folder: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("LISTEN", "127.0.0.1:0".into()),
        ("DATA_DIR", folder.join("data").display().to_string()),
        ("COMPONENTS_DIR", folder.join("components").display().to_string()),
        ("JWT_SECRET", crate::test_app::SECRET.into()),
        ("PRODUCTS_SEED", repository().join("seed/products.json").display().to_string()),
    ]
}

/// A record of a topic.
#[derive(Debug, Clone)]
pub struct Record {
    pub topic: String,
    pub key: String,
    pub payload: Option<Vec<u8>>,
    pub headers: HashMap<String, String>,
}

impl Record {
    fn of(message: &BorrowedMessage<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers =
            message.headers().map(|headers| headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap()))).collect());
        Self {
            topic: message.topic().to_owned(),
            key: text(message.key().unwrap()),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
        }
    }
}

fn partitions(client: &BaseConsumer, topic: &str) -> Vec<(i32, i64)> {
    let metadata = client.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let partitions: Vec<i32> = metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect();
    partitions.into_iter().map(|id| (id, client.fetch_watermarks(topic, id, PATIENCE).unwrap().1)).collect()
}

fn read(address: &str, topic: &str) -> Vec<Record> {
    let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", address).set("group.id", "reader").create().unwrap();
    let partitions = partitions(&client, topic);
    let mut places = TopicPartitionList::new();
    let mut expected = 0;
    for (partition, end) in partitions {
        places.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        expected += end;
    }
    client.assign(&places).unwrap();
    let mut records = Vec::new();
    while (records.len() as i64) < expected {
        let message = client.poll(PATIENCE).expect("Kafka gives what it has").unwrap();
        records.push(Record::of(&message));
    }
    records
}

fn lag(client: &BaseConsumer, topic: &str) -> i64 {
    let partitions = partitions(client, topic);
    let mut places = TopicPartitionList::new();
    partitions.iter().for_each(|(partition, _)| drop(places.add_partition(topic, *partition)));
    let committed = client.committed_offsets(places, PATIENCE).unwrap();
    let done = |partition: i32| match committed.find_partition(topic, partition).map(|place| place.offset()) {
        Some(Offset::Offset(offset)) => offset,
        _ => 0,
    };
    partitions.iter().map(|(partition, end)| end - done(*partition)).sum()
}

/// Everything that an order has changed in the database.
#[derive(Debug, PartialEq)]
pub struct Contents {
    resources: Vec<Resource>,
    histories: Vec<Vec<HistoryRow>>,
    runs: Vec<Vec<StepRun>>,
    stock: Vec<StockLevel>,
    dead_letters: usize,
}

/// What the database has now.
pub async fn contents(app: &TestApp) -> Contents {
    let listing = Listing { kind: "orders".into(), by_id: true, limit: 10_000, ..Listing::default() };
    let resources = app.store.resources(&listing).await.unwrap();
    let (mut histories, mut runs) = (Vec::new(), Vec::new());
    for resource in &resources {
        histories.push(app.store.history("orders", &resource.id, 0).await.unwrap());
        runs.push(app.store.runs("orders", &resource.id).await.unwrap());
    }
    let dead_letters = app.store.dead_letters(100).await.unwrap().len();
    Contents { resources, histories, runs, stock: app.store.stock().await.unwrap(), dead_letters }
}

/// Waits until no run is under way.
pub async fn until_at_rest(app: &TestApp) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = contents(app).await;
        let busy = now.runs.iter().flatten().filter(|run| run.status != millrace::store::RunStatus::Done).count();
        if busy == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{busy} runs are still under way");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
