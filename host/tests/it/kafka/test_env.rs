//! The monolith's config with Kafka as its bus.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use millrace::store::{HistoryRow, Listing, Resource, StepRun, StockLevel};

use super::topics::Topics;
use crate::client::PATIENCE;
use crate::kafka_broker::{Driver, monolith_over_kafka};
use crate::test_app::{TestApp, repository};

/// A shop config with topics and a group of its own, on a broker that others may use too.
pub struct Shop {
    folder: tempfile::TempDir,
    pub topics: Topics,
}

impl Shop {
    pub fn new(address: &str, driver: Driver) -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap(), topics: Topics::unique(address) };
        std::fs::write(shop.config(), monolith_over_kafka(address, shop.topics.prefix(), driver)).unwrap();
        shop
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("shop-kafka.yaml")
    }

    pub async fn start(&self) -> TestApp {
        let seed = repository().join("seed/products.json");
        TestApp::start(&self.config().display().to_string(), &[("PRODUCTS_SEED", &seed.display().to_string())]).await
    }

    /// Runs `millrace` with this config, as an operator would beside the running process.
    pub fn operate(&self, app: &TestApp, arguments: &[&str]) -> String {
        let output = self.command(app.folder.path(), arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same without a process beside it, whatever comes of it: whether it succeeds, what it prints, and what it complains about.
    pub fn operate_alone(&self, arguments: &[&str]) -> (bool, String, String) {
        let output = self.command(self.folder.path(), arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> std::process::Output {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(arguments).arg("--config").arg(self.config()).envs(variables(folder));
        if folder == self.folder.path() {
            command.env("COMPONENTS_DIR", repository().join("target/components"));
        }
        command.output().unwrap()
    }
}

fn variables(folder: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("LISTEN", "127.0.0.1:0".into()),
        ("OPERATOR_LISTEN", "127.0.0.1:0".into()),
        ("DATA_DIR", folder.join("data").display().to_string()),
        ("COMPONENTS_DIR", folder.join("components").display().to_string()),
        ("JWT_SECRET", crate::test_app::SECRET.into()),
        ("PRODUCTS_SEED", repository().join("seed/products.json").display().to_string()),
    ]
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
    let resources = app.store.resources.resources(&listing).await.unwrap();
    let (mut histories, mut runs) = (Vec::new(), Vec::new());
    for resource in &resources {
        histories.push(app.store.resources.history("orders", &resource.id, 0, 100).await.unwrap());
        runs.push(app.store.instances.runs("orders", &resource.id).await.unwrap());
    }
    let dead_letters = app.store.messages.dead_letters(100).await.unwrap().len();
    Contents { resources, histories, runs, stock: app.store.stock.stock().await.unwrap(), dead_letters }
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
