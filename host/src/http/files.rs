//! Web files, and what nothing else answers.
//!
//! Files come from their folder only: no dotfiles, no links out of it. The page of an application answers navigation to
//! paths it routes itself, never a path of the API.

mod kept;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeFile;

use self::kept::{Kept, LARGEST, Question};
use super::error::ApiError;
use crate::plan::FileServer;

/// Paths below these belong to programs: an unknown one is an error, never a page.
const RESERVED: [&str; 3] = ["/api", "/metrics", "/internal"];
const INDEX: &str = "index.html";
const WELCOME: &str = include_str!("../../assets/welcome.html");
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The file servers of a process.
pub(super) struct Files {
    /// Longest prefix first.
    servers: Vec<FileServer>,
    kept: Kept,
}

impl Files {
    pub(super) fn new(servers: &[FileServer]) -> Self {
        let mut servers = servers.to_vec();
        servers.sort_by_key(|server| std::cmp::Reverse(server.prefix.len()));
        Self { servers, kept: Kept::new() }
    }

    fn find<'a>(&self, path: &'a str) -> Option<(&FileServer, &'a str)> {
        self.servers.iter().find_map(|server| below(&server.prefix, path).map(|rest| (server, rest)))
    }
}

/// Answers what no route does.
pub(super) async fn serve(State(files): State<Arc<Files>>, request: Request) -> Response {
    let is_navigation = navigates(&request);
    let question = Question::of(&request, is_navigation);
    if let Some(answer) = question.as_ref().and_then(|question| files.kept.answer(question)) {
        return answer;
    }
    let path = request.uri().path().to_owned();
    if RESERVED.iter().any(|reserved| below(reserved, &path).is_some()) {
        return ApiError::no_such_path(&path).into_response();
    }
    let file = match files.find(&path) {
        Some((server, rest)) => resolve(server, rest, is_navigation).await.map(|file| (server, file)),
        None => None,
    };
    if file.is_none() && path != "/" {
        return ApiError::no_such_path(&path).into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let allow = HeaderValue::from_static("GET,HEAD");
        return ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed here")
            .with(header::ALLOW, allow)
            .into_response();
    }
    match file {
        Some((server, file)) => {
            let response = send(server, &file, request).await;
            match question {
                Some(question) if is_small(&file).await => {
                    files.kept.keep(question, response).await.unwrap_or_else(|error| ApiError::internal(error).into_response())
                }
                _ => response,
            }
        }
        None => ([(header::CACHE_CONTROL, ASK_AGAIN)], Html(WELCOME)).into_response(),
    }
}

/// What `path` has below `prefix`, without a leading slash.
fn below<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'))?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// The file that answers: the one asked for, or the application's page for navigation.
async fn resolve(server: &FileServer, rest: &str, navigation: bool) -> Option<PathBuf> {
    let root = tokio::fs::canonicalize(&server.root).await.ok()?;
    if let Some(file) = inside(&root, rest).await {
        return Some(file);
    }
    if server.spa_fallback && navigation { inside(&root, INDEX).await } else { None }
}

/// Whether a person's browser asks for a page.
fn navigates(request: &Request) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    reads
        && request
            .headers()
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|accepted| accepted.contains("text/html"))
}

/// The regular file at `rest`, or its index, if it really lies in `root`.
async fn inside(root: &Path, rest: &str) -> Option<PathBuf> {
    let mut wanted = root.to_path_buf();
    for part in decoded(rest)?.split('/').filter(|part| !part.is_empty()) {
        if part.starts_with('.') || part.contains(['\\', '\0', ':']) {
            return None;
        }
        wanted.push(part);
    }
    let found = tokio::fs::canonicalize(&wanted).await.ok()?;
    let found =
        if tokio::fs::metadata(&found).await.ok()?.is_dir() { tokio::fs::canonicalize(found.join(INDEX)).await.ok()? } else { found };
    let hidden = |file: &Path| file.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
    let is_ours = found.strip_prefix(root).is_ok_and(|inner| !hidden(inner));
    (is_ours && tokio::fs::metadata(&found).await.ok()?.is_file()).then_some(found)
}

