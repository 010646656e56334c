//! The running system that is looked at: Kafka, the three processes of the shop and Prometheus, on free ports, with data and
//! component files of their own.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use rustix::process::Signal;

use super::promql::Prometheus;
use super::rules;
use crate::build;
use crate::kafka::{self, jars};
use crate::parts::{Part, Parts, Ready};
use crate::prometheus::Settings;
use crate::split_shop::{Service, SplitShop};
use crate::stop_signals::StopSignals;
use crate::workspace;

/// A file for which there never is room.
const FULL: &str = "/dev/full";
/// As often as possible, so that nobody waits.
const OFTEN: [(&str, &str); 2] = [("scrape_interval: 5s", "scrape_interval: 1s"), ("evaluation_interval: 15s", "evaluation_interval: 1s")];

/// Everything that runs.
pub struct TestEnv {
    folder: PathBuf,
    parts: Parts,
    shop: SplitShop,
    kafka_port: u16,
    prometheus: SocketAddr,
    /// A port on which nobody listens: the process that is the whole shop.
    store: SocketAddr,
}

impl TestEnv {
    /// Nothing runs yet. What was left by the last time is removed.
    pub fn new(host: &Path) -> anyhow::Result<Self> {
        let folder = workspace::target().join("observability");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        let components = folder.join("components");
        fs::create_dir_all(&components).with_context(|| format!("{} cannot be created", components.display()))?;
        for name in build::names_of_components()? {
            let file = format!("{name}.wasm");
            fs::copy(workspace::installed_components().join(&file), components.join(&file)).with_context(|| format!("no {file}"))?;
        }
        let kafka_port = free_pair()?;
        let shop = SplitShop {
            binary: host.to_owned(),
            gateway: free()?,
            users_products: free()?,
            orders: free()?,
            brokers: format!("127.0.0.1:{kafka_port}"),
            components,
            data: folder.join("data"),
            variables: variables(),
        };
        Ok(Self { folder, parts: Parts::default(), shop, kafka_port, prometheus: free()?, store: free()? })
    }

