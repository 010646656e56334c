//! The other way of Rust to a component: `cargo component build` has cargo make a module for WASI preview 1, which names its world, and puts the
//! component around it with an adapter. The same is done here by `millrace componentize`, and by `cargo component` itself where that is installed:
//! it comes as source only, and to compile it takes eight minutes of processor time.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::ensure_answers;
use crate::command::{cargo, output, run_into, succeeds};
use crate::toolchain::{self, PREVIEW_1_TARGET as TARGET};

/// Builds the step in `made` both ways, and has it do the job of the template.
pub fn check(program: &Path, made: &Path, name: &str, log: &Path) -> anyhow::Result<()> {
    toolchain::ensure_target(TARGET)?;
    ensure_world(made)?;
    let built = made.join("target").join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
    run_into(cargo(["build", "--release", "--target-dir", "target", "--target", TARGET]).current_dir(made), log)?;
    let component = made.join("target").join(format!("{name}-of-preview-1.wasm"));
    run_into(Command::new(program).arg("componentize").arg(&built).arg("--wit").arg(made.join("wit")).arg("--out").arg(&component), log)?;
    answers(program, made, name, &component).context("built for WASI preview 1")?;
    if succeeds(cargo(["component", "--version"]).current_dir(made)) {
        run_into(cargo(["component", "build", "--release", "--target-dir", "target"]).current_dir(made), log)?;
        answers(program, made, name, &built).context("built by `cargo component`")?;
    }
    Ok(())
}

/// Its manifest says which of the worlds in `wit` it is: `cargo component` refuses to choose.
fn ensure_world(made: &Path) -> anyhow::Result<()> {
    let told = output(cargo(["metadata", "--no-deps", "--format-version", "1"]).current_dir(made))?;
    let told: Value = serde_json::from_str(&told).context("what cargo says of a package is no JSON")?;
    let target = &told["packages"][0]["metadata"]["component"]["target"];
    ensure!(*target == json!({"path": "wit", "world": "step"}), "`cargo component` is told to build {target}");
    Ok(())
}

fn answers(program: &Path, made: &Path, name: &str, component: &Path) -> anyhow::Result<()> {
    let job = made.join("job.json");
    let called = output(Command::new(program).arg("call").arg(component).arg("--input").arg(job).args(["--output", "json"]))?;
    ensure_answers(&serde_json::from_str(&called).context("the answer is no JSON")?, name)
}
