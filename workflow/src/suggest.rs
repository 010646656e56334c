//! What an author probably meant by a name that is not known. It knows names only, not what they stand for.

/// How many known names a message lists before it only counts the rest.
const LISTED: usize = 12;
/// Longer names are not compared: the distance of two takes time in proportion to the product of their lengths.
const MAX_COMPARED: usize = 64;

/// The known name that is nearest to `name`, if one is near enough to be meant: up to one typing error in three characters.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    if name.len() > MAX_COMPARED {
        return None;
    }
    known
        .into_iter()
        .filter_map(|candidate| Some((distance(&name, candidate)?, candidate)))
        .filter(|(distance, _)| *distance <= name.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What would be accepted instead of `name`, as the end of a message: the nearest known name, or the known ones.
///
/// `kind` is the plural of what the names stand for, for example `states`.
pub(crate) fn accepted<'a>(name: &str, kind: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None if known.is_empty() => format!("there are no {kind}"),
        None => format!("{kind}: {}", list(known)),
    }
}

/// Names in quotes with commas between, cut off when there are many.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("'{name}'")).collect();
    match quoted.len().checked_sub(LISTED) {
        None | Some(0) => quoted.join(", "),
        Some(more) => format!("{} and {more} more", quoted[..LISTED].join(", ")),
    }
}

/// Insertions, deletions, changes and swaps of neighbours that lead from one name to the other; case does not count.
/// `None` if the lengths alone say that it is too far.
fn distance(name: &[char], candidate: &str) -> Option<usize> {
    let other: Vec<char> = candidate.to_lowercase().chars().collect();
    if other.len().abs_diff(name.len()) > name.len() / 3 {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for row in 1..=name.len() {
        let mut current = vec![row];
        for column in 1..=other.len() {
            let changed = above[column - 1] + usize::from(name[row - 1] != other[column - 1]);
            let mut least = changed.min(above[column] + 1).min(current[column - 1] + 1);
            if row > 1 && column > 1 && name[row - 1] == other[column - 2] && name[row - 2] == other[column - 1] {
                least = least.min(before[column - 2] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [&str; 4] = ["cancelled", "new", "paying", "payment_failed"];

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        for (written, meant) in [("nwe", "new"), ("Paying", "paying"), ("payng", "paying"), ("canceled", "cancelled")] {
            assert_eq!(nearest(written, STATES), Some(meant));
        }
    }

    #[test]
    fn another_word_is_not_taken_for_a_slip() {
        for written in ["shipped", "", "n", "paid for by somebody else entirely"] {
            assert_eq!(nearest(written, STATES), None);
        }
    }

    #[test]
    fn each_slip_counts_once_and_two_of_them_twice() {
        let apart = |name: &str, candidate: &str| distance(&name.chars().collect::<Vec<_>>(), candidate);
        for (name, candidate, slips) in [
            ("paying", "paying", 0),
            ("pying", "paying", 1),
            ("payying", "paying", 1),
            ("pazing", "paying", 1),
            ("apying", "paying", 1),
            ("payign", "paying", 1),
            ("pyaign", "paying", 2),
            ("pazinx", "paying", 2),
            ("payingxx", "paying", 2),
            ("payi", "payi", 0),
            ("abcdef", "abcdefgh", 2),
            ("xbcdef", "abcdefg", 2),
        ] {
            assert_eq!(apart(name, candidate), Some(slips), "{name}, {candidate}");
        }
        assert_eq!((apart("abc", "abcd"), apart("abc", "abcde")), (Some(1), None), "the lengths alone are too far apart");
    }

    #[test]
    fn names_are_compared_up_to_a_length_that_no_person_types() {
        let (long, too_long) = ("x".repeat(64), "x".repeat(65));
        let slip = format!("{}y", &long[1..]);
        assert_eq!(nearest(&slip, [long.as_str()]), Some(long.as_str()));
        assert_eq!(nearest(&too_long, [too_long.as_str()]), None);
    }

    #[test]
    fn an_endless_name_is_not_compared() {
        assert_eq!(nearest(&"x".repeat(100_000), ["x"; 1]), None);
    }

    #[test]
    fn without_a_near_name_the_known_ones_are_listed_and_many_are_counted() {
        assert_eq!(accepted("zzz", "states", ["a", "b"]), "states: 'a', 'b'");
        assert_eq!(accepted("zzz", "states", []), "there are no states");
        let many: Vec<String> = (0..14).map(|number| format!("s{number:02}")).collect();
        let text = accepted("zzz", "states", many.iter().map(String::as_str));
        assert!(text.ends_with("'s11' and 2 more"), "{text}");
    }
}
