//! Compiling, in a child process with limits of its own: what a hostile file can make a compiler do happens there.
//!
//! Both sides use one engine configuration. The child gets the component on standard input, no environment and no folder, answers with the
//! code on standard output, and says what is wrong on standard error.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use bytes::Bytes;
use futures::future::OptionFuture;
use rustix::process::{Resource, Rlimit, getpriority_process, getrlimit, setpriority_process, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::code_cache::{Code, CodeCache, MAX_CODE_BYTES, name_of_shipped};
use super::engine;
use super::inspect::{self, MAX_BYTES};
use super::shipped::Vouched;
use super::signature::PublicKey;
use super::source::off_thread;
use super::standstill::stands_still;
use super::text::{MAX_REASON_BYTES, tamed};
use crate::threads::try_at_once;

/// Addresses of the child, all that it maps included. A Python component of 18 MB takes about 1.5 GiB.
const MAX_ADDRESSES: u64 = 6 << 30;
/// CPU time of the child, all its threads together. This alone bounds a file: how long that takes by the clock is up to the machine.
const MAX_CPU: Duration = Duration::from_secs(120);
/// Between two looks at whether the child computes, and how many of them may find that it does not.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
const MAX_IN_VAIN: u32 = 180;
/// How far the child stands back behind others.
const NICE: i32 = 10;
/// The signal that nobody can refuse.
const SIGKILL: i32 = 9;
/// Exit status for "this cannot be compiled", where standard error says why.
const REFUSED: u8 = 1;
/// Exit status for "not now, whatever the file", where standard error says why.
const NOT_NOW: u8 = 75;

/// Why there is no version that can serve, as a clause that goes on after the file's name.
#[derive(Debug)]
pub(super) struct Unfit {
    /// The clause.
    pub reason: String,
    /// What it is the fault of.
    pub fault: Fault,
}

/// What is wrong when there is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file itself, or how it is configured.
    File,
    /// The file may be good, and nobody vouches for it.
    Signature,
    /// The file may be good: what is wrong is with the machine (a full disk, no room for a process), and may pass.
    Machine,
}

impl Unfit {
    /// The machine's fault.
    pub fn passing(reason: String) -> Self {
        Self { reason, fault: Fault::Machine }
    }

    /// That of the signature.
    pub fn unsigned(reason: String) -> Self {
        Self { reason, fault: Fault::Signature }
    }
}

impl From<String> for Unfit {
    fn from(reason: String) -> Self {
        Self { reason, fault: Fault::File }
    }
}

/// The compiling child: reads a component from `input` and writes its code to `output`, or why there is none to `report`. Limits memory and
/// CPU time of the whole process, so it must have nothing else to do. If it `stands_back`, others that want the processors come first.
pub fn compile_main(stands_back: bool, input: &mut dyn Read, output: &mut dyn Write, report: &mut dyn Write) -> ExitCode {
    if stands_back {
        stand_back();
    }
    // The compiler's library has one for each core, and panics where it cannot start them.
    if let Err(few) = try_at_once(available_parallelism().map_or(1, usize::from)) {
        let _ = writeln!(report, "{few}");
        return ExitCode::from(NOT_NOW);
    }
    let limited = limit_self().map_err(|error| anyhow::anyhow!("could not be compiled: the compiler cannot limit itself: {error:#}"));
    match limited.and_then(|()| compile_here(input, output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If nobody reads the report, the exit status still tells.
            let _ = writeln!(report, "{}", tamed(&format!("{error:#}"), MAX_REASON_BYTES));
            ExitCode::from(REFUSED)
        }
    }
}

