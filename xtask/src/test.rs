//! `cargo xtask test`: every check there is, each run even when one before it failed, with a summary at the end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;

use crate::build::Profile;
use crate::command::{Telling, cargo, run, run_telling};
use crate::downloads::Background;
use crate::{
    api, bench, build, commit, conditions, container_files, containers, dependencies, dist, docs, kafka, observability, toolchain, web,
};

const COMPONENTS: [&str; 2] = ["--manifest-path", "components/Cargo.toml"];

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

/// A check: its name, the stages that it makes no sense without, and what it does.
pub struct Stage {
    /// As people type it.
    pub name: &'static str,
    needs: &'static [&'static str],
    runs: Runs,
    check: fn(&mut Run) -> anyhow::Result<Done>,
}

/// When a stage is run without being asked for by name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Always,
    /// With `--full`.
    InFull,
}

/// What a stage came to that did not fail.
pub enum Done {
    /// It was checked, and is right.
    Checked,
    /// It cannot be checked on this machine; why. In CI that is a failure.
    NotChecked(String),
}

/// What stages are told, and share.
struct Run {
    long: bool,
    downloads: Option<Background>,
}

enum Outcome {
    Passed(Duration),
    Failed(Duration, String),
    NotChecked(String),
    Skipped,
}

/// In this sequence: what others need comes first, and what waits for downloads comes after what only computes.
pub const STAGES: [Stage; 20] = [
    always("tools", &[], |_| done(tools())),
    always("format", &["tools"], |_| done(format())),
    always("components: build", &["tools"], |_| done(build::with_fixtures())),
    always("components: lints", &["tools"], |_| done(component_lints())),
    always("components: lints in wasm", &["tools"], |_| done(component_wasm_lints())),
    always("components: tests", &["tools"], |_| done(component_tests())),
    always("lints", &["tools"], |_| done(lints())),
    always("downloads", &[], |run| done(run.downloads.as_mut().map_or(Ok(()), Background::wait))),
    always("kafka: jars", &["downloads"], |_| done(kafka::jars::prepare().map(drop))),
    always("dependencies", &["downloads"], |_| done(dependencies::check())),
    always("container files", &["downloads"], |_| container_files::check()),
    always("tests", &["tools", "components: build", "kafka: jars"], |run| done(tests(run.long))),
    always("api", &["components: build", "downloads"], |_| done(api::check())),
    always("web", &["components: build", "kafka: jars"], |_| done(web::test())),
    always("containers", &["tools", "kafka: jars"], |_| containers::check()),
    always("observability", &["components: build", "kafka: jars"], |_| done(observability::check())),
    always("docs", &["components: build", "downloads"], |_| done(docs::check())),
    always("dist", &["tools", "downloads"], |_| done(dist::check(Profile::Dev))),
    in_full("release", &["tools", "downloads"], |_| done(dist::check(Profile::Release))),
    in_full("bench", &["tools", "kafka: jars"], |_| done(bench::goals())),
];

const fn always(name: &'static str, needs: &'static [&'static str], check: fn(&mut Run) -> anyhow::Result<Done>) -> Stage {
    Stage { name, needs, runs: Runs::Always, check }
}

const fn in_full(name: &'static str, needs: &'static [&'static str], check: fn(&mut Run) -> anyhow::Result<Done>) -> Stage {
    Stage { name, needs, runs: Runs::InFull, check }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<Done> {
    result.map(|()| Done::Checked)
}

/// Where something cannot be checked: an error in CI, which has to check everything.
pub fn not_checked(why: String) -> anyhow::Result<Done> {
    if std::env::var_os("CI").is_some() {
        bail!("{why}");
    }
    Ok(Done::NotChecked(why))
}

impl Stage {
    /// Whether it is run only after the one of that name.
    #[cfg(test)]
    pub fn waits_for(&self, name: &str) -> bool {
        closure([self.name]).contains(&name)
    }
}

/// Runs every stage, or those that are asked for; success only if none of them failed.
pub fn test(options: &Options) -> anyhow::Result<ExitCode> {
    let stages = chosen(options)?;
    let downloads = stages.iter().any(|stage| stage.name == "downloads");
    let downloads = downloads.then(|| Background::begin(stages.iter().map(|stage| stage.name))).transpose()?;
    let begun = Instant::now();
    let outcomes = run_all(&stages, &mut Run { long: options.long, downloads });
    println!("\nSummary");
    for (stage, outcome) in stages.iter().zip(&outcomes) {
        println!("  {:<26} {}", stage.name, verdict(outcome));
    }
    println!("  {:<26} {:>13} s", "all", begun.elapsed().as_secs());
    for (stage, outcome) in stages.iter().zip(&outcomes) {
        if let Outcome::Failed(_, problem) = outcome {
            println!("\n{}: {problem}", stage.name);
        }
    }
    let passed = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Passed(_) | Outcome::NotChecked(_)));
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether its stages are there.
#[cfg(test)]
pub fn understand(options: &Options) -> anyhow::Result<()> {
    chosen(options).map(drop)
}

fn chosen(options: &Options) -> anyhow::Result<Vec<&'static Stage>> {
    let unknown = options.only.iter().find(|name| STAGES.iter().all(|stage| stage.name != **name));
    if let Some(unknown) = unknown {
        let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        bail!("there is no stage '{unknown}'; there are {}", names.join(", "));
    }
    let is_asked_for = |stage: &&Stage| {
        let usual = options.only.is_empty() && (stage.runs == Runs::Always || options.full);
        usual || options.only.iter().any(|name| name == stage.name) || (options.full && stage.runs == Runs::InFull)
    };
    let wanted = closure(STAGES.iter().filter(is_asked_for).map(|stage| stage.name));
    Ok(STAGES.iter().filter(|stage| wanted.contains(&stage.name)).collect())
}

/// These stages and what they need, and what that needs.
fn closure(names: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    let mut wanted: Vec<&'static str> = names.into_iter().collect();
    // Stages need earlier ones only, so one look from the last to the first finds all.
    for stage in STAGES.iter().rev().filter(|stage| !stage.needs.is_empty()) {
        if wanted.contains(&stage.name) {
            wanted.extend(stage.needs);
        }
    }
    wanted
}

fn run_all(stages: &[&Stage], run: &mut Run) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(stages.len());
    for stage in stages {
        let is_missing = |(before, outcome): (&&Stage, &Outcome)| {
            stage.needs.contains(&before.name) && matches!(outcome, Outcome::Failed(..) | Outcome::Skipped)
        };
        let lacks_something = stages.iter().zip(&outcomes).any(is_missing);
        outcomes.push(if lacks_something { Outcome::Skipped } else { perform(stage, run) });
    }
    outcomes
}

