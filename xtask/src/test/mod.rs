//! `cargo xtask test`: every check there is, each run even when one before it failed, with a summary at the end. Stages run beside each other
//! where one waits and another computes; each is a process of its own with a log of its own.

mod attempts;
mod log;
mod process;
mod schedule;
mod stages;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::stop_signals::StopSignals;
use log::Printer;
use process::Running;
pub use process::{Options as StageOptions, perform as stage};
use schedule::Schedule;
#[cfg(test)]
pub use stages::STAGES;
use stages::Stage;

/// How often it is looked whether a stage has ended or written something.
const LOOK: Duration = Duration::from_millis(100);

/// What to check.
#[derive(Args)]
pub struct Options {
    /// Only the stages of these names, such as `format` or `observability`, and those that they need.
    #[arg(value_name = "STAGE")]
    only: Vec<String>,
    /// The long form of the tests that have one: minutes where it is seconds otherwise.
    #[arg(long)]
    long: bool,
    /// Also the stages that build the optimised program: its tarball, and the figures beside their goals.
    #[arg(long)]
    full: bool,
}

/// What a stage came to that did not fail.
pub enum Done {
    /// It was checked, and is right.
    Checked,
    /// It cannot be checked on this machine; why. In CI that is a failure.
    NotChecked(String),
}

/// What became of a stage.
pub enum Outcome {
    /// It was checked.
    Passed(Cost),
    /// And why.
    Failed(Cost, String),
    /// Why it cannot be checked here.
    NotChecked(String),
    /// What it needs has failed, or it was stopped before it began.
    Skipped,
}

/// What a stage took.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// From its begin to its end.
    took: Duration,
    /// What processors have worked for it meanwhile.
    processors: Duration,
}

/// Where something cannot be checked: an error in CI, which has to check everything.
pub fn not_checked(why: String) -> anyhow::Result<Done> {
    if std::env::var_os("CI").is_some() {
        bail!("{why}");
    }
    Ok(Done::NotChecked(why))
}

/// Runs every stage, or those that are asked for; success only if none of them failed.
pub fn test(options: &Options) -> anyhow::Result<ExitCode> {
    let stages = stages::chosen(&options.only, options.full)?;
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ends = runtime.block_on(run_all(&stages, options.long))?;
    println!("\nSummary");
    for (stage, outcome) in &ends {
        println!("  {:<26} {}", stage.name, verdict(outcome));
    }
    let processors = ends.iter().filter_map(|(_, outcome)| cost(outcome)).map(|cost| cost.processors).sum();
    println!("  {:<26} {:>8}{}", "all", "", costs(Cost { took: begun.elapsed(), processors }));
    for (stage, outcome) in &ends {
        if let Outcome::Failed(_, problem) = outcome {
            println!("\n{}: {problem}", stage.name);
        }
    }
    let passed = ends.iter().all(|(_, outcome)| matches!(outcome, Outcome::Passed(_) | Outcome::NotChecked(_)));
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether its stages are there.
#[cfg(test)]
pub fn understand(options: &Options) -> anyhow::Result<()> {
    stages::chosen(&options.only, options.full).map(drop)
}

/// What became of each stage, in their sequence.
async fn run_all(stages: &[&'static Stage], long: bool) -> anyhow::Result<Vec<(&'static Stage, Outcome)>> {
    // Found now, since it may be built anew meanwhile.
    let program = std::env::current_exe().context("cannot find this program, which also performs the stages")?;
    let mut stop_wanted = StopSignals::listen()?;
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let mut schedule = Schedule::new(stages.iter().copied(), processors);
    let mut printer = Printer::new(std::io::stdout());
    let mut running = Vec::<Running>::new();
    loop {
        while let Some(stage) = schedule.begin() {
            match Running::begin(&program, stage, stages, long) {
                Ok(begun) => {
                    printer.follow(stage.name, begun.log())?;
                    running.push(begun);
                }
                Err(problem) => schedule.end(stage.name, Outcome::Failed(Cost::default(), format!("{problem:#}"))),
            }
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop_wanted.next() => {
                schedule.stop();
                running.iter_mut().for_each(Running::stop);
            }
        }
        running.retain_mut(|process| {
            if process.has_computed() {
                schedule.has_computed(process.stage.name);
            }
            let Some(outcome) = process.ended() else { return true };
            printer.end(process.stage.name, verdict(&outcome));
            schedule.end(process.stage.name, outcome);
            false
        });
        printer.show()?;
    }
    Ok(schedule.outcomes().collect())
}

fn verdict(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed(cost) => format!("passed  {}", costs(*cost)),
        Outcome::Failed(cost, _) => format!("FAILED  {}", costs(*cost)),
        Outcome::NotChecked(why) => format!("NOT CHECKED: {why}"),
        Outcome::Skipped => "skipped".to_owned(),
    }
}

fn cost(outcome: &Outcome) -> Option<Cost> {
    match outcome {
        Outcome::Passed(cost) | Outcome::Failed(cost, _) => Some(*cost),
        Outcome::NotChecked(_) | Outcome::Skipped => None,
    }
}

fn costs(Cost { took, processors }: Cost) -> String {
    format!("{:>5} s, {:>5} s of processors", took.as_secs(), processors.as_secs())
}
