//! The services of `docker-compose.yml`, brought up by podman-compose under a name and on ports of their own.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::engine::Engine;
use crate::{kafka, python};

/// From PyPI.
const COMPOSE: [&str; 2] = ["podman-compose==1.6.0", "PyYAML==6.0.4"];
/// The files, each adding to those before it.
pub const FILE: &str = "docker-compose.yml";
/// Variables of the files that would make them mean something else.
const VARIABLES: [&str; 14] = [
    "MILLRACE_VERSION",
    "MILLRACE_ENV",
    "MILLRACE_LOG",
    "JWT_SECRET",
    "JWT_SECRET_FILE",
    "INTERNAL_SECRET",
    "INTERNAL_SECRET_FILE",
    "RATE_LIMIT_PER_MINUTE",
    "RATE_LIMIT_BURST",
    "MAX_UNPAID_ORDERS",
    "MAX_QUANTITY",
    "KAFKA_VERSION",
    "PROMETHEUS_VERSION",
    "GRAFANA_VERSION",
];
/// How long a service may take until its health check succeeds.
const HEALTH_LIMIT: Duration = Duration::from_secs(120);
const HEALTH_POLL: Duration = Duration::from_millis(250);
/// Lines of each log that are shown after a failure.
const LAST_LINES: &str = "25";

/// The ports of this machine on which services are published: any that were free.
pub struct Ports {
    /// Of the gateway.
    pub gateway: SocketAddr,
    /// Of the store in one process.
    pub monolith: SocketAddr,
    /// Of Prometheus.
    pub prometheus: SocketAddr,
    /// Of Kafka, for programs of this machine.
    pub kafka: SocketAddr,
}

/// The services under one name.
pub struct Project<'a> {
    engine: &'a Engine,
    compose: PathBuf,
    name: String,
    files: Vec<&'static str>,
    /// Where they are published.
    pub ports: Ports,
}

/// Gets the program that reads compose files.
pub fn prepare() -> anyhow::Result<()> {
    programs().map(drop)
}

fn programs() -> anyhow::Result<PathBuf> {
    python::programs("containers/compose", &COMPOSE)
}

impl<'a> Project<'a> {
    /// One of which nothing is up yet.
    pub fn new(engine: &'a Engine) -> anyhow::Result<Self> {
        let compose = programs()?.join("podman-compose");
        let port = || Ok::<_, anyhow::Error>(SocketAddr::from((Ipv4Addr::LOCALHOST, kafka::free_port()?)));
        let ports = Ports { gateway: port()?, monolith: port()?, prometheus: port()?, kafka: port()? };
        let name = format!("millrace-{}", std::process::id());
        Ok(Self { engine, compose, name, files: vec![FILE], ports })
    }

    /// What another compose file adds belongs to it from now on.
    pub fn add_file(&mut self, file: &'static str) {
        self.files.push(file);
    }

    /// Starts services and what they depend on, and waits until all of those named are healthy.
    pub async fn up(&self, services: &[&str]) -> anyhow::Result<()> {
        let mut up = self.compose(["--profile", "monolith", "up", "--no-build", "--detach"]);
        up.args(services);
        // A podman that can wait for a dependency's health waits for what is done here.
        tokio::select! {
            started = output(&mut up) => started.map(drop)?,
            never = self.check_health_for_ever() => match never {},
        }
        self.until_healthy(services).await
    }

    /// Waits until the health checks of these services succeed.
    pub async fn until_healthy(&self, services: &[&str]) -> anyhow::Result<()> {
        let deadline = Instant::now() + HEALTH_LIMIT;
        for service in services {
            while let Err(unhealthy) = self.check_health(&self.container(service)).await {
                if Instant::now() > deadline {
                    bail!("{service} is not healthy after {HEALTH_LIMIT:?}: {unhealthy:#}");
                }
                sleep(HEALTH_POLL).await;
            }
        }
        Ok(())
    }

    async fn check_health(&self, container: &str) -> anyhow::Result<()> {
        output(&mut self.podman(["healthcheck", "run", container])).await.map(drop)
    }

