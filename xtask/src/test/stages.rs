//! What is checked: the stages, what each needs and how much of the machine it wants.

use anyhow::bail;

use super::Done;
use super::attempts::Attempt;
use crate::build::{self, Profile};
use crate::command::{Telling, cargo, run, run_heard};
use crate::{
    api, bench, chaos, commit, conditions, container_files, containers, dependencies, dist, docs, downloads, kafka, languages,
    observability, toolchain, web,
};

const COMPONENTS: [&str; 2] = ["--manifest-path", "components/Cargo.toml"];
/// How a line of cargo begins that says that everything is compiled and is run now.
const CARGO_RUNS: &str = "     Running ";

/// A check: its name, the stages that it makes no sense without, and what it does.
pub struct Stage {
    /// As people type it.
    pub name: &'static str,
    /// Each of them stands before it in [`STAGES`].
    pub needs: &'static [&'static str],
    /// Whether it is part of a run that nobody has asked for by name.
    pub runs: Runs,
    /// What may be beside it.
    pub load: Load,
    /// Does it. What it writes to its output is its log.
    pub check: fn(&Run) -> anyhow::Result<Done>,
}

/// When a stage is run without being asked for by name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    Always,
    /// With `--full`.
    InFull,
}

/// What a stage wants of the machine, and so what may be beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Hardly anything, such as a network: it may be beside everything but what wants to be alone.
    Little,
    /// Every processor: one such stage at a time. If no stage needs it, processors go to others first.
    Computes,
    /// Less than one processor, because it waits for programs that it has started: as many at a time as there are processors, and never
    /// fewer than two.
    Waits,
    /// As `Computes`, until its log has a line that begins with this; then as `Waits`.
    ComputesUntil(&'static str),
    /// The machine, because figures are taken or everything is compiled anew.
    Alone,
}

/// What stages are told.
pub struct Run {
    /// The long forms of tests.
    pub long: bool,
    /// The names of all stages of the run.
    pub stages: Vec<String>,
}

/// In this sequence, as far as what they need and want lets them begin: what others need comes first, then what takes longest.
pub const STAGES: [Stage; 26] = [
    always("tools", &[], Load::Little, |_| done(tools())),
    always("downloads", &[], Load::Little, |run| {
        downloads::fetch(&run.stages);
        Ok(Done::Checked)
    }),
    always("format", &["tools"], Load::Little, |_| done(format())),
    always("components: build", &["tools"], Load::Computes, |_| done(build::with_fixtures())),
    always("program", &["tools"], Load::Computes, |_| done(build::host(Profile::Dev).map(drop))),
    always("pages", &["downloads"], Load::Computes, |_| done(web::build_if_possible())),
    always("kafka: jars", &["downloads"], Load::Little, |_| done(kafka::jars::prepare().map(drop))),
    always("dependencies", &["downloads"], Load::Little, |_| done(dependencies::check())),
    always("container files", &["downloads"], Load::Little, |_| container_files::check()),
    always("web", &["components: build", "program", "pages", "kafka: jars"], Load::Waits, |_| done(web::test())),
    always("tests: build", &["program"], Load::Computes, |_| done(run(tests().arg("--no-run")))),
    always("tests", &["tests: build", "components: build", "kafka: jars"], Load::ComputesUntil(CARGO_RUNS), |run| done(run_tests(run))),
    always("api", &["components: build", "program", "downloads"], Load::Waits, |_| done(api::check())),
    always("chaos", &["components: build", "program", "kafka: jars"], Load::Waits, |_| done(chaos::quick())),
    always("docs", &["components: build", "program", "downloads"], Load::Waits, |_| done(docs::check())),
    // It builds step after step, and each is tried within a time: what gives way to all others would be late.
    always("languages", &["components: build", "program", "downloads"], Load::Waits, |_| done(languages::check())),
    always("dist", &["components: build", "program", "pages"], Load::Waits, |_| done(dist::check(Profile::Dev))),
    // An order has a second to be delivered in.
    always("containers", &["components: build", "program", "pages", "kafka: jars"], Load::Alone, |_| containers::check()),
    always("observability", &["components: build", "program", "kafka: jars"], Load::Waits, |_| done(observability::check())),
    always("components: lints", &["components: build"], Load::Computes, |_| done(component_lints())),
    always("components: lints in wasm", &["components: build"], Load::Computes, |_| done(component_wasm_lints())),
    always("components: tests", &["components: build"], Load::Computes, |_| done(component_tests())),
    always("lints", &["tools"], Load::Computes, |_| done(lints())),
    always("web: figures", &["components: build", "program", "pages"], Load::Alone, |_| done(web::figures())),
    in_full("release", &["components: build", "pages"], |_| done(dist::check(Profile::Release))),
    in_full("bench", &["tools", "kafka: jars"], |_| done(bench::goals())),
];

