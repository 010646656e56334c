//! Compiling, in a child process with limits of its own: what a hostile file can make a compiler do happens there.
//!
//! Both sides use one engine configuration and one cache folder, so that the program finds what its child compiled. The child
//! gets the component on standard input, no environment, and says what is wrong on standard error.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use wasmtime::component::Component;

use super::engine::{CachedEngine, Folders};
use super::inspect::{self, MOST_BYTES};
use super::source::off_thread;
use super::text::{MOST_REASON_BYTES, tamed};

/// Addresses of the child, all that it maps included. A Python component of 18 MB takes about 1.5 GiB.
const MOST_ADDRESSES: u64 = 6 << 30;
/// CPU time of the child, all its threads together.
const MOST_CPU: Duration = Duration::from_secs(120);
/// Wall time that the program waits for its child.
const MOST_WALL: Duration = Duration::from_secs(180);
/// Exit status for "this cannot be compiled", where standard error says why.
const REFUSED: u8 = 1;

/// The compiling child: reads a component from `input`, compiles it into the cache in `cache_dir`, and writes to `report` why it
/// could not. Limits memory and CPU time of the whole process, so it must have nothing else to do.
pub fn compile_main(cache_dir: &Path, input: &mut dyn Read, report: &mut dyn Write) -> ExitCode {
    match limit_self().and_then(|()| compile_here(cache_dir, input)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads the report, the exit status still tells.
            let _ = writeln!(report, "{}", tamed(&format!("{error:#}"), MOST_REASON_BYTES));
            ExitCode::from(REFUSED)
        }
    }
}

fn limit_self() -> anyhow::Result<()> {
    let to = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, to(MOST_ADDRESSES))?;
    setrlimit(Resource::Cpu, to(MOST_CPU.as_secs()))?;
    setrlimit(Resource::Core, to(0))?;
    // Runs that are being served come first.
    setpriority_process(None, 10)?;
    Ok(())
}

fn compile_here(cache_dir: &Path, input: &mut dyn Read) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    input.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    inspect::outline(&bytes).map_err(|flaw| anyhow::anyhow!(flaw.reason))?;
    let folders = Folders::create(cache_dir)?;
    let engine = CachedEngine::compiling(&folders.compiled)?.engine;
    Component::new(&engine, &bytes).map_err(|error| anyhow::anyhow!("cannot be compiled: {error:#}"))?;
    Ok(())
}

/// Has components compiled, one at a time.
pub(super) struct Compiler {
    program: PathBuf,
    cache_dir: PathBuf,
    folders: Folders,
    cached: CachedEngine,
    fingerprint: String,
    turn: Mutex<()>,
}

impl Compiler {
    /// Uses the hidden command `compile` of `program`.
    pub fn new(program: PathBuf, cache_dir: PathBuf, folders: Folders, cached: CachedEngine) -> Self {
        let fingerprint = cached.fingerprint();
        Self { program, cache_dir, folders, cached, fingerprint, turn: Mutex::new(()) }
    }

    /// The component, compiled; true if that was done before and its code was in the cache.
    ///
    /// # Errors
    /// Why it cannot be compiled, as a clause that goes on after the file's name.
    pub async fn compile(&self, bytes: &Bytes, digest: &str) -> Result<(Component, bool), String> {
        let mark = self.folders.copies.join(format!("{digest}.{}.compiled", self.fingerprint));
        if mark.exists() {
            return Ok((self.load(bytes).await?, true));
        }
        let _turn = self.turn.lock().await;
        tokio::time::timeout(MOST_WALL, self.in_child(bytes))
            .await
            .map_err(|_| format!("could not be compiled within {MOST_WALL:?}"))??;
        let component = self.load(bytes).await?;
        std::fs::write(&mark, []).map_err(|error| format!("was compiled, but '{}' cannot be written: {error}", mark.display()))?;
        Ok((component, false))
    }

    /// Takes the compiled form from the cache. If it is not there, because the cache was cleaned up, wasmtime compiles it here: only
    /// what a child has compiled within its limits before comes this far.
    async fn load(&self, bytes: &Bytes) -> Result<Component, String> {
        let (cached, bytes) = (self.cached.clone(), bytes.clone());
        off_thread(move || {
            let misses = cached.cache.cache_misses();
            let component = Component::new(&cached.engine, &bytes).map_err(|error| format!("cannot be loaded: {error:#}"));
            if cached.cache.cache_misses() > misses {
                tracing::info!("compiled code of a component was not in the cache and was made again");
            }
            component
        })
        .await?
    }

    async fn in_child(&self, bytes: &Bytes) -> Result<(), String> {
        let program = self.program.display();
        let mut child = Command::new(&self.program)
            .arg("compile")
            .arg(&self.cache_dir)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("could not be compiled: the compiler '{program}' does not start: {error}"))?;
        let (status, report) = feed(&mut child, bytes).await.map_err(|error| format!("could not be compiled: '{program}': {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(refusal(status, &report))
    }
}

/// Writes the component to the child and reads what it reports, at once, so that neither waits for the other.
async fn feed(child: &mut Child, bytes: &Bytes) -> std::io::Result<(ExitStatus, String)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A child that refuses early stops reading; its report says why.
            let _ = stdin.write_all(bytes).await;
        }
    };
    let read = async {
        let mut report = Vec::new();
        if let Some(stderr) = stderr {
            let _ = stderr.take(2 * MOST_REASON_BYTES as u64).read_to_end(&mut report).await;
        }
        String::from_utf8_lossy(&report).into_owned()
    };
    let ((), report) = tokio::join!(write, read);
    Ok((child.wait().await?, report))
}

fn refusal(status: ExitStatus, report: &str) -> String {
    if status.code() == Some(i32::from(REFUSED)) {
        return tamed(report.trim(), MOST_REASON_BYTES);
    }
    let said = tamed(report.trim(), 300);
    format!(
        "could not be compiled within {} GiB of addresses and {} s of CPU time: the compiler ended with {status} ({said})",
        MOST_ADDRESSES >> 30,
        MOST_CPU.as_secs()
    )
}
