//! `millrace wit`: the contract between this host and its components.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::commands::printed::printing;
use crate::durable;

/// The file, as every tool that makes bindings reads it.
pub const FILE: &str = "step.wit";
/// What is in it.
pub const TEXT: &str = include_str!("../../../../wit/step.wit");

/// `millrace wit`.
#[derive(Debug, clap::Args)]
pub struct Wit {
    /// Folder to write `step.wit` into, which is made if it is not there; without one it is printed.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Prints or writes the contract.
#[must_use]
pub fn run(wit: &Wit) -> ExitCode {
    printing(|out| {
        match &wit.out {
            None => out.write_all(TEXT.as_bytes())?,
            Some(folder) => {
                let file = write(folder)?;
                out.done(&format!("{} is written", file.display()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes the contract into a folder, whole or not at all.
pub(super) fn write(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    let file = folder.join(FILE);
    durable::write(&file, &[TEXT.as_bytes()], durable::Sync::No).with_context(|| format!("cannot write '{}'", file.display()))?;
    Ok(file)
}
