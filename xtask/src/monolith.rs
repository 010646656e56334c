//! The host as a child process: started, waited for until it is ready, told to stop, waited for until it has.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::http;
use crate::stop_signals::StopSignals;

/// How long the host may take to become ready; a first start compiles the components.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// Between two looks at `/readyz`.
const READY_POLL: Duration = Duration::from_millis(100);

/// How long the host may take to stop; it promises ten seconds.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// How to start the host.
pub struct Launch {
    /// The built binary.
    pub binary: PathBuf,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Environment on top of ours.
    pub environment: Vec<(&'static str, String)>,
    /// Where it will listen.
    pub address: SocketAddr,
}

/// A host that was started.
pub struct Monolith {
    child: Child,
    address: SocketAddr,
    stop_wanted: StopSignals,
}

/// How waiting for the host to become ready ended.
pub enum Readiness {
    /// `/readyz` answers 200.
    Ready,
    /// Somebody wants it stopped before it was ready.
    StopWanted,
}

impl Monolith {
    /// Starts the host in a process group of its own, so that Ctrl-C reaches it once, through us.
    pub fn start(launch: &Launch, folder: &std::path::Path) -> anyhow::Result<Self> {
        let stop_wanted = StopSignals::listen()?;
        let mut command = Command::new(&launch.binary);
        command.args(&launch.arguments).envs(launch.environment.iter().cloned()).current_dir(folder).process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{} could not be started", launch.binary.display()))?;
        Ok(Self { child, address: launch.address, stop_wanted })
    }

    /// Waits until the host is ready. A host that ends before is an error.
    pub async fn until_ready(&mut self) -> anyhow::Result<Readiness> {
        let deadline = Instant::now() + READY_LIMIT;
        while Instant::now() < deadline {
            tokio::select! {
                status = self.child.wait() => bail!("the host ended before it was ready ({}); its own message is above", status?),
                () = self.stop_wanted.next() => return Ok(Readiness::StopWanted),
                status = http::get(self.address, "/readyz") => if matches!(status, Ok(200)) { return Ok(Readiness::Ready) },
            }
            sleep(READY_POLL).await;
        }
        self.stop().await?;
        bail!("the host was not ready after {READY_LIMIT:?}: GET http://{}/readyz", self.address)
    }

    /// Waits until the host ends by itself, or until somebody wants it stopped and it has stopped.
    pub async fn until_stopped(&mut self) -> anyhow::Result<ExitCode> {
        tokio::select! {
            status = self.child.wait() => {
                let status = status?;
                println!("The host ended by itself ({status})");
                Ok(exit_code(status))
            }
            () = self.stop_wanted.next() => self.stop().await,
        }
    }

    /// Tells the host to stop and waits until it has; a second signal, or taking too long, ends it the hard way.
    pub async fn stop(&mut self) -> anyhow::Result<ExitCode> {
        println!("\nStopping; what is under way is finished first");
        self.send(Signal::TERM)?;
        let ended = tokio::select! {
            ended = timeout(STOP_LIMIT, self.child.wait()) => ended.ok(),
            () = self.stop_wanted.next() => None,
        };
        let Some(status) = ended else {
            self.child.kill().await.context("the host could not be ended")?;
            bail!("the host did not stop in time and was ended; it goes on from its database at the next start");
        };
        println!("Stopped");
        Ok(exit_code(status?))
    }

    fn send(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        pid.map_or(Ok(()), |pid| kill_process(pid, signal)).context("the host could not be told to stop")
    }
}

/// The host's own code; a host that a signal has ended is a failure.
fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
