//! `millrace compile`: compiled code that comes along with a component, for hosts that are to serve it at once.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, anyhow};

use super::check::seconds;
use super::keys::{secret_key, write_along};
use crate::commands::printed::printing;
use crate::commands::{one_worker, this_program};
use crate::runtime::{CODE_EXTENSION, compile_ahead};

/// `millrace compile`.
#[derive(Debug, clap::Args)]
pub struct Compile {
    /// The component.
    file: PathBuf,
    /// The private key that signs the code: a host takes it only from keys that its config trusts with that (`signatures.compiledKeys`).
    #[arg(long)]
    key: PathBuf,
    /// File to write it into, at once and as a whole; `fraud.cwasm` for `fraud.wasm` if not given, where a host looks for it.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Compiles and signs.
#[must_use]
pub fn run(compile: &Compile) -> ExitCode {
    printing(|out| {
        let (path, began) = (compile.file.display(), Instant::now());
        let key = secret_key(&compile.key)?;
        let component = fs::read(&compile.file).with_context(|| format!("cannot read '{path}'"))?;
        let compiling = compile_ahead(this_program()?, component.into(), &key);
        let code = one_worker()?.block_on(compiling).map_err(|reason| anyhow!("'{path}' {reason}"))?;
        let place = compile.out.clone().unwrap_or_else(|| compile.file.with_extension(CODE_EXTENSION));
        write_along(&place, &code, &compile.file)?;
        let (size, took, key) = (code.len(), seconds(began.elapsed()), key.public().id());
        out.done(&format!("{} is made in {took}: {size} bytes, signed with the key {key}", place.display()))?;
        Ok(ExitCode::SUCCESS)
    })
}
