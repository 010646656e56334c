//! The four answers a step can give.

use serde::Serialize;

use crate::{Failure, Outcome, Rejection};

/// How an attempt ended.
pub type Answer = Result<Outcome, Failure>;

/// The work is done; the fields of `result`, which must serialize to a JSON object, are merged into the instance's data.
pub fn accepted(result: &impl Serialize) -> Answer {
    Ok(Outcome::Accepted(object(result)?))
}

/// The business says no: `code` for programs, `reason` as one sentence for a person, `details` merged into the instance's data.
pub fn rejected(code: &str, reason: impl Into<String>, details: &impl Serialize) -> Answer {
    Ok(Outcome::Rejected(Rejection { code: code.to_owned(), reason: reason.into(), details: object(details)? }))
}

/// Something broke that may work the next time.
pub fn transient(why: impl Into<String>) -> Answer {
    Err(Failure::Transient(why.into()))
}

/// Something is wrong that another attempt will not mend.
pub fn permanent(why: impl Into<String>) -> Answer {
    Err(Failure::Permanent(why.into()))
}

fn object(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|problem| Failure::Permanent(format!("the answer could not be written as JSON: {problem}")))
}
