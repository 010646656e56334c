//! `cargo xtask chaos`: breaks the program on purpose and checks that what was promised still holds. `chaos/` does it; this builds what it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::build::{self, Profile};
use crate::command::{cargo, run};
use crate::{commit, conditions, toolchain, workspace};

/// The runs of CI: always the same, so that a failure is one of what has changed. Their time is that of the customers, in seconds.
const QUICK: ([u64; 4], u64) = ([1, 2, 3, 4], 30);
/// How long customers buy in a run that is one of many, in seconds.
const LONG: u64 = 60;
/// Further runs by which a failure is shortened that nobody waits for.
const SHRINKING: u64 = 12;
/// With these the program has bugs and crash points.
const FAULTS: [&str; 2] = ["--features", "millrace/planted-bugs,millrace/crash-points"];

/// Which runs.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Options {
    /// Three minutes, as CI does it.
    #[arg(long)]
    quick: bool,

    /// Random seeds for so many hours; goes on after a failure, and shortens it.
    #[arg(long, value_name = "HOURS", num_args = 0..=1, default_missing_value = "8")]
    long: Option<u64>,

    /// The run of a seed once more, with the same faults at the same times.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,

    /// A run in which the program kills itself at each place that its source has for that.
    #[arg(long)]
    crash_points: bool,

    /// Whether a bug that is planted is found by the seeds of `--quick`.
    #[arg(long, value_name = "BUG")]
    planted: Option<String>,
}

/// Builds everything and performs the runs.
pub fn chaos(options: &Options) -> anyhow::Result<()> {
    toolchain::ensure_wasm_target()?;
    build::with_fixtures()?;
    if options.crash_points || options.planted.is_some() {
        return with_faults(options.planted.as_deref());
    }
    match (options.long, options.replay) {
        (Some(hours), _) => perform(&words([("--minutes", hours * 60), ("--seconds", LONG), ("--shrink", SHRINKING)])),
        (None, Some(seed)) if QUICK.0.contains(&seed) => perform(&words([("--seed", seed), ("--seconds", QUICK.1)])),
        (None, Some(seed)) => perform(&words([("--seed", seed), ("--seconds", LONG)])),
        (None, None) => quick(),
    }
}

/// The runs of CI. The components are built.
pub fn quick() -> anyhow::Result<()> {
    perform(&seeds())
}

fn seeds() -> Vec<String> {
    let (seeds, seconds) = QUICK;
    let seeds = seeds.map(|seed| ("--seed", seed));
    words(seeds.into_iter().chain([("--seconds", seconds)]))
}

fn words(options: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<String> {
    options.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect()
}

fn perform(arguments: &[String]) -> anyhow::Result<()> {
    conditions::ensure_tools()?;
    let program = build::host(Profile::Dev)?;
    build_with(&[])?;
    start(&program, arguments)
}

/// With a program that has bugs and crash points, which is kept apart: nobody else is to find it where the program is.
fn with_faults(bug: Option<&str>) -> anyhow::Result<()> {
    conditions::ensure_tools()?;
    build_with(&FAULTS)?;
    let program = folder().join("millrace-with-faults");
    fs::create_dir_all(folder())?;
    fs::rename(workspace::target().join("debug/millrace"), &program)?;
    let arguments = match bug {
        Some(bug) => ["--planted".to_owned(), bug.to_owned()].into_iter().chain(seeds()).collect(),
        None => vec!["--crash-points".to_owned()],
    };
    start(&program, &arguments)
}

/// Together with the program, and so with the features of crates that it has: nothing is compiled twice.
fn build_with(features: &[&str]) -> anyhow::Result<()> {
    let mut build = cargo(["build", "--package", "millrace", "--package", "millrace-chaos", "--bins", "--target-dir"]);
    commit::tell(&mut build);
    run(build.arg(workspace::target()).args(features))
}

fn start(program: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let mut chaos = Command::new(workspace::target().join("debug/chaos"));
    chaos.arg("run").arg("--program").arg(program).arg("--repository").arg(workspace::root());
    run(chaos.arg("--folder").arg(folder()).args(arguments))
}

fn folder() -> PathBuf {
    workspace::target().join("chaos")
}