const fn always(name: &'static str, needs: &'static [&'static str], load: Load, check: fn(&Run) -> anyhow::Result<Done>) -> Stage {
    Stage { name, needs, runs: Runs::Always, load, check }
}

const fn in_full(name: &'static str, needs: &'static [&'static str], check: fn(&Run) -> anyhow::Result<Done>) -> Stage {
    Stage { name, needs, runs: Runs::InFull, load: Load::Alone, check }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<Done> {
    result.map(|()| Done::Checked)
}

impl Stage {
    /// Whether it is run only after the one of that name.
    pub fn waits_for(&self, name: &str) -> bool {
        self.name != name && closure([self.name]).contains(&name)
    }

    /// Whether another one needs it.
    pub fn is_waited_for(&self) -> bool {
        STAGES.iter().any(|stage| stage.needs.contains(&self.name))
    }
}

/// The stage of that name; the error names those that there are.
pub fn find(name: &str) -> anyhow::Result<&'static Stage> {
    let Some(stage) = STAGES.iter().find(|stage| stage.name == name) else {
        let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        bail!("there is no stage '{name}'; there are {}", names.join(", "));
    };
    Ok(stage)
}

/// Those of these names, or, without any, those of every run, `full` or not; and what they need.
pub fn chosen(only: &[String], full: bool) -> anyhow::Result<Vec<&'static Stage>> {
    only.iter().try_for_each(|name| find(name).map(drop))?;
    let is_asked_for = |stage: &&Stage| {
        let usual = only.is_empty() && (stage.runs == Runs::Always || full);
        usual || only.iter().any(|name| name == stage.name) || (full && stage.runs == Runs::InFull)
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

fn tests() -> std::process::Command {
    let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
    // The program is the same as for the other stages.
    commit::tell(&mut tests);
    tests
}

fn run_tests(run: &Run) -> anyhow::Result<()> {
    conditions::ensure_tools()?;
    let mut tests = tests();
    // Most of them wait for programs that they have started: with one for each processor three quarters of the machine would be idle.
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    tests.env("RUST_TEST_THREADS", (2 * processors).to_string());
    if run.long {
        tests.env("MILLRACE_TEST_LONG", "1");
    }
    let mut attempt = Attempt::default();
    let Err(problem) = run_heard(&mut tests, Telling::OfTests, |line| attempt.hear(line)) else { return Ok(()) };
    let Some(failed) = attempt.again() else { return Err(problem) };
    eprintln!("{problem}\n\nThese are tried once more, one after the other: {}", failed.join(", "));
    tests.args(["--", "--exact"]).args(failed).env("RUST_TEST_THREADS", "1");
    run_heard(&mut tests, Telling::OfTests, |_| {})?;
    eprintln!("Passed at the second attempt: {}", failed.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str], full: bool) -> anyhow::Result<Vec<&'static str>> {
        let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
        chosen(&only, full).map(|stages| stages.iter().map(|stage| stage.name).collect())
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
        assert_eq!(alone, ["tools", "downloads", "components: build", "program", "kafka: jars", "observability"]);
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

    #[test]
    fn a_stage_waits_for_what_it_needs_and_what_that_needs_but_not_for_itself() {
        let web = find("web").expect("it is there");
        assert_eq!(["program", "tools", "tests", "web"].map(|name| web.waits_for(name)), [true, true, false, false]);
        assert_eq!(["program", "lints"].map(|name| find(name).expect("it is there").is_waited_for()), [true, false]);
    }
}
