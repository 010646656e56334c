//! What puts the program under conditions: a system call that fails, a clock that is wrong, a database server.

use std::process::Command;

use crate::apt;
use crate::command::succeeds;

/// Installs the tools that are missing.
pub fn ensure_tools() -> anyhow::Result<()> {
    let tools = [("strace", "--version"), ("faketime", "--version")];
    let mut missing: Vec<&str> =
        tools.into_iter().filter(|(tool, question)| !succeeds(Command::new(tool).arg(question))).map(|(tool, _)| tool).collect();
    if !has_postgres() {
        missing.push("postgresql");
    }
    apt::install(&missing, apt::Recommended::Not, "the tests need strace, faketime and PostgreSQL's server; install them")
}

/// Whether a server of PostgreSQL is where Debian puts it, which is not in the path.
fn has_postgres() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).any(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}
