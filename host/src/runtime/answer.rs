//! What a component answered, checked: it may be anything, and only four things are let through.

use serde_json::{Map, Value};

use super::bindings::{Failure, Outcome};
use super::text::{MAX_REASON_BYTES, tamed};
use super::{Limits, Verdict};

/// Characters of a rejection's code.
const MAX_CODE: usize = 64;

/// The verdict of an answer.
///
/// # Errors
/// What is wrong with the answer, as a clause that goes on after the component's name.
pub(super) fn verdict(answer: &Result<Outcome, Failure>, limits: &Limits) -> Result<Verdict, String> {
    match answer {
        Ok(Outcome::Accepted(results)) => object("results", results, limits).map(Verdict::Accepted),
        Ok(Outcome::Rejected(rejection)) => Ok(Verdict::Rejected {
            code: code(&rejection.code)?,
            reason: tamed(&rejection.reason, MAX_REASON_BYTES),
            details: object("details", &rejection.details, limits)?,
        }),
        Err(Failure::Transient(reason)) => Ok(Verdict::Transient(tamed(reason, MAX_REASON_BYTES))),
        Err(Failure::Permanent(reason)) => Ok(Verdict::Permanent(tamed(reason, MAX_REASON_BYTES))),
    }
}

/// Whether an answer is larger than what is taken.
pub(super) fn is_too_large(answer: &Result<Outcome, Failure>, limits: &Limits) -> bool {
    let text = match answer {
        Ok(Outcome::Accepted(results)) => results,
        Ok(Outcome::Rejected(rejection)) => &rejection.details,
        Err(_) => return false,
    };
    text.len() > limits.answer_bytes
}

/// Parses JSON that must be an object. The parser refuses more than 128 levels.
pub(super) fn object(what: &str, text: &str, limits: &Limits) -> Result<Map<String, Value>, String> {
    if text.len() > limits.answer_bytes {
        return Err(format!("answered with {what} of {} bytes, and at most {} are taken", text.len(), limits.answer_bytes));
    }
    serde_json::from_str(text).map_err(|error| {
        let start = tamed(text.trim(), 60);
        format!("answered with {what} that are not a JSON object ({}): {start}", tamed(&error.to_string(), 200))
    })
}

fn code(code: &str) -> Result<String, String> {
    let fits = (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(code.to_owned());
    }
    let shown = tamed(code, MAX_CODE);
    Err(format!("rejected with the code '{shown}': a code has 1 to {MAX_CODE} visible ASCII characters, for example insufficient_funds"))
}
