//! What the first build of a step in Rust waits for: a count, which no other work of the machine changes.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::ensure;

use crate::command::{cargo, output};
use crate::toolchain::WASM_TARGET;

/// Crates that a new step is built of, itself among them. Bindings by a macro alone would be thirty more, and four times the work.
const MOST: usize = 9;

/// Counts the crates of the step in `made`, tells them, and holds them to what is promised.
pub fn check(made: &Path) -> anyhow::Result<()> {
    let tree = ["tree", "--target", WASM_TARGET, "--edges", "normal,build", "--prefix", "none"];
    let crates = named(&output(cargo(tree).current_dir(made))?);
    println!("rust: the first build compiles {} crates: {}", crates.len(), crates.iter().cloned().collect::<Vec<_>>().join(", "));
    ensure!(crates.len() <= MOST, "a new step in Rust is built of {} crates, and at most {MOST} are meant to be waited for", crates.len());
    Ok(())
}

/// The crates of what `cargo tree` prints, each once: "serde_json v1.0.154 (*)".
fn named(tree: &str) -> BTreeSet<String> {
    tree.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_counts_once_however_many_others_use_it() {
        let tree = "fraud v0.1.0 (/tmp/fraud)\nserde_json v1.0.154\nitoa v1.0.19\n\nitoa v1.0.19 (*)\n";
        assert_eq!(named(tree).into_iter().collect::<Vec<_>>(), ["fraud v0.1.0", "itoa v1.0.19", "serde_json v1.0.154"]);
    }
}
