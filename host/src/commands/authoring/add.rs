//! `millrace add`: a component's file put in place, and its module written into a config, whose comments and layout stay.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail, ensure};
use similar::TextDiff;

use super::check::nobody;
use super::keys::signature_of;
use super::made;
use super::subject::{Cache, Subject, read};
use crate::commands::one_worker;
use crate::commands::printed::printing;
use crate::config::insertion::{Between, Inserted, NewComponent, insert};
use crate::config::report::{Code, Problem, Severity};
use crate::config::{self, Checked, Environment};
use crate::durable::{self, beside};
use crate::runtime::{ActiveVersion, MAX_COMPONENT_BYTES, SIGNATURE_ENDING};
use crate::templates::name;

/// `millrace add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// Name of the module: lower-case letters, digits and hyphens. The file gets this name.
    #[arg(value_parser = name)]
    name: String,
    /// The component.
    file: PathBuf,
    /// The config.
    #[arg(long, short)]
    config: PathBuf,
    /// Grant it an HTTP service. May be given again.
    #[arg(long, value_name = "SERVICE=URL", value_parser = super::subject::grant)]
    grant: Vec<(String, String)>,
    /// Run it between two states of a workflow: a step, its states and transitions, and the hook are written too.
    #[arg(long, value_name = "FROM,TO", value_parser = states)]
    between: Option<(String, String)>,
    /// The workflow, where several have these states.
    #[arg(long, requires = "between")]
    workflow: Option<String>,
    /// The state that follows where the component refuses or fails; not needed if only one final state is an error.
    #[arg(long, value_name = "STATE", requires = "between")]
    otherwise: Option<String>,
    /// Only print what would be written.
    #[arg(long)]
    dry_run: bool,
    /// Where compiled code is kept.
    #[command(flatten)]
    cache: Cache,
}

fn states(text: &str) -> Result<(String, String), String> {
    let both = text.split_once(',').map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned()));
    both.filter(|(from, to)| !from.is_empty() && !to.is_empty()).ok_or("expected two states, for example validated,paying".into())
}

/// Judges the file, puts it beside the other components and adds its module.
#[must_use]
pub fn run(add: &Add) -> ExitCode {
    printing(|out| {
        let about = judged(add)?;
        // What a link leads to is what is written.
        let config = add.config.canonicalize().with_context(|| format!("cannot read the config '{}'", add.config.display()))?;
        let text = read("the config", &config)?;
        let environment = Environment::without_secret_files()?;
        let inserted = inserted(&text, add, &about, &environment)?;
        let place = place(add, &config, (&text, &inserted.text), &environment)?;
        write!(out, "{}", difference(&text, &inserted.text))?;
        for (line, pointer) in &inserted.also_named {
            writeln!(out, "see also line {line} ({pointer}), which names a state that has new ones behind it")?;
        }
        ensure!(
            !place.exists() || fs::read(&place).ok() == fs::read(&add.file).ok(),
            "there is another file at '{}': give the component another name, or remove that file",
            place.display()
        );
        if add.dry_run {
            writeln!(out, "the file would be {}; nothing was written", place.display())?;
            return Ok(ExitCode::SUCCESS);
        }
        put(&add.file, &place)?;
        write_as_it_was(&config, inserted.text.as_bytes())?;
        out.done(&format!("{} has the component '{}', whose file is {}", add.config.display(), add.name, place.display()))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn judged(add: &Add) -> anyhow::Result<ActiveVersion> {
    let subject = Subject::alone(&add.file, &add.grant, &add.cache);
    let mut settings = subject.settings()?.context("there is no config that could be wrong")?;
    // As the config will name it.
    settings.name.clone_from(&add.name);
    let workbench = subject.workbench(settings.clone(), &nobody(&settings))?;
    let runtime = one_worker()?;
    Ok(runtime.block_on(workbench.examine())?.about)
}

/// The config with the component.
fn inserted(text: &str, add: &Add, about: &ActiveVersion, environment: &Environment) -> anyhow::Result<Inserted> {
    let new = NewComponent { name: &add.name, expect: &about.name, description: &about.summary, grants: &add.grant };
    let (workflow, otherwise) = (add.workflow.as_deref(), add.otherwise.as_deref());
    let between = add.between.as_ref().map(|(from, to)| Between { workflow, from, to, otherwise });
    insert(text, &new, between.as_ref(), environment).map_err(|why| anyhow!("'{}' cannot be added to: {why}", add.config.display()))
}

/// The lines that differ, each with a few around it.
fn difference(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after).unified_diff().context_radius(2).to_string()
}

/// Where the file of the new component belongs, if the config is as right with it as it was without.
fn place(add: &Add, config: &Path, (text, changed): (&str, &str), environment: &Environment) -> anyhow::Result<PathBuf> {
    let errors = |checked: &Checked| -> Vec<Problem> {
        let counts = |problem: &&Problem| problem.severity == Severity::Error && problem.code != Code::MissingFile;
        checked.report.problems.iter().filter(counts).cloned().collect()
    };
    let before = errors(&config::check_text(config, text, environment));
    let after = config::check_text(config, changed, environment);
    let made: Vec<String> = errors(&after)
        .into_iter()
        .filter(|problem| !before.iter().any(|known| known.pointer == problem.pointer && known.message == problem.message))
        .map(|problem| problem.message)
        .collect();
    if !made.is_empty() {
        bail!("'{}' would be wrong with it, and is left as it is: {}", add.config.display(), made.join("; "));
    }
    let placed = after.components.into_iter().find(|component| component.name == add.name).map(|component| component.source);
    let placed = placed.with_context(|| {
        format!("'{}' does not say where components are before its errors are mended: see `millrace validate`", add.config.display())
    })?;
    super::subject::file_of(placed)
}

/// Copies a component to its place with its signature, if it has one, each whole or not at all.
pub(super) fn put(file: &Path, place: &Path) -> anyhow::Result<()> {
    let size = fs::metadata(file).with_context(|| format!("cannot read '{}'", file.display()))?.len();
    ensure!(size <= MAX_COMPONENT_BYTES as u64, "'{}' has {size} bytes, and at most {MAX_COMPONENT_BYTES} are taken", file.display());
    let bytes = fs::read(file).with_context(|| format!("cannot read '{}'", file.display()))?;
    if let Some(folder) = place.parent() {
        made::folder(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    }
    // Before the file, which is looked at as soon as it is there.
    if let Some(text) = signature_of(file)? {
        write_as_it_was(&beside(place, SIGNATURE_ENDING), text.as_bytes())?;
    }
    write_as_it_was(place, &bytes)
}

/// Writes a file whole or not at all; whoever could read it before can read it after, and a new one whoever can read what the user makes.
fn write_as_it_was(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let written = if path.exists() { durable::replace(path, content) } else { made::durable_file(path, content) };
    written.with_context(|| format!("cannot write '{}'", path.display()))
}
