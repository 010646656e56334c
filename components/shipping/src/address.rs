//! Where a parcel goes, checked as far as a carrier checks it before it comes.

use serde::Deserialize;

/// `shipping` of the instance's data, as written by the customer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Street and number.
    pub address: String,
    /// City.
    pub city: String,
    /// State, `OR` or `Oregon`.
    pub state: String,
    /// `97201` or `97201-1234`.
    pub zip: String,
}

/// What the carrier does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacceptable {
    /// Short and stable, for programs.
    pub code: &'static str,
    /// For the customer.
    pub reason: String,
}

impl Address {
    /// The five digits that say where it is, if the carrier accepts the address.
    pub fn zip5(&self) -> Result<&str, Unacceptable> {
        for (part, name) in [(&self.address, "street address"), (&self.city, "city"), (&self.state, "state")] {
            if part.trim().is_empty() {
                return Err(Unacceptable { code: "incomplete_address", reason: format!("The shipping address lacks the {name}.") });
            }
        }
        zip5(self.zip.trim()).ok_or_else(|| Unacceptable {
            code: "invalid_zip",
            reason: "The ZIP code must have five digits, such as 97201, or nine, such as 97201-1234.".to_owned(),
        })
    }
}

fn zip5(zip: &str) -> Option<&str> {
    let (five, four) = zip.split_once('-').map_or((zip, None), |(five, four)| (five, Some(four)));
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(five, 5) && four.is_none_or(|four| digits(four, 4))).then_some(five)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_digits_or_nine_are_a_zip_code() {
        assert_eq!(zip5("97201"), Some("97201"));
        assert_eq!(zip5("97201-1234"), Some("97201"));
        for wrong in ["", "9720", "972011", "97201-", "97201-12", "9720a", "９７２０１", "97201-1234-5"] {
            assert_eq!(zip5(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_part_that_lacks_is_named() {
        let address = Address { address: "123 Main St".into(), city: " ".into(), state: "OR".into(), zip: "97201".into() };
        assert_eq!(address.zip5().map_err(|problem| problem.reason), Err("The shipping address lacks the city.".to_owned()));
    }
}
