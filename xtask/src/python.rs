//! Programs from PyPI, each group of them in an environment of its own under `target`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::command::{run, succeeds};
use crate::workspace;

/// Beside the programs: which they are.
const STAMP: &str = "programs.txt";
/// Debian's package with what makes an environment.
pub const DEBIAN_PACKAGE: &str = "python3-venv";

/// Whether there is a Python that can make an environment.
pub fn is_there() -> bool {
    succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"]))
}

/// The folder with the programs of `packages`, which are got once. Each is written `name==version`.
pub fn programs(name: &str, packages: &[&str]) -> anyhow::Result<PathBuf> {
    let folder = workspace::target().join(name);
    let (programs, stamp, wanted) = (folder.join("bin"), folder.join(STAMP), packages.join("\n"));
    if fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
        return Ok(programs);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(programs.join("pip")).args(["install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    fs::write(&stamp, wanted).with_context(|| format!("{} cannot be written", stamp.display()))?;
    Ok(programs)
}
