//! What puts the program under conditions: a system call that fails, a clock that is wrong.

use std::process::Command;

use crate::apt;
use crate::command::succeeds;

/// Installs the tools that are missing.
pub fn ensure_tools() -> anyhow::Result<()> {
    let tools = [("strace", "--version"), ("faketime", "--version")];
    let missing: Vec<&str> =
        tools.into_iter().filter(|(tool, question)| !succeeds(Command::new(tool).arg(question))).map(|(tool, _)| tool).collect();
    apt::install(&missing, apt::Recommended::Not, "the tests need strace and faketime; install them")
}
