//! Reading request bodies: bounded in size and time, JSON, strict. Every wrong field is told at once.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use super::error::ApiError;
use crate::services::error::FieldError;

/// Largest body that is read, in bytes.
pub(crate) const MAX_BODY_BYTES: usize = 64 * 1024;
/// Longest that a body may take, whatever the server's read timeout.
const MAX_BODY_TIME: Duration = Duration::from_secs(10);

/// A JSON object, and the bytes it was sent as.
pub(crate) struct JsonBody {
    pub(crate) object: Map<String, Value>,
    pub(crate) raw: Bytes,
}

/// Whether a request may leave its body out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    /// Nothing means `{}`.
    Optional,
}

/// Reads the body of `request` as a JSON object.
pub(crate) async fn object(request: Request, presence: Presence, read_timeout: Duration) -> Result<(Parts, JsonBody), ApiError> {
    let (parts, body) = request.into_parts();
    check_length(&parts.headers)?;
    let raw = whole(body, read_timeout.min(MAX_BODY_TIME)).await?;
    if raw.is_empty() && presence == Presence::Optional {
        return Ok((parts, JsonBody { object: Map::new(), raw }));
    }
    check_type(&parts.headers)?;
    let object = parse(&raw)?;
    Ok((parts, JsonBody { object, raw }))
}

/// All of a body, if it is small enough and comes within `limit`.
pub(crate) async fn whole(body: Body, limit: Duration) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(limit, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(ApiError::bad_request("the body ended early or was sent in broken pieces")),
        Err(_) => {
            let detail = format!("the body took longer than {} s", limit.as_secs());
            Err(the_last(ApiError::new(StatusCode::REQUEST_TIMEOUT, detail)))
        }
    }
}

/// The rest of the body is not read, so no other request can come after it.
fn the_last(error: ApiError) -> ApiError {
    error.with(header::CONNECTION, HeaderValue::from_static("close"))
}

fn check_length(headers: &HeaderMap) -> Result<(), ApiError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES as u64) { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> ApiError {
    the_last(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {MAX_BODY_BYTES} bytes")))
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |detail| Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refused("the body must not be compressed".to_owned());
    }
    let sent = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    refused(format!("content type '{}' is not accepted; send application/json", sent.escape_debug()))
}

fn parse(raw: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(raw) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(ApiError::invalid(vec![wrong("", format!("must be an object, is {}", kind(&other)))])),
        Err(error) => Err(ApiError::bad_request(format!("the body is not valid JSON: {error}"))),
    }
}

fn wrong(pointer: &str, detail: String) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Takes fields out of an object, remembering what is wrong until [`Fields::finish`].
pub(crate) struct Fields {
    rest: Map<String, Value>,
    accepted: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub(crate) fn new(object: Map<String, Value>) -> Self {
        Self { rest: object, accepted: Vec::new(), errors: Vec::new() }
    }

    /// A text that has to be there; empty, and an error, when it is not.
    pub(crate) fn text(&mut self, name: &'static str) -> String {
        match self.optional_text(name) {
            Some(text) => text,
            None => {
                if !self.errors.iter().any(|e| e.pointer[1..] == *name) {
                    self.errors.push(wrong(&format!("/{name}"), "is missing".into()));
                }
                String::new()
            }
        }
    }

    /// A text that may be left out.
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Option<String> {
        self.accepted.push(name);
        match self.rest.remove(name) {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.errors.push(wrong(&format!("/{name}"), format!("must be a string, is {}", kind(&other))));
                None
            }
        }
    }

    /// Everything wrong with the object, fields that nobody asked for included.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        let accepted = self.accepted.join(", ");
        for name in self.rest.keys() {
            let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
            self.errors.push(wrong(&pointer, format!("unknown field; accepted are {accepted}")));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.errors)) }
    }
}
