//! Paths of files, and of routes.

use std::path::{Component, Path, PathBuf};

/// `path` as seen from `base`, without `.` and `..`.
pub(super) fn absolute(base: &Path, path: &str) -> PathBuf {
    let mut result = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

/// Whether a text is a path of a URL: begins with a slash, has no empty segments, nothing that needs encoding.
pub(super) fn is_route(path: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()+,;=@{}/".contains(c);
    path == "/" || (path.starts_with('/') && !path.ends_with('/') && !path.contains("//") && path.chars().all(fits))
}
