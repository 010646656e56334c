//! What may have been meant.

use std::collections::HashSet;
use std::fmt::Write as _;

/// Names shown at most when all accepted ones are listed.
const MAX_LISTED: usize = 30;
/// From this likeness on a name counts as a slip of another.
const LIKENESS: f64 = 0.72;
/// Letters that a part of a name has at least to stand for it.
const SHORTEST_PART: usize = 4;

/// `did you mean 'x'? accepted: a, b, x`.
pub(super) fn help<'a>(given: &str, accepted: impl IntoIterator<Item = &'a str>) -> String {
    let mut seen = HashSet::new();
    let accepted: Vec<&str> = accepted.into_iter().filter(|name| seen.insert(*name)).collect();
    let mut text = String::new();
    if let Some(meant) = closest(given, &accepted) {
        let _ = write!(text, "did you mean '{meant}'? ");
    }
    if accepted.is_empty() {
        text.push_str("there is none");
        return text;
    }
    let _ = write!(text, "accepted: {}", accepted[..accepted.len().min(MAX_LISTED)].join(", "));
    if accepted.len() > MAX_LISTED {
        let _ = write!(text, " and {} more", accepted.len() - MAX_LISTED);
    }
    text
}

/// The name that was probably meant, if one is like what was given.
pub(super) fn closest<'a>(given: &str, accepted: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    // Long enough that a comparison is cheap, and no name is longer.
    if given.is_empty() || given.len() > 200 {
        return None;
    }
    let scored = accepted.iter().map(|name| (strsim::normalized_damerau_levenshtein(&given, &name.to_lowercase()), *name));
    let like = scored.filter(|(score, _)| *score >= LIKENESS).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name);
    like.or_else(|| longer(&given, accepted))
}

/// The one name that begins or ends with what was given.
fn longer<'a>(given: &str, accepted: &[&'a str]) -> Option<&'a str> {
    let mut longer = accepted.iter().filter(|name| given.len() >= SHORTEST_PART && (name.starts_with(given) || name.ends_with(given)));
    longer.next().filter(|_| longer.next().is_none()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        assert_eq!(help("adress", ["address", "readTimeout"]), "did you mean 'address'? accepted: address, readTimeout");
        assert_eq!(help("zzz", ["address"]), "accepted: address");
        assert_eq!(help("returns", ["returns-api", "claims-api"]), "did you mean 'returns-api'? accepted: returns-api, claims-api");
        assert_eq!(help("x", []), "there is none");
    }
}
