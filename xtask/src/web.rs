//! The pages in `web/`: built and tested with node, where there is one. The host serves a page that says so where there is none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{fs, io};

use anyhow::bail;

use crate::command::{Telling, output, run, run_telling, succeeds};
use crate::{apt, build, kafka, workspace};

/// Where Debian puts it, without windows and with; `CHROMIUM` names another. The first is half the work for the processors.
const CHROMIUM: [&str; 2] = ["/usr/bin/chromium-headless-shell", "/usr/bin/chromium"];

/// What is in their folder and no source of them.
const NO_SOURCES: [&str; 5] = ["dist", "node_modules", "playwright-report", "test-results", "tests"];

/// Why there are no pages, and what to do about it.
const NO_NODE: &str = "node is missing (20.19 or newer of 20, 22.12 or newer; from https://nodejs.org)";

/// Builds the pages, or says why not: the host runs without them.
pub fn build_if_possible() -> anyhow::Result<()> {
    if has_node() {
        return build();
    }
    println!("  {NO_NODE}, so the store has no pages; its API works. Later: npm --prefix web ci && npm --prefix web run build");
    Ok(())
}

/// Lints, tests of the logic, and tests in a browser against the real program: as one process, and as three with a Kafka.
pub fn test() -> anyhow::Result<()> {
    kafka::jars::prepare()?;
    let host = ready()?;
    run(&mut npm(["run", "lint"]))?;
    run(&mut npm(["run", "test"]))?;
    run(npm(["run", "api:check"]).env("MILLRACE_BIN", &host))?;
    run_telling(npm(["run", "e2e"]).env("MILLRACE_BIN", &host), Telling::Last)
}

/// What pages weigh and how soon they are there, in a browser that has the machine for itself.
pub fn figures() -> anyhow::Result<()> {
    run_telling(npm(["run", "figures"]).env("MILLRACE_BIN", ready()?), Telling::Last)
}

/// Has pages, a browser and the program. The path is that of the program.
fn ready() -> anyhow::Result<PathBuf> {
    install()?;
    ensure_chromium()?;
    build()?;
    build::host(build::Profile::Dev)
}

/// Takes the pictures in `docs/screenshots` of every page.
pub fn screenshots() -> anyhow::Result<()> {
    install()?;
    ensure_chromium()?;
    ensure_font()?;
    build()?;
    build::components()?;
    run(npm(["run", "screenshots"]).env("MILLRACE_BIN", build::host(build::Profile::Dev)?))
}

/// Builds the pages, unless those that are there are newer than everything that they are built from.
pub fn build() -> anyhow::Result<()> {
    install()?;
    if is_built(&folder()) {
        return Ok(());
    }
    run(&mut npm(["run", "build"]))
}

fn is_built(folder: &Path) -> bool {
    // Vite writes it last but for what it compresses, which takes a moment.
    let built = folder.join("dist/index.html").metadata().and_then(|page| page.modified());
    built.is_ok_and(|built| newest(folder, &NO_SOURCES).is_ok_and(|changed| changed < built))
}

/// When something in a folder was changed last, but for those of these names. A folder is changed when something in it goes.
fn newest(folder: &Path, but: &[&str]) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if but.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let found = entry.metadata()?;
        newest = newest.max(found.modified()?);
        if found.is_dir() {
            newest = newest.max(self::newest(&entry.path(), but)?);
        }
    }
    Ok(newest)
}

