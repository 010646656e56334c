//! Compiling ahead of time: on one machine, for hosts that are to serve at once.

use std::path::PathBuf;

use bytes::Bytes;

use super::compile::Compiler;
use super::engine;
use super::inspect;
use super::shipped::wrapped;
use super::signature::SecretKey;
use super::source::digest;

/// The file of compiled code of a component, signed by `key`; `compiler` is the program whose hidden command `compiler` compiles.
///
/// # Errors
/// The engine does not start; or the component cannot be compiled, as a clause that goes on after its name.
pub async fn compile_ahead(compiler: PathBuf, component: Bytes, key: &SecretKey) -> Result<Vec<u8>, String> {
    inspect::outline(&component).map_err(|flaw| flaw.reason)?;
    let engine = engine::serving(1).map_err(|error| format!("cannot be compiled: {error:#}"))?;
    let compiler = Compiler::new(compiler, engine, None);
    let code = compiler.code(&component).await.map_err(|unfit| unfit.reason)?;
    Ok(wrapped(key, &digest(&component), compiler.fits(), &code))
}
