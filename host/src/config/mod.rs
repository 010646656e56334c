//! From YAML to a checked [`Plan`]: text, then values with positions (`tree`, `expand`), then what fits the schema
//! (`schema`, `structure`), then the typed [`document`], then what it means (`resolve`).
//!
//! Every problem of a file is reported at once, at its line and column, with what would be accepted. Nothing here opens a
//! database, a socket or a component; whether a named file is there is all that is asked of the disk. What loading the components finds is
//! added by those who load them.

pub mod blotted;
pub mod changes;
pub mod commands;
mod context;
pub mod document;
pub mod draws;
pub mod env;
mod expand;
mod figures;
mod files;
mod finding;
mod flaws;
pub mod found_by;
pub mod insertion;
pub mod leaf;
mod module_type;
pub mod modules;
pub mod outward;
pub mod report;
mod resolve;
mod schema;
mod secrets;
mod sections;
mod structure;
mod suggest;
mod topics;
mod tree;
mod values;
mod written;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::plan::{Plan, Seeds};
use crate::runtime::ComponentSettings;
use document::Document;
pub use env::Environment;
use finding::{Finding, Findings, Span};
use report::{Code, Position, Severity};
pub use report::{Problem, Report};
pub use schema::schema;
use tree::{NamedVariables, Place, Tree, Unset};

/// A config after all checks.
#[derive(Debug)]
pub struct Checked {
    /// What it means; absent if there is an error.
    pub plan: Option<Plan>,
    /// Errors and warnings.
    pub report: Report,
    /// Its components, even if something else is wrong.
    pub components: Vec<ComponentSettings>,
    /// Its files of what is there from the first start, even if something else is wrong.
    pub seeds: Seeds,
    places: HashMap<String, Place>,
    names: Vec<Option<String>>,
}

impl Checked {
    /// Adds what loading a component has found: the file of `module` would not be taken, for this reason.
    pub fn reject_component(&mut self, module: &str, reason: &str) {
        self.reject(module, "source", Code::Component, reason);
    }

    /// Adds what reading a file of resources or users has found: the seed file of `module` would not be taken, for this reason.
    pub fn reject_seed(&mut self, module: &str, reason: &str) {
        self.reject(module, "seedFile", Code::Seed, reason);
    }

    fn reject(&mut self, module: &str, setting: &str, code: Code, reason: &str) {
        let index = self.names.iter().position(|name| name.as_deref() == Some(module));
        let pointer = index.map_or_else(String::new, |index| format!("/modules/{index}/config/{setting}"));
        let mut findings = Findings::default();
        findings.error(pointer.clone(), code, reason, None);
        // What the reason says as well.
        self.report.problems.retain(|problem| problem.pointer != pointer || problem.code != Code::MissingFile);
        self.report.problems.extend(findings.into_list().into_iter().map(|finding| {
            let mut problem = locate(&(finding, None), &self.places);
            problem.module = module_of(&problem.pointer, &self.names);
            problem
        }));
        sort(&mut self.report.problems);
        self.plan = None;
    }
}

fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
    problems.dedup();
}

/// Reads a config and makes its plan.
///
/// # Errors
/// Every problem of the file, warnings included, if one of them is an error.
pub fn load(path: &Path, environment: &Environment) -> Result<(Plan, Vec<Problem>), Report> {
    let checked = check_file(path, environment);
    match checked.plan {
        Some(plan) => Ok((plan, checked.report.problems)),
        None => Err(checked.report),
    }
}

/// Reads a config and checks it.
#[must_use]
pub fn check_file(path: &Path, environment: &Environment) -> Checked {
    check_file_for(path, environment, Purpose::Run)
}

fn check_file_for(path: &Path, environment: &Environment, purpose: Purpose) -> Checked {
    match read(path) {
        Ok(text) => check_text_for(path, &text, environment, purpose),
        Err(message) => {
            let mut findings = Findings::default();
            findings.error("", Code::Unreadable, message, None);
            let problems = findings.into_list().into_iter().map(|finding| locate(&(finding, None), &HashMap::new())).collect();
            let report = Report { file: path.to_owned(), source: "".into(), problems };
            Checked { plan: None, report, components: Vec::new(), seeds: Seeds::default(), places: HashMap::new(), names: Vec::new() }
        }
    }
}

