//! Numbers as they come in headers and queries.

use super::error::{ApiError, quoted};
use crate::services::ServiceError;

/// The `limit` of a query, for pages of at most `most` entries. Whether it is one of them is for whoever makes the page to say.
pub(super) fn parse_limit(text: &str, most: usize) -> Result<usize, ApiError> {
    let limit = whole_number(text).and_then(|limit| usize::try_from(limit).ok());
    let wrong = || ServiceError::field("limit", format!("expected a whole number from 1 to {most}, got '{}'", quoted(text)));
    limit.ok_or_else(|| wrong().into())
}

/// Digits and nothing else, as far as the database can count.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && i64::try_from(*number).is_ok())
}
