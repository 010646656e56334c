//! `millrace dev`: builds a component whenever its source changes, judges it, and puts it where a host that runs takes it.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

use super::add::put;
use super::call::{self, Input};
use super::check::{nobody, seconds};
use super::keys;
use super::subject::{Cache, Subject};
use crate::commands::printed::{Printed, printing};
use crate::commands::{Output, one_worker, run_for_user};

/// Between two looks at the source.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Folders that builds write into, and those of tools.
const NOT_SOURCE: [&str; 4] = ["target", "node_modules", "build", "__pycache__"];
/// Files that tools write beside the source when they build it, each by its name.
const BY_PRODUCTS: [&str; 3] = ["Cargo.lock", "package-lock.json", "go.sum"];
/// The folder of what `millrace bindings` makes, in that of the step.
const BINDINGS: &str = "bindings";
/// Files of the source, at most: more is no folder of one step.
const MAX_FILES: usize = 10_000;
/// What builds it.
const BUILD: &str = "build.sh";
/// What it is tried with, if it is there.
const JOB: &str = "job.json";

/// `millrace dev`.
#[derive(Debug, clap::Args)]
pub struct Dev {
    /// The folder of a step, as `millrace new` makes it: `build.sh` makes `<name of the folder>.wasm`.
    folder: PathBuf,
    /// The config whose component it is.
    #[arg(long, short)]
    config: PathBuf,
    /// Name of the component; not needed if only one has a file of this name.
    #[arg(long)]
    component: Option<String>,
    /// Sign what is built with this private key, as `millrace sign` does, for a config that takes only what is signed.
    #[arg(long)]
    key: Option<PathBuf>,
    /// Build once and end; fails if the component would be refused.
    #[arg(long)]
    once: bool,
    /// Where compiled code is kept.
    #[command(flatten)]
    cache: Cache,
}

/// Builds, judges and puts in place until it is ended by Ctrl-C.
#[must_use]
pub fn run(dev: &Dev) -> ExitCode {
    printing(|out| {
        let folder = dev.folder.canonicalize().with_context(|| format!("cannot read the folder '{}'", dev.folder.display()))?;
        ensure!(folder.join(BUILD).is_file(), "'{}' has no {BUILD}: `millrace new` makes a folder that has one", dev.folder.display());
        let _alone = alone_in(&folder)?;
        let name = folder.file_name().context("the root is no folder of a step")?;
        let mut product = name.to_owned();
        product.push(".wasm");
        let built = folder.join(product);
        let subject = Subject::of(&built, &dev.config, dev.component.as_deref(), &dev.cache);
        if subject.settings_and_place()?.is_none() {
            return Ok(ExitCode::FAILURE);
        }
        let turn = Turn { folder: &folder, config: &dev.config, built: &built, key: dev.key.as_deref(), subject: &subject };
        let runtime = one_worker()?;
        loop {
            let seen = Source::of(&turn.written()?);
            match turn.take(out, &runtime) {
                Ok(()) => {}
                Err(error) if dev.once => return Err(error),
                Err(error) => writeln!(out, "{error:#}")?,
            }
            if dev.once {
                return Ok(ExitCode::SUCCESS);
            }
            let seen = turn.seen_after(seen)?;
            turn.wait(out, &seen)?;
        }
    })
}

/// Keeps a second one out of the folder while this is there: each would find what the other one builds half done.
fn alone_in(folder: &Path) -> anyhow::Result<Option<File>> {
    let Ok(held) = File::open(folder) else { return Ok(None) };
    match held.try_lock() {
        Err(TryLockError::WouldBlock) => bail!("another `millrace dev` is at work in '{}': end that one first", folder.display()),
        // There are file systems without locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(held)),
    }
}

/// What is done whenever the source has changed, and for what.
struct Turn<'a> {
    folder: &'a Path,
    config: &'a Path,
    /// What the build makes.
    built: &'a Path,
    key: Option<&'a Path>,
    subject: &'a Subject,
}

