//! What may have been meant.

use std::fmt::Write as _;

/// Names shown at most when all accepted ones are listed.
const MAX_LISTED: usize = 30;
/// From this likeness on a name counts as a slip of another.
const LIKENESS: f64 = 0.72;

/// `did you mean 'x'? accepted: a, b, x`.
pub(super) fn help<'a>(given: &str, accepted: impl IntoIterator<Item = &'a str>) -> String {
    let accepted: Vec<&str> = accepted.into_iter().collect();
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

fn closest<'a>(given: &str, accepted: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    // Long enough that a comparison is cheap, and no name is longer.
    if given.is_empty() || given.len() > 200 {
        return None;
    }
    let scored = accepted.iter().map(|name| (strsim::normalized_damerau_levenshtein(&given, &name.to_lowercase()), *name));
    scored.filter(|(score, _)| *score >= LIKENESS).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        assert_eq!(help("adress", ["address", "readTimeout"]), "did you mean 'address'? accepted: address, readTimeout");
        assert_eq!(help("zzz", ["address"]), "accepted: address");
        assert_eq!(help("x", []), "there is none");
    }
}
