//! What a bare machine with Rust may lack: the wasm target, rustfmt, clippy.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::command::{cargo, output, run, succeeds};

/// The target that makes a component at once.
pub const WASM_TARGET: &str = "wasm32-wasip2";

/// The target that makes a module for WASI preview 1.
pub const PREVIEW_1_TARGET: &str = "wasm32-wasip1";

/// Adds the target that makes components if it is missing.
pub fn ensure_wasm_target() -> anyhow::Result<()> {
    ensure_target(WASM_TARGET)
}

/// Adds a target if it is missing.
pub fn ensure_target(target: &str) -> anyhow::Result<()> {
    let sysroot = output(Command::new(rustc()).args(["--print", "sysroot"])).context("Rust is needed: https://rustup.rs")?;
    if Path::new(&sysroot).join("lib/rustlib").join(target).join("lib").is_dir() {
        return Ok(());
    }
    println!("The target {target} is missing, adding it with rustup");
    ensure_rustup(&format!("the target {target}"))?;
    run(Command::new("rustup").args(["target", "add", target]))
}

/// Adds rustfmt and clippy if they are missing.
pub fn ensure_checkers() -> anyhow::Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !succeeds(&mut cargo([subcommand, "--version"])) {
            println!("{component} is missing, adding it with rustup");
            ensure_rustup(component)?;
            run(Command::new("rustup").args(["component", "add", component]))?;
        }
    }
    Ok(())
}

fn ensure_rustup(wanted: &str) -> anyhow::Result<()> {
    if !succeeds(Command::new("rustup").arg("--version")) {
        bail!(
            "{wanted} is missing and there is no rustup to add it; install it as your Rust distribution says, or get rustup from https://rustup.rs"
        );
    }
    Ok(())
}

fn rustc() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}