fn limit_self() -> anyhow::Result<()> {
    // Whoever has started the program may have set less, and only root may take that back.
    let limit = |resource, most: u64| {
        let most = getrlimit(resource).maximum.map_or(most, |set| set.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
    };
    limit(Resource::As, MAX_ADDRESSES)?;
    limit_cpu()?;
    Ok(limit(Resource::Core, 0)?)
}

/// What was started with `nice -n 19`, or `Nice=15` of systemd, may not have less of it, and where a filter of system calls forbids it, it is
/// done without.
fn stand_back() {
    if getpriority_process(None).is_ok_and(|nice| nice < NICE) {
        let _ = setpriority_process(None, NICE);
    }
}

/// Past its time a process gets SIGXCPU, and SIGKILL a second later: so SIGKILL alone is somebody else's, as where memory is short.
fn limit_cpu() -> anyhow::Result<()> {
    let hard = getrlimit(Resource::Cpu).maximum.map_or(MAX_CPU.as_secs() + 1, |set| set.min(MAX_CPU.as_secs() + 1));
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(hard.saturating_sub(1).max(1).min(hard)), maximum: Some(hard) })?)
}

fn compile_here(input: &mut dyn Read, output: &mut dyn Write) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    inspect::outline(&bytes).map_err(|flaw| anyhow::anyhow!(flaw.reason))?;
    let engine = engine::compiling()?;
    let code =
        engine.precompile_component(&bytes).map_err(|error| anyhow::anyhow!("cannot be compiled: {}", explained(&format!("{error:#}"))))?;
    output.write_all(&code)?;
    Ok(output.flush()?)
}

/// What the compiler says, and for what tools of languages make by default what to change.
fn explained(error: &str) -> String {
    let what = "support is not enabled";
    match error {
        _ if error.contains("tail calls") && error.contains(what) => {
            format!("{error}: build it without tail calls, with componentize-qjs without its option `--opt-size`")
        }
        _ if error.contains(what) => format!("{error}: build it without that, as the target wasm32-wasip2 of Rust does by default"),
        _ => error.to_owned(),
    }
}

/// Has components compiled, one at a time.
pub(super) struct Compiler {
    program: PathBuf,
    engine: Engine,
    /// What code has to fit.
    fits: String,
    /// Where code is kept; if nowhere, everything is compiled.
    kept: Option<Arc<CodeCache>>,
    turn: Mutex<()>,
    /// Whether runs are served beside it, which come first.
    stands_back: AtomicBool,
    /// Who waits for what is compiled all the same.
    waiting: AtomicUsize,
    /// Between two looks at whether a child computes.
    between_looks: Duration,
}

