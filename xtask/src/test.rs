//! `cargo xtask test`: every check there is, each run even when one before it failed, with a summary at the end.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;

use crate::command::{Telling, cargo, run, run_telling, succeeds};
use crate::{api, apt, build, container_files, containers, kafka, observability, toolchain, web};

const COMPONENTS: [&str; 2] = ["--manifest-path", "components/Cargo.toml"];

/// What to check.
#[derive(Args)]
pub struct Options {
    /// Only the stages of these names, such as `format` or `observability`.
    #[arg(value_name = "STAGE")]
    only: Vec<String>,
    /// The long form of the tests that have one: minutes where it is seconds otherwise.
    #[arg(long)]
    long: bool,
}

/// A check: its name, what it does, and whether the ones after it make sense without it.
struct Stage {
    name: &'static str,
    needed: Needed,
    check: fn(&Options) -> anyhow::Result<()>,
}

enum Needed {
    ByLaterStages,
    ByNone,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration, String),
    Skipped,
}

const STAGES: [Stage; 14] = [
    Stage { name: "tools", needed: Needed::ByLaterStages, check: |_| tools() },
    Stage { name: "format", needed: Needed::ByNone, check: |_| format() },
    Stage { name: "components: build", needed: Needed::ByLaterStages, check: |_| build::with_fixtures() },
    Stage { name: "components: lints", needed: Needed::ByNone, check: |_| component_lints() },
    Stage { name: "components: lints in wasm", needed: Needed::ByNone, check: |_| component_wasm_lints() },
    Stage { name: "components: tests", needed: Needed::ByNone, check: |_| component_tests() },
    Stage { name: "kafka: jars", needed: Needed::ByLaterStages, check: |_| kafka_jars() },
    Stage { name: "container files", needed: Needed::ByNone, check: |_| container_files::check() },
    Stage { name: "lints", needed: Needed::ByNone, check: |_| lints() },
    Stage { name: "tests", needed: Needed::ByNone, check: tests },
    Stage { name: "api", needed: Needed::ByNone, check: |_| api::check() },
    Stage { name: "web", needed: Needed::ByNone, check: |_| web::test() },
    Stage { name: "containers", needed: Needed::ByNone, check: |_| containers::check() },
    Stage { name: "observability", needed: Needed::ByNone, check: |_| observability::check() },
];

/// Runs every stage, or those that are asked for; success only if all of them passed.
pub fn test(options: &Options) -> anyhow::Result<ExitCode> {
    let stages = chosen(&STAGES, &options.only)?;
    let outcomes = run_all(&stages, options);
    println!("\nSummary");
    for (stage, outcome) in stages.iter().zip(&outcomes) {
        println!("  {:<26} {}", stage.name, verdict(outcome));
    }
    for (stage, outcome) in stages.iter().zip(&outcomes) {
        if let Outcome::Failed(_, problem) = outcome {
            println!("\n{}: {problem}", stage.name);
        }
    }
    let passed = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Passed(_)));
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen<'a>(stages: &'a [Stage], only: &[String]) -> anyhow::Result<Vec<&'a Stage>> {
    if let Some(unknown) = only.iter().find(|name| stages.iter().all(|stage| stage.name != **name)) {
        let names: Vec<&str> = stages.iter().map(|stage| stage.name).collect();
        bail!("there is no stage '{unknown}'; there are {}", names.join(", "));
    }
    Ok(stages.iter().filter(|stage| only.is_empty() || only.iter().any(|name| name == stage.name)).collect())
}

fn run_all(stages: &[&Stage], options: &Options) -> Vec<Outcome> {
    let mut goes_on = true;
    let mut outcomes = Vec::with_capacity(stages.len());
    for stage in stages {
        let outcome = if goes_on { perform(stage, options) } else { Outcome::Skipped };
        goes_on &= matches!((&outcome, &stage.needed), (Outcome::Passed(_), _) | (Outcome::Failed(..), Needed::ByNone));
        outcomes.push(outcome);
    }
    outcomes
}

