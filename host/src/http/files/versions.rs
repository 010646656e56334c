//! Which version of a file a client has. Dates do not tell: where builds are to be reproducible all files have the same one, and of two releases
//! the first page has the same length too, since only hashes in it differ.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use super::LARGEST;

/// Files whose tags are kept.
const KEPT: u64 = 10_000;
/// Bytes of a hash in a tag.
const HASH_BYTES: usize = 16;

/// One version of a file on this machine. Nobody can set the time of its last change, so what was replaced or written anew is another one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Version {
    file: PathBuf,
    inode: (u64, u64),
    changed: (i64, i64),
    modified: (i64, i64),
    length: u64,
}

impl Version {
    pub(super) fn of(file: &Path, found: &Metadata) -> Self {
        Self {
            file: file.to_owned(),
            inode: (found.dev(), found.ino()),
            changed: (found.ctime(), found.ctime_nsec()),
            modified: (found.mtime(), found.mtime_nsec()),
            length: found.len(),
        }
    }
}

/// Tags of files, made from their content: they are the same on all machines that serve it.
pub(super) struct Tags(Cache<Version, Option<HeaderValue>>);

impl Tags {
    pub(super) fn new() -> Self {
        Self(Cache::new(KEPT))
    }

    /// The strong tag of a file; none of a large one, or of one that cannot be read.
    pub(super) async fn of(&self, file: &Path) -> Option<HeaderValue> {
        let found = tokio::fs::metadata(file).await.ok()?;
        if found.len() > LARGEST {
            return None;
        }
        self.0.get_with(Version::of(file, &found), tag(file)).await
    }
}

async fn tag(file: &Path) -> Option<HeaderValue> {
    let content = tokio::fs::read(file).await.ok()?;
    let hash = Sha256::digest(&content);
    let digits: String = hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{digits}\"")).ok()
}

/// What the conditions of a request about tags come to where the file has `tag`: 304, 412, or nothing special. They are taken out, and what
/// they make void with them, so that nobody decides them anew.
pub(super) fn decide(headers: &mut HeaderMap, tag: &HeaderValue) -> Option<StatusCode> {
    let names = |headers: &HeaderMap, name: &HeaderName, weakly: bool| {
        let mut listed =
            headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim);
        listed.any(|one| {
            one == "*"
                || one.as_bytes() == tag.as_bytes()
                || (weakly && one.strip_prefix("W/").is_some_and(|one| one.as_bytes() == tag.as_bytes()))
        })
    };
    let has_match = headers.contains_key(header::IF_MATCH);
    let has_none_match = headers.contains_key(header::IF_NONE_MATCH);
    let is_another = has_match && !names(headers, &header::IF_MATCH, false);
    let is_the_same = has_none_match && names(headers, &header::IF_NONE_MATCH, true);
    if headers.remove(header::IF_MATCH).is_some() {
        headers.remove(header::IF_UNMODIFIED_SINCE);
    }
    if headers.remove(header::IF_NONE_MATCH).is_some() {
        headers.remove(header::IF_MODIFIED_SINCE);
    }
    match (is_another, is_the_same) {
        (true, _) => Some(StatusCode::PRECONDITION_FAILED),
        (false, true) => Some(StatusCode::NOT_MODIFIED),
        (false, false) => None,
    }
}

/// Leaves of an answer what is said of a file that is not sent.
pub(super) fn without_content(response: &mut Response, status: StatusCode) {
    if !response.status().is_success() {
        return;
    }
    *response.status_mut() = status;
    *response.body_mut() = Body::empty();
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE, header::CONTENT_RANGE, header::ACCEPT_RANGES] {
        response.headers_mut().remove(name);
    }
}