/// Somebody who waits for what is compiled, until this is dropped.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Compiler {
    /// Uses the hidden command `compiler` of `program`.
    pub fn new(program: PathBuf, engine: Engine, kept: Option<Arc<CodeCache>>) -> Self {
        let fits = engine::fingerprint(&engine);
        let (stands_back, waiting) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { program, engine, fits, kept, turn: Mutex::new(()), stands_back, waiting, between_looks: BETWEEN_LOOKS }
    }

    /// From now on others come first: runs are served beside it. Until then somebody waits for what is compiled, and on a busy machine would
    /// wait for minutes.
    pub fn stand_back(&self) {
        self.stands_back.store(true, Ordering::Relaxed);
    }

    /// Somebody waits for what is compiled from now on, also where runs are served beside it: it gets its share of the processors.
    pub fn awaited(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// What code has to fit: another wasmtime or other settings give another name.
    pub fn fits(&self) -> &str {
        &self.fits
    }

    /// The component, compiled; true if that was done before, and its code was kept or is what has come along, as `shipped` says. Code that came
    /// along once is used again as long as the key that has signed it is one of `trusted`.
    ///
    /// # Errors
    /// Why it cannot be compiled, as a clause that goes on after the file's name.
    pub async fn compile(
        &self,
        bytes: &Bytes,
        digest: &str,
        trusted: &[PublicKey],
        shipped: impl Future<Output = Option<Vouched>>,
    ) -> Result<(Component, bool), Unfit> {
        let of_keys = trusted.iter().map(|key| name_of_shipped(digest, &key.id()));
        for name in std::iter::once(digest.to_owned()).chain(of_keys) {
            if let Some(component) = self.known(&name).await? {
                return Ok((component, true));
            }
        }
        if let Some(vouched) = shipped.await {
            let code = vouched.code();
            match self.load(code.clone()).await {
                Ok(component) => {
                    tracing::info!(digest, "the compiled code that came with a component is used");
                    self.keep(&name_of_shipped(digest, vouched.key()), code).await?;
                    return Ok((component, true));
                }
                Err(reason) => {
                    tracing::info!(digest, reason, "the compiled code that came with a component does not fit: it is compiled here")
                }
            }
        }
        let code = self.code(bytes).await?;
        let component = self.load(code.clone()).await?;
        self.keep(digest, code).await?;
        Ok((component, false))
    }

    /// The code of a component, made by a child.
    ///
    /// # Errors
    /// As of [`Compiler::compile`].
    pub async fn code(&self, bytes: &Bytes) -> Result<Bytes, Unfit> {
        let _turn = self.turn.lock().await;
        self.in_child(bytes).await
    }

    /// The component from code that was kept under this name, if it is whole.
    async fn known(&self, name: &str) -> Result<Option<Component>, String> {
        let Some(kept) = self.kept.clone() else { return Ok(None) };
        let wanted = name.to_owned();
        let bad = match off_thread(move || kept.code(&wanted)).await? {
            Code::Missing => return Ok(None),
            Code::Bad(reason) => reason,
            Code::Whole(code) => match self.load(code).await {
                Ok(component) => return Ok(Some(component)),
                Err(reason) => reason,
            },
        };
        tracing::warn!(digest = name, reason = bad, "compiled code of a component is bad: it is compiled again");
        Ok(None)
    }

    async fn keep(&self, name: &str, code: Bytes) -> Result<(), String> {
        let Some(kept) = self.kept.clone() else { return Ok(()) };
        let wanted = name.to_owned();
        if let Err(error) = off_thread(move || kept.keep_code(&wanted, &code)).await? {
            tracing::warn!(digest = name, %error, "compiled code of a component cannot be kept: the next start compiles it again");
        }
        Ok(())
    }

    async fn load(&self, code: Bytes) -> Result<Component, String> {
        let engine = self.engine.clone();
        off_thread(move || {
            #[expect(
                unsafe_code,
                reason = "these bytes came from our own child just now, were checked against the checksum that we made then, or have the signature of \
                          a key that the operator trusts with compiled code"
            )]
            // SAFETY: they are what `precompile_component` of this very program gave, here or where the operator's key is, whole and in this
            // memory.
            let loaded = unsafe { Component::deserialize(&engine, &code) };
            loaded.map_err(|error| format!("cannot be loaded: {error:#}"))
        })
        .await?
    }

    /// The code that a child makes of a component.
    async fn in_child(&self, bytes: &Bytes) -> Result<Bytes, Unfit> {
        let program = self.program.display();
        let stands_back = self.stands_back.load(Ordering::Relaxed) && self.waiting.load(Ordering::Relaxed) == 0;
        let mut child = Command::new(&self.program)
            .arg0("millrace")
            .arg("compiler")
            .args(stands_back.then_some("--stand-back"))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Unfit::passing(format!("could not be compiled: the compiler '{program}' does not start: {error}")))?;
        let stands_still = OptionFuture::from(child.id().map(|id| stands_still(id, self.between_looks, MAX_IN_VAIN)));
        let said = tokio::select! {
            said = talk(&mut child, bytes) => said.map_err(|error| Unfit::passing(format!("could not be compiled: '{program}': {error}")))?,
            Some(()) = stands_still => {
                let waited = self.between_looks * MAX_IN_VAIN;
                return Err(Unfit::passing(format!("could not be compiled: for {waited:?} the compiler has used no processor time")));
            }
        };
        if !said.status.success() {
            return Err(refusal(said.status, &said.report));
        }
        if said.code.len() as u64 > MAX_CODE_BYTES {
            return Err(format!("has more than {MAX_CODE_BYTES} bytes of code once it is compiled").into());
        }
        Ok(said.code.into())
    }
}

