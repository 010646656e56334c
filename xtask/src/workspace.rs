//! Where things are.

use std::path::{Path, PathBuf};

/// The folder of the whole repository.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The components' own workspace.
pub fn components() -> PathBuf {
    root().join("components")
}

/// Where built components are put, and where the host finds them.
pub fn installed_components() -> PathBuf {
    root().join("target/components")
}

/// Where cargo builds the host.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// `path` as a person in the repository's folder would write it.
pub fn shown(path: &Path) -> std::path::Display<'_> {
    path.strip_prefix(root()).unwrap_or(path).display()
}
