//! Components to test with: those of `components/testing/`, built when they are stale, and tiny ones that are made by hand.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

pub use crate::handmade::{
    component, exporting, marked, of_version, tiny, tiny_from, tiny_module, tiny_with, with_memory, with_part, with_realloc,
};

static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../components");
    let build = Command::new(env!("CARGO"))
        .args(["build", "--release", "--target", "wasm32-wasip2", "-p", "hostile", "-p", "caller", "-p", "keeper"])
        .current_dir(&workspace)
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo starts");
    assert!(
        build.status.success(),
        "the fixture components do not build; `rustup target add wasm32-wasip2` may help:\n{}",
        String::from_utf8_lossy(&build.stderr)
    );
    workspace.join("target/wasm32-wasip2/release")
});

/// A component of `components/testing/`.
pub fn built(name: &str) -> Vec<u8> {
    std::fs::read(BUILT.join(format!("{name}.wasm"))).expect("the build made it")
}
