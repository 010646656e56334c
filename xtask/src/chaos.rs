//! `cargo xtask chaos`: breaks the program on purpose and checks that what was promised still holds. `chaos/` does it; this builds what it needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::build::{self, Profile};
use crate::command::{cargo, run};
use crate::kafka::jars;
use crate::{commit, conditions, toolchain, workspace};

/// The runs of CI: always the same, so that a failure is one of what has changed. Their time is that of the customers, in seconds.
const QUICK: ([u64; 3], u64) = ([1, 2, 3], 30);
/// The run of CI in which the shop is three processes over Kafka.
const QUICK_PROCESSES: (u64, u64) = (1, 30);
/// How long customers buy in a run that is one of many, in seconds.
const LONG: u64 = 60;
/// Further runs by which a failure is shortened that nobody waits for.
const SHRINKING: u64 = 12;
/// As what the shop runs.
const MONOLITH: [&str; 2] = ["--shape", "monolith"];
/// See `MONOLITH`.
const PROCESSES: [&str; 2] = ["--shape", "processes"];
/// With these the program has bugs and crash points.
const FAULTS: [&str; 2] = ["--features", "millrace/planted-bugs,millrace/crash-points"];

/// Which runs.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Options {
    /// Four minutes, as CI does it.
    #[arg(long)]
    quick: bool,

    /// Random seeds for so many hours, by turns as one process and as three; goes on after a failure, and shortens it.
    #[arg(long, value_name = "HOURS", num_args = 0..=1, default_missing_value = "8")]
    long: Option<u64>,

    /// The run of a seed once more, with the same faults at the same times.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,

    /// The run of a seed in which the shop is three processes over Kafka, once more.
    #[arg(long, value_name = "SEED")]
    processes: Option<u64>,

    /// A run in which the program kills itself at each place that its source has for that.
    #[arg(long)]
    crash_points: bool,

    /// A run in which components are replaced so many times while customers buy.
    #[arg(long, value_name = "SWAPS", num_args = 0..=1, default_missing_value = "1000")]
    swaps: Option<u64>,

    /// Whether each of so many orders is on the disk before anybody is told of it, by the calls that the program makes.
    #[arg(long, value_name = "ANSWERS", num_args = 0..=1, default_missing_value = "1000")]
    durable: Option<u64>,

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
    if let Some(hours) = options.long {
        jars::prepare()?;
        return perform(&[], &words([("--minutes", hours * 60), ("--seconds", LONG), ("--shrink", SHRINKING)]));
    }
    if let Some(swaps) = options.swaps {
        return perform(&[], &words([("--swaps", swaps)]));
    }
    if let Some(answers) = options.durable {
        conditions::ensure_tools()?;
        let program = build::host(Profile::Dev)?;
        build_with(&[])?;
        let mut chaos = Command::new(workspace::target().join("debug/chaos"));
        chaos.arg("durable").arg("--program").arg(program).arg("--repository").arg(workspace::root());
        chaos.arg("--folder").arg(folder().join("durable")).arg("--answers").arg(answers.to_string());
        return run(&mut chaos);
    }
    if let Some(seed) = options.processes {
        jars::prepare()?;
        let seconds = if seed == QUICK_PROCESSES.0 { QUICK_PROCESSES.1 } else { LONG };
        return perform(&PROCESSES, &words([("--seed", seed), ("--seconds", seconds)]));
    }
    match options.replay {
        Some(seed) if QUICK.0.contains(&seed) => perform(&MONOLITH, &words([("--seed", seed), ("--seconds", QUICK.1)])),
        Some(seed) => perform(&MONOLITH, &words([("--seed", seed), ("--seconds", LONG)])),
        None => quick(),
    }
}

/// The runs of CI. The components are built.
pub fn quick() -> anyhow::Result<()> {
    jars::prepare()?;
    perform(&MONOLITH, &seeds())?;
    let (seed, seconds) = QUICK_PROCESSES;
    perform(&PROCESSES, &words([("--seed", seed), ("--seconds", seconds)]))
}

fn seeds() -> Vec<String> {
    let (seeds, seconds) = QUICK;
    let seeds = seeds.map(|seed| ("--seed", seed));
    words(seeds.into_iter().chain([("--seconds", seconds)]))
}

fn words(options: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<String> {
    options.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect()
}

fn perform(shape: &[&str], arguments: &[String]) -> anyhow::Result<()> {
    conditions::ensure_tools()?;
    let program = build::host(Profile::Dev)?;
    build_with(&[])?;
    let shape = shape.iter().map(|word| (*word).to_owned());
    start(&program, &shape.chain(arguments.iter().cloned()).collect::<Vec<_>>())
}

/// With a program that has bugs and crash points, which is kept apart: nobody else is to find it where the program is.
fn with_faults(bug: Option<&str>) -> anyhow::Result<()> {
    conditions::ensure_tools()?;
    jars::prepare()?;
    build_with(&FAULTS)?;
    let program = folder().join("millrace-with-faults");
    fs::create_dir_all(folder())?;
    fs::rename(workspace::target().join("debug/millrace"), &program)?;
    let arguments = match bug {
        Some(bug) => {
            let shape = if bug.starts_with("kafka-") { PROCESSES } else { MONOLITH };
            ["--planted", bug].into_iter().chain(shape).map(str::to_owned).chain(seeds()).collect()
        }
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
