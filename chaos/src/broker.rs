//! Kafka: a broker of the run's own, which is killed and stopped like everything else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::process::Command;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::program::Program;

/// How long a broker may take to answer; after a kill its old registration has to lapse first.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// How long one question may take.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
/// Sixteen bytes in base64: brokers of one cluster must agree on it, and this one is alone.
const CLUSTER: &str = "bWlsbHJhY2UtY2hhb3Mta2E";

/// A broker; dropping it kills it.
pub struct Broker {
    repository: PathBuf,
    folder: PathBuf,
    address: String,
    program: Option<Program>,
}

/// Where a broker listens: clients that come through a link have a port of their own, since a broker tells its clients where to come back to.
pub struct Ports {
    /// Of who comes directly, and of the broker's own controller.
    pub direct: [u16; 2],
    /// For each who comes through a link: name of the listener, its port, and the address that clients are told.
    pub linked: Vec<(&'static str, u16, String)>,
}

impl Broker {
    /// One that has its folder and is not started. Records have the time at which it took them: the clocks of those who send may jump.
    pub async fn new(repository: &Path, folder: &Path, ports: &Ports) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let constant = repository.join("xtask/kafka/server.properties");
        let constant = fs::read_to_string(&constant).with_context(|| format!("cannot read {}", constant.display()))?;
        let [direct, controller] = ports.direct.map(|port| format!("127.0.0.1:{port}"));
        let (mut listeners, mut advertised) = (format!("PLAINTEXT://{direct}"), format!("PLAINTEXT://{direct}"));
        let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
        for (name, port, told) in &ports.linked {
            listeners.push_str(&format!(",{name}://127.0.0.1:{port}"));
            advertised.push_str(&format!(",{name}://{told}"));
            protocols.push_str(&format!(",{name}:PLAINTEXT"));
        }
        let own = format!(
            "listeners={listeners},CONTROLLER://{controller}\nadvertised.listeners={advertised}\n\
             listener.security.protocol.map={protocols}\ncontroller.quorum.bootstrap.servers={controller}\nlog.dirs={}\n\
             log.message.timestamp.type=LogAppendTime\n",
            folder.join("topics").display()
        );
        fs::write(folder.join("server.properties"), format!("{constant}\n{own}"))?;
        let broker = Self { repository: repository.to_owned(), folder: folder.to_owned(), address: direct, program: None };
        let formatted = ["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", CLUSTER, "--config"];
        let formatted = broker.java()?.args(formatted).arg(broker.properties()).output().await.context("java could not be started")?;
        ensure!(formatted.status.success(), "the broker's folder cannot be made: {}", String::from_utf8_lossy(&formatted.stderr));
        Ok(broker)
    }

    /// Where who comes directly finds it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Starts it with what it had, and does not wait for it.
    pub fn launch(&mut self) -> anyhow::Result<u32> {
        let mut command = self.java()?;
        command.arg("kafka.Kafka").arg(self.properties());
        let program = Program::start(command, &self.folder.join("console.log"))?;
        let id = program.id();
        self.program = Some(program);
        Ok(id)
    }

    /// Waits until it answers.
    pub async fn until_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        let mut asker = ClientConfig::new();
        asker.set("bootstrap.servers", &self.address).set("reconnect.backoff.max.ms", "100").set_log_level(RDKafkaLogLevel::Emerg);
        let asker: std::sync::Arc<BaseConsumer> = std::sync::Arc::new(asker.create()?);
        loop {
            let asks = std::sync::Arc::clone(&asker);
            let answer = spawn_blocking(move || asks.fetch_metadata(None, ANSWER_LIMIT).is_ok_and(|told| !told.brokers().is_empty()));
            if answer.await? {
                return Ok(());
            }
            let ended = self.program()?.ended()?;
            ensure!(ended.is_none() && Instant::now() < deadline, "Kafka does not answer ({ended:?}); see {}", self.folder.display());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The process that runs.
    pub fn program(&mut self) -> anyhow::Result<&mut Program> {
        self.program.as_mut().context("Kafka does not run")
    }

    /// Kills it, if it runs.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        match self.program.take() {
            Some(mut program) => program.kill().await,
            None => Ok(()),
        }
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn java(&self) -> anyhow::Result<Command> {
        let libs = self.repository.join("target/kafka/libs");
        ensure!(libs.exists(), "Kafka's jars are missing: cargo xtask kafka --prepare");
        let mut java = Command::new("java");
        java.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            // Its native libraries are unpacked there, and a broker that is killed does not tidy up.
            .arg(format!("-Djava.io.tmpdir={}", self.folder.display()))
            .arg(format!("-Dmillrace.kafka.log={}", self.folder.join("broker.log").display()))
            .arg(format!("-Dlog4j2.configurationFile={}", self.repository.join("xtask/kafka/log4j2.properties").display()))
            .arg("-cp")
            .arg(libs.join("*"));
        Ok(java)
    }
}
