//! Files that a config names.

use std::path::{Component, Path, PathBuf};

use super::Context;
use crate::config::finding::Findings;
use crate::config::report::Code;

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

/// A file that must be there, relative to the config file.
pub(super) fn existing(context: &Context<'_>, path: &str, what: &str, pointer: &str, findings: &mut Findings) -> PathBuf {
    let absolute = absolute(context.base, path);
    if !path.is_empty() && !absolute.is_file() {
        let message = format!("{what} '{path}' is not there");
        findings.error(
            pointer,
            Code::MissingFile,
            message,
            format!("it was looked for at {} (relative to the config file)", absolute.display()),
        );
    }
    absolute
}

/// Whether a text is a path of a URL: begins with a slash, has no empty segments, nothing that needs encoding.
pub(super) fn is_route(path: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()+,;=@{}/".contains(c);
    path == "/" || (path.starts_with('/') && !path.ends_with('/') && !path.contains("//") && path.chars().all(fits))
}
