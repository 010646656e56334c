//! `millrace wit`: the contract between this host and its components.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::made;
use crate::commands::printed::printing;
pub use crate::templates::{CONTRACT as FILE, Version};

/// The name of a world of this host's contract and its version, which is 0.1 where none is named; none for another name.
pub(super) fn world(text: &str) -> Option<(&str, Version)> {
    let (name, version) = text.split_once('@').unwrap_or((text, "0.1"));
    let version = match version {
        "0.1" | "0.1.0" => Version::First,
        "0.2" | "0.2.0" => Version::Second,
        _ => return None,
    };
    ["step", "reversible-step"].contains(&name).then_some((name, version))
}

fn version(text: &str) -> Result<Version, String> {
    let known = world(text).map(|(_, version)| version);
    known.ok_or_else(|| format!("this host has no world '{text}': it has step@0.1, reversible-step@0.1, step@0.2 and reversible-step@0.2"))
}

/// `millrace wit`.
#[derive(Debug, clap::Args)]
pub struct Wit {
    /// World whose contract is wanted, with its version: step@0.1 or step@0.2.
    #[arg(long, default_value = "step@0.1", value_name = "WORLD", value_parser = version)]
    world: Version,
    /// Folder to write `step.wit` into, which is made if it is not there; without one it is printed.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Prints or writes the contract.
#[must_use]
pub fn run(wit: &Wit) -> ExitCode {
    printing(|out| {
        match &wit.out {
            None => out.write_all(wit.world.text().as_bytes())?,
            Some(folder) => {
                let file = write(folder, wit.world)?;
                out.done(&format!("{} is written", file.display()))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes the contract into a folder, whole or not at all.
fn write(folder: &Path, version: Version) -> anyhow::Result<PathBuf> {
    made::folder(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    let file = folder.join(FILE);
    made::file(&file, version.text().as_bytes()).with_context(|| format!("cannot write '{}'", file.display()))?;
    Ok(file)
}
