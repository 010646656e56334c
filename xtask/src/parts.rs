//! Several programs as one: started one after the other, each when those before it are ready, their lines told apart, and
//! stopped in reverse.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::stop_signals::StopSignals;
use crate::{http, kafka, workspace};

/// How long a part may take to become ready; a first start compiles components or fetches Kafka.
const READY_LIMIT: Duration = Duration::from_secs(180);
const READY_POLL: Duration = Duration::from_millis(100);
/// How long a part may take to stop; the host promises ten seconds, Kafka takes a little longer.
const STOP_LIMIT: Duration = Duration::from_secs(25);
/// Room for the longest name before a line.
const NAME_WIDTH: usize = 14;
/// How much of a log tells why its program ended.
const LAST_LINES: usize = 10;

/// A program to run.
pub struct Part {
    name: &'static str,
    command: Command,
    ready: Ready,
    end: End,
    log: Option<PathBuf>,
}

/// How to see that a part is ready.
#[derive(Clone)]
pub enum Ready {
    /// It answers 200 there.
    Http(SocketAddr, &'static str),
    /// A broker answers there (host:port).
    Kafka(String),
}

/// What it means when a part ends by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The whole is broken.
    Failure,
    /// If it ends well, somebody else does its work already.
    NotNeeded,
}

/// Parts that were started.
#[derive(Default)]
pub struct Parts {
    running: Vec<Running>,
    logs: JoinSet<()>,
}

struct Running {
    name: &'static str,
    child: Child,
    end: End,
    log: Option<PathBuf>,
}

impl Part {
    /// A program in the repository's folder.
    pub fn new(name: &'static str, program: &Path, ready: Ready) -> Self {
        let mut command = Command::new(program);
        // A process group of its own, so that Ctrl-C reaches it once, through us.
        command.current_dir(workspace::root()).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { name, command, ready, end: End::Failure, log: None }
    }

    /// With these arguments.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// With these variables on top of ours.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.command.envs(variables);
        self
    }

    /// With its lines at the end of that file, instead of among ours.
    pub fn logging_to(mut self, path: &Path) -> anyhow::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(path);
        let log = log.with_context(|| format!("{} cannot be written", path.display()))?;
        let copy = log.try_clone().context("the log file cannot be shared")?;
        self.command.stdout(Stdio::from(log)).stderr(Stdio::from(copy));
        self.log = Some(path.to_owned());
        Ok(self)
    }

    /// It may end well: then it has found that it is not needed.
    pub fn may_end(mut self) -> Self {
        self.end = End::NotNeeded;
        self
    }
}

impl Ready {
    async fn is(&self) -> bool {
        match self {
            Self::Http(address, path) => matches!(http::get(*address, path).await, Ok(200)),
            Self::Kafka(address) => kafka::broker::answers(address).await,
        }
    }
}

impl Parts {
    /// Starts all of them, each when the one before is ready.
    pub async fn start(&mut self, parts: Vec<Part>) -> anyhow::Result<()> {
        for Part { name, mut command, ready, end, log } in parts {
            let mut child = command.spawn().with_context(|| format!("{name} could not be started"))?;
            if let Some(lines) = child.stdout.take() {
                self.logs.spawn(show(name, lines));
            }
            if let Some(lines) = child.stderr.take() {
                self.logs.spawn(show(name, lines));
            }
            self.running.push(Running { name, child, end, log });
            self.until_ready(name, &ready).await?;
        }
        Ok(())
    }

    /// Sends `signal` to the part of that name and waits until it has ended; it is no part any more.
    pub async fn end(&mut self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let place = self.running.iter().position(|part| part.name == name).with_context(|| format!("{name} does not run"))?;
        let mut part = self.running.remove(place);
        part.tell(signal);
        timeout(STOP_LIMIT, part.child.wait()).await.with_context(|| format!("{name} did not end"))??;
        Ok(())
    }

    /// Whether a part of that name was started.
    pub fn has(&self, name: &str) -> bool {
        self.running.iter().any(|part| part.name == name)
    }

    async fn until_ready(&mut self, name: &str, ready: &Ready) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        while Instant::now() < deadline {
            tokio::select! {
                ended = self.one_ended() => return Err(ended),
                is_ready = ready.is() => if is_ready { return Ok(()) },
            }
            sleep(READY_POLL).await;
        }
        bail!("{name} was not ready after {READY_LIMIT:?}")
    }

    /// Waits until a part has ended that should not have.
    pub async fn one_ended(&mut self) -> anyhow::Error {
        loop {
            for part in &mut self.running {
                match part.child.try_wait() {
                    Ok(Some(status)) if part.end == End::Failure || !status.success() => return part.ended(status),
                    Err(problem) => return anyhow!(problem).context(part.name),
                    Ok(_) => {}
                }
            }
            sleep(READY_POLL).await;
        }
    }

    /// Tells each to stop and waits until it has, the last one first; a further signal, or taking too long, ends it the hard way.
    pub async fn stop(&mut self, stop_wanted: &mut StopSignals) {
        for part in self.running.iter_mut().rev() {
            part.tell(Signal::TERM);
            let ended = tokio::select! {
                ended = timeout(STOP_LIMIT, part.child.wait()) => ended.is_ok(),
                () = stop_wanted.next() => false,
            };
            if !ended {
                println!("{} did not stop in time and is ended; it goes on from its data at the next start", part.name);
                let _ = part.child.kill().await;
            }
        }
        while self.logs.join_next().await.is_some() {}
    }
}

impl Running {
    fn ended(&self, status: ExitStatus) -> anyhow::Error {
        let name = self.name;
        match &self.log {
            None => anyhow!("{name} ended by itself ({status}); its own message is above"),
            Some(log) => anyhow!("{name} ended by itself ({status}); its last lines are:\n{}", last_lines(log)),
        }
    }

    /// One that has ended already needs no telling.
    fn tell(&self, signal: Signal) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, signal));
    }
}

fn last_lines(log: &Path) -> String {
    let Ok(text) = fs::read_to_string(log) else { return format!("none: {} cannot be read", log.display()) };
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// Repeats lines, each with the name of whose it is.
async fn show(name: &'static str, lines: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(lines).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        println!("{name:<NAME_WIDTH$} | {line}");
    }
}
