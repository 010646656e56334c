//! The commit that is built, for `millrace --version`.

use std::process::{Command, Stdio};

use crate::workspace;

/// The variable that the program is compiled with.
pub const VARIABLE: &str = "MILLRACE_COMMIT";

/// What the variable says already, or else what git says of this folder: twelve digits, and a plus if something was changed since. Outside a
/// clone there is none.
pub fn name() -> Option<String> {
    let given = std::env::var(VARIABLE).ok().filter(|given| !given.is_empty());
    given.or_else(|| {
        let mut git = Command::new("git");
        // A clone that has this folder somewhere within it is not this project's.
        git.arg("-C").arg(workspace::root()).args(["describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]);
        let output = git.env("GIT_CEILING_DIRECTORIES", ceiling()).stderr(Stdio::null()).output().ok()?;
        let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !name.is_empty()).then_some(name)
    })
}

/// Gives it to a cargo that compiles the program.
pub fn tell(cargo: &mut Command) {
    if let Some(name) = name() {
        cargo.env(VARIABLE, name);
    }
}

fn ceiling() -> std::path::PathBuf {
    workspace::root().parent().unwrap_or(workspace::root()).to_owned()
}
