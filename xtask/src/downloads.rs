//! What the stages of the tests need from outside: fetched while cargo compiles, since most of that time is spent on waiting for networks and
//! disks. Each stage makes sure of what it needs all the same.

use std::time::Instant;

use crate::{api, conditions, container_files, containers, dependencies, docs, kafka, languages, prometheus, web};

/// Something from outside.
struct Download {
    what: &'static str,
    /// Who needs it.
    stages: &'static [&'static str],
    get: fn() -> anyhow::Result<()>,
}

const DOWNLOADS: [Download; 11] = [
    Download { what: "Kafka", stages: &["tests", "web", "containers", "observability", "bench"], get: || kafka::jars::prepare().map(drop) },
    Download { what: "tools that cause conditions", stages: &["tests"], get: conditions::ensure_tools },
    Download { what: "cargo-deny", stages: &["dependencies"], get: dependencies::prepare },
    Download { what: "checkers of container files", stages: &["container files"], get: container_files::prepare },
    Download { what: "Schemathesis", stages: &["api"], get: api::prepare },
    Download { what: "packages of the pages", stages: &["pages"], get: web::install },
    Download { what: "a browser", stages: &["web", "web: figures"], get: web::ensure_chromium },
    Download { what: "Prometheus", stages: &["observability"], get: prometheus::ensure_installed },
    Download { what: "packages of the languages", stages: &["languages"], get: languages::prepare },
    Download { what: "mdBook, curl and jq", stages: &["docs"], get: docs::prepare },
    Download { what: "what containers are made from", stages: &["containers"], get: containers::prepare },
];

/// Fetches what these stages of `cargo xtask test` need, one after the other. What cannot be had is told and is no obstacle to the rest:
/// whether it matters is for the stages to find out.
pub fn fetch(stages: &[String]) {
    for download in DOWNLOADS.iter().filter(|download| download.stages.iter().any(|stage| stages.iter().any(|name| name == stage))) {
        let begun = Instant::now();
        match (download.get)() {
            Ok(()) => println!("{}: there after {} s", download.what, begun.elapsed().as_secs()),
            Err(problem) => println!("{}: {problem:#}", download.what),
        }
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
