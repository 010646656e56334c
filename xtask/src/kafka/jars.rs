//! The jars of a broker: what `xtask/kafka/pom.xml` names, copied by Maven into `target/kafka/libs`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{run, succeeds};
use crate::workspace;

/// Beside the jars: the pom that they were copied for.
const STAMP: &str = "pom.xml";

/// Where jars and brokers live.
pub fn folder() -> PathBuf {
    workspace::root().join("target/kafka")
}

/// What is written by hand: pom, broker settings, log settings.
pub fn sources() -> PathBuf {
    workspace::root().join("xtask/kafka")
}

/// Copies the jars unless those of this pom are there. The path is that of their folder.
pub fn prepare() -> anyhow::Result<PathBuf> {
    let libs = folder().join("libs");
    let pom = sources().join("pom.xml");
    if !succeeds(Command::new("java").arg("-version")) {
        bail!("Kafka needs a Java runtime, version 17 or newer (Debian: apt-get install default-jre-headless)");
    }
    let wanted = fs::read(&pom).with_context(|| format!("cannot read {}", pom.display()))?;
    if fs::read(libs.join(STAMP)).is_ok_and(|there| there == wanted) {
        return Ok(libs);
    }
    if !succeeds(Command::new("mvn").arg("--version")) {
        bail!("Kafka's jars are fetched by Maven (Debian: apt-get install maven)");
    }
    // Copied beside and renamed: a broker that starts meanwhile must not find half of them.
    let fresh = folder().join(format!("libs-{}", std::process::id()));
    let output = format!("-DoutputDirectory={}", fresh.display());
    eprintln!("Fetching Kafka's jars with Maven, 43 MB; this happens once");
    run(Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(&pom)
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(output))?;
    fs::write(fresh.join(STAMP), wanted)?;
    if libs.exists() {
        fs::remove_dir_all(&libs).with_context(|| format!("cannot replace {}", libs.display()))?;
    }
    fs::rename(&fresh, &libs).with_context(|| format!("cannot move the jars to {}", libs.display()))?;
    Ok(libs)
}