/// What a child said until its end.
struct Said {
    status: ExitStatus,
    code: Vec<u8>,
    report: String,
}

/// Writes the component to the child and reads what it says, at once, so that neither waits for the other.
async fn talk(child: &mut Child, bytes: &Bytes) -> std::io::Result<Said> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A child that refuses early stops reading; its report says why.
            let _ = stdin.write_all(bytes).await;
        }
    };
    let ((), code, report) = tokio::join!(write, all(stdout, MAX_CODE_BYTES + 1), all(stderr, 2 * MAX_REASON_BYTES as u64));
    Ok(Said { status: child.wait().await?, code: code?, report: String::from_utf8_lossy(&report?).into_owned() })
}

/// All that comes from a pipe, or as much as `most` bytes of it.
async fn all(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut read = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(most).read_to_end(&mut read).await?;
    }
    Ok(read)
}

fn refusal(status: ExitStatus, report: &str) -> Unfit {
    if status.code() == Some(i32::from(REFUSED)) {
        return tamed(report.trim(), MAX_REASON_BYTES).into();
    }
    if status.code() == Some(i32::from(NOT_NOW)) {
        return Unfit::passing(format!("could not be compiled: {}", tamed(report.trim(), MAX_REASON_BYTES)));
    }
    if status.signal() == Some(SIGKILL) {
        let reason = "could not be compiled: the compiler was killed, as happens where the machine or the container is short of memory";
        return Unfit::passing(reason.to_owned());
    }
    let said = tamed(report.trim(), 300);
    if status.code().is_some() {
        return format!("could not be compiled: the compiler ended with {status} ({said})").into();
    }
    format!(
        "could not be compiled within {} GiB of addresses and {} s of CPU time: the compiler ended with {status} ({said})",
        MAX_ADDRESSES >> 30,
        MAX_CPU.as_secs()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    /// Does this in place of the compiler, and is given up when so many looks find that it does not compute.
    fn doing(folder: &Path, script: &str, between_looks: Duration) -> Compiler {
        let (draft, program) = (folder.join("draft"), folder.join("compiler"));
        std::fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o700)).unwrap();
        // By another process: what this one has open for writing, it may hand on to one that it starts meanwhile, and then it cannot be started.
        assert!(std::process::Command::new("cp").args([&draft, &program]).status().unwrap().success());
        Compiler { between_looks, ..Compiler::new(program, engine::compiling().unwrap(), None) }
    }

    #[tokio::test]
    async fn a_compiler_that_computes_is_waited_for_whatever_that_takes_by_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        // Beside many others it may have no turn for seconds, so patience is 9 s. What it computes takes 10 s at least.
        let (computes, between_looks) = ("trap 'exec cat' XCPU; ulimit -S -t 10; while :; do :; done", Duration::from_millis(50));
        let began = std::time::Instant::now();
        let code = doing(folder.path(), computes, between_looks).code(&Bytes::from_static(b"whole")).await;
        assert_eq!(code.unwrap(), "whole");
        let (took, patience) = (began.elapsed(), between_looks * MAX_IN_VAIN);
        assert!(took > patience, "it took {took:?}, which {patience:?} would have been enough for");
    }

    #[tokio::test]
    async fn a_compiler_that_uses_no_processor_time_is_given_up_and_the_file_is_not_to_blame() {
        let folder = tempfile::tempdir().unwrap();
        // Nothing has to have its turn here, so patience is short.
        let compiler = doing(folder.path(), "exec sleep 1000", Duration::from_millis(10));
        let unfit = compiler.code(&Bytes::from_static(b"whole")).await.unwrap_err();
        assert_eq!(unfit.reason, "could not be compiled: for 1.8s the compiler has used no processor time");
        assert_eq!(unfit.fault, Fault::Machine);
    }
}
