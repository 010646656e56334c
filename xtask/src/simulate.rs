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

/// Bugs of `host/src/faults.rs` that the episodes of CI find, each within a few seconds.
const BUGS: [&str; 8] = [
    "claimed-and-dropped",
    "mark-before-published",
    "new-key-after-silence",
    "new-key-per-retry",
    "no-idempotency",
    "no-requeue-at-boot",
    "publish-out-of-sequence",
    "waiting-counted-as-suspect",
];
/// Stands for all of them.
const EACH: &str = "each";

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

    /// Whether a bug that is planted is found; without a name each of those that CI plants.
    #[arg(long, value_name = "BUG", conflicts_with = "replay", num_args = 0..=1, default_missing_value = EACH)]
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
        let bugs = if bug == EACH { BUGS.to_vec() } else { vec![bug.as_str()] };
        return planted(&bugs, &arguments);
    }
    build(&[])?;
    run(Command::new(workspace::target().join("debug/simulation")).args(arguments))
}

/// The episodes of CI, and whether they find bugs that are planted.
pub fn quick() -> anyhow::Result<()> {
    build(&[])?;
    // One at a time: other tests wait for answers meanwhile.
    let one_at_a_time = ["--at-once".to_owned(), "1".to_owned()];
    run(Command::new(workspace::target().join("debug/simulation")).args(["--events", &QUICK.to_string()]).args(&one_at_a_time))?;
    // Each ends when it is found. A change of the program makes other episodes of the same seeds, so it may take more of them.
    planted(&BUGS, &["--events".to_owned(), (5 * QUICK).to_string()].into_iter().chain(one_at_a_time).collect::<Vec<_>>())
}

/// Fails unless each of these bugs is found. The program with the bugs is kept apart.
fn planted(bugs: &[&str], arguments: &[String]) -> anyhow::Result<()> {
    build(&["--features", "millrace-simulation/planted-bugs"])?;
    let folder = workspace::target().join("simulation");
    fs::create_dir_all(&folder)?;
    let program = folder.join("simulation-with-bugs");
    fs::rename(workspace::target().join("debug/simulation"), &program)?;
    bugs.iter().try_for_each(|bug| run(Command::new(&program).args(arguments).args(["--planted", bug])))
}

fn build(features: &[&str]) -> anyhow::Result<()> {
    let mut build = cargo(["build", "--package", "millrace-simulation", "--bin", "simulation", "--target-dir"]);
    commit::tell(&mut build);
    run(build.arg(workspace::target()).args(features))
}
