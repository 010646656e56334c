//! A process of the program under a condition: another program around it, a log of another kind, a signal.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, PATIENCE};
use crate::kafka_broker::free_port;
use crate::process::{Home, wait_until_ready, wrapped};
use crate::test_app::repository;

/// Lines of the log that are shown when a test fails.
const LAST_LINES: usize = 30;

/// What a process is started with.
pub struct Condition<'a> {
    /// The config, by default that of the monolith.
    pub config: PathBuf,
    /// A program around it and its arguments, such as `strace -f -e inject=...`.
    pub around: &'a [&'a str],
    /// Where its log lines go, if not into a file that is shown when it ends against expectation.
    pub log: Option<Stdio>,
    /// Where it listens, if not wherever there is room.
    pub port: Option<u16>,
    /// Variables beside those that every test sets.
    pub variables: &'a [(&'a str, &'a str)],
}

impl Default for Condition<'_> {
    fn default() -> Self {
        Self { config: repository().join("configs/monolith.yaml"), around: &[], log: None, port: None, variables: &[] }
    }
}

/// A process under a condition; dropping it kills it, and what is around it.
pub struct Conditioned {
    pub client: Client,
    child: Child,
    /// Where its log lines are, if they are kept.
    log: Option<PathBuf>,
}

impl Home {
    /// Starts a process under a condition and does not wait for anything: it may never be ready.
    pub fn spawn_under(&self, condition: Condition<'_>) -> Conditioned {
        let port = condition.port.unwrap_or_else(free_port);
        let mut command = wrapped(condition.around, self.command(&condition.config));
        command.env("LISTEN", format!("127.0.0.1:{port}")).env("OPERATOR_LISTEN", "127.0.0.1:0").envs(condition.variables.iter().copied());
        let kept = condition.log.is_none().then(|| self.path().join(format!("log-{port}")));
        match (condition.log, &kept) {
            (Some(log), _) => command.stderr(log),
            (None, Some(path)) => command.stderr(File::options().create(true).append(true).open(path).unwrap()),
            (None, None) => &mut command,
        };
        // A group of its own, so that what is around it ends with it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().unwrap_or_else(|error| panic!("{:?} cannot be started: {error}", command.get_program()));
        Conditioned { client: Client::new(&format!("http://127.0.0.1:{port}")), child, log: kept }
    }

    /// The same, and waits until it is ready.
    pub async fn start_under(&self, condition: Condition<'_>) -> Conditioned {
        let mut process = self.spawn_under(condition);
        process.until_ready().await;
        process
    }
}

impl Conditioned {
    /// What of it is to be read here, if its log is a pipe.
    pub fn log(&mut self) -> std::process::ChildStderr {
        self.child.stderr.take().expect("the log is a pipe")
    }

    /// Sends a signal to it, and to what is around it.
    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process_group(self.pid(), signal).unwrap();
    }

    /// Sends a signal to the child alone.
    pub fn signal_alone(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends a signal to the program inside what is around it, and to nothing else.
    pub fn signal_inside(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.inside()).unwrap(), signal).unwrap();
    }

    fn inside(&self) -> i32 {
        let around = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{around}/task/{around}/children")).unwrap();
        children.split_whitespace().next().expect("something is inside").parse().unwrap()
    }

    /// Sends a signal to the program inside what is around it, and waits until it has ended: one of its threads may still be held by what is
    /// around it. Answers how long it took.
    pub async fn end_inside(&self, signal: Signal) -> Duration {
        let (inside, asked) = (self.inside(), Instant::now());
        self.signal_inside(signal);
        until("the program inside has ended", || async {
            let state = std::fs::read_to_string(format!("/proc/{inside}/status")).unwrap_or_default();
            let gone = state.lines().find_map(|line| line.strip_prefix("State:")).is_none_or(|state| state.trim().starts_with('Z'));
            gone.then_some(())
        })
        .await;
        asked.elapsed()
    }

    /// Waits for its end, but not for ever.
    pub async fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until it is ready, and for no process that has ended.
    pub async fn until_ready(&mut self) {
        let Self { client, child, .. } = self;
        let ended = async {
            loop {
                if let Some(status) = child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = wait_until_ready(client) => {}
            status = ended => panic!("it has ended with {status} before it was ready"),
        }
    }

    /// The lines that it has logged so far, if they are kept.
    pub fn kept_log(&self) -> String {
        self.log.as_ref().map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Conditioned {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.kept_log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of its log:\n{}", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"));
        }
        // Some of them may have left its group.
        let inside = descendants(self.pid().as_raw_nonzero().get());
        let _ = rustix::process::kill_process_group(self.pid(), Signal::KILL);
        for pid in inside.into_iter().filter_map(Pid::from_raw) {
            // One that has ended by itself is none the worse.
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// The processes that a process has started, and those that they have.
fn descendants(process: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let children = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<i32> =
        children.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    children.into_iter().flat_map(|child| descendants(child).into_iter().chain([child])).collect()
}

/// Waits until `found` answers something, asking every few milliseconds.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut found: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE * 4;
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
