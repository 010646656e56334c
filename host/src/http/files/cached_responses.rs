//! Whole answers, kept for a moment: many clients that ask for the same page at once cost the disk one look at it.
//!
//! What is kept is what was sent, headers included, so it knows nothing of files.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use moka::sync::Cache;

use super::encodings::Accepted;

/// How long an answer may be given again: not long enough for somebody to wonder where the new version of a page is.
const LIFE: Duration = Duration::from_millis(250);
/// Bytes of all answers together.
const CAPACITY: u64 = 16 << 20;
/// What an answer costs beside its body.
const OVERHEAD: u32 = 1 << 10;

/// What is asked for, as far as it decides the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    path: String,
    accepted: Accepted,
    is_navigation: bool,
}

impl Question {
    /// What `request` asks; `None` if its answer is about more than a file: a part of it, or whether it has changed.
    pub fn of(request: &Request, accepted: Accepted, is_navigation: bool) -> Option<Self> {
        let headers = request.headers();
        let about_more = [
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_UNMODIFIED_SINCE,
        ];
        let is_plain = *request.method() == Method::GET && !about_more.iter().any(|name| headers.contains_key(name));
        is_plain.then(|| Self { path: request.uri().path().to_owned(), accepted, is_navigation })
    }
}

#[derive(Clone)]
struct CachedResponse {
    headers: HeaderMap,
    body: Bytes,
}

impl CachedResponse {
    fn response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.headers_mut() = self.headers;
        response
    }
}

/// Answers of the last moment.
pub(super) struct CachedResponses(Cache<Question, CachedResponse>);

impl CachedResponses {
    pub fn new() -> Self {
        let weight = |_: &Question, answer: &CachedResponse| u32::try_from(answer.body.len()).unwrap_or(u32::MAX).saturating_add(OVERHEAD);
        Self(Cache::builder().max_capacity(CAPACITY).weigher(weight).time_to_live(LIFE).build())
    }

    /// The answer that was given to that question a moment ago.
    pub fn answer(&self, question: &Question) -> Option<Response> {
        self.0.get(question).map(CachedResponse::response)
    }

    /// Keeps a good answer, which has to be of a small file.
    ///
    /// # Errors
    /// Its body cannot be read.
    pub async fn keep(&self, question: Question, response: Response) -> Result<Response, axum::Error> {
        if response.status() != StatusCode::OK {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await?;
        let answer = CachedResponse { headers: parts.headers, body };
        self.0.insert(question, answer.clone());
        Ok(answer.response())
    }
}
