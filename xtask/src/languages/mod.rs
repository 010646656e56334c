//! Whether a step can be written in each language that there is a template for: made, built, tested, checked and called as its README says,
//! with the tools that its build fetches; what each costs; and orders that pass a step of each language, while each of them is swapped.

mod crates;
mod orders;
mod preview1;
mod tools;
mod walk;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::Value;

use crate::command::{output, run_into};
use crate::{build, workspace};

pub use tools::prepare;

/// As `millrace new` names them. What is fetched for longest comes first: the others are built meanwhile.
const LANGUAGES: [&str; 6] = ["c", "python", "javascript", "typescript", "go", "rust"];
/// What the step of a template says of the job of that template: a quarter of the limit.
const SCORE: f64 = 0.25;
/// What the machine of all the languages keeps.
const DATA: &str = "data";
/// Where it keeps what was compiled.
const CACHE: &str = "data/components-cache";
/// Calls of a step whose times are compared.
const CALLS: usize = 9;
/// The columns of what a step costs.
const COSTS: &str = "| language | first build | again | file | compiled by the host | loaded from its cache | first call | p50 | memory of a call |\n|---|---|---|---|---|---|---|---|---|";

/// Which ones to make.
#[derive(Args)]
pub struct Options {
    /// Names of languages, as `millrace new` takes them; all without any.
    #[arg(value_parser = PossibleValuesParser::new(LANGUAGES))]
    names: Vec<String>,
    /// Also have orders pass one machine of all of them, fifty a second, while each is swapped for another version and back.
    #[arg(long, conflicts_with = "names")]
    orders: bool,
}

/// What a step costs, in the units of [`COSTS`].
struct Cost {
    language: String,
    first_build_seconds: f64,
    later_build_seconds: f64,
    megabytes: f64,
    compile_seconds: f64,
    load_seconds: f64,
    first_call_milliseconds: f64,
    call_milliseconds: f64,
    call_megabytes: f64,
}

/// Makes a step in each language, one after the other so that the times are its own, and prints what each costs.
pub fn languages(options: &Options) -> anyhow::Result<()> {
    tools::ensure_python()?;
    let program = build::host(build::Profile::Dev)?;
    let folder = folder()?;
    // What is there compiled would take no time, and a step that is made twice may be the same file.
    remove(&folder.join(if options.orders { DATA } else { CACHE }))?;
    let mut costs = Vec::new();
    for language in LANGUAGES.iter().filter(|language| options.names.is_empty() || options.names.iter().any(|name| name == *language)) {
        println!("Making a step in {language}");
        costs.push(make(&program, &folder, language)?);
    }
    print(costs);
    println!("They are in {}", workspace::shown(&folder));
    if options.orders { pass(&program, &folder, orders::ALONE) } else { Ok(()) }
}

/// Makes a step in each language, several at once, and has orders pass all of them. Everything is in `target/languages`.
pub fn check() -> anyhow::Result<()> {
    tools::ensure_python()?;
    // Made once, before several steps are built at once: two that make it at the same time empty it under each other.
    tools::go()?;
    let program = build::host(build::Profile::Dev)?;
    let folder = folder()?;
    // What an earlier machine knew of its steps.
    remove(&folder.join(DATA))?;
    print(make_all(&program, &folder)?);
    pass(&program, &folder, orders::BESIDE_OTHERS)
}

fn pass(program: &Path, folder: &Path, rate: u32) -> anyhow::Result<()> {
    let passed = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(orders::pass(program, folder, rate));
    passed.with_context(|| format!("the log is in {}", folder.display()))
}

fn folder() -> anyhow::Result<PathBuf> {
    let folder = workspace::target().join("languages");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    Ok(folder)
}

/// As many at once as there are processors, and two at least: part of the time each waits for what it fetches.
fn make_all(program: &Path, folder: &Path) -> anyhow::Result<Vec<Cost>> {
    let workers = thread::available_parallelism().map_or(2, |processors| processors.get().clamp(2, LANGUAGES.len()));
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<Vec<Cost>> {
        let mut costs = Vec::new();
        while let Some(language) = LANGUAGES.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            costs.push(make(program, folder, language)?);
            println!("{language}: made, built, tested, checked and called in {:.0} s", begun.elapsed().as_secs_f64());
        }
        Ok(costs)
    };
    thread::scope(|scope| {
        let working: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let made = working.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?);
        // All of them are waited for, whichever has failed.
        made.collect::<Vec<anyhow::Result<_>>>()
            .into_iter()
            .collect::<anyhow::Result<Vec<_>>>()
            .map(|costs| costs.into_iter().flatten().collect())
    })
}

fn name(language: &str) -> String {
    format!("in-{language}")
}

fn file(folder: &Path, language: &str) -> PathBuf {
    folder.join(name(language)).join(format!("{}.wasm", name(language)))
}

/// What the README of a template says, as far as nothing has to run for it. What its tools write is in a log beside it.
fn make(program: &Path, folder: &Path, language: &str) -> anyhow::Result<Cost> {
    make_in(program, folder, language).with_context(|| format!("a step in {language}"))
}

