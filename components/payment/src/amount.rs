//! Money: read from decimal text, counted in cents, never a floating-point number.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An amount in cents. Nothing is one: what is free comes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(u64);

impl Amount {
    /// Reads a JSON number such as `149.99`, `150` or `9.90`. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (units, fraction) = text.split_once('.').unwrap_or((text, ""));
        let cents = match fraction.trim_end_matches('0') {
            "" => "00".to_owned(),
            digits if digits.len() <= 2 => format!("{digits:0<2}"),
            _ => return Err(format!("total is {text}, which is not a whole number of cents")),
        };
        if !units.bytes().chain(cents.bytes()).all(|digit| digit.is_ascii_digit()) {
            return Err(format!("total is {text}, which is not a plain decimal number such as 149.99"));
        }
        match format!("{units}{cents}").parse() {
            Ok(cents) => Ok(Self(cents)),
            Err(_) => Err(format!("total is {text}, which is more than can be charged")),
        }
    }
}

/// One of `items` that says its price itself.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    quantity: u64,
}

impl Amount {
    /// What a list of `{price, quantity}` comes to, where nobody has written a total.
    pub fn of_lines(items: &str) -> Result<Self, String> {
        let lines: Vec<Line<'_>> = serde_json::from_str(items)
            .map_err(|problem| format!("there is no total, and the items have no prices to add up: {problem}"))?;
        let too_much = || "the items come to more than can be charged".to_owned();
        let cents = lines.iter().try_fold(0_u64, |sum, line| {
            let price = Self::parse(line.price.get())?;
            price.0.checked_mul(line.quantity).and_then(|amount| sum.checked_add(amount)).ok_or_else(too_much)
        })?;
        if lines.iter().all(|line| line.quantity == 0) {
            return Err("there is no total, and no items to add up".to_owned());
        }
        Ok(Self(cents))
    }
}

impl Amount {
    /// Whole cents.
    pub fn cents(self) -> u64 {
        self.0
    }

    /// Whether there is nothing to charge.
    pub fn is_nothing(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_exact_cents() {
        for (text, cents) in
            [("149.99", 14_999), ("0.1", 10), ("9.9900", 999), ("34", 3_400), ("34.0", 3_400), ("0.29", 29), ("0", 0), ("0.00", 0)]
        {
            assert_eq!(Amount::parse(text), Ok(Amount(cents)), "{text}");
        }
        assert_eq!(Amount(14_905).to_string(), "149.05");
    }

    #[test]
    fn lines_with_prices_are_added_up_exactly() {
        let items = r#"[{"productId": "a", "price": 149.99, "quantity": 2}, {"price": 0.1, "quantity": 3, "name": "b"}]"#;
        assert_eq!(Amount::of_lines(items), Ok(Amount(30_028)));
        for items in ["[]", r#"[{"price": 1, "quantity": 0}]"#, r#"[{"quantity": 1}]"#, r#"[{"price": -1, "quantity": 1}]"#, "7"] {
            assert!(Amount::of_lines(items).is_err(), "{items}");
        }
        assert_eq!(Amount::of_lines(r#"[{"price": 0, "quantity": 2}]"#), Ok(Amount(0)), "a gift");
        let much = format!(r#"[{{"price": 1, "quantity": {}}}]"#, u64::MAX);
        assert!(Amount::of_lines(&much).is_err_and(|problem| problem.contains("more than can be charged")));
    }

    #[test]
    fn what_cannot_be_charged_is_named() {
        for (text, expected) in [
            ("-5", "not a plain decimal number"),
            ("1e3", "not a plain decimal number"),
            ("\"12\"", "not a plain decimal number"),
            ("null", "not a plain decimal number"),
            ("0.001", "not a whole number of cents"),
            ("99999999999999999999", "more than can be charged"),
        ] {
            let problem = Amount::parse(text).expect_err(text);
            assert!(problem.contains(expected) && problem.contains(text), "{text}: {problem}");
        }
    }
}