/// Gets what the pages are made with, unless it is there.
pub fn install() -> anyhow::Result<()> {
    if !has_node() {
        bail!("{NO_NODE}");
    }
    if is_installed() {
        return Ok(());
    }
    // Debian's browser is used, not Playwright's.
    run(npm(["ci", "--no-audit", "--no-fund"]).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1"))
}

/// Whether what is installed is not older than the list of what is wanted.
fn is_installed() -> bool {
    let changed = |file: PathBuf| file.metadata().and_then(|found| found.modified()).ok();
    let installed = changed(folder().join("node_modules/.package-lock.json"));
    installed.is_some_and(|installed| changed(folder().join("package-lock.json")).is_some_and(|wanted| wanted <= installed))
}

/// Installs a browser where there is none.
pub fn ensure_chromium() -> anyhow::Result<()> {
    if std::env::var_os("CHROMIUM").is_some() || CHROMIUM.iter().any(|place| Path::new(place).exists()) {
        return Ok(());
    }
    let otherwise = "a browser is missing: install Chromium and name it, for example CHROMIUM=/opt/chromium/chrome";
    // Not every system that has apt-get has it without windows.
    apt::install(&["chromium-headless-shell", "fonts-liberation"], apt::Recommended::Not, otherwise)
        .or_else(|_| apt::install(&["chromium"], apt::Recommended::Too, otherwise))
}

/// Text is written with the reader's own font. Pictures show one that looks like those that most readers have.
fn ensure_font() -> anyhow::Result<()> {
    if output(Command::new("fc-list").args(["--quiet", "Inter"])).is_ok() {
        return Ok(());
    }
    let otherwise = "the pictures are taken with the font Inter: install it (Debian: fonts-inter)";
    apt::install(&["fonts-inter"], apt::Recommended::Not, otherwise)
}

fn has_node() -> bool {
    let version = output(Command::new("node").arg("--version"));
    version.is_ok_and(|version| is_new_enough(&version)) && succeeds(Command::new("npm").arg("--version"))
}

/// Of what `node --version` prints, `v20.19.2`; the same as `engines` in web/package.json.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(20), Some(minor)) => minor >= 19,
        (Some(major), Some(minor)) => (major, minor) >= (22, 12),
        _ => false,
    }
}

fn npm<const N: usize>(arguments: [&str; N]) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(folder()).args(arguments);
    command
}

fn folder() -> PathBuf {
    workspace::root().join("web")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_built_again_when_something_that_they_are_made_of_has_changed_or_gone() {
        let folder = std::env::temp_dir().join(format!("millrace-web-{}", std::process::id()));
        let write = |name: &str, hour: u64| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(3600 * hour);
            fs::File::create(path).and_then(|file| file.set_modified(time)).expect("a file");
        };
        let settle = |name: &str| {
            let time = SystemTime::UNIX_EPOCH;
            fs::File::open(folder.join(name)).and_then(|folder| folder.set_modified(time)).expect("a folder");
        };
        write("src/App.tsx", 1);
        settle("src");
        assert!(!is_built(&folder), "there are no pages");
        write("dist/index.html", 2);
        write("tests/journey.ts", 3);
        assert!(is_built(&folder));
        write("src/App.tsx", 3);
        assert!(!is_built(&folder), "a source is newer");
        write("src/App.tsx", 1);
        fs::remove_file(folder.join("src/App.tsx")).expect("it was there");
        assert!(!is_built(&folder), "a source has gone");
        fs::remove_dir_all(folder).expect("tidied up");
    }

    #[test]
    fn each_project_of_the_tests_in_a_browser_is_run_by_a_script() {
        let read = |file: &str| fs::read_to_string(folder().join(file)).expect("it is there");
        let (config, scripts) = (read("playwright.config.ts"), read("package.json"));
        let (_, list) = config.split_once("projects: [").expect("a list of projects");
        let projects: Vec<&str> = list.split("name: '").skip(1).filter_map(|rest| rest.split('\'').next()).collect();
        assert!(projects.contains(&"stack"), "{projects:?}");
        for project in projects {
            assert!(scripts.contains(&format!("--project={project}")), "no script of web/package.json runs the project '{project}'");
        }
    }

    #[test]
    fn an_old_node_is_none() {
        let told = ["v18.20.4", "v20.18.3", "v20.19.0\n", "v21.7.3", "v22.11.0", "v22.12.0", "v24.1.0", "v24", ""].map(is_new_enough);
        assert_eq!(told, [false, false, true, false, false, true, true, false, false]);
    }
}
