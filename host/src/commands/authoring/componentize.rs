//! `millrace componentize`: the component around a core module, for compilers that make no components themselves.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use wasi_preview1_component_adapter_provider::{WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER};
use wasmparser::{Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::contract::Contract;
use super::made;
use crate::commands::printed::printing;

/// How the name of a section begins that says which world a module is for.
const WORLD_SECTION: &str = "component-type";

/// `millrace componentize`.
#[derive(Debug, clap::Args)]
pub struct Componentize {
    /// The core module, with the exports of the world, and imports of WASI preview 1 where it needs them.
    module: PathBuf,
    /// What it is built for, unless it says so itself.
    #[command(flatten)]
    contract: Contract,
    /// File to write the component into, at once and as a whole.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

/// Makes it.
#[must_use]
pub fn run(componentize: &Componentize) -> ExitCode {
    printing(|out| {
        let path = componentize.module.display();
        let module = fs::read(&componentize.module).with_context(|| format!("cannot read '{path}'"))?;
        ensure_core(&module).with_context(|| format!("'{path}' cannot be made a component"))?;
        let component = wrapped(module, &componentize.contract).with_context(|| format!("'{path}' cannot be made a component"))?;
        made::file(&componentize.out, &component).with_context(|| format!("cannot write '{}'", componentize.out.display()))?;
        out.done(&format!("{} is made: {} bytes", componentize.out.display(), component.len()))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn wrapped(mut module: Vec<u8>, contract: &Contract) -> anyhow::Result<Vec<u8>> {
    if !names_its_world(&module)? {
        let (resolve, world) = contract.read()?;
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    }
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
        .encode()
}

/// Whether the bindings that are linked into it have left their world there, as those for C and Rust do.
fn names_its_world(module: &[u8]) -> anyhow::Result<bool> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload?
            && section.name().starts_with(WORLD_SECTION)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn ensure_core(bytes: &[u8]) -> anyhow::Result<()> {
    match Parser::new(0).parse_all(bytes).next() {
        Some(Ok(Payload::Version { encoding: Encoding::Module, .. })) => Ok(()),
        Some(Ok(Payload::Version { encoding: Encoding::Component, .. })) => bail!("it is a component already: try `millrace check`"),
        _ => bail!("it is no WebAssembly module: build it for wasip1, as a library"),
    }
}
