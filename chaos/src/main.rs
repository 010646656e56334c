//! `chaos`: runs that break the program on purpose. `cargo xtask chaos` builds what it needs and calls it.

#![expect(clippy::print_stdout, reason = "it talks to a person")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use millrace_chaos::schedule::{Schedule, Shape};
use millrace_chaos::stack::Places;
use millrace_chaos::trial::{self, Verdict};
use millrace_chaos::{bank, durable, points, report, shrink};

/// Breaks the program on purpose and checks that what was promised still holds.
#[derive(Parser)]
#[command(name = "chaos")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Performs runs and tells what does not hold.
    Run(Runs),
    /// Whether each order is on the disk before anybody is told of it, by the calls that the program makes.
    Durable {
        /// The program that is tried.
        #[arg(long, default_value = "target/debug/millrace")]
        program: PathBuf,
        /// The repository.
        #[arg(long, default_value = ".")]
        repository: PathBuf,
        /// Where it is done; what is there must not be needed.
        #[arg(long, default_value = "target/chaos/durable")]
        folder: PathBuf,
        /// How many orders have to be acknowledged.
        #[arg(long, default_value_t = 1_000)]
        answers: usize,
    },
    /// The payment provider; a run starts it.
    #[command(hide = true)]
    Bank {
        /// The file of its books.
        #[arg(long)]
        books: PathBuf,
        /// The file that it writes its address to.
        #[arg(long)]
        address: PathBuf,
    },
}

/// Which runs.
#[derive(Args)]
struct Runs {
    /// The program that is tried.
    #[arg(long, default_value = "target/debug/millrace")]
    program: PathBuf,
    /// The repository.
    #[arg(long, default_value = ".")]
    repository: PathBuf,
    /// Where runs are kept that fail.
    #[arg(long, default_value = "target/chaos")]
    folder: PathBuf,
    /// Seeds, one after the other; random ones without any.
    #[arg(long = "seed")]
    seeds: Vec<u64>,
    /// As what the shop runs; without it by turns as each.
    #[arg(long, value_enum)]
    shape: Option<Shape>,
    /// A schedule as a run has left it in its folder, instead of seeds.
    #[arg(long, conflicts_with = "seeds")]
    schedule: Option<PathBuf>,
    /// Instead of a schedule of its seed, each run has the program kill itself at every crash point once.
    #[arg(long, conflicts_with = "schedule")]
    crash_points: bool,
    /// With `--crash-points`: the how manieth time that it comes there it does so; a random one of the first seven without.
    #[arg(long, value_delimiter = ',', requires = "crash_points")]
    hits: Vec<u32>,
    /// Instead of a schedule of its seed, each run has components replaced so many times, and nothing else.
    #[arg(long, conflicts_with_all = ["schedule", "crash_points"])]
    swaps: Option<u64>,
    /// Instead of a schedule of its seed, each run has the power cut so many times, and nothing else.
    #[arg(long, conflicts_with_all = ["schedule", "crash_points", "swaps"])]
    power: Option<u64>,
    /// Instead of a schedule of its seed, each run has so many orders placed at once, and a kill while they are under way.
    #[arg(long, conflicts_with_all = ["schedule", "crash_points", "swaps", "power"])]
    burst: Option<u64>,
    /// A bug that is planted in the program: what is looked for is a run that finds it.
    #[arg(long)]
    planted: Option<String>,
    /// How long customers buy in each run, in seconds.
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// With random seeds: how long to go on, in minutes.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// How many further runs a failure is shortened by.
    #[arg(long, default_value_t = 0)]
    shrink: u32,
    /// Variables of the program, NAME=VALUE.
    #[arg(long = "set")]
    variables: Vec<String>,
}

