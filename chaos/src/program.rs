//! A process with everything that it has started, in a group of its own: it can be killed, made to stand still, and asked to stop.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A process that runs. Dropping it kills it.
pub struct Program {
    child: Child,
    group: Pid,
}

/// How one has ended that was asked to.
pub struct Ended {
    /// What it says of itself.
    pub status: ExitStatus,
    /// How long that took.
    pub took: Duration,
}

impl Program {
    /// Starts `command`, whose lines go to the end of the file `log`.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(log).with_context(|| format!("cannot open {}", log.display()))?;
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::from(file.try_clone()?)).stderr(Stdio::from(file));
        let child = command.spawn().context("the program could not be started")?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, group: group.context("a process without a number")? })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        u32::try_from(self.group.as_raw_nonzero().get()).unwrap_or_default()
    }

    /// Sends a signal to it and to what it has started.
    pub fn signal(&self, signal: Signal) {
        // Who has ended already needs no telling.
        let _ = kill_process_group(self.group, signal);
    }

    /// `kill -9`, and it is gone when this returns.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::KILL);
        self.child.wait().await.context("it cannot be waited for")?;
        Ok(())
    }

    /// Asks it to stop and waits until it has; nothing if it takes longer than `limit`.
    pub async fn stop(&mut self, limit: Duration) -> anyhow::Result<Option<Ended>> {
        let asked = Instant::now();
        self.signal(Signal::TERM);
        let Ok(status) = timeout(limit, self.child.wait()).await else { return Ok(None) };
        Ok(Some(Ended { status: status?, took: asked.elapsed() }))
    }

    /// How it has ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end; nothing if that takes longer than `limit`.
    pub async fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        timeout(limit, self.child.wait()).await.ok().transpose().context("it cannot be waited for")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
        }
    }
}