/// Percent-decoded once.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

async fn send(server: &FileServer, file: &Path, mut request: Request) -> Response {
    // Whether what the client has is of this version is not looked into: it gets all of it.
    if request.headers().contains_key(header::IF_RANGE) {
        request.headers_mut().remove(header::RANGE);
    }
    let plain = ServeFile::new(file);
    let as_built = if has_brotli_twin(file).await { plain.precompressed_br() } else { plain };
    let compressed = tower::ServiceBuilder::new().layer(CompressionLayer::new()).service(as_built);
    let Ok(response) = compressed.oneshot(request).await;
    let mut response = response.map(Body::new);
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        weaken_tag(response.headers_mut());
    }
    if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().insert(header::CACHE_CONTROL, cache_control(server, file));
    }
    response
}

/// The same tag stands for the file in every encoding, so it does not promise the same bytes.
fn weaken_tag(headers: &mut HeaderMap) {
    let weak = headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")).map(|tag| [b"W/", tag.as_bytes()].concat());
    if let Some(Ok(weak)) = weak.map(|weak| HeaderValue::from_bytes(&weak)) {
        headers.insert(header::ETAG, weak);
    }
}

async fn is_small(file: &Path) -> bool {
    tokio::fs::metadata(file).await.is_ok_and(|file| file.len() <= LARGEST)
}

/// Whether the build has left `<file>.br` beside the file: smaller than what can be compressed while a client waits. It has to
/// be a file of its own, and of this version.
async fn has_brotli_twin(file: &Path) -> bool {
    let mut twin = file.as_os_str().to_owned();
    twin.push(".br");
    let (Ok(own), Ok(twin)) = (tokio::fs::metadata(file).await, tokio::fs::symlink_metadata(twin).await) else { return false };
    let is_current = matches!((own.modified(), twin.modified()), (Ok(own), Ok(twin)) if twin >= own);
    twin.is_file() && is_current
}

fn cache_control(server: &FileServer, file: &Path) -> HeaderValue {
    if file.extension().is_some_and(|extension| extension == "html") {
        return ASK_AGAIN;
    }
    if is_hashed(file) {
        return FOR_EVER;
    }
    HeaderValue::from_str(&format!("public, max-age={}", server.cache_max_age.as_secs())).unwrap_or(ASK_AGAIN)
}

/// Whether the name changes with the content, as bundlers name files: `assets/<name>-<hash of 8 or more>.<extension>`.
fn is_hashed(file: &Path) -> bool {
    let in_assets = file.parent().and_then(Path::file_name).is_some_and(|folder| folder == "assets");
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    // A hash may itself hold a dash, so its length is counted from the end.
    let hash_at = stem.len().checked_sub(9);
    in_assets && hash_at.and_then(|at| stem.get(at..)).is_some_and(|tail| tail.starts_with(['-', '.']) && is_hash(&tail[1..]))
}

fn is_hash(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_change_with_their_content_are_recognised() {
        for (file, hashed) in [
            ("/web/assets/index-DiwrgTda.js", true),
            ("/web/assets/shop-B_3d-9Qx.css", true),
            ("/web/assets/index.js", false),
            ("/web/index-DiwrgTda.js", false),
            ("/web/img/software.svg", false),
        ] {
            assert_eq!(is_hashed(Path::new(file)), hashed, "{file}");
        }
    }

    #[test]
    fn prefixes_end_at_a_slash() {
        assert_eq!(below("/api", "/api/x"), Some("x"));
        assert_eq!(below("/api", "/apix"), None);
        assert_eq!(below("/", "/a/b"), Some("a/b"));
        assert_eq!(below("/admin/", "/admin"), Some(""));
    }

    #[test]
    fn escapes_are_decoded_once_and_only_when_whole() {
        assert_eq!(decoded("a%20b%252e").as_deref(), Some("a b%2e"));
        assert_eq!((decoded("%2"), decoded("%zz"), decoded("%ff")), (None, None, None));
    }
}
