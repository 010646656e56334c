//! What people type, and what CI types: `cargo xtask run | test | build | bench | chaos | dist | kafka | languages | stack | containers`.
//!
//! It starts cargo and the host as child processes and says what it does; it knows nothing of what they are made of.

#![expect(clippy::print_stdout, reason = "it talks to a person")]
#![expect(clippy::disallowed_methods, reason = "what it is told beside its arguments is in its environment")]

mod api;
mod apt;
mod bench;
mod build;
mod chaos;
mod command;
mod commit;
mod conditions;
mod container_files;
mod containers;
mod customer;
mod dependencies;
mod dist;
mod docs;
mod downloads;
mod http;
mod kafka;
mod languages;
mod monolith;
mod observability;
mod parts;
mod patience;
mod prometheus;
mod python;
mod run;
mod scaled_shop;
mod secret;
mod simulate;
mod split_shop;
mod stack;
mod stop_signals;
mod test;
mod toolchain;
mod web;
mod whole_shop;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Starts, tests, builds and measures Millrace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds everything and starts the single-process store on this machine, until Ctrl-C.
    Run(run::Options),
    /// Checks everything: format, lints, components, all tests. Installs the wasm target, rustfmt and clippy if they are missing.
    Test(test::Options),
    /// Builds the step components into target/components, and the host.
    Build(build::Options),
    /// Runs the benchmarks.
    Bench(bench::Options),
    /// Breaks the program on purpose, again and again, and checks that what was promised still holds.
    Chaos(chaos::Options),
    /// Runs the engine, the scheduler, the relay and the consumers on a simulated machine, and breaks it from a seed.
    Simulate(simulate::Options),
    /// Builds everything and starts the store as several processes with Kafka on this machine, until Ctrl-C.
    Stack(stack::Options),
    /// Makes a step in each language that there is a template for, into target/languages, and prints what each costs.
    Languages(languages::Options),
    /// Runs Apache Kafka, one node on this machine, until Ctrl-C. Needs a JDK and, the first time, Maven.
    Kafka(kafka::Options),
    /// Runs the shop of docker-compose.yml as containers, without Docker and without a registry, tries it, and takes it down.
    Containers(containers::Options),
    /// Makes the tarball that Millrace is installed from, optimised, and tries it.
    Dist(dist::Options),
    /// Performs one stage of the tests. `test` calls this, with one end of a pipe as its standard input.
    #[command(hide = true)]
    Stage(test::StageOptions),
    /// Takes the pictures in docs/screenshots of every page of the store.
    Screenshots,
}

fn main() -> ExitCode {
    perform(&Arguments::parse().task).unwrap_or_else(|problem| {
        eprintln!("Error: {problem:#}");
        ExitCode::FAILURE
    })
}

/// Whether there is such a task, with such arguments; if not, why.
#[cfg(test)]
fn understand<'a>(words: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let arguments = Arguments::try_parse_from(std::iter::once("cargo xtask").chain(words)).map_err(|problem| problem.to_string())?;
    if let Task::Test(options) = &arguments.task { test::understand(options).map_err(|problem| problem.to_string()) } else { Ok(()) }
}

fn perform(task: &Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Run(options) => run::run(options),
        Task::Test(options) => test::test(options),
        Task::Build(options) => build::build(options).map(|()| ExitCode::SUCCESS),
        Task::Screenshots => web::screenshots().map(|()| ExitCode::SUCCESS),
        Task::Bench(options) => bench::bench(options).map(|()| ExitCode::SUCCESS),
        Task::Languages(options) => languages::languages(options).map(|()| ExitCode::SUCCESS),
        Task::Chaos(options) => chaos::chaos(options).map(|()| ExitCode::SUCCESS),
        Task::Simulate(options) => simulate::simulate(options).map(|()| ExitCode::SUCCESS),
        Task::Stack(options) => stack::stack(options),
        Task::Dist(options) => dist::dist(options).map(|()| ExitCode::SUCCESS),
        Task::Stage(options) => test::stage(options),
        Task::Kafka(options) => kafka::kafka(options),
        Task::Containers(options) => containers::containers(options),
    }
}
