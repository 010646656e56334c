//! What one sequence of results says: closed, open, or tried again.
//!
//! Knows times, not whose results they are.

use jiff::{SignedDuration, Timestamp};

use super::{Change, Evidence};

/// Failures in a row that open it.
pub(super) const MAX_IN_A_ROW: u32 = 5;
/// Runs that are looked back at, and how many of them must have failed to open it.
pub(super) const WINDOW: (u32, u32) = (20, 10);
/// Trials, one after the other, of which one has to say that it works, before it is left alone for another while.
pub(super) const TRIALS: u32 = 5;
/// How much longer a run waits that was attempted before: another one is the better trial.
const LAST_IN_LINE: SignedDuration = SignedDuration::from_secs(5);
/// How long it stays open, and how long the one run that is let through has before another one is.
const PAUSE: SignedDuration = SignedDuration::from_secs(30);

/// Whether runs are begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// They are.
    #[default]
    Closed,
    /// None is, until then.
    Open(Timestamp),
    /// One is under way to try; no other until then.
    HalfOpen(Timestamp),
}

/// One sequence of results. [`Evidence::Hung`] is to it what [`Evidence::Unserved`] is.
#[derive(Debug, Clone, Default)]
pub(super) struct Circuit {
    state: State,
    in_a_row: u32,
    /// The last results, the newest in the lowest bit: 1 is a failure.
    recent: u32,
    seen: u32,
    /// Trials since it was open that have decided nothing.
    undecided: u32,
}

impl Circuit {
    /// When to ask again, if no run may begin now. One that is `last` in line is a trial only if no other one comes.
    pub(super) fn until(&self, last: bool, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            State::Closed => None,
            State::Open(until) | State::HalfOpen(until) => {
                // A clock that was set back must not make it wait longer than ever.
                let until = until.min(later(now));
                let until = if last { until.saturating_add(LAST_IN_LINE).unwrap_or(until) } else { until };
                (now < until).then_some(until)
            }
        }
    }

    /// A run begins that may.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if !self.is_closed() {
            self.state = State::HalfOpen(later(now));
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// How many of the last results are failures, or of those in a row if these are more.
    pub(super) fn failures(&self) -> u32 {
        self.recent.count_ones().max(self.in_a_row)
    }

    /// A run has ended. Results of runs that began before it opened say nothing any more.
    pub(super) fn record(&mut self, evidence: Evidence, now: Timestamp) -> Option<Change> {
        match (self.state, evidence) {
            (State::Open(_), _) | (State::Closed, Evidence::UnservedAgain) => None,
            // It goes on with what others have begun, and says nothing by itself.
            (State::Closed, Evidence::FailedAgain) if self.in_a_row == 0 => None,
            (State::Closed, Evidence::FailedAgain) => {
                self.in_a_row += 1;
                (self.in_a_row >= MAX_IN_A_ROW).then(|| self.open(now))
            }
            (State::HalfOpen(_), Evidence::Worked) => {
                *self = Self::default();
                Some(Change::Closed)
            }
            // A run for which it never works must not be the only trial there is.
            (State::HalfOpen(_), Evidence::Unserved | Evidence::UnservedAgain | Evidence::Hung(_)) if self.undecided + 1 < TRIALS => {
                self.undecided += 1;
                self.state = State::HalfOpen(now);
                Some(Change::Undecided)
            }
            (State::HalfOpen(_), _) => Some(self.open(now)),
            (State::Closed, evidence) => {
                self.count(evidence);
                let opens = self.in_a_row >= MAX_IN_A_ROW || (self.seen >= WINDOW.0 && self.recent.count_ones() >= WINDOW.1);
                opens.then(|| self.open(now))
            }
        }
    }

    fn open(&mut self, now: Timestamp) -> Change {
        self.undecided = 0;
        self.state = State::Open(later(now));
        Change::Opened
    }

    /// What is not served counts among the last results only: a few runs in a row that nobody can serve are no outage.
    fn count(&mut self, evidence: Evidence) {
        match evidence {
            Evidence::Worked => self.in_a_row = 0,
            Evidence::Failed | Evidence::FailedAgain => self.in_a_row += 1,
            Evidence::Unserved | Evidence::UnservedAgain | Evidence::Hung(_) => {}
        }
        self.recent = ((self.recent << 1) | u32::from(evidence != Evidence::Worked)) & ((1 << WINDOW.0) - 1);
        self.seen = (self.seen + 1).min(WINDOW.0);
    }

    /// As metrics show it: 0 closed, 1 half open, 2 open.
    pub(super) fn level(&self, now: Timestamp) -> i64 {
        match self.state {
            State::Open(until) if now < until => 2,
            State::Open(_) | State::HalfOpen(_) => 1,
            State::Closed => 0,
        }
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.saturating_add(PAUSE).unwrap_or(Timestamp::MAX)
}