/// Reads a config to say what it is about, on a machine where it may not be able to run: variables need not be set, files that it names
/// need not be there, and secrets are not looked at.
///
/// # Errors
/// What is wrong with the file itself.
pub fn describe(path: &Path, environment: &Environment) -> Result<Plan, Report> {
    let checked = check_file_for(path, environment, Purpose::Describe);
    checked.plan.ok_or(checked.report)
}

/// Reads a config to work on the database or the topics of its process by a command. The shell of an operator does not have the secrets of
/// the service, and a file that is missing hinders nothing of this: only what says where the database and the broker are is wanted.
///
/// # Errors
/// What is wrong with the file itself, and each variable that is not set and says where they are.
pub fn for_repair(path: &Path, environment: &Environment) -> Result<Plan, Report> {
    let checked = check_file_for(path, environment, Purpose::Repair);
    checked.plan.ok_or(checked.report)
}

/// What a config is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To run here.
    Run,
    /// To be described.
    Describe,
    /// To repair what its process keeps.
    Repair,
}

impl Purpose {
    /// Whether a finding is about where the config runs, and not about the config.
    fn ignores(self, finding: &Finding) -> bool {
        self != Self::Run && matches!(finding.code, Code::MissingFile | Code::WeakSecret)
    }
}

/// Checks the text of a config as if it were the file `path`.
#[must_use]
pub fn check_text(path: &Path, text: &str, environment: &Environment) -> Checked {
    check_text_for(path, text, environment, Purpose::Run)
}

fn check_text_for(path: &Path, text: &str, environment: &Environment, purpose: Purpose) -> Checked {
    let mut tree = Tree::parse(text, environment, if purpose == Purpose::Run { Unset::Wrong } else { Unset::Open });
    if purpose == Purpose::Repair {
        let wanted = modules_to_repair(&tree.value);
        let open = std::mem::take(&mut tree.open);
        let (wrong, open) = open.into_iter().partition(|(pointer, _)| wanted.iter().any(|module| pointer.starts_with(module)));
        tree.open = open;
        tree.problems.extend(BTreeMap::into_values(wrong).flatten());
    }
    let source = blotted::starred(text).into();
    let mut problems: Vec<Problem> = tree.problems.iter().map(|finding| locate(finding, &tree.places)).collect();
    let (mut plan, mut names) = (None, Vec::new());
    if !tree.places.is_empty() {
        names = module_names(&tree.value);
        let mut value = std::mem::take(&mut tree.value);
        let mut known: HashSet<String> = tree.problems.iter().map(|(finding, _)| finding.pointer.clone()).collect();
        known.extend(tree.open.keys().cloned());
        let structural = structure::check(&mut value, &known, &tree.expanded_text);
        let reported = Pointers(known.into_iter().chain(structural.iter().map(|finding| finding.pointer.clone())).collect());
        let replaced = structural.iter().filter(|f| f.code == Code::WrongType).map(|f| f.pointer.clone()).collect();
        let replaced = Pointers(replaced);
        let without_modules = structural.iter().any(|f| f.pointer == "/modules");
        let mut later = Findings::default();
        plan = resolve_value(value, path, environment, &tree.variables, &mut later);
        let meant = later.into_list().into_iter().filter(|finding| !without_modules && !purpose.ignores(finding));
        let later = meant.filter(|finding| !follows_from(finding, &reported, &replaced));
        problems.extend(structural.into_iter().chain(later).map(|finding| locate(&(finding, None), &tree.places)));
        problems.iter_mut().for_each(|problem| problem.module = module_of(&problem.pointer, &names));
    }
    sort(&mut problems);
    let report = Report { file: path.to_owned(), source, problems };
    let components = plan.iter().flat_map(|plan| plan.components.iter().cloned()).collect();
    let seeds = plan.as_ref().map(Plan::seeds).unwrap_or_default();
    Checked { plan: plan.filter(|_| !report.has_errors()), report, components, seeds, places: tree.places, names }
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("cannot read the file: {e}");
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    // One byte more than allowed is enough to know.
    file.take(tree::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes).map_err(|e| format!("the file is not UTF-8 text: {e}"))
}

fn resolve_value(
    value: Value,
    path: &Path,
    environment: &Environment,
    variables: &NamedVariables,
    findings: &mut Findings,
) -> Option<Plan> {
    let document: Document = match serde_path_to_error::deserialize(value) {
        Ok(document) => document,
        Err(error) => {
            let pointer: String = error.path().to_string().replace(['.', '['], "/").replace(']', "");
            findings.error(format!("/{pointer}"), Code::InvalidValue, error.into_inner().to_string(), None);
            return None;
        }
    };
    let file = absolute_file(path, environment);
    Some(resolve::resolve(&document, environment, variables, &file, findings))
}

