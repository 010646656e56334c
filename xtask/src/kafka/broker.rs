//! One broker as a child process: formatted once, started, waited for until it answers, stopped.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::jars;
use crate::command;
use crate::stop_signals::StopSignals;

/// How long a broker may take to answer; after a kill its old registration has to lapse first.
const READY_LIMIT: Duration = Duration::from_secs(240);
const READY_POLL: Duration = Duration::from_millis(100);
/// How long one question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How long a broker may take to close its logs.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Enough for a development load.
const HEAP: &str = "-Xmx512m";
/// Sixteen bytes in base64: brokers of one cluster must agree on it, and this one is alone.
const CLUSTER: &str = "bWlsbHJhY2UtZGV2LWthZg";
/// The broker's own log, in its folder.
const LOG: &str = "broker.log";

/// Where a broker listens and keeps things.
pub struct Settings {
    /// Of clients, on the loopback interface.
    pub port: u16,
    /// Of the controller inside the same process; must stay the same for the same folder.
    pub controller_port: u16,
    /// Topics and log.
    pub folder: PathBuf,
}

impl Settings {
    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn properties(&self) -> String {
        let (address, controller) = (self.address(), SocketAddr::from((Ipv4Addr::LOCALHOST, self.controller_port)));
        format!(
            "listeners=PLAINTEXT://{address},CONTROLLER://{controller}\nadvertised.listeners=PLAINTEXT://{address}\n\
             controller.quorum.bootstrap.servers={controller}\nlog.dirs={}\n",
            self.folder.join("topics").display()
        )
    }
}

/// A broker that was started.
pub struct Broker {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    stop_wanted: StopSignals,
}

/// How waiting for a broker ended.
pub enum Readiness {
    /// It answers.
    Ready,
    /// Somebody wants it stopped before it did.
    StopWanted,
}

impl Broker {
    /// Formats the folder if it is new and starts the broker in a process group of its own, so that Ctrl-C reaches it once,
    /// through us.
    pub fn start(libs: &Path, settings: &Settings, stop_wanted: StopSignals) -> anyhow::Result<Self> {
        fs::create_dir_all(&settings.folder).with_context(|| format!("cannot make {}", settings.folder.display()))?;
        let constant = jars::sources().join("server.properties");
        let constant = fs::read_to_string(&constant).with_context(|| format!("cannot read {}", constant.display()))?;
        let properties = settings.folder.join("server.properties");
        fs::write(&properties, format!("{constant}\n{}", settings.properties()))?;
        if !settings.folder.join("topics/meta.properties").exists() {
            format_storage(libs, settings, &properties)?;
        }
        let mut java = Command::from(java(libs, &settings.folder));
        java.arg("kafka.Kafka").arg(&properties).stdout(std::process::Stdio::null()).process_group(0).kill_on_drop(true);
        let child = java.spawn().context("java could not be started")?;
        Ok(Self { child, address: settings.address(), log: settings.folder.join(LOG), stop_wanted })
    }

    /// Waits until the broker answers. One that ends before is an error.
    pub async fn until_ready(&mut self) -> anyhow::Result<Readiness> {
        let (address, log) = (self.address.to_string(), self.log.display());
        let deadline = Instant::now() + READY_LIMIT;
        while Instant::now() < deadline {
            tokio::select! {
                status = self.child.wait() => bail!("Kafka ended before it was ready ({}); see {log}", status?),
                () = self.stop_wanted.next() => return Ok(Readiness::StopWanted),
                ready = answers(&address) => if ready { return Ok(Readiness::Ready) },
            }
            sleep(READY_POLL).await;
        }
        bail!("Kafka did not answer on {address} within {READY_LIMIT:?}; see {log}")
    }

    /// Waits until the broker ends by itself, or until somebody wants it stopped and it has stopped.
    pub async fn until_stopped(&mut self) -> anyhow::Result<ExitCode> {
        tokio::select! {
            status = self.child.wait() => bail!("Kafka ended by itself ({}); see {}", status?, self.log.display()),
            () = self.stop_wanted.next() => self.stop().await,
        }
    }

    /// Tells the broker to close its logs and waits until it has; a second signal, or taking too long, ends it the hard way.
    pub async fn stop(&mut self) -> anyhow::Result<ExitCode> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        pid.map_or(Ok(()), |pid| kill_process(pid, Signal::TERM)).context("Kafka could not be told to stop")?;
        let ended = tokio::select! {
            ended = timeout(STOP_LIMIT, self.child.wait()) => ended.is_ok(),
            () = self.stop_wanted.next() => false,
        };
        if !ended {
            self.child.kill().await.context("Kafka could not be ended")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn format_storage(libs: &Path, settings: &Settings, properties: &Path) -> anyhow::Result<()> {
    let mut java = java(libs, &settings.folder);
    java.args(["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", CLUSTER, "--config"]).arg(properties);
    command::output(&mut java).map(drop).context("the broker's folder could not be formatted")
}

fn java(libs: &Path, folder: &Path) -> std::process::Command {
    let mut java = std::process::Command::new("java");
    java.args([HEAP, "-XX:+UseSerialGC", "-cp"])
        .arg(libs.join("*"))
        // Its native libraries are unpacked there, and a broker that is killed does not tidy up.
        .arg(format!("-Djava.io.tmpdir={}", folder.display()))
        .arg(format!("-Dmillrace.kafka.log={}", folder.join(LOG).display()))
        .arg(format!("-Dlog4j2.configurationFile={}", jars::sources().join("log4j2.properties").display()));
    java
}

/// Whether a Kafka broker is at `address` (host:port) and knows itself to be part of a cluster.
pub async fn answers(address: &str) -> bool {
    timeout(ANSWER_LIMIT, brokers_known(address)).await.is_ok_and(|known| known.is_ok_and(|known| known > 0))
}

/// Asks for metadata of no topic (version 1) and answers how many brokers the cluster has.
async fn brokers_known(address: &str) -> std::io::Result<i32> {
    const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0];
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&REQUEST).await?;
    let (_length, _correlation) = (stream.read_i32().await?, stream.read_i32().await?);
    stream.read_i32().await
}
