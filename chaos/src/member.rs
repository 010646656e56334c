//! A process of the shop, which comes and goes, and keeps its address and its folder meanwhile.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::journal::{Entry, Journal};
use crate::power::{Lost, Power};
use crate::program::{Ended, Program};

/// How long a start may take on a machine that has other things to do: the first one compiles all components.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// How long a stop may take: what the program promises, and what a busy machine adds.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// What stands in for the program's library of dates; `$LIB` is read by the dynamic linker.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// Between two starts of one that ends while it starts.
const SUPERVISED_EVERY: Duration = Duration::from_millis(500);
/// What a process says that lives and was taken for dead by those that it shares a database with.
const REPLACED: &str = "another process has taken over what this one had in the database";

/// What a process says that ends at its start because of a database on a server that is away.
const CUT_OFF: [&str; 2] = ["cannot use the database", "the database server cannot be reached"];

/// Runs that it begins at once where it is told nothing else, see `configs/`.
const DEFAULT_RUNS: usize = 512;

/// A process of the shop.
pub struct Member {
    /// Of its config and its folder.
    pub name: &'static str,
    /// The program.
    pub binary: PathBuf,
    /// Where it works.
    pub folder: PathBuf,
    /// Its config.
    pub config: PathBuf,
    /// Where it listens.
    pub listen: String,
    /// What it is told.
    pub variables: Vec<(String, String)>,
    /// How far its date is from the real one, in minutes.
    pub minutes: i64,
    /// Where the next process that is started kills itself, as `<place>:<n>`.
    pub crash_at: Option<String>,
    /// Its disk, if the power is cut in this run.
    pub power: Option<Power>,
    /// Where it is noted.
    pub journal: Arc<Journal>,
    /// The process, if it runs.
    pub program: Option<Program>,
    /// When it was started last.
    pub started: Option<Instant>,
    /// How many bytes its log had then.
    pub said_before: u64,
    /// Whether one that ends at its start is started again: its database is on a server, which it may not reach at the moment.
    pub is_supervised: bool,
}

impl Member {
    /// Starts the process and does not wait for it.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let log = self.log();
        self.said_before = std::fs::metadata(&log).map_or(0, |file| file.len());
        let mut command = self.command(&["run", "--log-format", "json"]);
        if let Some(power) = &self.power {
            command.env("LD_PRELOAD", &power.library).envs(power.variables());
        }
        let program = Program::start(command, &log)?;
        self.journal.write(Entry::Started { name: self.name.to_owned(), process: program.id() });
        (self.program, self.started) = (Some(program), Some(Instant::now()));
        Ok(())
    }

    /// Waits until it is ready, and answers how long that took since its start. One that ends instead is an error.
    pub async fn until_ready(&mut self) -> anyhow::Result<Duration> {
        let client = Client::new(&format!("http://{}", self.listen))?;
        let started = self.started.context("it was never started")?;
        let deadline = Instant::now() + READY_LIMIT;
        while !client.is_well("/readyz").await {
            if let Some(status) = self.program()?.ended()? {
                // Any other reason is one of the program's own.
                if !self.is_supervised || !(self.was_replaced()? || self.has_said(&CUT_OFF)?) {
                    bail!("{} ended by itself at its start ({status})", self.name);
                }
                sleep(SUPERVISED_EVERY).await;
                self.launch()?;
            }
            ensure!(Instant::now() < deadline, "{} was not ready after {READY_LIMIT:?}", self.name);
            sleep(Duration::from_millis(10)).await;
        }
        Ok(started.elapsed())
    }

    /// Whether the process that was started last says that others have taken it for dead, which is why it ends.
    pub fn was_replaced(&self) -> anyhow::Result<bool> {
        self.has_said(&[REPLACED])
    }

    fn has_said(&self, words: &[&str]) -> anyhow::Result<bool> {
        let said = std::fs::read(self.log())?;
        let since = String::from_utf8_lossy(said.get(usize::try_from(self.said_before)?..).unwrap_or_default());
        Ok(words.iter().any(|word| since.contains(word)))
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// The process that runs.
    pub fn program(&mut self) -> anyhow::Result<&mut Program> {
        self.program.as_mut().with_context(|| format!("{} does not run", self.name))
    }

    /// Kills it, if it runs.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut program) = self.program.take() else { return Ok(()) };
        program.kill().await?;
        // What stood in for its library of dates could not tidy up. Most have none.
        for left in ["faketime_shm", "sem.faketime_sem"] {
            let _ = std::fs::remove_file(format!("/dev/shm/{left}_{}", program.id()));
        }
        Ok(())
    }

    /// Kills it, and leaves of its files what a disk has after a power cut.
    pub async fn lose_power(&mut self, choice: u64) -> anyhow::Result<Lost> {
        self.kill().await?;
        self.power.as_ref().with_context(|| format!("nobody knows what {} has on the disk", self.name))?.cut(choice)
    }

    /// Takes what is in its folder for what should be there, as an operator does whom it has told that something is lost.
    pub fn forget_marks(&self) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(data(&self.folder, self.name))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "mark") {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// How many runs it notes as being within a component, which are those that may have killed it.
    pub fn inside(&self) -> anyhow::Result<usize> {
        /// Bytes of one note: how long it is, which is 0 of none, and the run.
        const NOTE: usize = 256;
        let Ok(entries) = std::fs::read_dir(data(&self.folder, self.name)) else { return Ok(0) };
        let mut inside = 0;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "in-flight") {
                inside += std::fs::read(path)?.chunks_exact(NOTE).filter(|note| !note.starts_with(&[0, 0])).count();
            }
        }
        Ok(inside)
    }

    /// How many there may be: as many again are within versions that no longer serve.
    pub fn most_inside(&self) -> usize {
        let told = self.variables.iter().rfind(|(name, _)| name == "MAX_CONCURRENT_RUNS").and_then(|(_, value)| value.parse().ok());
        told.unwrap_or(DEFAULT_RUNS) * 2
    }

    /// Asks it to stop. What takes too long is killed, and nothing is returned.
    pub async fn stop(&mut self) -> anyhow::Result<Option<Ended>> {
        let Some(mut program) = self.program.take() else { bail!("{} does not run", self.name) };
        program.stop(STOP_LIMIT).await
    }

    /// A second process beside the one that runs, on the same database.
    pub fn second(&self) -> anyhow::Result<Program> {
        let mut command = self.command(&["run", "--log-format", "json"]);
        command.env("LISTEN", "127.0.0.1:0");
        Program::start(command, &self.folder.join("second.log"))
    }

    /// What a command says that takes its config.
    pub async fn operate(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments).kill_on_drop(true).output().await?)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg("--config").arg(&self.config).current_dir(&self.folder);
        command.env("LISTEN", &self.listen).envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(place) = &self.crash_at {
            command.env("MILLRACE_CRASH_AT", place);
        }
        if self.minutes != 0 {
            // What it measures stays right; only its dates are wrong.
            command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME", format!("{:+}m", self.minutes));
        }
        command
    }
}

/// Names of folders below that of a run.
pub fn data(folder: &Path, name: &str) -> PathBuf {
    folder.join("data").join(name)
}
