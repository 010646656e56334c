//! What `millrace --version` says.

/// The version of wasmtime that this program is built with. It does not say so itself, and a test compares this with the list of dependencies.
const WASMTIME: &str = "48.0.8";

/// Version, commit and version of wasmtime, such as `0.1.0 (commit 0123456789ab, wasmtime 48.0.8)`.
#[must_use]
pub fn version(commit: Option<&str>) -> String {
    let commit = commit.filter(|commit| !commit.is_empty()).unwrap_or("unknown");
    format!("{} (commit {commit}, wasmtime {WASMTIME})", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_wasmtime_is_the_one_that_is_built_in() {
        let lock = include_str!("../../../Cargo.lock");
        let locked = lock.split("[[package]]").find_map(|package| package.trim().strip_prefix("name = \"wasmtime\"\nversion = \""));
        assert_eq!(locked.and_then(|after| after.split('"').next()), Some(WASMTIME));
    }

    #[test]
    fn a_program_says_what_it_was_built_from_as_far_as_it_is_known() {
        let package = env!("CARGO_PKG_VERSION");
        assert_eq!(version(Some("0123456789ab")), format!("{package} (commit 0123456789ab, wasmtime {WASMTIME})"));
        for unknown in [None, Some("")] {
            assert_eq!(version(unknown), format!("{package} (commit unknown, wasmtime {WASMTIME})"));
        }
    }
}
