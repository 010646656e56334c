//! Whether what came back is what has to come back, and an answer as every answer has to be.

use serde_json::Value;

use super::case::{Case, Expected};
use super::fill::Facts;
use super::wire::{Answer, Exchange};

/// Bytes of an answer that a complaint shows.
const SHOWN: usize = 200;

/// Everything that is wrong with it, if something is.
pub fn judge(facts: &Facts, case: &Case, expected: &Expected, exchange: &Exchange, head: bool) -> Result<(), String> {
    if let Some(malformed) = &exchange.malformed {
        return Err(format!("expected {expected}, got {malformed}: {}", shown(&exchange.rest)));
    }
    let all: Vec<&Expected> = std::iter::once(expected).chain(&case.then).collect();
    for (at, wanted) in all.iter().enumerate() {
        let answer = exchange.answers.get(at);
        if answer.is_none() && exchange.silent {
            return Err(format!("expected {wanted}, but nothing comes and the connection stays open"));
        }
        if !wanted.accepts(answer.map(|answer| answer.status)) {
            let got = answer.map_or_else(|| "the end of the connection".to_owned(), |a| format!("{} {}", a.status, shown(&a.body)));
            return Err(format!("expected {wanted}, got {got}"));
        }
        let Some(answer) = answer else { continue };
        well_formed(answer, head && at == 0).map_err(|what| format!("{} as expected, but {what}", answer.status))?;
    }
    if let Some(surplus) = exchange.answers.get(all.len()) {
        return Err(format!("an answer more than there were requests: {} {}", surplus.status, shown(&surplus.body)));
    }
    if !exchange.rest.is_empty() {
        return Err(format!("bytes after the last answer: {}", shown(&exchange.rest)));
    }
    exchange.answers.first().map_or(Ok(()), |answer| says(facts, case, answer, head))
}

/// What holds for every answer, whatever was asked.
fn well_formed(answer: &Answer, head: bool) -> Result<(), String> {
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    if header("x-content-type-options") != "nosniff" {
        return Err("`x-content-type-options: nosniff` is missing".to_owned());
    }
    if answer.header("server").is_some() {
        return Err(format!("it names the server: {}", header("server")));
    }
    if answer.status < 400 {
        return Ok(());
    }
    if header("content-type") != "application/problem+json" {
        return Err(format!("its content type is '{}', not application/problem+json: {}", header("content-type"), shown(&answer.body)));
    }
    if head {
        return Ok(());
    }
    let problem: Value = serde_json::from_slice(&answer.body).map_err(|error| format!("its body is no JSON: {error}"))?;
    let detail = problem["detail"].as_str().unwrap_or_default();
    let whole = problem["status"] == answer.status && problem["title"].is_string() && problem["error"] == problem["detail"];
    if whole && detail.len() > 5 { Ok(()) } else { Err(format!("its body is not a whole problem: {problem}")) }
}

/// What this case says of the first answer.
fn says(facts: &Facts, case: &Case, answer: &Answer, head: bool) -> Result<(), String> {
    let text = answer.text();
    let filled = |parts: &[String]| parts.iter().map(|part| String::from_utf8_lossy(&facts.fill(part)).into_owned()).collect::<Vec<_>>();
    if let Some(most) = case.at_most.filter(|most| answer.body.len() > *most) {
        return Err(format!("{} has {} bytes, which is more than {most}", answer.status, answer.body.len()));
    }
    if let Some(missing) = filled(&case.says).iter().find(|part| !head && !text.contains(part.as_str())) {
        return Err(format!("{} does not say '{missing}': {}", answer.status, shown(&answer.body)));
    }
    if let Some(told) = filled(&case.says_not).iter().find(|part| text.contains(part.as_str())) {
        return Err(format!("{} says '{told}': {}", answer.status, shown(&answer.body)));
    }
    for (name, part) in &case.has {
        let all: Vec<&str> =
            answer.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect();
        if !all.iter().any(|value| value.contains(part.as_str())) {
            return Err(format!("{} has '{name}: {}', which does not contain '{part}'", answer.status, all.join(", ")));
        }
    }
    match case.has_not.iter().find_map(|name| answer.header(name).map(|value| (name, value))) {
        Some((name, value)) => Err(format!("{} has the header '{name}: {value}'", answer.status)),
        None => Ok(()),
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(SHOWN).collect::<String>().escape_debug().to_string()
}
