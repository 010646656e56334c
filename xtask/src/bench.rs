//! `cargo xtask bench`: the programs under `host/benches`, optimised.

use clap::Args;

use crate::command::{cargo, run};
use crate::{build, kafka, toolchain};

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Names of benchmarks, all without any.
    names: Vec<String>,
}

/// Builds the components and runs the benchmarks.
pub fn bench(options: &Options) -> anyhow::Result<()> {
    toolchain::ensure_wasm_target()?;
    println!("Building the components");
    build::with_fixtures()?;
    kafka::jars::prepare()?;
    println!("Building the host optimised; the first time takes many minutes");
    let all = ["*".to_owned()];
    let names = if options.names.is_empty() { all.as_slice() } else { options.names.as_slice() };
    run(cargo(["bench", "--package", "millrace"]).args(names.iter().flat_map(|name| ["--bench", name])))
}

/// The figures that have goals.
pub fn goals() -> anyhow::Result<()> {
    bench(&Options { names: vec!["goals".to_owned()] })
}
