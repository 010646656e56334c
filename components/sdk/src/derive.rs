//! Names and numbers derived from keys: the same key gives the same value for ever, in every version of every component.

use sha2::{Digest, Sha256};

/// SHA-256 over `parts`, each preceded by its length, so that no two lists of parts read the same.
pub fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// `length` (64 or fewer) lower-case hex digits derived from `parts`.
pub fn hex(parts: &[&str], length: usize) -> String {
    let nibbles = digest(parts).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.take(length).filter_map(|nibble| char::from_digit(u32::from(nibble), 16)).collect()
}

/// `length` (32 or fewer) decimal digits derived from `parts`.
pub fn decimal(parts: &[&str], length: usize) -> String {
    digest(parts).into_iter().take(length).map(|byte| char::from(b'0' + byte % 10)).collect()
}

/// A number in `[0, 1)` derived from `parts`.
pub fn fraction(parts: &[&str]) -> f64 {
    let [a, b, c, d, ..] = digest(parts);
    f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_derive_equal_values_and_moved_borders_do_not() {
        assert_eq!(hex(&["a", "b"], 20), hex(&["a", "b"], 20));
        assert_ne!(hex(&["ab", ""], 20), hex(&["a", "b"], 20));
        assert_eq!(hex(&["a"], 20).len(), 20);
    }

    #[test]
    fn decimals_are_digits_of_the_asked_length() {
        let digits = decimal(&["key"], 17);
        assert_eq!(digits.len(), 17);
        assert!(digits.bytes().all(|digit| digit.is_ascii_digit()));
    }

    #[test]
    fn fractions_fill_the_unit_interval_evenly() {
        let below_a_quarter = (0..4000).filter(|n| fraction(&[&n.to_string()]) < 0.25).count();
        assert!((900..1100).contains(&below_a_quarter), "{below_a_quarter} of 4000");
    }
}
