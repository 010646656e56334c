//! Runs in a row that were not served. They open no circuit, because a few of them are bad luck; people are told.

use jiff::{SignedDuration, Timestamp};

use super::Evidence;

/// After so long without another one it says nothing any more: nobody has tried.
const LASTS: SignedDuration = SignedDuration::from_mins(10);
/// Characters of a reason that are kept.
const MAX_REASON: usize = 300;

/// How many instances one after the other were not served, and why. A run that is tried again is of an instance that was counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    length: u32,
    last: Option<Timestamp>,
    reason: String,
}

impl Row {
    pub(super) fn record(&mut self, evidence: Evidence, now: Timestamp) {
        match evidence {
            Evidence::Worked => *self = Self::default(),
            Evidence::Unserved | Evidence::Hung(_) => {
                self.length = self.length.saturating_add(1);
                self.last = Some(now);
            }
            Evidence::UnservedAgain => self.last = self.last.map(|_| now),
            Evidence::Failed | Evidence::FailedAgain => {}
        }
    }

    pub(super) fn length(&self, now: Timestamp) -> u32 {
        if self.last.is_some_and(|last| now.duration_since(last) < LASTS) { self.length } else { 0 }
    }

    pub(super) fn set_reason(&mut self, reason: &str) {
        self.reason = reason.chars().take(MAX_REASON).collect();
    }

    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    #[test]
    fn it_grows_by_instances_ends_with_what_works_and_is_over_when_nobody_tries() {
        let mut row = Row::default();
        row.record(Evidence::UnservedAgain, at(0));
        assert_eq!(row.length(at(0)), 0, "it began before");
        for _ in 0..3 {
            row.record(Evidence::Unserved, at(0));
        }
        row.record(Evidence::UnservedAgain, at(9));
        assert_eq!((row.length(at(9)), row.length(at(18)), row.length(at(19))), (3, 3, 0));
        row.record(Evidence::Worked, at(10));
        row.record(Evidence::UnservedAgain, at(10));
        assert_eq!(row.length(at(10)), 0);
    }
}
