//! `cargo xtask chaos`: breaks the program on purpose and checks that what was promised still holds. `chaos/` does it; this builds what it needs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::build::{self, Profile};
use crate::command::{cargo, run};
use crate::kafka::jars;
use crate::{commit, conditions, simulate, toolchain, workspace};

/// The runs of CI: always the same, so that a failure is one of what has changed. Their time is that of the customers, in seconds.
const QUICK: ([u64; 3], u64) = ([1, 2, 3], 30);
/// The run of CI in which the shop is three processes over Kafka.
const QUICK_PROCESSES: (u64, u64) = (1, 30);
/// The run of CI in which the power is cut, and how often.
const QUICK_POWER: (u64, u64) = (1, 8);
/// How often the power is cut in a run that is one of many.
const CUTS: u64 = 25;
/// The how manieth times that a program kills itself at a place.
const HITS: &str = "1,2,7";
/// A seed of which the last date is behind the ones before.
const SET_BACK: u64 = 4;
/// Runs of components at once, where one has to wait for another.
const FEW_RUNS: &str = "MAX_CONCURRENT_RUNS=4";
/// Bugs that do no harm that a run could see, since one process has one writer, or that take longer than a run to do any: tests find them.
const FOUND_BY_TESTS: [(&str, &[&str], &str); 4] = [
    ("deferred-begin", &["--lib"], "store::sqlite::"),
    ("no-compare-and-set", &["--test", "store_conformance"], "sqlite::"),
    ("no-fence", &["--test", "store_conformance"], "sqlite::"),
    ("trial-from-suspects", &["--lib"], "services::engine::breaker::"),
];
/// How long customers buy in a run that is one of many, in seconds.
const LONG: u64 = 60;
/// Further runs by which a failure is shortened that nobody waits for.
const SHRINKING: u64 = 12;
/// As what the shop runs.
const MONOLITH: [&str; 2] = ["--shape", "monolith"];
/// See `MONOLITH`.
const SCALE: [&str; 2] = ["--shape", "scale"];
/// See `MONOLITH`.
const PROCESSES: [&str; 2] = ["--shape", "processes"];
/// With these the program has bugs and crash points.
const FAULTS: [&str; 2] = ["--features", "millrace/planted-bugs,millrace/crash-points"];

/// Which runs.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Options {
    /// Five minutes, as CI does it.
    #[arg(long)]
    quick: bool,

    /// Random seeds for so many hours, by turns as one process, as three, and with three of orders; goes on after a failure, and shortens it.
    #[arg(long, value_name = "HOURS", num_args = 0..=1, default_missing_value = "8")]
    long: Option<u64>,

    /// The run of a seed once more, with the same faults at the same times.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,

    /// The run of a seed in which the shop is three processes over Kafka, once more.
    #[arg(long, value_name = "SEED")]
    processes: Option<u64>,

    /// The run of a seed in which three processes of orders share a database of PostgreSQL, over Kafka and behind a gateway, once more.
    #[arg(long, value_name = "SEED")]
    scale: Option<u64>,

    /// A run of each shape in which the program kills itself at each place that its source has for that, the first, the second and the
    /// seventh time that it comes there.
    #[arg(long)]
    crash_points: bool,

    /// Runs in which the power is cut so many times while customers buy: what was not synced is lost, by halves or altogether.
    #[arg(long, value_name = "CUTS", num_args = 0..=1, default_missing_value = "500")]
    power: Option<u64>,

    /// A run in which components are replaced so many times while customers buy.
    #[arg(long, value_name = "SWAPS", num_args = 0..=1, default_missing_value = "1000")]
    swaps: Option<u64>,

    /// A run of each shape in which so many orders are placed at once and the program is killed while they are under way: all of them end.
    #[arg(long, value_name = "ORDERS", num_args = 0..=1, default_missing_value = "5000")]
    burst: Option<u64>,

    /// Whether each of so many orders is on the disk before anybody is told of it, by the calls that the program makes.
    #[arg(long, value_name = "ANSWERS", num_args = 0..=1, default_missing_value = "1000")]
    durable: Option<u64>,

    /// Whether a bug that is planted is found by the seeds of `--quick`, or by the tests whose matter it is.
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
    if let Some(orders) = options.burst {
        jars::prepare()?;
        perform(&MONOLITH, &words([("--burst", orders)]))?;
        return perform(&PROCESSES, &words([("--burst", orders)]));
    }
    if let Some(cuts) = options.power {
        let seeds = (1..=cuts.div_ceil(CUTS)).map(|seed| ("--seed", seed));
        return perform(&[], &words(seeds.chain([("--power", cuts.min(CUTS))])));
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
    if let Some(seed) = options.scale {
        jars::prepare()?;
        return perform(&SCALE, &words([("--seed", seed), ("--seconds", LONG)]));
    }
    match options.replay {
        Some(seed) if QUICK.0.contains(&seed) => perform(&MONOLITH, &words([("--seed", seed), ("--seconds", QUICK.1)])),
        Some(seed) => perform(&MONOLITH, &words([("--seed", seed), ("--seconds", LONG)])),
        None => quick(),
    }
}

