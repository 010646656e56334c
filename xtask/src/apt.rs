//! Debian's packages, for what the project needs and a bare machine lacks.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;

use crate::command::{run, succeeds};

/// Whether this process knows of the newest packages.
static UPDATED: AtomicBool = AtomicBool::new(false);

/// Whether what a package recommends is installed with it.
#[derive(Clone, Copy)]
pub enum Recommended {
    /// Fonts for a browser, for one.
    Too,
    /// Only what it cannot do without.
    Not,
}

/// Installs `packages`. `otherwise` says what a person should do where there is no apt-get.
pub fn install(packages: &[&str], recommended: Recommended, otherwise: &str) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("{otherwise}");
    }
    println!("Adding {} with apt-get", packages.join(", "));
    if !UPDATED.swap(true, Ordering::Relaxed) {
        run(Command::new("apt-get").args(["update", "--quiet"]))?;
    }
    let flag = match recommended {
        Recommended::Too => "--install-recommends",
        Recommended::Not => "--no-install-recommends",
    };
    run(Command::new("apt-get").args(["install", "--yes", "--quiet", "--option", "DPkg::Lock::Timeout=600", flag]).args(packages))
}
