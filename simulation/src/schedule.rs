//! What goes wrong, and where: decided by the seed before anything runs, as a list, so that parts of it can be left out.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Customers of an episode.
pub const CUSTOMERS: u32 = 40;

/// Where something goes wrong. Each place is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A write of the store.
    Write,
    /// A component makes an attempt.
    Attempt,
    /// A component is asked what became of one, or to undo it.
    Question,
    /// An event is published.
    Publish,
    /// An event is given to a consumer.
    Delivery,
    /// A consumer says how far it has come.
    Offset,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before it is done.
    Dies,
    /// The process dies when it is done, and before anybody is told.
    DiesUntold,
    /// It is not done, and whoever asks is told so.
    Refused,
    /// It is done, and whoever asks is told that it was not.
    Unacknowledged,
    /// It takes seconds.
    Slow,
    /// The business says no.
    Declined,
    /// The component breaks.
    Breaks,
    /// There is no answer within the time, and nothing was done.
    Silent,
    /// There is no answer within the time, and it was done.
    SilentlyDone,
    /// There is no answer within the time, and it is done some seconds after it.
    DoneLate,
    /// Nobody can tell.
    Unknown,
    /// It comes twice, at the same time.
    Twice,
    /// The broker forgets how far the consumer had come since it was told last: that comes again.
    Rewound,
    /// The broker does not note how far the consumer has come.
    Unnoted,
    /// Somebody else has written something into the topic that makes no sense.
    Strange,
    /// Somebody sets the date back by a day, or forward.
    DateBack,
    /// See `DateBack`.
    DateForward,
}

use Fault::{
    Breaks, DateBack, DateForward, Declined, Dies, DiesUntold, DoneLate, Refused, Rewound, Silent, SilentlyDone, Slow, Strange, Twice,
    Unacknowledged, Unknown, Unnoted,
};

/// What may go wrong in each place, how many of it there are in an episode, and among the first how many times.
const MAY: [(Place, &[Fault], usize, u64); 6] = [
    (Place::Write, &[Dies, DiesUntold, DiesUntold, Refused, Refused, Slow, DateBack, DateForward], 14, 900),
    (
        Place::Attempt,
        &[Dies, DiesUntold, Refused, Unacknowledged, Declined, Breaks, Silent, SilentlyDone, DoneLate, SilentlyDone, DoneLate],
        45,
        250,
    ),
    (Place::Question, &[Unknown, Refused, Dies, DiesUntold, Slow], 4, 15),
    (Place::Publish, &[Dies, DiesUntold, Refused, Unacknowledged, Slow, Strange], 10, 180),
    (Place::Delivery, &[Twice, Twice, Slow, Dies, DiesUntold], 10, 250),
    (Place::Offset, &[Unnoted, Unnoted, Rewound], 12, 120),
];

/// One fault of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Where.
    pub place: Place,
    /// The how manieth time that it comes there.
    pub nth: u64,
    /// What.
    pub fault: Fault,
}

/// What an episode is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What everything follows from that is random.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Vec<Due>,
}

impl Schedule {
    /// That of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut faults = BTreeMap::new();
        for (place, may, count, among) in MAY {
            for _ in 0..dice.random_range(count / 2..=count) {
                let nth = dice.random_range(1..=among);
                if let Some(fault) = may.choose(&mut dice) {
                    faults.insert((place, nth), *fault);
                }
            }
        }
        Self { seed, faults: faults.into_iter().map(|((place, nth), fault)| Due { place, nth, fault }).collect() }
    }

    /// The same with those faults alone whose numbers are kept.
    #[must_use]
    pub fn only(&self, kept: &[usize]) -> Self {
        let faults = kept.iter().filter_map(|number| self.faults.get(*number).copied()).collect();
        Self { seed: self.seed, faults }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_always_the_same_faults_and_another_one_is_others() {
        assert_eq!(Schedule::of(3), Schedule::of(3));
        assert_ne!(Schedule::of(3).faults, Schedule::of(4).faults);
        let one = Schedule::of(3);
        assert_eq!(one.only(&[0, 2]).faults, [one.faults[0], one.faults[2]]);
    }
}
