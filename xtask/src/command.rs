//! Child processes that are waited for.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::workspace;

/// `cargo` with these arguments, in the repository's folder.
pub fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells this program about itself: some build scripts look at it, and would run anew whenever somebody calls
    // cargo by hand in between.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_about_this_package(name)) {
        command.env_remove(name);
    }
    command.current_dir(workspace::root()).args(arguments);
    command
}

fn is_about_this_package(variable: &OsStr) -> bool {
    variable.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// Runs `command`, its output where ours goes. The error repeats the command.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{} could not be started", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// What `command` writes to its standard output, without white space around it.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("{} could not be started", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed ({})", shown(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether `command` can be started and succeeds; what it writes is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_not_told_who_calls_it() {
        let told: Vec<_> = cargo(["--version"]).get_envs().map(|(name, value)| (name.to_owned(), value.is_some())).collect();
        assert!(told.contains(&("CARGO_PKG_NAME".into(), false)) && told.iter().all(|(_, is_set)| !is_set), "{told:?}");
    }
}
