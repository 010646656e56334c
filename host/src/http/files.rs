//! Web files, and what nothing else answers.
//!
//! Files come from their folder only: no dotfiles but those of [`WELL_KNOWN`], no links out of it. The page of an application answers
//! navigation to paths it routes itself, never a path of the API.

mod cached_responses;
mod encodings;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use http_range_header::StartPosition;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use self::cached_responses::{CachedResponses, Question};
use self::encodings::{Accepted, Coding, Form, Forms};
use self::versions::Tags;
use super::error::ApiError;
use super::middleware::rate_limit::RateLimiter;
use crate::plan::FileServer;

/// Paths below these belong to programs: an unknown one is an error, never a page.
const RESERVED: [&str; 3] = ["/api", "/metrics", "/internal"];
/// The one folder with a dot that is there for others: RFC 8615. What is not in it is not there, whoever asks.
const WELL_KNOWN: &str = ".well-known";
const INDEX: &str = "index.html";
/// Larger files are not kept, compressed by their build or not at all, and known by their dates: they would hold up other requests.
const LARGEST: u64 = 1 << 20;
const WELCOME: &str = include_str!("../../assets/welcome.html");
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The file servers of a process.
pub(super) struct Files {
    /// Longest prefix first, each with its limit if it has one.
    servers: Vec<(FileServer, Option<RateLimiter>)>,
    cached: CachedResponses,
    forms: Forms,
    tags: Tags,
}

impl Files {
    pub(super) fn new(servers: &[FileServer]) -> Self {
        let mut servers = servers.to_vec();
        servers.sort_by_key(|server| std::cmp::Reverse(server.prefix.len()));
        let limited = |server: FileServer| {
            let limiter = server.limit.as_ref().map(RateLimiter::new);
            (server, limiter)
        };
        let servers = servers.into_iter().map(limited).collect();
        Self { servers, cached: CachedResponses::new(), forms: Forms::new(), tags: Tags::new() }
    }

    fn find<'a>(&self, path: &'a str) -> Option<(&FileServer, &'a str)> {
        self.servers.iter().find_map(|(server, _)| below(&server.prefix, path).map(|rest| (server, rest)))
    }

    /// 429 if the client asks too often for what is below that path, whether it is there or not.
    fn admit(&self, request: &Request) -> Result<(), ApiError> {
        let mut limiters = self.servers.iter().filter(|(server, _)| below(&server.prefix, request.uri().path()).is_some());
        match limiters.next() {
            Some((_, Some(limiter))) => limiter.admit(request).map(drop),
            _ => Ok(()),
        }
    }
}

