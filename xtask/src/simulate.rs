//! `cargo xtask simulate`: the engine, the scheduler, the relay and the consumers on a simulated machine. `simulation/` does it; this builds it.

use std::fs;
use std::process::Command;

use clap::Args;

use crate::command::{cargo, run};
use crate::{commit, workspace};

/// What CI has happen.
const QUICK: u64 = 100_000;
/// What has to happen in a night.
const LONG: u64 = 10_000_000;

/// Which episodes.
#[derive(Args)]
pub struct Options {
    /// How much has to happen in all episodes together.
    #[arg(long, default_value_t = QUICK)]
    events: u64,

    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Ten million events; tells how it gets on.
    #[arg(long, conflicts_with = "events")]
    long: bool,

    /// The episode of a seed once more, with everything that happens in it.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,

    /// With `--replay`: only the faults with these numbers, as a failure has told them.
    #[arg(long, value_name = "NUMBERS", requires = "replay")]
    faults: Option<String>,

    /// Whether a bug that is planted is found.
    #[arg(long, value_name = "BUG", conflicts_with = "replay")]
    planted: Option<String>,
}

/// Builds it and performs the episodes.
pub fn simulate(options: &Options) -> anyhow::Result<()> {
    let mut arguments = vec!["--seed".to_owned(), options.seed.to_string()];
    let events = if options.long { LONG } else { options.events };
    arguments.extend(["--events".to_owned(), events.to_string()]);
    if options.long {
        arguments.push("--tell".to_owned());
    }
    if let Some(seed) = options.replay {
        arguments.extend(["--replay".to_owned(), seed.to_string()]);
    }
    if let Some(faults) = &options.faults {
        arguments.extend(["--faults".to_owned(), faults.clone()]);
    }
    if let Some(bug) = &options.planted {
        arguments.extend(["--planted".to_owned(), bug.clone()]);
        return with_bugs(&arguments);
    }
    build(&[])?;
    run(Command::new(workspace::target().join("debug/simulation")).args(arguments))
}

/// The episodes of CI.
pub fn quick() -> anyhow::Result<()> {
    build(&[])?;
    // One at a time: other tests wait for answers meanwhile.
    run(Command::new(workspace::target().join("debug/simulation")).args(["--events", &QUICK.to_string(), "--at-once", "1"]))
}

/// With bugs in it, which is kept apart.
fn with_bugs(arguments: &[String]) -> anyhow::Result<()> {
    build(&["--features", "millrace-simulation/planted-bugs"])?;
    let folder = workspace::target().join("simulation");
    fs::create_dir_all(&folder)?;
    let program = folder.join("simulation-with-bugs");
    fs::rename(workspace::target().join("debug/simulation"), &program)?;
    run(Command::new(program).args(arguments))
}

fn build(features: &[&str]) -> anyhow::Result<()> {
    let mut build = cargo(["build", "--package", "millrace-simulation", "--bin", "simulation", "--target-dir"]);
    commit::tell(&mut build);
    run(build.arg(workspace::target()).args(features))
}
