//! When a parcel arrives: three to five business days, by how far it travels from the warehouse in the West.

use step_sdk::jiff::civil::{Date, Weekday};

/// The day on which a parcel that is handed over on `shipped` arrives at the region of `zip5`, the first digit of which says how far
/// east it is: 0 is New England, 9 the Pacific coast.
pub fn estimated(shipped: Date, zip5: &str) -> Date {
    let business_days = match zip5.as_bytes().first() {
        Some(b'7'..=b'9') => 3,
        Some(b'4'..=b'6') => 4,
        _ => 5,
    };
    let later = std::iter::successors(shipped.tomorrow().ok(), |day| day.tomorrow().ok());
    later.filter(|day| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)).nth(business_days - 1).unwrap_or(shipped)
}

#[cfg(test)]
mod tests {
    use step_sdk::jiff::civil::date;

    use super::*;

    #[test]
    fn nearer_regions_wait_less() {
        let monday = date(2026, 11, 2);
        assert_eq!(estimated(monday, "97201"), date(2026, 11, 5));
        assert_eq!(estimated(monday, "60601"), date(2026, 11, 6));
        assert_eq!(estimated(monday, "02108"), date(2026, 11, 9));
    }

    #[test]
    fn weekends_do_not_count_on_either_end() {
        assert_eq!(estimated(date(2026, 11, 6), "97201"), date(2026, 11, 11));
        assert_eq!(estimated(date(2026, 11, 7), "97201"), date(2026, 11, 11));
    }
}