    async fn check_health_for_ever(&self) -> std::convert::Infallible {
        loop {
            for container in self.containers().await.unwrap_or_default() {
                let _ = self.check_health(&container).await;
            }
            sleep(HEALTH_POLL).await;
        }
    }

    /// Stops a service as an operator would, and starts it again with what it has kept.
    pub async fn restart(&self, service: &str) -> anyhow::Result<()> {
        output(&mut self.compose(["restart", service])).await?;
        self.until_healthy(&[service]).await
    }

    /// What a command writes that runs in the container of a service.
    pub async fn execute(&self, service: &str, command: &[&str]) -> anyhow::Result<String> {
        output(self.podman(["exec", &self.container(service)]).args(command)).await
    }

    /// The same of a command that has to fail: what it complains about.
    pub async fn refuse(&self, service: &str, command: &[&str]) -> anyhow::Result<String> {
        failure(self.podman(["exec", &self.container(service)]).args(command)).await
    }

    /// Runs the program once in a fresh container of a service, with this environment for the compose file, and answers with its
    /// exit code and everything that it wrote.
    pub async fn run_once(&self, service: &str, environment: &[(&str, &str)], arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        let mut run = self.compose(["--profile", "monolith", "run", "--rm", "-T", "--no-deps", service]);
        let ended = run.args(arguments).envs(environment.iter().copied()).output().await.context("podman-compose could not be started")?;
        let text = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        Ok((ended.status.success(), text))
    }

    /// The end of every log, for who looks for the cause of a failure.
    pub async fn show_logs(&self) {
        for container in self.containers().await.unwrap_or_default() {
            println!("\n--- the end of the log of {container}");
            let _ = self.podman(["logs", "--tail", LAST_LINES, &container]).status().await;
        }
    }

    /// Stops and removes everything, volumes too.
    pub async fn down(&self) -> anyhow::Result<()> {
        output(&mut self.compose(["--profile", "monolith", "down", "--volumes"])).await.map(drop)
    }

    /// Name of the container of a service.
    fn container(&self, service: &str) -> String {
        format!("{}_{service}_1", self.name)
    }

    async fn containers(&self) -> anyhow::Result<Vec<String>> {
        let label = format!("label=io.podman.compose.project={}", self.name);
        let names = output(&mut self.podman(["ps", "--all", "--filter", &label, "--format", "{{.Names}}"])).await?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    fn podman<const N: usize>(&self, arguments: [&str; N]) -> Command {
        ours(self.engine.podman(arguments))
    }

    fn compose<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = ours(self.engine.command(&self.compose));
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        let ports = [
            ("GATEWAY_PORT", self.ports.gateway),
            ("MONOLITH_PORT", self.ports.monolith),
            ("PROMETHEUS_PORT", self.ports.prometheus),
            ("KAFKA_PORT", self.ports.kafka),
        ];
        command.envs(ports.map(|(variable, address)| (variable, address.port().to_string())));
        command.args(["--project-name", &self.name]).args(self.files.iter().flat_map(|file| ["--file", file])).args(arguments);
        command
    }
}

/// In a process group of its own, so that Ctrl-C reaches only us, who then take everything down.
fn ours(command: std::process::Command) -> Command {
    let mut command = Command::from(command);
    command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> anyhow::Result<String> {
    let ended = command.output().await.with_context(|| format!("{} could not be started", shown(command)))?;
    if !ended.status.success() {
        bail!("{} failed ({}): {}", shown(command), ended.status, told(&ended));
    }
    Ok(String::from_utf8_lossy(&ended.stdout).trim().to_owned())
}

async fn failure(command: &mut Command) -> anyhow::Result<String> {
    let ended = command.output().await.with_context(|| format!("{} could not be started", shown(command)))?;
    if ended.status.success() {
        bail!("{} should have failed", shown(command));
    }
    Ok(told(&ended))
}

fn told(ended: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr)).trim().to_owned()
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.as_std().get_program()).chain(command.as_std().get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
