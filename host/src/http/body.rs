//! Reading request bodies: bounded in size and time, JSON, strict. Every wrong field is told at once.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

use super::error::{ApiError, quoted};
use crate::plan::MAX_BODY_BYTES;
use crate::services::error::{FieldError, pointer};
use crate::text::json;

/// Longest that a body may take, whatever the server's read timeout.
pub(crate) const MAX_BODY_TIME: Duration = Duration::from_secs(10);

/// Whether a request may leave its body out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    /// Nothing means `{}`.
    Optional,
}

/// Reads the body of `request` as a JSON object.
pub(crate) async fn object(request: Request, presence: Presence, read_timeout: Duration) -> Result<Map<String, Value>, ApiError> {
    object_within(request, presence, (MAX_BODY_BYTES, read_timeout)).await
}

/// The same for a body of that many bytes, within that time.
pub(crate) async fn object_within(
    request: Request,
    presence: Presence,
    (most, read_timeout): (u64, Duration),
) -> Result<Map<String, Value>, ApiError> {
    let (parts, body) = request.into_parts();
    check_length(&parts.headers, most)?;
    let raw = whole_of(body, read_timeout.min(MAX_BODY_TIME), most).await?;
    if raw.is_empty() && presence == Presence::Optional {
        return Ok(Map::new());
    }
    check_type(&parts.headers)?;
    parse(&raw)
}

/// Why a body did not come whole. All of it is the client's affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It has more bytes than this.
    TooLarge(u64),
    /// It took longer than this.
    TooSlow(Duration),
    /// Its pieces are not what HTTP says they are.
    Broken,
    /// The client has gone.
    Gone,
}

impl Cut {
    /// By what reading a body failed with.
    pub(crate) fn by(error: &(dyn std::error::Error + 'static)) -> Self {
        use std::io::ErrorKind as E;
        let mut causes = std::iter::successors(Some(error), |error| error.source());
        let is_gone = causes.any(|cause| match (cause.downcast_ref::<hyper::Error>(), cause.downcast_ref::<std::io::Error>()) {
            (Some(error), _) => error.is_incomplete_message() || error.is_closed() || error.is_canceled(),
            (_, Some(error)) => {
                matches!(error.kind(), E::UnexpectedEof | E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe | E::NotConnected)
            }
            (None, None) => false,
        });
        if is_gone { Self::Gone } else { Self::Broken }
    }
}

impl From<Cut> for ApiError {
    fn from(cut: Cut) -> Self {
        match cut {
            // The rest of the body is not read, so no other request can come after it.
            Cut::TooLarge(limit) => the_last(Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))),
            Cut::TooSlow(limit) => {
                the_last(Self::new(StatusCode::REQUEST_TIMEOUT, format!("the body took longer than {} s", limit.as_secs())))
            }
            Cut::Broken => the_last(Self::bad_request("the body was sent in broken pieces")),
            Cut::Gone => the_last(Self::bad_request("the body ended early")).for_nobody(),
        }
    }
}

fn the_last(error: ApiError) -> ApiError {
    error.with(header::CONNECTION, HeaderValue::from_static("close"))
}

/// All of a body, if it is small enough and comes within `limit`.
pub(crate) async fn whole(body: Body, limit: Duration) -> Result<Bytes, ApiError> {
    whole_of(body, limit, MAX_BODY_BYTES).await
}

/// All of a body that may have `most` bytes.
pub(crate) async fn whole_of(body: Body, limit: Duration, most: u64) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(limit, Limited::new(body, usize::try_from(most).unwrap_or(usize::MAX)).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Cut::TooLarge(most).into()),
        Ok(Err(error)) => Err(Cut::by(&*error).into()),
        Err(_) => Err(Cut::TooSlow(limit).into()),
    }
}

fn check_length(headers: &HeaderMap, most: u64) -> Result<(), ApiError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    if length.is_some_and(|length| length > most) { Err(Cut::TooLarge(most).into()) } else { Ok(()) }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let refused = |detail| Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refused("the body must not be compressed".to_owned());
    }
    let sent = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence != "application/json" && !(essence.starts_with("application/") && essence.ends_with("+json")) {
        return refused(format!("content type '{}' is not accepted; send application/json", quoted(sent)));
    }
    match charsets(sent).find(|charset| !["utf-8", "utf8"].contains(&charset.to_ascii_lowercase().as_str())) {
        Some(charset) => refused(format!("charset '{}' is not accepted; JSON is utf-8", quoted(charset))),
        None => Ok(()),
    }
}

/// What a content type says of the characters, as often as it says so.
fn charsets(media: &str) -> impl Iterator<Item = &str> {
    let parameters = media.split(';').skip(1).map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
    parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset")).map(|(_, value)| value.trim().trim_matches('"'))
}

fn parse(raw: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let invalid = |error| ApiError::bad_request(format!("the body is not valid JSON: {error}"));
    let value = serde_json::from_slice(raw).map_err(invalid)?;
    json::every_key_once(raw).map_err(invalid)?;
    match value {
        Value::Object(object) => Ok(object),
        other => Err(ApiError::invalid(vec![wrong("", format!("must be an object, is {}", kind(&other)))])),
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

    /// A list of texts that has to be there.
    pub(crate) fn texts(&mut self, name: &'static str) -> Vec<String> {
        self.accepted.push(name);
        let items = match self.rest.remove(name) {
            Some(Value::Array(items)) => items,
            None => {
                self.errors.push(wrong(&format!("/{name}"), "is missing".into()));
                return Vec::new();
            }
            Some(other) => {
                self.errors.push(wrong(&format!("/{name}"), format!("must be a list, is {}", kind(&other))));
                return Vec::new();
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                other => self.errors.push(wrong(&format!("/{name}/{index}"), format!("must be a string, is {}", kind(&other)))),
            }
        }
        texts
    }

    /// Everything wrong with the object, fields that nobody asked for included.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        let accepted = self.accepted.join(", ");
        for name in self.rest.keys() {
            self.errors.push(wrong(&pointer("", name), format!("unknown field; accepted are {accepted}")));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(raw: &str) -> String {
        let error = parse(raw.as_bytes()).expect_err(raw);
        assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{raw}");
        error.detail
    }

    #[test]
    fn a_key_that_is_given_twice_is_named_at_any_depth() {
        for (raw, key) in [
            (r#"{"a":1,"a":1}"#, "a"),
            (r#"{"items":[{"productId":"p","quantity":1,"quantity":50}]}"#, "quantity"),
            (r#"{"shipping":{"zip":"97201","more":{},"zip":"97202"}}"#, "zip"),
            (r#"{"total":1,"\u0074otal":2}"#, "total"),
        ] {
            let refusal = refusal(raw);
            assert!(refusal.contains(&format!("the key '{key}' is given twice at line 1 column")), "{refusal}");
        }
    }

    #[test]
    fn a_key_may_be_there_again_in_another_object() {
        let raw = r#"{"items":[{"q":1},{"q":2.5e3}],"q":null,"x":{"q":true,"more":["q",-1,18446744073709551615]}}"#;
        assert_eq!(parse(raw.as_bytes()).unwrap().len(), 3);
    }
}