impl Turn<'_> {
    fn take(&self, out: &mut Printed, runtime: &Runtime) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.build()?;
        let built = self.built;
        ensure!(built.is_file(), "{BUILD} has ended well and made no '{}': what it makes has the name of its folder", built.display());
        if let Some(key) = self.key {
            keys::sign_file(built, key)?;
        }
        // Each time: a turn may begin because the config names another file.
        let (settings, place) = self.subject.settings_and_place()?.context("the config is wrong by now")?;
        let workbench = self.subject.workbench(settings.clone(), &nobody(&settings))?;
        runtime.block_on(workbench.examine()).context("refused")?;
        put(built, &place)?;
        writeln!(out, "{} is in place after {}: a host that runs takes it", place.display(), seconds(begun.elapsed()))?;
        let job = self.folder.join(JOB);
        if job.is_file() {
            let (job, config, kv) = Input::read(&job)?.into_job();
            call::tell(out, Output::Text, &runtime.block_on(workbench.run(job, Some(&config), kv))?)?;
        }
        Ok(())
    }

    fn build(&self) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("cannot find the program itself, which builds need")?;
        let script = self.folder.join(BUILD);
        let under_way = File::open(&script).with_context(|| format!("cannot read '{}'", script.display()))?;
        if matches!(under_way.try_lock(), Err(TryLockError::WouldBlock)) {
            let _ = writeln!(std::io::stderr(), "an earlier build in '{}' goes on, and is waited for", self.folder.display());
            under_way.lock()?;
        }
        // The build has it too: should this be killed, the next one waits until the build has ended, and does not meet it half way.
        fcntl_setfd(&under_way, FdFlags::empty())?;
        let mut build = Command::new(&script);
        // What it says goes where our errors go: it is for the person who waits.
        build.env("MILLRACE", program).current_dir(self.folder).stdin(Stdio::null()).stdout(std::io::stderr());
        let status = run_for_user(&mut build);
        // Not left to the end of all that have it: a build may leave something running.
        let _ = under_way.unlock();
        let status = status.with_context(|| format!("'{}' cannot be started", script.display()))?;
        ensure!(status.success(), "{BUILD} failed ({status})");
        Ok(())
    }

    /// What a turn depends on: the source, and the config.
    fn written(&self) -> anyhow::Result<Written> {
        let mut files = written(self.folder)?;
        if let Ok(metadata) = fs::metadata(self.config) {
            files.insert(self.config.to_owned(), (metadata.len(), metadata.modified().ok()));
        }
        Ok(files)
    }

    /// What was built, with what is known to come of a build: a first one writes a lock file, and makes no second one by that. Whatever else is new
    /// or changed may be somebody's who saved it meanwhile.
    fn seen_after(&self, mut seen: Source) -> anyhow::Result<Source> {
        for path in self.written()?.into_keys().filter(|path| self.is_by_product(path)) {
            seen.0.entry(path).or_insert_with_key(|path| digest_of(path));
        }
        Ok(seen)
    }

    fn is_by_product(&self, path: &Path) -> bool {
        path.starts_with(self.folder.join(BINDINGS)) || BY_PRODUCTS.iter().any(|name| path.file_name().is_some_and(|file| file == *name))
    }

    /// Waits until the source is not as it was, and nobody writes it any more. What a build changes in it, alike each time, makes one more build
    /// and no third.
    fn wait(&self, out: &mut Printed, seen: &Source) -> anyhow::Result<()> {
        out.flush()?;
        let (mut last, mut read) = (None, None);
        loop {
            let now = Some(self.written()?);
            // Reading it all is for when something was written, and who writes has come to an end: half a file is not worth a build.
            if now == last && now != read {
                if now.as_ref().is_some_and(|files| Source::of(files) != *seen) {
                    return Ok(());
                }
                read.clone_from(&now);
            }
            last = now;
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }
}

/// Files of the source, each with its size and when it was written.
type Written = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// The content of the source: of each file, its digest.
#[derive(PartialEq)]
struct Source(BTreeMap<PathBuf, [u8; 32]>);

impl Source {
    fn of(files: &Written) -> Self {
        Self(files.keys().map(|path| (path.clone(), digest_of(path))).collect())
    }
}

fn digest_of(path: &Path) -> [u8; 32] {
    // A file may be gone that was there a moment ago: then it has nothing in it.
    Sha256::digest(fs::read(path).unwrap_or_default()).into()
}

fn written(folder: &Path) -> anyhow::Result<Written> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Written::new());
    while let Some(inside) = folders.pop() {
        let entries = match fs::read_dir(&inside) {
            Ok(entries) => entries,
            // What was there a moment ago may be gone, as when another version is checked out.
            Err(error) if error.kind() == ErrorKind::NotFound && inside != folder => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read the folder '{}'", inside.display())),
        };
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            let Ok(metadata) = entry.metadata() else { continue };
            if name.starts_with('.') || NOT_SOURCE.contains(&name.as_str()) || name.contains(".wasm") {
                continue;
            }
            if metadata.is_dir() {
                folders.push(path);
            } else {
                files.insert(path, (metadata.len(), metadata.modified().ok()));
            }
        }
        ensure!(files.len() <= MAX_FILES, "'{}' has more than {MAX_FILES} files: it is not the folder of one step", folder.display());
    }
    Ok(files)
}
