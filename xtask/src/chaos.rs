//! `cargo xtask chaos`: breaks the program on purpose and checks that what was promised still holds. `chaos/` does it; this builds what it needs.

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
}

/// Builds everything and performs the runs.
pub fn chaos(options: &Options) -> anyhow::Result<()> {
    toolchain::ensure_wasm_target()?;
    build::with_fixtures()?;
    match (options.long, options.replay) {
        (Some(hours), _) => perform(&words([("--minutes", hours * 60), ("--seconds", LONG), ("--shrink", SHRINKING)])),
        (None, Some(seed)) if QUICK.0.contains(&seed) => perform(&words([("--seed", seed), ("--seconds", QUICK.1)])),
        (None, Some(seed)) => perform(&words([("--seed", seed), ("--seconds", LONG)])),
        (None, None) => quick(),
    }
}

/// The runs of CI. The components are built.
pub fn quick() -> anyhow::Result<()> {
    let (seeds, seconds) = QUICK;
    let seeds = seeds.map(|seed| ("--seed", seed));
    perform(&words(seeds.into_iter().chain([("--seconds", seconds)])))
}

fn words(options: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<String> {
    options.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect()
}

fn perform(arguments: &[String]) -> anyhow::Result<()> {
    conditions::ensure_tools()?;
    let program = build::host(Profile::Dev)?;
    // Together with the program, and so with the features of crates that it has: nothing is compiled twice.
    let mut build = cargo(["build", "--package", "millrace", "--package", "millrace-chaos", "--bins", "--target-dir"]);
    commit::tell(&mut build);
    run(build.arg(workspace::target()))?;
    let mut chaos = Command::new(workspace::target().join("debug/chaos"));
    chaos.arg("run").arg("--program").arg(program).arg("--repository").arg(workspace::root());
    run(chaos.arg("--folder").arg(workspace::target().join("chaos")).args(arguments))
}