/// Answers what no route does.
pub(super) async fn serve(State(files): State<Arc<Files>>, request: Request) -> Response {
    if let Err(refusal) = files.admit(&request) {
        return refusal.into_response();
    }
    let (accepted, is_navigation) = (Accepted::of(request.headers()), navigates(&request));
    let question = Question::of(&request, accepted, is_navigation);
    if let Some(answer) = question.as_ref().and_then(|question| files.cached.answer(question)) {
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
            let response = files.send(server, &file, request, accepted).await.unwrap_or_else(IntoResponse::into_response);
            match question {
                Some(question) if is_small(&file).await => {
                    files.cached.keep(question, response).await.unwrap_or_else(|error| ApiError::internal(error).into_response())
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
    let is_page = server.spa_fallback && navigation && rest.split('/').next() != Some(WELL_KNOWN);
    if is_page { inside(&root, INDEX).await } else { None }
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
    for (depth, part) in decoded(rest)?.split('/').filter(|part| !part.is_empty()).enumerate() {
        if is_hidden(depth, part.as_bytes()) || part.contains(['\\', '\0', ':']) {
            return None;
        }
        wanted.push(part);
    }
    let found = tokio::fs::canonicalize(&wanted).await.ok()?;
    let found =
        if tokio::fs::metadata(&found).await.ok()?.is_dir() { tokio::fs::canonicalize(found.join(INDEX)).await.ok()? } else { found };
    let hidden = |file: &Path| file.components().enumerate().any(|(depth, part)| is_hidden(depth, part.as_os_str().as_encoded_bytes()));
    let is_ours = found.strip_prefix(root).is_ok_and(|inner| !hidden(inner));
    (is_ours && tokio::fs::metadata(&found).await.ok()?.is_file()).then_some(found)
}

/// Whether a part of a path, so deep below the folder that is served, is nobody's affair.
fn is_hidden(depth: usize, part: &[u8]) -> bool {
    part.starts_with(b".") && (depth > 0 || part != WELL_KNOWN.as_bytes())
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

impl Files {
    /// The file in the best form that the client accepts. Its conditions and ranges are about the file; a part of it is sent as it is.
    async fn send(&self, server: &FileServer, file: &Path, mut request: Request, accepted: Accepted) -> Result<Response, ApiError> {
        let is_part = accepted.allows_identity() && self.wants_part(file, request.method(), request.headers()).await;
        if !is_part {
            request.headers_mut().remove(header::RANGE);
        }
        request.headers_mut().remove(header::IF_RANGE);
        let form = if is_part { Some(Form::AsItIs) } else { self.forms.best(file, accepted).await.map_err(ApiError::internal)? };
        let Some(form) = form else { return Err(not_acceptable(file)) };
        let method = request.method().clone();
        let tag = self.tags.of(file).await;
        let verdict = tag.as_ref().and_then(|tag| versions::decide(request.headers_mut(), tag));
        let Ok(response) = ServeFile::new(file).oneshot(request).await;
        let mut response = response.map(Body::new);
        if let Some(tag) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        if let Some(status) = verdict {
            versions::without_content(&mut response, status);
        }
        let mut response = refusal_in_words(response);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Form::Built(coding, _) | Form::Compressed(coding, _) = &form {
            encode(&mut response, *coding);
        }
        if response.status() == StatusCode::OK {
            response = with_bytes(response, form, method).await;
        }
        if response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED {
            response.headers_mut().insert(header::CACHE_CONTROL, cache_control(server, file));
        }
        Ok(response)
    }

    /// Whether the answer is a part of the file: one range of bytes, of the version that the client has. Any other is as if it were not there.
    async fn wants_part(&self, file: &Path, method: &Method, headers: &HeaderMap) -> bool {
        let Some(range) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else { return false };
        let Ok(parsed) = http_range_header::parse_range_header(range) else { return false };
        let [range] = parsed.ranges.as_slice() else { return false };
        // The last bytes of a file that has fewer are the file.
        let is_whole = match range.start {
            StartPosition::FromLast(bytes) => tokio::fs::metadata(file).await.is_ok_and(|file| file.len() <= bytes),
            StartPosition::Index(_) => false,
        };
        if *method != Method::GET || is_whole {
            return false;
        }
        let Some(version) = headers.get(header::IF_RANGE) else { return true };
        let mut look = Request::new(Body::empty());
        *look.method_mut() = Method::HEAD;
        let Ok(current) = ServeFile::new(file).oneshot(look).await;
        // A weak tag is never equal to the one of the file, which is strong.
        let tag = self.tags.of(file).await.or_else(|| current.headers().get(header::ETAG).cloned());
        tag.as_ref() == Some(version) || current.headers().get(header::LAST_MODIFIED) == Some(version)
    }
}

/// The same answer; one that refuses a range or a condition with words for whoever reads it.
fn refusal_in_words(response: Response) -> Response {
    let detail = match response.status() {
        StatusCode::RANGE_NOT_SATISFIABLE => "the file has no such range of bytes; Content-Range tells how many it has",
        StatusCode::PRECONDITION_FAILED => "the file is not the one that the conditions of the request ask for",
        _ => return response,
    };
    let refused = ApiError::new(response.status(), detail);
    let kept = [header::CONTENT_RANGE, header::ETAG, header::LAST_MODIFIED];
    let kept = kept.into_iter().filter_map(|name| response.headers().get(&name).cloned().map(|value| (name, value)));
    kept.fold(refused, |refused, (name, value)| refused.with(name, value)).into_response()
}

fn not_acceptable(file: &Path) -> ApiError {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    ApiError::new(StatusCode::NOT_ACCEPTABLE, format!("'{name}' is not to be had in any coding that Accept-Encoding allows"))
        .with(header::VARY, HeaderValue::from_static("accept-encoding"))
}

/// Makes the answer one about the file in another coding.
fn encode(response: &mut Response, coding: Coding) {
    let headers = response.headers_mut();
    weaken_tag(headers);
    headers.remove(header::ACCEPT_RANGES);
    if response.status() == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
}

/// The same answer with the bytes of `form`.
async fn with_bytes(mut response: Response, form: Form, method: Method) -> Response {
    let (length, body) = match form {
        Form::AsItIs => return response,
        Form::Compressed(_, bytes) => {
            (Some(HeaderValue::from(bytes.len())), if method == Method::HEAD { Body::empty() } else { bytes.into() })
        }
        Form::Built(_, twin) => {
            let mut ask = Request::new(Body::empty());
            *ask.method_mut() = method;
            let Ok(built) = ServeFile::new(twin).oneshot(ask).await;
            if built.status() != StatusCode::OK {
                return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "this file is being replaced").into_response();
            }
            (built.headers().get(header::CONTENT_LENGTH).cloned(), Body::new(built.into_body()))
        }
    };
    match length {
        Some(length) => response.headers_mut().insert(header::CONTENT_LENGTH, length),
        None => response.headers_mut().remove(header::CONTENT_LENGTH),
    };
    *response.body_mut() = body;
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