fn perform(stage: &Stage, options: &Options) -> Outcome {
    println!("\n== {}", stage.name);
    let begun = Instant::now();
    match (stage.check)(options) {
        Ok(()) => Outcome::Passed(begun.elapsed()),
        Err(problem) => {
            println!("{}: {problem:#}", stage.name);
            Outcome::Failed(begun.elapsed(), format!("{problem:#}"))
        }
    }
}

fn verdict(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed(took) => format!("passed   {:>4} s", took.as_secs()),
        Outcome::Failed(took, _) => format!("FAILED   {:>4} s", took.as_secs()),
        Outcome::Skipped => "skipped".to_owned(),
    }
}

fn tools() -> anyhow::Result<()> {
    toolchain::ensure_checkers()?;
    toolchain::ensure_wasm_target()?;
    condition_tools()
}

/// What puts the program under conditions: a system call that fails, a clock that is wrong.
fn condition_tools() -> anyhow::Result<()> {
    let tools = [("strace", "--version"), ("faketime", "--version")];
    let missing: Vec<&str> =
        tools.into_iter().filter(|(tool, question)| !succeeds(Command::new(tool).arg(question))).map(|(tool, _)| tool).collect();
    apt::install(&missing, apt::Recommended::Not, "the tests need strace and faketime; install them")
}

fn format() -> anyhow::Result<()> {
    let host = run(&mut cargo(["fmt", "--all", "--check"]));
    let components = run(cargo(["fmt", "--all", "--check"]).args(COMPONENTS));
    host.and(components)
}

fn component_lints() -> anyhow::Result<()> {
    run(cargo(["clippy", "--all-targets"]).args(COMPONENTS).args(["--", "-D", "warnings"]))
}

fn component_wasm_lints() -> anyhow::Result<()> {
    run(cargo(["clippy", "--release", "--target", toolchain::WASM_TARGET]).args(COMPONENTS).args(["--", "-D", "warnings"]))
}

fn component_tests() -> anyhow::Result<()> {
    run(cargo(["test"]).args(COMPONENTS))?;
    run(cargo(["test", "--package", "inventory", "--features", "simulated"]).args(COMPONENTS))
}

fn kafka_jars() -> anyhow::Result<()> {
    kafka::jars::prepare().map(drop)
}

fn lints() -> anyhow::Result<()> {
    run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn tests(options: &Options) -> anyhow::Result<()> {
    let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
    if options.long {
        tests.env("MILLRACE_TEST_LONG", "1");
    }
    run_telling(&mut tests, Telling::OfTests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(_: &Options) -> anyhow::Result<()> {
        Ok(())
    }

    fn fails(_: &Options) -> anyhow::Result<()> {
        anyhow::bail!("on purpose")
    }

    fn outcomes(needed: Needed) -> Vec<String> {
        let (first, second) = (Stage { name: "a", needed, check: fails }, Stage { name: "b", needed: Needed::ByNone, check: passes });
        run_all(&[&first, &second], &Options { only: Vec::new(), long: false })
            .iter()
            .map(|outcome| verdict(outcome).chars().take(7).collect::<String>().trim().to_owned())
            .collect()
    }

    #[test]
    fn a_failure_lets_the_others_run_unless_they_need_it() {
        assert_eq!(outcomes(Needed::ByNone), ["FAILED", "passed"]);
        assert_eq!(outcomes(Needed::ByLaterStages), ["FAILED", "skipped"]);
    }

    #[test]
    fn one_stage_can_be_asked_for_by_its_name() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            chosen(&STAGES, &only).map(|stages| stages.iter().map(|stage| stage.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["web", "format"]).expect("both are there"), ["format", "web"]);
        assert_eq!(names(&[]).expect("all").len(), STAGES.len());
        let problem = names(&["wep"]).expect_err("no such stage").to_string();
        assert!(problem.contains("'wep'") && problem.contains("web"), "{problem}");
    }
}
