//! `cargo xtask containers`: the shop of `docker-compose.yml` as real containers, also where there is no Docker and no registry.
//!
//! Podman runs them. The product's image comes from the repository's own Dockerfile, with the programs that were built here; those
//! of Kafka and Prometheus, and the Debian that all are based on, are made from packages.

mod engine;
mod images;
mod project;
mod walk;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use clap::Args;

use crate::build::Profile;
use crate::stop_signals::StopSignals;
use crate::test::{self, Done};
use crate::toolchain;
use engine::Engine;
use project::Project;

/// How to run.
#[derive(Args)]
pub struct Options {
    /// Leave the containers up when everything was tried, until Ctrl-C.
    #[arg(long)]
    stay: bool,

    /// Put the optimised host into the image.
    #[arg(long)]
    release: bool,
}

/// Makes the images, brings everything up, tries it and takes it down.
pub fn containers(options: &Options) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    toolchain::ensure_wasm_target()?;
    println!("[1/3] Making the images");
    let engine = Engine::prepare()?;
    images::make(&engine, Profile::from_flag(options.release))?;
    println!("[2/3] Starting the containers");
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(try_out(&engine, options.stay))?;
    println!("Done after {} s", begun.elapsed().as_secs());
    Ok(ExitCode::SUCCESS)
}

/// The same as a check, where containers can run at all.
pub fn check() -> anyhow::Result<Done> {
    match engine::obstacle() {
        Some(obstacle) => test::not_checked(obstacle.to_owned()),
        None => containers(&Options { stay: false, release: false }).map(|_| Done::Checked),
    }
}

/// Gets everything that comes from outside.
pub fn prepare() -> anyhow::Result<()> {
    let engine = Engine::prepare()?;
    images::bases(&engine)?;
    project::prepare()
}

/// Whatever happens, nothing stays up.
async fn try_out(engine: &Engine, stay: bool) -> anyhow::Result<()> {
    let mut stop_wanted = StopSignals::listen()?;
    let mut project = Project::new(engine)?;
    let tried = tokio::select! {
        tried = walk::walk(&mut project) => tried.map(|()| true),
        () = stop_wanted.next() => Ok(false),
    };
    match &tried {
        Ok(true) if stay => {
            let ports = &project.ports;
            println!("\n  Store           http://{}/\n  Prometheus      http://{}/", ports.gateway, ports.prometheus);
            println!("  In one process  http://{}/\n\nCtrl-C takes everything down.", ports.monolith);
            stop_wanted.next().await;
        }
        Err(_) => project.show_logs().await,
        Ok(_) => {}
    }
    println!("[3/3] Taking everything down");
    let down = project.down().await;
    let down = down.and(engine.remove_leftovers());
    match tried {
        Ok(true) => down,
        Ok(false) => bail!("stopped before everything was tried"),
        Err(problem) => Err(problem),
    }
}
