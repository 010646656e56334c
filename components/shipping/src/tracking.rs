//! Tracking numbers in the form of the USPS: 22 digits, the last a mod-10 check digit.

use step_sdk::derive;

/// Service type of the label: Priority Mail.
const SERVICE: &str = "9405";

/// The number of the label with this idempotency key.
pub fn number(idempotency_key: &str) -> String {
    let body = format!("{SERVICE}{}", derive::decimal(&["label", idempotency_key], 17));
    let check = check_digit(&body);
    format!("{body}{check}")
}

/// The digits, from the right, count three times and once in turn; the check digit fills up to a multiple of ten.
fn check_digit(body: &str) -> u32 {
    let sum: u32 = body.bytes().rev().zip([3, 1].into_iter().cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_that_of_known_labels() {
        assert_eq!(check_digit("940011120255584233266"), 9);
        assert_eq!(check_digit("936128987870031763379"), 5);
    }

    #[test]
    fn a_number_has_22_digits_begins_with_94_and_checks() {
        let number = number("order-1:step-shipping:1");
        assert_eq!(number.len(), 22);
        assert!(number.starts_with("94") && number.bytes().all(|digit| digit.is_ascii_digit()), "{number}");
        assert_eq!(number[21..], check_digit(&number[..21]).to_string());
    }

    #[test]
    fn the_same_key_gives_the_same_label_and_another_key_another() {
        assert_eq!(number("a"), number("a"));
        assert_ne!(number("a"), number("b"));
    }
}
