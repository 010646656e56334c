//! `millrace dev`: builds a component whenever its source changes, judges it, and puts it where a host that runs takes it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, ensure};
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
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// Folders that builds write into, and those of tools.
const NOT_SOURCE: [&str; 4] = ["target", "node_modules", "build", "__pycache__"];
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
        let name = folder.file_name().context("the root is no folder of a step")?;
        let built = folder.join(name).with_extension("wasm");
        let subject = Subject::of(&built, &dev.config, dev.component.as_deref(), &dev.cache);
        let Some(place) = subject.place()? else { return Ok(ExitCode::FAILURE) };
        let runtime = one_worker()?;
        loop {
            let (seen, begun) = (Source::of(&written(&folder)?), Instant::now());
            match turn(out, &folder, (&built, dev.key.as_deref()), &subject, &place, &runtime) {
                Ok(()) => writeln!(out, "{} is in place after {}: a host that runs takes it", place.display(), seconds(begun.elapsed()))?,
                Err(error) if dev.once => return Err(error),
                Err(error) => writeln!(out, "{error:#}")?,
            }
            if dev.once {
                return Ok(ExitCode::SUCCESS);
            }
            wait(out, &folder, &seen)?;
        }
    })
}

fn turn(
    out: &mut Printed,
    folder: &Path,
    (built, key): (&Path, Option<&Path>),
    subject: &Subject,
    place: &Path,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // What it says goes where our errors go: it is for the person who waits.
    let program = std::env::current_exe().context("cannot find the program itself, which builds need")?;
    let mut build = Command::new(folder.join(BUILD));
    build.env("MILLRACE", program).current_dir(folder).stdin(Stdio::null()).stdout(std::io::stderr());
    let status = run_for_user(&mut build).with_context(|| format!("{BUILD} cannot be started"))?;
    ensure!(status.success(), "{BUILD} failed ({status})");
    if let Some(key) = key {
        keys::sign_file(built, key)?;
    }
    let settings = subject.settings()?.context("the config is wrong by now")?;
    let workbench = subject.workbench(settings.clone(), &nobody(&settings))?;
    runtime.block_on(workbench.examine()).context("refused")?;
    put(built, place)?;
    let job = folder.join(JOB);
    if job.is_file() {
        let (job, config, kv) = Input::read(&job)?.into_job();
        call::tell(out, Output::Text, &runtime.block_on(workbench.run(job, Some(&config), kv))?)?;
    }
    Ok(())
}

/// Waits until the source is not as it was. What a build writes beside it, alike each time, makes one more build and no third.
fn wait(out: &mut Printed, folder: &Path, seen: &Source) -> anyhow::Result<()> {
    out.flush()?;
    let mut at = None;
    loop {
        let now = written(folder)?;
        // Reading it all is for when something was written.
        if at.as_ref() != Some(&now) && Source::of(&now) != *seen {
            return Ok(());
        }
        at = Some(now);
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// Files of the source, each with its size and when it was written.
type Written = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

/// The content of the source.
#[derive(PartialEq)]
struct Source([u8; 32]);

impl Source {
    fn of(files: &Written) -> Self {
        let mut hash = Sha256::new();
        for path in files.keys() {
            let name = path.as_os_str().as_encoded_bytes();
            // A file may be gone that was there a moment ago.
            let content = fs::read(path).unwrap_or_default();
            for part in [name, &content] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        Self(hash.finalize().into())
    }
}

fn written(folder: &Path) -> anyhow::Result<Written> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Written::new());
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(&inside).with_context(|| format!("cannot read the folder '{}'", inside.display()))? {
            let entry = entry?;
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