/// The runs of CI. The components are built.
pub fn quick() -> anyhow::Result<()> {
    // What needs least and tells most about a failure comes first.
    simulate::quick()?;
    jars::prepare()?;
    perform(&MONOLITH, &seeds())?;
    let (seed, seconds) = QUICK_PROCESSES;
    perform(&PROCESSES, &words([("--seed", seed), ("--seconds", seconds)]))?;
    let (seed, cuts) = QUICK_POWER;
    perform(&[], &words([("--seed", seed), ("--power", cuts)]))
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
    if let Some((bug, target, tests)) = FOUND_BY_TESTS.into_iter().find(|(name, ..)| Some(*name) == bug) {
        return by_tests(bug, target, tests);
    }
    conditions::ensure_tools()?;
    jars::prepare()?;
    build_with(&FAULTS)?;
    let program = folder().join("millrace-with-faults");
    fs::create_dir_all(folder())?;
    fs::rename(workspace::target().join("debug/millrace"), &program)?;
    let arguments = match bug {
        Some(bug) => {
            let shape = if bug.starts_with("kafka-") { PROCESSES } else { MONOLITH };
            let power = if bug.starts_with("power-") { words([("--power", QUICK_POWER.1)]) } else { Vec::new() };
            let few = if bug == "waiting-counted-as-suspect" { &["--set", FEW_RUNS][..] } else { &[] };
            let seeds = if bug == "timers-by-the-date" { words([("--seed", SET_BACK), ("--seconds", QUICK.1)]) } else { seeds() };
            let told = ["--planted", bug].into_iter().chain(shape).chain(few.iter().copied());
            told.map(str::to_owned).chain(power).chain(seeds).collect()
        }
        None => ["--crash-points", "--hits", HITS].map(str::to_owned).to_vec(),
    };
    let passed = start(&program, &arguments);
    if bug.is_some() {
        return passed;
    }
    // A place that is missed with SQLite says nothing of those of PostgreSQL.
    let on_postgres = on_postgres();
    passed.and(on_postgres)
}

/// The places of the store of PostgreSQL: its suite is killed at each of them. The runs have SQLite.
fn on_postgres() -> anyhow::Result<()> {
    let mut points = BTreeSet::new();
    for file in fs::read_dir(workspace::root().join("host/src/store/postgres"))? {
        let text = fs::read_to_string(file?.path())?;
        points.extend(text.split("crash_point!(\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned));
    }
    anyhow::ensure!(!points.is_empty(), "host/src/store/postgres has no crash points");
    let suite = || test_with_faults(&["--test", "store_conformance"]);
    run(suite().arg("--no-run"))?;
    forget_program()?;
    let mut missed = Vec::new();
    println!("  | crash point, on PostgreSQL | {} |", HITS.replace(',', " | "));
    for point in points {
        let mut row = format!("  | `{point}` |");
        for hit in HITS.split(',') {
            let place = format!("{point}:{hit}");
            let ended = suite().args(["--", "postgres::"]).env("MILLRACE_CRASH_AT", &place).output()?;
            let is_reached = String::from_utf8_lossy(&ended.stderr).contains("signal: 9");
            row.push_str(if is_reached { " killed |" } else { " not reached |" });
            if !is_reached {
                missed.push(place);
            }
        }
        println!("{row}");
    }
    anyhow::ensure!(missed.is_empty(), "the suite of the stores does not come to {}", missed.join(", "));
    Ok(())
}

/// Takes away the program with bugs that was made for tests: nobody is to find it where the program is.
fn forget_program() -> anyhow::Result<()> {
    match fs::remove_file(workspace::target().join("debug/millrace")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Tests of the host, with bugs and crash points in it.
fn test_with_faults(target: &[&str]) -> Command {
    let mut test = cargo(["test", "--package", "millrace", "--target-dir"]);
    test.arg(workspace::target()).args(FAULTS).args(target);
    test
}

/// Fine if the tests fail with the bug. They pass without it: every run of all tests says so.
fn by_tests(bug: &str, target: &[&str], tests: &str) -> anyhow::Result<()> {
    run(test_with_faults(target).arg("--no-run"))?;
    forget_program()?;
    let tried = test_with_faults(target).args(["--", tests]).env("MILLRACE_PLANTED", bug).output()?;
    let text = String::from_utf8_lossy(&tried.stdout);
    let failed: Vec<&str> = text.lines().filter(|line| line.starts_with("test ") && line.ends_with("FAILED")).collect();
    anyhow::ensure!(!failed.is_empty(), "{bug} is not found by the tests {tests}: {text}{}", String::from_utf8_lossy(&tried.stderr));
    println!("{bug} is found by {} tests:\n{}", failed.len(), failed.join("\n"));
    Ok(())
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
