//! The rule, without a sandbox.

/// Whether a total is within the limit, and how near it is, from 0 to 1.
pub fn check(total: f64, limit: f64) -> (bool, f64) {
    (total <= limit, ((total / limit).min(1.0) * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn small_totals_are_scored() {
        assert_eq!(check(250.0, 1000.0), (true, 0.25));
    }

    #[test]
    fn large_totals_are_over_the_limit() {
        assert!(!check(1000.01, 1000.0).0);
    }
}
