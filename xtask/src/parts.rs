//! Several programs as one: started one after the other, each when those before it are ready, their lines told apart, and
//! stopped in reverse. Who wants them kept up has them started again when they end.

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
const READY_LIMIT: Duration = Duration::from_secs(600);
const READY_POLL: Duration = Duration::from_millis(100);
/// How long a part may take to stop; the host promises ten seconds, Kafka takes a little longer.
const STOP_LIMIT: Duration = Duration::from_secs(25);
/// First and longest wait before a part that has ended is started again; it doubles while the part ends soon.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Ending sooner than this is soon.
const SOON: Duration = Duration::from_secs(60);
/// Room for the longest name before a line.
const NAME_WIDTH: usize = 16;
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
    /// A server of PostgreSQL takes connections there, as its own program says.
    Postgres {
        /// The program `pg_isready`.
        asked: PathBuf,
        /// Where the server is to listen.
        address: SocketAddr,
    },
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
    command: Command,
    child: Child,
    since: Instant,
    /// When it has ended and is to be started again.
    again_at: Option<Instant>,
    pause: Duration,
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
    pub fn environment(mut self, variables: impl IntoIterator<Item = (impl AsRef<OsStr>, String)>) -> Self {
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
            Self::Postgres { asked, address } => {
                let mut ask = Command::new(asked);
                ask.args(["--quiet", "--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
                ask.status().await.is_ok_and(|status| status.success())
            }
        }
    }
}

impl Parts {
    /// Starts all of them, each when the one before is ready.
    pub async fn start(&mut self, parts: Vec<Part>) -> anyhow::Result<()> {
        for part in parts {
            let (name, ready) = (part.name, part.ready.clone());
            self.spawn(part)?;
            self.until_ready(name, &ready).await?;
        }
        Ok(())
    }

    fn spawn(&mut self, part: Part) -> anyhow::Result<()> {
        let Part { name, mut command, end, log, .. } = part;
        let child = spawned(name, &mut command, &mut self.logs)?;
        self.running.push(Running { name, command, child, since: Instant::now(), again_at: None, pause: Duration::ZERO, end, log });
        Ok(())
    }

    /// Starts parts again when they end, for as long as it is polled; the error of one that cannot be started.
    pub async fn keep_up(&mut self) -> anyhow::Error {
        loop {
            for part in &mut self.running {
                if let Err(problem) = part.keep_up(&mut self.logs) {
                    return problem;
                }
            }
            sleep(READY_POLL).await;
        }
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
    async fn one_ended(&mut self) -> anyhow::Error {
        loop {
            for part in &mut self.running {
                match part.broken() {
                    Ok(Some(status)) => return part.ended(status),
                    Err(problem) => return problem,
                    Ok(None) => {}
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
    fn keep_up(&mut self, logs: &mut JoinSet<()>) -> anyhow::Result<()> {
        let now = Instant::now();
        match self.again_at {
            Some(at) if at <= now => {
                self.child = spawned(self.name, &mut self.command, logs)?;
                (self.since, self.again_at) = (now, None);
            }
            Some(_) => {}
            None => {
                let Some(status) = self.broken()? else { return Ok(()) };
                self.pause = pause(self.pause, now.duration_since(self.since));
                self.again_at = Some(now + self.pause);
                println!("{} ended ({status}) and is started again in {:?}", self.name, self.pause);
            }
        }
        Ok(())
    }

    /// How it has ended, if it should not have.
    fn broken(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let ended = self.child.try_wait().context(self.name)?;
        Ok(ended.filter(|status| self.end == End::Failure || !status.success()))
    }

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

/// How long to wait before the next start of what has run for so long, after the last time it was `last`.
fn pause(last: Duration, ran: Duration) -> Duration {
    if ran < SOON { (last * 2).clamp(PAUSE.0, PAUSE.1) } else { PAUSE.0 }
}

fn spawned(name: &'static str, command: &mut Command, logs: &mut JoinSet<()>) -> anyhow::Result<Child> {
    let mut child = command.spawn().with_context(|| format!("{name} could not be started"))?;
    if let Some(lines) = child.stdout.take() {
        logs.spawn(show(name, lines));
    }
    if let Some(lines) = child.stderr.take() {
        logs.spawn(show(name, lines));
    }
    Ok(child)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_again_and_again_waits_longer_each_time() {
        let mut waits = Vec::new();
        let mut last = Duration::ZERO;
        for ran in [0, 1, 2, 59, 3, 0, 0, 60, 0] {
            last = pause(last, Duration::from_secs(ran));
            waits.push(last.as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 1, 2]);
    }

    #[tokio::test]
    async fn a_part_that_ends_is_started_again_unless_it_is_not_needed() {
        let folder = std::env::temp_dir().join(format!("millrace-xtask-{}-parts", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (needed, other) = (folder.join("needed"), folder.join("other"));
        let nowhere = Ready::Kafka("127.0.0.1:1".into());
        let part = |name, script: &str, file: &Path| {
            Part::new(name, Path::new("/bin/sh"), nowhere.clone()).arguments(["-c", script, name]).arguments([file])
        };
        let mut parts = Parts::default();
        parts.spawn(part("needed", "echo started >> $1; exit 3", &needed)).expect("a process");
        parts.spawn(part("other", "echo started >> $1", &other).may_end()).expect("a process");
        let starts = |file: &Path| fs::read_to_string(file).unwrap_or_default().lines().count();
        let twice = async {
            while starts(&needed) < 2 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            problem = parts.keep_up() => panic!("{problem:#}"),
            twice = timeout(Duration::from_secs(30), twice) => twice.expect("it is started again"),
        }
        assert_eq!(starts(&other), 1);
        fs::remove_dir_all(folder).expect("tidied up");
    }
}