/// The file with the links of its folder resolved, so that `..` in its paths means what the file system means.
fn absolute_file(path: &Path, environment: &Environment) -> PathBuf {
    let path = environment.working_dir.join(path);
    match (path.parent().and_then(|folder| folder.canonicalize().ok()), path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// A problem that is there only because another one was reported already.
fn follows_from(finding: &Finding, reported: &Pointers, replaced: &Pointers) -> bool {
    let parent_reported = finding.pointer.rsplit_once('/').is_some_and(|(parent, _)| reported.0.contains(parent));
    if replaced.0.contains("") || replaced.has_around(&finding.pointer) || (finding.code == Code::MissingPart && parent_reported) {
        return true;
    }
    if reported.0.contains(&finding.pointer) {
        return finding.severity == Severity::Warning || finding.code != Code::Duplicate;
    }
    if finding.code != Code::Machine {
        return false;
    }
    // Which states can be reached is known only if the whole definition was.
    let about_a_state = finding.pointer.split('/').nth(5) == Some("states");
    let definition: String = finding.pointer.split('/').take(5).collect::<Vec<_>>().join("/");
    reported.has_within(&finding.pointer) || reported.has_around(&finding.pointer) || (about_a_state && reported.has_within(&definition))
}

/// JSON pointers, asked about what lies within what.
struct Pointers(BTreeSet<String>);

impl Pointers {
    /// Whether one of them is this one, or within it.
    fn has_within(&self, outer: &str) -> bool {
        let within = format!("{outer}/");
        !outer.is_empty()
            && (self.0.contains(outer) || self.0.range(within.clone()..).next().is_some_and(|first| first.starts_with(&within)))
    }

    /// Whether one of them is this one, or this one is within it; the whole is not asked about.
    fn has_around(&self, inner: &str) -> bool {
        let ends = inner.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([inner.len()]);
        ends.into_iter().any(|end| end > 0 && self.0.contains(&inner[..end]))
    }
}

/// The beginnings of the JSON pointers of what says where the database and the topics are.
fn modules_to_repair(value: &Value) -> Vec<String> {
    let modules = value.get("modules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let kind = |module: &Value| module.get("type").and_then(Value::as_str).map(str::to_owned);
    let wanted = |module: &Value| {
        kind(module).is_some_and(|kind| matches!(kind.as_str(), "persistence.store" | "messaging.kafka" | "messaging.broker"))
    };
    (0..).zip(modules).filter(|(_, module)| wanted(module)).map(|(index, _): (usize, _)| format!("/modules/{index}/")).collect()
}

fn module_names(value: &Value) -> Vec<Option<String>> {
    let modules = value.get("modules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    modules.iter().map(|module| module.get("name").and_then(Value::as_str).map(str::to_owned)).collect()
}

fn module_of(pointer: &str, names: &[Option<String>]) -> Option<String> {
    let index = pointer.strip_prefix("/modules/")?.split('/').next()?.parse::<usize>().ok()?;
    names.get(index).cloned().flatten().filter(|name| !name.is_empty())
}

/// Puts a finding where it is written, or, where a key is missing, at what should have it.
fn locate((finding, span): &(Finding, Option<Span>), places: &HashMap<String, Place>) -> Problem {
    let start = Position { line: 1, column: 1 };
    let span = span.or_else(|| place_of(&finding.pointer, finding.at_key, places)).unwrap_or(Span { start, end: start });
    Problem {
        severity: finding.severity,
        line: span.start.line,
        column: span.start.column,
        end: (span.end > span.start).then_some(span.end),
        module: None,
        pointer: finding.pointer.clone(),
        code: finding.code,
        message: finding.message.clone(),
        help: finding.help.clone(),
    }
}

/// A value of several lines is shown by its key, where it has one.
fn place_of(pointer: &str, at_key: bool, places: &HashMap<String, Place>) -> Option<Span> {
    let mut pointer = pointer;
    loop {
        if let Some(Place { key, value }) = places.get(pointer) {
            let by_key = at_key || value.end.line > value.start.line || key.is_some_and(|key| value.start.line > key.start.line);
            return Some(key.filter(|_| by_key).unwrap_or(*value));
        }
        pointer = pointer.rsplit_once('/')?.0;
    }
}
