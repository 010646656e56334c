//! What the stages of the tests need from outside: fetched by a process of its own while cargo compiles, since most of that time is spent
//! on waiting for networks and disks. Each stage makes sure of what it needs all the same.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::time::Instant;

use anyhow::Context;
use clap::Args;

use crate::{api, conditions, container_files, containers, dependencies, docs, kafka, prometheus, web, workspace};

/// What to fetch.
#[derive(Args)]
pub struct Options {
    /// The stages of `cargo xtask test` that it is for.
    stages: Vec<String>,
}

/// Something from outside.
struct Download {
    what: &'static str,
    /// Who needs it.
    stages: &'static [&'static str],
    get: fn() -> anyhow::Result<()>,
}

const DOWNLOADS: [Download; 10] = [
    Download { what: "Kafka", stages: &["tests", "web", "containers", "observability", "bench"], get: || kafka::jars::prepare().map(drop) },
    Download { what: "tools that cause conditions", stages: &["tests"], get: conditions::ensure_tools },
    Download { what: "cargo-deny", stages: &["dependencies"], get: dependencies::prepare },
    Download { what: "checkers of container files", stages: &["container files"], get: container_files::prepare },
    Download { what: "Schemathesis", stages: &["api"], get: api::prepare },
    Download { what: "packages of the pages", stages: &["web", "containers", "dist", "release"], get: web::install },
    Download { what: "a browser", stages: &["web"], get: web::ensure_chromium },
    Download { what: "Prometheus", stages: &["observability"], get: prometheus::ensure_installed },
    Download { what: "mdBook, curl and jq", stages: &["docs"], get: docs::prepare },
    Download { what: "what containers are made from", stages: &["containers"], get: containers::prepare },
];

/// Fetches what these stages need, one after the other. What cannot be had is told, and no obstacle to the rest.
pub fn fetch(options: &Options) -> ExitCode {
    let wanted = DOWNLOADS.iter().filter(|download| download.stages.iter().any(|stage| options.stages.iter().any(|name| name == stage)));
    let mut code = ExitCode::SUCCESS;
    for download in wanted {
        let begun = Instant::now();
        match (download.get)() {
            Ok(()) => println!("{}: there after {} s", download.what, begun.elapsed().as_secs()),
            Err(problem) => {
                println!("{}: {problem:#}", download.what);
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The process that fetches.
pub struct Background {
    child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts it for these stages.
    pub fn begin<'a>(stages: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Self> {
        let log = workspace::target().join("downloads.log");
        let written = File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let copy = written.try_clone().context("the log of the downloads cannot be shared")?;
        let this = std::env::current_exe().context("cannot find this program, which also fetches")?;
        let child = Command::new(this).arg("fetch").args(stages).stdout(written).stderr(copy).spawn().context("downloads cannot begin")?;
        Ok(Self { child, log })
    }

    /// Waits for its end and shows what it has said, if something is missing. Whether that matters is for the stages to find out.
    pub fn wait(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().context("the downloads cannot be waited for")?;
        if !status.success() {
            let said = fs::read_to_string(&self.log).with_context(|| format!("{} cannot be read", self.log.display()))?;
            println!("Not everything could be fetched; stages that need what is missing will say so.\n{said}");
        }
        Ok(())
    }
}

/// Whoever stops waiting stops the downloads.
impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::STAGES;

    #[test]
    fn downloads_are_for_stages_that_there_are_and_that_wait_for_them() {
        for download in &DOWNLOADS {
            for name in download.stages {
                let stage = STAGES.iter().find(|stage| stage.name == *name);
                assert!(stage.is_some_and(|stage| stage.waits_for("downloads")), "{} is for '{name}'", download.what);
            }
        }
    }
}