fn make_in(program: &Path, folder: &Path, language: &str) -> anyhow::Result<Cost> {
    let name = name(language);
    let (made, built, log) = (folder.join(&name), file(folder, language), folder.join(format!("{name}.log")));
    remove(&made)?;
    fs::write(&log, "").with_context(|| format!("{} cannot be written", log.display()))?;
    let begun = Instant::now();
    run_into(Command::new(program).args(["new", &name, "--lang", language, "--in"]).arg(folder), &log)?;
    let made_seconds = begun.elapsed();
    let fetches = made.join(tools::FETCHES);
    if fetches.is_file() {
        // Once for all steps of a user, so no part of what one takes.
        let begun = Instant::now();
        run_into(&mut tools::script(&fetches, program)?, &log)?;
        println!("{language}: its tools were there after {:.1} s", begun.elapsed().as_secs_f64());
    }
    let begun = Instant::now();
    let build = || -> anyhow::Result<f64> {
        let begun = Instant::now();
        run_into(&mut tools::script(&made.join("build.sh"), program)?, &log)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let first_build_seconds = build()?;
    let ordered = made_seconds + begun.elapsed() + walk::take(program, folder, language, &log)?;
    println!(
        "{language}: with its tools there, from nothing to a delivered order by {} commands in {:.0} s",
        walk::COMMANDS.len(),
        ordered.as_secs_f64()
    );
    let later_build_seconds = build()?;
    run_into(&mut tools::script(&made.join("test.sh"), program)?, &log)?;
    if language == "rust" {
        crates::check(&made)?;
        preview1::check(program, &made, &name, &log)?;
    }
    // That of the machine, which then starts with what was compiled here.
    let cache = folder.join(CACHE);
    let judge = || -> anyhow::Result<(Value, f64)> {
        let begun = Instant::now();
        let checked = output(Command::new(program).arg("check").arg(&built).arg("--cache").arg(&cache).args(["--output", "json"]))?;
        Ok((serde_json::from_str(&checked).context("the judgement is no JSON")?, begun.elapsed().as_secs_f64()))
    };
    let ((checked, _), (_, load_seconds)) = (judge()?, judge()?);
    let mut times = Vec::new();
    let mut bytes = 0.0;
    for _ in 0..CALLS {
        let mut call = Command::new(program);
        call.arg("call").arg(&built).arg("--input").arg(made.join("job.json")).arg("--cache").arg(&cache).args(["--output", "json"]);
        let called: Value = serde_json::from_str(&output(&mut call)?).context("the answer is no JSON")?;
        ensure_answers(&called, &name)?;
        times.push(called["seconds"].as_f64().context("the answer has no time")? * 1_000.0);
        bytes = called["memoryBytes"].as_f64().context("the answer has no memory")?;
    }
    let first_call_milliseconds = times[0];
    times.sort_by(f64::total_cmp);
    Ok(Cost {
        language: language.to_owned(),
        first_build_seconds,
        later_build_seconds,
        megabytes: checked["bytes"].as_f64().context("the judgement has no size")? / 1e6,
        compile_seconds: checked["compileSeconds"].as_f64().context("the judgement has no time")?,
        load_seconds,
        first_call_milliseconds,
        call_milliseconds: times[times.len() / 2],
        call_megabytes: bytes / f64::from(1 << 20),
    })
}

/// The answer to the job of the template.
fn ensure_answers(called: &Value, name: &str) -> anyhow::Result<()> {
    ensure!(called["results"]["score"] == SCORE && called["results"]["checked_by"] == name, "the step answers {called:#}");
    Ok(())
}

impl Cost {
    fn row(&self) -> String {
        format!(
            "| {} | {:.1} s | {:.1} s | {:.2} MB | {:.1} s | {:.0} ms | {:.1} ms | {:.1} ms | {:.1} MB |",
            self.language,
            self.first_build_seconds,
            self.later_build_seconds,
            self.megabytes,
            self.compile_seconds,
            self.load_seconds * 1_000.0,
            self.first_call_milliseconds,
            self.call_milliseconds,
            self.call_megabytes,
        )
    }
}

fn print(mut costs: Vec<Cost>) {
    costs.sort_by(|one, other| one.language.cmp(&other.language));
    println!("{COSTS}");
    costs.iter().for_each(|cost| println!("{}", cost.row()));
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_what_each_language_costs_in_the_columns_that_are_printed() {
        let page = read(&workspace::root().join("docs/authoring.md")).expect("the page");
        let (_, below) = page.split_once(COSTS).expect("the columns are those of the page");
        let rows: Vec<&str> = below.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
        let mut languages = LANGUAGES;
        languages.sort_unstable();
        assert_eq!(rows.iter().filter_map(|row| row.split(['|', ' ']).find(|word| !word.is_empty())).collect::<Vec<_>>(), languages);
        assert!(rows.iter().all(|row| row.matches('|').count() == COSTS.lines().next().map_or(0, |line| line.matches('|').count())));
    }
}
