//! The program as an operator runs it: a process with a config, that can be killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::client::{Client, PATIENCE};
use crate::compiled;
use crate::test_app::{SECRET, built, repository};

/// A running `millrace`; dropping it kills it.
pub struct Process {
    child: Child,
    pub client: Client,
    log: Log,
}

/// The lines that a process has logged so far.
type Log = Arc<Mutex<Vec<String>>>;

/// A folder with data and components that outlives the processes that use it.
pub struct Home {
    folder: tempfile::TempDir,
    /// The file that is started.
    program: PathBuf,
}

impl Home {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("components")).unwrap();
        let home = Self { folder, program: env!("CARGO_BIN_EXE_millrace").into() };
        for name in ["inventory.wasm", "payment.wasm", "shipping.wasm", "notify.wasm"] {
            std::fs::copy(built(name), home.component(name)).unwrap();
        }
        home
    }

    /// A copy of the program, which is what is started from here from now on.
    pub fn install_program(&mut self) -> &Path {
        let installed = self.path().join("millrace");
        std::fs::copy(&self.program, &installed).unwrap();
        self.program = installed;
        &self.program
    }

    pub fn component(&self, name: &str) -> PathBuf {
        self.folder.path().join("components").join(name)
    }

    /// Starts the monolith and waits until it is ready.
    pub async fn start(&self, variables: &[(&str, &str)]) -> Process {
        self.start_config(&repository().join("configs/monolith.yaml"), variables).await
    }

    /// Starts the monolith although it should refuse, and waits for its end.
    pub fn second_start(&self) -> std::process::Output {
        self.command(&repository().join("configs/monolith.yaml")).output().unwrap()
    }

    /// Starts a process of any config, which may say with `variables` where it listens and keeps its data, and waits until it is ready.
    pub async fn start_config(&self, config: &Path, variables: &[(&str, &str)]) -> Process {
        let data = variables.iter().find(|(name, _)| *name == "DATA_DIR").map_or_else(|| self.path().join("data"), |(_, data)| data.into());
        compiled::give(&data);
        let process = self.spawn(config, variables);
        wait_until_ready(&process.client).await;
        compiled::keep(&data);
        process
    }

    /// What a command of the program that takes a config prints beside the process of that config.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn operate(&self, config: &Path, arguments: &[&str]) -> Result<String, String> {
        printed(&mut self.command_of(arguments, config))
    }

    /// The same from a shell that has none of the environment of the service, but `variables`.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn operate_from_shell(&self, config: &Path, arguments: &[&str], variables: &[(&str, &Path)]) -> Result<String, String> {
        printed(self.command_of(arguments, config).env_clear().envs(variables.iter().copied()))
    }

    /// The same with a program around it, such as `prlimit --fsize=1000 --`.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn operate_under(&self, around: &[&str], config: &Path, arguments: &[&str]) -> Result<String, String> {
        printed(&mut wrapped(around, self.command_of(arguments, config)))
    }

    /// Waits until a run of the resource `id` is inside a component: the process of the database `name`.db notes it in a file.
    pub async fn until_inside_a_component(&self, name: &str, id: &str) {
        let file = self.folder.path().join("data").join(name).with_extension("in-flight");
        let deadline = Instant::now() + PATIENCE * 4;
        // A slot begins with the length of what is in it, which is 0 when it is free.
        let inside = |noted: Vec<u8>| {
            noted.chunks(256).any(|slot| slot.iter().take(2).any(|&byte| byte != 0) && String::from_utf8_lossy(slot).contains(id))
        };
        while !std::fs::read(&file).is_ok_and(inside) {
            assert!(Instant::now() < deadline, "no run of '{id}' begins");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn spawn(&self, config: &Path, variables: &[(&str, &str)]) -> Process {
        let mut child = self.command(config).envs(variables.iter().copied()).spawn().unwrap();
        let log = Log::default();
        let address = address_in_log(&mut child, Arc::clone(&log));
        Process { child, client: Client::new(&format!("http://{address}")), log }
    }

    pub fn command(&self, config: &Path) -> Command {
        self.command_of(&["run", "--log-format", "json"], config)
    }

    /// A command of the program that takes a config, with the environment of the service.
    pub fn command_of(&self, arguments: &[&str], config: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .arg("--config")
            .arg(config)
            // What a config keeps without being told where is kept here.
            .current_dir(self.folder.path())
            .env("LISTEN", "127.0.0.1:0")
            .env("OPERATOR_LISTEN", "127.0.0.1:0")
            .env("DATA_DIR", self.folder.path().join("data"))
            .env("COMPONENTS_DIR", self.folder.path().join("components"))
            .env("JWT_SECRET", SECRET)
            .env("RATE_LIMIT_PER_MINUTE", "1000000")
            .env("RATE_LIMIT_BURST", "100000")
            .env("PAYMENT_RETRY_AFTER", "200ms")
            .env("SHIPPING_RETRY_AFTER", "200ms")
            .stderr(Stdio::piped());
        command
    }
}

fn printed(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The command `plain` as the last words of the command `around`, if that has any.
pub fn wrapped(around: &[&str], plain: Command) -> Command {
    let [program, arguments @ ..] = around else { return plain };
    let mut command = Command::new(program);
    command.args(arguments).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = plain.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

impl Process {
    /// The lines that it has logged so far, and goes on logging.
    pub fn log(&self) -> Log {
        Arc::clone(&self.log)
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// `kill -9`, and nothing after it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log until it says where the process listens, and goes on reading so that the pipe never fills.
fn address_in_log(child: &mut Child, kept: Log) -> String {
    let (found, address) = mpsc::channel();
    let log = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            kept.lock().push(line.clone());
            let line: serde_json::Value = serde_json::from_str(&line).unwrap_or(serde_json::Value::String(line));
            if line["message"] == "listening" {
                let _ = found.send(line["address"].as_str().unwrap().to_owned());
            } else if line["level"] == "ERROR" || line.is_string() {
                eprintln!("{line}");
            }
        }
    });
    address.recv_timeout(PATIENCE * 4).expect("the process says where it listens")
}

/// Waits for `/readyz`.
pub async fn wait_until_ready(client: &Client) {
    let deadline = Instant::now() + PATIENCE * 4;
    loop {
        let answer = client.try_send(reqwest::Method::GET, "/readyz", None, &[]).await;
        if answer.as_ref().is_ok_and(|answer| answer.status.is_success()) {
            return;
        }
        assert!(Instant::now() < deadline, "not ready: {answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