    /// Starts everything, with the rules as they are written.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.start_kafka().await?;
        for service in Service::ALL {
            self.start_service(service).await?;
        }
        rules::copy(&self.rules())?;
        let targets = [
            ("gateway", self.shop.gateway),
            ("users-products", self.shop.users_products),
            ("orders", self.shop.orders),
            ("store", self.store),
        ];
        let folder = self.folder.join("prometheus");
        let settings = Settings { folder: &folder, listen: self.prometheus, targets: &targets, rules: Path::new("rules"), changes: &OFTEN };
        let part = settings.part()?;
        self.run("prometheus", part).await
    }

    /// Stops everything.
    pub async fn stop(&mut self, stop_wanted: &mut StopSignals) {
        self.parts.stop(stop_wanted).await;
    }

    /// Where data and logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a service listens.
    pub fn address(&self, service: Service) -> SocketAddr {
        self.shop.address(service)
    }

    /// What is asked.
    pub fn prometheus(&self) -> anyhow::Result<Prometheus> {
        Prometheus::new(self.prometheus)
    }

    /// Has Prometheus work with a copy of the rules that is sixty times faster and has these bounds.
    pub async fn hurry(&self, bounds: &[(&str, &str)]) -> anyhow::Result<()> {
        rules::copy_shortened(&self.rules(), bounds)?;
        self.prometheus()?.reload().await
    }

    /// Starts Kafka with what it had.
    pub async fn start_kafka(&mut self) -> anyhow::Result<()> {
        let this = std::env::current_exe().context("cannot find this program, which also runs Kafka")?;
        let (port, folder) = (self.kafka_port.to_string(), self.folder.join("kafka").display().to_string());
        let part = Part::new("kafka", &this, Ready::Kafka(self.shop.brokers.clone()))
            .arguments(["kafka", "--port", &port, "--data-dir", &folder])
            .environment([("KAFKA_BROKERS", String::new())]);
        self.run("kafka", part).await
    }

    /// Lets Kafka close its logs and go.
    pub async fn stop_kafka(&mut self) -> anyhow::Result<()> {
        self.parts.end("kafka", Signal::TERM).await
    }

    /// Starts a service with what it had.
    pub async fn start_service(&mut self, service: Service) -> anyhow::Result<()> {
        let part = self.shop.part(service);
        self.run(service.name(), part).await
    }

    /// Starts a service whose log cannot be written, and whose collector of traces is where nobody listens.
    pub async fn start_unheard(&mut self, service: Service) -> anyhow::Result<()> {
        let nobody = ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.store));
        let part = self.shop.part(service).environment([nobody]).logging_to(Path::new(FULL))?;
        self.parts.start(vec![part]).await
    }

    /// Starts orders so that it archives at once what has ended, with a file where the archive's folder should be.
    pub async fn start_without_archive(&mut self) -> anyhow::Result<()> {
        let archive = self.shop.data.join("orders/archive");
        fs::write(&archive, "").with_context(|| format!("{} cannot be written", archive.display()))?;
        let part = self.shop.part(Service::Orders).environment([("RETAIN_INSTANCES", "0s".to_owned())]);
        self.run(Service::Orders.name(), part).await
    }

    /// `kill -9`
    pub async fn kill(&mut self, service: Service) -> anyhow::Result<()> {
        self.parts.end(service.name(), Signal::KILL).await
    }

    /// Puts `bytes` in the place of a component's file, whole.
    pub fn replace_component(&self, file: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (place, unfinished) = (self.shop.components.join(file), self.shop.components.join("unfinished"));
        fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, &place)).with_context(|| format!("no new {file}"))
    }

    /// Whether a run of that order is inside a component now: the process notes it in a file, for the case that it dies there.
    pub fn is_inside_a_component(&self, order: &str) -> bool {
        let file = self.shop.data.join("orders/orders.in-flight");
        let noted = fs::read(file).unwrap_or_default();
        // A slot begins with the length of what is in it, which is 0 when it is free.
        noted.chunks(256).any(|slot| slot.iter().take(2).any(|&byte| byte != 0) && String::from_utf8_lossy(slot).contains(order))
    }

    /// Writes lines into a topic, as any program could.
    pub fn produce(&self, topic: &str, lines: &[u8]) -> anyhow::Result<()> {
        let libs = jars::prepare()?;
        let mut producer = Command::new("java");
        producer.arg("-cp").arg(libs.join("*")).arg("org.apache.kafka.tools.ConsoleProducer");
        producer.args(["--bootstrap-server", &self.shop.brokers, "--topic", topic]);
        // Its own limit, 1.5 s, is short for a busy machine; what is not acknowledged by then is lost, and it ends well all the same.
        producer.args(["--request-timeout-ms", "30000"]);
        producer.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(File::create(self.folder.join("producer.log"))?);
        let mut child = producer.spawn().context("java could not be started")?;
        child.stdin.take().context("the producer takes no lines")?.write_all(lines)?;
        ensure!(child.wait()?.success(), "nothing could be written into {topic}");
        Ok(())
    }

    async fn run(&mut self, name: &str, part: Part) -> anyhow::Result<()> {
        let part = part.logging_to(&self.folder.join(format!("{name}.log")))?;
        self.parts.start(vec![part]).await
    }

    /// Where the settings look for them.
    fn rules(&self) -> PathBuf {
        self.folder.join("prometheus/rules")
    }
}

fn variables() -> Vec<(&'static str, String)> {
    let variables = [
        ("JWT_SECRET", "of nobody but these three processes, for tests"),
        ("INTERNAL_SECRET", "of these two processes only, and only for tests"),
        ("RATE_LIMIT_PER_MINUTE", "100000"),
        ("RATE_LIMIT_BURST", "10000"),
        ("PAYMENT_RETRY_AFTER", "3s"),
        ("SHIPPING_RETRY_AFTER", "12s"),
    ];
    variables.map(|(name, value)| (name, value.to_owned())).into()
}

fn free() -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, kafka::free_port()?)))
}

/// A free port before a free port: Kafka's controller takes the second, which nobody else is given either.
fn free_pair() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let (first, second) = (kafka::free_port()?, kafka::free_port()?);
        if first.checked_add(1) == Some(second) {
            return Ok(first);
        }
    }
    anyhow::bail!("there are no two free ports side by side")
}