fn main() -> ExitCode {
    let done = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads").and_then(|runtime| {
        runtime.block_on(async {
            match Arguments::parse().task {
                Task::Bank { books, address } => bank::serve(&books, &address).await.map(|()| true),
                Task::Durable { program, repository, folder, answers } => tokio::select! {
                    done = watch(&program, &repository, &folder, answers) => done,
                    _ = tokio::signal::ctrl_c() => Ok(false),
                },
                Task::Run(runs) => tokio::select! {
                    done = perform(&runs) => done,
                    // What was started is killed as it is dropped.
                    _ = tokio::signal::ctrl_c() => Ok(false),
                },
            }
        })
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("Error: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

async fn watch(program: &Path, repository: &Path, folder: &Path, answers: usize) -> anyhow::Result<bool> {
    let repository = std::path::absolute(repository)?;
    let components = repository.join("target/components");
    let places = Places { program: std::path::absolute(program)?, repository, components, variables: Vec::new() };
    let folder = std::path::absolute(folder)?;
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let told = durable::watch(&places, &folder, answers).await?;
    println!(
        "{} answers told of an order, {} of them before it was on the disk; the log was put there {} times",
        told.answers,
        told.too_early.len(),
        told.syncs
    );
    for order in &told.too_early {
        println!("  too early: {order}");
    }
    let is_proved = told.too_early.is_empty() && told.answers >= answers as u64;
    if is_proved {
        // The trace is large.
        fs::remove_dir_all(folder)?;
    }
    Ok(is_proved)
}

/// Whether all of them passed. It goes on after a failure only where seeds are random.
async fn perform(runs: &Runs) -> anyhow::Result<bool> {
    let repository = std::path::absolute(&runs.repository)?;
    let variable = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut places = Places {
        program: std::path::absolute(&runs.program)?,
        components: repository.join("target/components"),
        repository,
        variables: runs.variables.iter().map(variable).collect::<Option<_>>().context("a variable is written NAME=VALUE")?,
    };
    if let Some(bug) = &runs.planted {
        places.variables.push(("MILLRACE_PLANTED".to_owned(), bug.clone()));
    }
    let places = places;
    let until = Instant::now() + Duration::from_secs(60 * runs.minutes);
    let (mut all_passed, mut performed) = (true, 0);
    for schedule in schedules(runs)? {
        if performed > 0 && runs.seeds.is_empty() && Instant::now() > until {
            break;
        }
        performed += 1;
        let outcome = one(runs, &places, &schedule).await?;
        all_passed &= outcome == Outcome::Passed;
        if let (Some(bug), Outcome::Broken) = (&runs.planted, outcome) {
            println!("{bug} is found by the seed {}", schedule.seed);
            return Ok(true);
        }
    }
    if let Some(bug) = &runs.planted {
        println!("{bug} is not found by {performed} runs");
        return Ok(false);
    }
    println!("{performed} runs, {}", if all_passed { "all passed" } else { "not all passed" });
    Ok(all_passed)
}

fn schedules(runs: &Runs) -> anyhow::Result<Box<dyn Iterator<Item = Schedule>>> {
    let span = Duration::from_secs(runs.seconds);
    let seeds = if runs.seeds.is_empty() { vec![1] } else { runs.seeds.clone() };
    if let Some(number) = runs.swaps {
        return Ok(Box::new(seeds.into_iter().map(move |seed| Schedule::of_swaps(seed, number))));
    }
    if let Some(number) = runs.power {
        return Ok(Box::new(seeds.into_iter().map(move |seed| Schedule::of_power_cuts(seed, number))));
    }
    if let Some(orders) = runs.burst {
        let shape = runs.shape.unwrap_or_default();
        return Ok(Box::new(seeds.into_iter().map(move |seed| Schedule::of_burst(shape, seed, orders))));
    }
    if runs.crash_points {
        let points = points::crash_points(&runs.repository)?;
        let shapes = runs.shape.map_or_else(|| vec![Shape::Monolith, Shape::Processes], |shape| vec![shape]);
        let each = seeds.into_iter().flat_map(move |seed| shapes.clone().into_iter().map(move |shape| (shape, seed)));
        let hits = runs.hits.clone();
        return Ok(Box::new(each.map(move |(shape, seed)| Schedule::of_crash_points(shape, seed, &points, &hits))));
    }
    let shape = runs.shape;
    let mut turns = [Shape::Monolith, Shape::Processes, Shape::Scale].into_iter().cycle();
    let mut of = move |seed| Schedule::of(shape.or_else(|| turns.next()).unwrap_or_default(), seed, span);
    Ok(match &runs.schedule {
        Some(file) => Box::new(std::iter::once(serde_json::from_slice(&fs::read(file)?)?)),
        None if runs.seeds.is_empty() => Box::new(std::iter::repeat_with(move || of(u64::from(rand::random::<u32>())))),
        None => Box::new(runs.seeds.clone().into_iter().map(of)),
    })
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    /// Something that was promised does not hold.
    Broken,
    /// Too little of what customers began succeeded to say anything.
    DoesNotCount,
}

async fn one(runs: &Runs, places: &Places, schedule: &Schedule) -> anyhow::Result<Outcome> {
    let verdict = trial::perform(places, schedule, &vacant(&runs.folder, schedule.seed)).await?;
    print!("{}", report::of(&verdict));
    note(&runs.folder, &verdict)?;
    let Some(first) = verdict.violations.first().cloned() else {
        fs::remove_dir_all(&verdict.folder)?;
        return Ok(if verdict.figures.count() { Outcome::Passed } else { Outcome::DoesNotCount });
    };
    if runs.shrink > 0 {
        let shortest = shrink::shrink(schedule, runs.shrink, async |shorter| {
            let folder = vacant(&runs.folder, shorter.seed);
            let again = trial::perform(places, shorter, &folder).await?;
            fs::remove_dir_all(folder)?;
            let is_broken = again.violations.iter().any(|violation| violation.invariant == first.invariant);
            println!("  with {} faults: {}", shorter.faults.len(), if is_broken { "broken" } else { "not broken" });
            Ok(is_broken)
        });
        let shortest = shortest.await?;
        let file = verdict.folder.join("shortest.json");
        fs::write(&file, serde_json::to_vec_pretty(&shortest)?)?;
        println!("  {} faults are left of {}: chaos run --schedule {}", shortest.faults.len(), schedule.faults.len(), file.display());
    }
    Ok(Outcome::Broken)
}

/// A folder that is not there yet.
fn vacant(folder: &Path, seed: u64) -> PathBuf {
    let name = |number: u32| folder.join(if number == 0 { format!("seed-{seed}") } else { format!("seed-{seed}.{number}") });
    (0..).map(name).find(|path| !path.exists()).unwrap_or_else(|| folder.to_owned())
}

/// A line for each run, whatever it came to.
fn note(folder: &Path, verdict: &Verdict) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(folder.join("runs.jsonl"))?;
    let mut line = serde_json::to_value(&verdict.figures)?;
    line["broken"] = verdict.violations.iter().map(|violation| violation.invariant.clone()).collect();
    writeln!(file, "{line}")?;
    Ok(())
}
