//! What every part of a config sees of the whole while its meaning is found: the other modules by name and by type, the sections, and the
//! world around.
//!
//! Modules are given here without their closed type, so that a module's own file can ask for others and no file depends on the list of all.

use std::any::Any;
use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::env::Environment;
use super::files;
use super::finding::Findings;
use super::report::Code;
use super::sections::{Triggers, Workflows};
use super::suggest;
use super::tree::NamedVariables;

/// Names that are compared with what was written to say what may have been meant. Nobody reads a suggestion for each of thousands of mistakes.
const MAX_COMPARED: usize = 100_000;

/// Where a module is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'d> {
    /// Position in `modules`.
    pub index: usize,
    /// Its name; empty if that was wrong.
    pub name: &'d str,
}

impl At<'_> {
    /// JSON pointer of the module.
    pub fn pointer(self) -> String {
        format!("/modules/{}", self.index)
    }

    /// JSON pointer of one of its settings; of all with an empty `key`.
    pub fn setting(self, key: &str) -> String {
        if key.is_empty() { format!("/modules/{}/config", self.index) } else { format!("/modules/{}/config/{key}", self.index) }
    }
}

/// One entry of `modules`.
pub(super) struct Entry<'d> {
    /// Where it is written.
    pub at: At<'d>,
    /// Name of its type; `None` if that was wrong.
    pub type_name: Option<&'static str>,
    /// Names of the modules that start before it.
    pub depends_on: &'d [String],
    /// By its type.
    pub settings: Option<&'d dyn Any>,
}

impl<'d> Entry<'d> {
    /// Its settings, if it is of this type.
    pub fn settings<T: Any>(&self) -> Option<&'d T> {
        self.settings?.downcast_ref()
    }

    /// Whether it is of one of these types.
    pub fn is_one_of(&self, types: &[&str]) -> bool {
        self.type_name.is_some_and(|name| types.contains(&name))
    }
}

/// What every part of the resolver sees.
pub(super) struct Context<'d> {
    /// All modules, in the sequence written.
    pub modules: Vec<Entry<'d>>,
    /// How they work together.
    pub workflows: &'d Workflows,
    /// What starts and moves workflows.
    pub triggers: &'d Triggers,
    /// Variables and places.
    pub environment: &'d Environment,
    /// Folder of the config file, absolute.
    pub base: &'d Path,
    /// Position of each module by its name; of several with one name, the first.
    by_name: HashMap<&'d str, usize>,
    /// Variables that scalars are made of, by pointer.
    variables: &'d NamedVariables,
    /// Names compared so far.
    compared: Cell<usize>,
}

impl<'d> Context<'d> {
    /// Of one file in the folder `base`.
    pub fn new(
        modules: Vec<Entry<'d>>,
        (workflows, triggers): (&'d Workflows, &'d Triggers),
        environment: &'d Environment,
        variables: &'d NamedVariables,
        base: &'d Path,
    ) -> Self {
        let by_name = modules.iter().rev().map(|entry| (entry.at.name, entry.at.index)).collect();
        Self { modules, workflows, triggers, environment, base, by_name, variables, compared: Cell::new(0) }
    }

    /// Modules of one type: where and how they are set, in the sequence written.
    pub fn all<T: Any>(&self) -> Vec<(At<'d>, &'d T)> {
        self.modules.iter().filter_map(|entry| Some((entry.at, entry.settings()?))).collect()
    }

    /// The first module of one type.
    pub fn first<T: Any>(&self) -> Option<(At<'d>, &'d T)> {
        self.modules.iter().find_map(|entry| Some((entry.at, entry.settings()?)))
    }

    /// The module of that name.
    pub fn module(&self, name: &str) -> Option<&Entry<'d>> {
        self.modules.get(*self.by_name.get(name)?)
    }

    /// The module that the value at `pointer` names, if it is of one of `types`; everything else is reported.
    pub fn named(&self, name: &str, types: &[&str], pointer: &str, findings: &mut Findings) -> Option<&Entry<'d>> {
        if name.is_empty() {
            return None;
        }
        let candidates = self.modules.iter().filter(|entry| entry.is_one_of(types));
        let help = || self.suggest(name, candidates.map(|entry| entry.at.name));
        let wanted = types.join(", ");
        let Some(entry) = self.module(name) else {
            findings.error(pointer, Code::UnknownName, format!("no module is named '{name}' (a name of type {wanted} is needed)"), help());
            return None;
        };
        let type_name = entry.type_name?;
        if !types.contains(&type_name) {
            let message = format!("'{name}' is of type {type_name}, but one of type {wanted} is needed");
            findings.error(pointer, Code::UnknownName, message, help());
            return None;
        }
        Some(entry)
    }

    /// What messages call the value at `pointer` by: the variables that it is made of, which is what an operator sets, or `otherwise`.
    pub fn called(&self, pointer: &str, otherwise: &str) -> String {
        match self.variables.get(pointer).map(Vec::as_slice) {
            None | Some([]) => otherwise.to_owned(),
            Some(names) => names.join(" and "),
        }
    }

    /// Whether somebody has set the value at `pointer`: it is written in the config, or made of a variable that is set, and no default alone.
    pub fn is_given(&self, pointer: &str) -> bool {
        let is_set = |name: &String| self.environment.variables.get(name).is_some_and(|value| !value.is_empty());
        self.variables.get(pointer).is_none_or(|names| names.is_empty() || names.iter().any(is_set))
    }

    /// What may have been meant by `given`, and what is accepted.
    pub fn suggest<'a>(&self, given: &str, accepted: impl IntoIterator<Item = &'a str>) -> String {
        if self.compared.get() > MAX_COMPARED {
            return "what is accepted is listed with the first problems of this kind".to_owned();
        }
        let accepted: Vec<&str> = accepted.into_iter().collect();
        self.compared.set(self.compared.get() + accepted.len());
        suggest::help(given, accepted)
    }

    /// Whether `given` may be a slip of one of these names.
    pub fn is_like_one_of(&self, given: &str, names: &[&str]) -> bool {
        let compared = self.compared.replace(self.compared.get() + names.len());
        compared <= MAX_COMPARED && suggest::closest(given, names).is_some()
    }

    /// A file that must be there, relative to the config file.
    pub fn existing_file(&self, path: &str, what: &str, pointer: &str, findings: &mut Findings) -> PathBuf {
        let absolute = files::absolute(self.base, path);
        if !path.is_empty() && !absolute.is_file() {
            let help = format!("it was looked for at {} (relative to the config file)", absolute.display());
            findings.error(pointer, Code::MissingFile, format!("{what} '{path}' is not there"), help);
        }
        absolute
    }
}