fn perform(stage: &Stage, run: &mut Run) -> Outcome {
    println!("\n== {}", stage.name);
    let begun = Instant::now();
    match (stage.check)(run) {
        Ok(Done::Checked) => Outcome::Passed(begun.elapsed()),
        Ok(Done::NotChecked(why)) => Outcome::NotChecked(why),
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
        Outcome::NotChecked(why) => format!("NOT CHECKED: {why}"),
        Outcome::Skipped => "skipped".to_owned(),
    }
}

fn tools() -> anyhow::Result<()> {
    toolchain::ensure_checkers()?;
    toolchain::ensure_wasm_target()
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

fn lints() -> anyhow::Result<()> {
    run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn tests(long: bool) -> anyhow::Result<()> {
    conditions::ensure_tools()?;
    let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
    // The program is the same as for the stages after this one.
    commit::tell(&mut tests);
    if long {
        tests.env("MILLRACE_TEST_LONG", "1");
    }
    run_telling(&mut tests, Telling::OfTests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(needs: &'static [&'static str]) -> Vec<String> {
        let first = always("a", &[], |_| bail!("on purpose"));
        let second = always("b", needs, |_| Ok(Done::Checked));
        let third = always("c", &["b"], |_| Ok(Done::Checked));
        let verdicts = run_all(&[&first, &second, &third], &mut Run { long: false, downloads: None });
        verdicts.iter().map(|outcome| verdict(outcome).chars().take(7).collect::<String>().trim().to_owned()).collect()
    }

    fn names(only: &[&str], full: bool) -> anyhow::Result<Vec<&'static str>> {
        let only = only.iter().map(|&name| name.to_owned()).collect();
        chosen(&Options { only, long: false, full }).map(|stages| stages.iter().map(|stage| stage.name).collect())
    }

    #[test]
    fn a_failure_lets_the_others_run_unless_they_need_it() {
        assert_eq!(outcomes(&[]), ["FAILED", "passed", "passed"]);
        assert_eq!(outcomes(&["a"]), ["FAILED", "skipped", "skipped"]);
    }

    #[test]
    fn stages_need_only_what_comes_before_them() {
        for (index, stage) in STAGES.iter().enumerate() {
            for need in stage.needs {
                let is_before = STAGES.iter().take(index).any(|before| before.name == *need && before.runs == Runs::Always);
                assert!(is_before, "{} needs '{need}'", stage.name);
            }
        }
    }

    #[test]
    fn a_stage_that_is_asked_for_by_its_name_brings_what_it_needs() {
        assert_eq!(names(&["format"], false).expect("it is there"), ["tools", "format"]);
        let alone = names(&["observability"], false).expect("it is there");
        assert_eq!(alone, ["tools", "components: build", "downloads", "kafka: jars", "observability"]);
        let problem = names(&["wep"], false).expect_err("no such stage").to_string();
        assert!(problem.contains("'wep'") && problem.contains("web"), "{problem}");
    }

    #[test]
    fn what_takes_long_is_run_in_full_or_by_its_name() {
        let usual = names(&[], false).expect("all that is usual");
        assert!(usual.contains(&"dist") && !usual.contains(&"release") && !usual.contains(&"bench"), "{usual:?}");
        assert_eq!(names(&[], true).expect("all").len(), STAGES.len());
        assert!(names(&["release"], false).expect("it is there").contains(&"release"));
    }
}
