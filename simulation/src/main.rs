//! `simulation`: episodes on a simulated machine. `cargo xtask simulate` builds it and calls it.

#![expect(clippy::print_stdout, reason = "it talks to a person")]

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Parser;
use millrace_simulation::episode::Verdict;
use millrace_simulation::runs::{Outcome, Runs};
use millrace_simulation::schedule::Schedule;
use millrace_simulation::{episode, machine, runs};

/// Runs the engine, the scheduler, the relay and the consumers on a simulated machine, and breaks it from a seed.
#[derive(Parser)]
#[command(name = "simulation")]
struct Arguments {
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How much has to happen in all episodes together.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Tells how it gets on.
    #[arg(long)]
    tell: bool,
    /// The episode of a seed once more, with everything that happens in it.
    #[arg(long, value_name = "SEED")]
    replay: Option<u64>,
    /// With `--replay`: only the faults with these numbers.
    #[arg(long, value_delimiter = ',', requires = "replay")]
    faults: Option<Vec<usize>>,
    /// A bug that is planted in the program: what is looked for is an episode that finds it.
    #[arg(long)]
    planted: Option<String>,
    /// How many further episodes a failure is shortened by.
    #[arg(long, default_value_t = 200)]
    shrink: u32,
    /// How many episodes are performed at the same time; as many as there are processors without it.
    #[arg(long)]
    at_once: Option<usize>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    // Before anything else is done, which may ask the machine.
    let done = match words.next().as_deref() {
        Some(runs::EPISODE) => one(words, false),
        Some(runs::WHOLE_EPISODE) => one(words, true),
        _ => many(&Arguments::parse()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("Error: {problem:#}");
            ExitCode::from(2)
        }
    }
}

fn one(mut words: impl Iterator<Item = String>, shows_all: bool) -> anyhow::Result<bool> {
    let seed = words.next().unwrap_or_default().parse()?;
    machine::begin(seed);
    let mut schedule = Schedule::of(seed);
    if let Some(kept) = words.next() {
        let kept: Vec<usize> = kept.split(',').filter(|number| !number.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
        schedule = schedule.only(&kept);
    }
    println!("{}", serde_json::to_string(&episode::perform(&schedule, shows_all)?)?);
    Ok(true)
}

fn many(arguments: &Arguments) -> anyhow::Result<bool> {
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runs = Runs {
        program: std::env::current_exe()?,
        seed: arguments.seed,
        events: arguments.events,
        at_once: arguments.at_once.unwrap_or_else(processors),
        tells: arguments.tell,
        planted: arguments.planted.clone(),
    };
    if let Some(seed) = arguments.replay {
        let verdict = runs.whole_episode(seed, arguments.faults.as_deref())?;
        return report(&runs, &verdict, 0).map(|()| verdict.broken.is_empty());
    }
    let Outcome { figures, took, broken } = runs.perform()?;
    let seconds = took.as_secs_f64();
    println!(
        "{} events in {} episodes with {} processes and {} faults, in {seconds:.1} s: {:.0} events/s",
        figures.events,
        figures.episodes,
        figures.lives,
        figures.faults,
        figures.events as f64 / seconds
    );
    match (&arguments.planted, broken) {
        (Some(bug), Some(verdict)) => {
            let invariants: BTreeSet<&str> = verdict.broken.iter().map(|broken| broken.invariant.as_str()).collect();
            println!("{bug} is found by the seed {}: {}", verdict.seed, invariants.into_iter().collect::<Vec<_>>().join(", "));
            Ok(true)
        }
        (Some(bug), None) => {
            println!("{bug} is not found");
            Ok(false)
        }
        (None, Some(verdict)) => report(&runs, &verdict, arguments.shrink).map(|()| false),
        (None, None) => Ok(true),
    }
}

/// Tells what does not hold, what happened before it, and which of the faults are needed for it.
fn report(runs: &Runs, verdict: &Verdict, episodes: u32) -> anyhow::Result<()> {
    println!(
        "seed {}: {} events, {} faults, {} processes, trace {}",
        verdict.seed, verdict.events, verdict.faults, verdict.lives, verdict.trace
    );
    for line in &verdict.history {
        println!("  {line}");
    }
    for broken in &verdict.broken {
        println!("{} does not hold: {} {}", broken.invariant, broken.about, broken.what);
    }
    if episodes == 0 || verdict.broken.is_empty() {
        return Ok(());
    }
    let left = runs.shrink(verdict, episodes)?;
    println!("{} faults are left of {}:", left.len(), Schedule::of(verdict.seed).faults.len());
    for (_, due) in &left {
        println!("  {:?} number {}: {:?}", due.place, due.nth, due.fault);
    }
    let numbers: Vec<String> = left.iter().map(|(number, _)| number.to_string()).collect();
    println!("once more: cargo xtask simulate --replay {} --faults {}", verdict.seed, numbers.join(","));
    Ok(())
}
