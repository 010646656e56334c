//! A circuit breaker for each component: a version that fails again and again is left alone for a while.
//!
//! While it is open no run is begun. A run that would be stays in the store with the attempt it has, and becomes due when the breaker lets
//! one through to try: nothing counts as an attempt, so nothing is compensated only because the breaker is open. A new version begins with
//! a closed breaker, because the state belongs to a digest.
//!
//! The state is a type of its own rather than a layer of a library: a layer answers a denied call with an error, and here the answer is a
//! time to come back that goes into the store; it would measure time by itself, and here tests and the scheduler share the program's clock.
//!
//! Knows digests and times, nothing of what runs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

/// Failures in a row that open it.
const MAX_IN_A_ROW: u32 = 5;
/// Runs that are looked back at, and how many of them must have failed to open it.
const WINDOW: (u32, u32) = (20, 10);
/// Trials, one after the other, of which one has to say that it works, before it is left alone for another while.
const TRIALS: u32 = 5;
/// Seconds of results that are kept to see how others fared beside a run that hung.
const REMEMBERED: usize = 64;
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

/// What the end of a run says of its component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It works.
    Worked,
    /// It does not.
    Failed,
    /// It does not in a run in which that was known.
    FailedAgain,
    /// It works, but what it needs for this run does not answer: the fault of a service behind it, or of what was asked for.
    Unserved,
    /// The same once more in a run in which that was known: it may well be that run's own fault.
    UnservedAgain,
    /// It did not answer for so long, until its time was up. That is [`Evidence::Unserved`] unless most of the runs that ended meanwhile have
    /// worked: many that hang are told of at once after a pause, however few of all they are.
    Hung(Duration),
}

/// What a result has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// No run is begun from now on.
    Opened,
    /// Runs are begun again.
    Closed,
    /// The trial has decided nothing: another run may be one at once.
    Undecided,
}

/// The breaker of one component.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    /// The version that its results are of.
    digest: String,
    state: State,
    in_a_row: u32,
    /// The last results, the newest in the lowest bit: 1 is a failure.
    recent: u32,
    seen: u32,
    /// Trials since it was open that have decided nothing.
    undecided: u32,
    /// By second, the newest last: runs that have worked, and first attempts that have not.
    seconds: VecDeque<Second>,
}

#[derive(Debug, Clone, Copy)]
struct Second {
    at: i64,
    worked: u64,
    failed: u64,
}

impl Breaker {
    /// Whether a run of version `digest` may begin now; `again` if it was attempted before. Such a run is a trial only if no other one comes:
    /// what it shows may well be its own fault.
    ///
    /// # Errors
    /// It may not; the time to ask again.
    pub fn admit(&mut self, digest: &str, again: bool, now: Timestamp) -> Result<(), Timestamp> {
        if self.digest != digest {
            *self = Self { digest: digest.to_owned(), ..Self::default() };
        }
        match self.state {
            State::Closed => Ok(()),
            State::Open(until) | State::HalfOpen(until) => {
                // A clock that was set back must not make it wait longer than ever.
                let until = until.min(later(now));
                let until = if again { until.saturating_add(LAST_IN_LINE).unwrap_or(until) } else { until };
                if now < until {
                    return Err(until);
                }
                self.state = State::HalfOpen(later(now));
                Ok(())
            }
        }
    }

    /// A run of version `digest` has ended. Results of other versions, and of runs that began before it opened, say nothing any more.
    pub fn record(&mut self, digest: &str, evidence: Evidence, now: Timestamp) -> Option<Change> {
        if self.digest != digest {
            return None;
        }
        let evidence = match evidence {
            Evidence::Hung(lasted) if self.state == State::Closed && self.others_worked(lasted, now) => {
                self.note(evidence, now);
                return None;
            }
            Evidence::Hung(_) => Evidence::Unserved,
            evidence => evidence,
        };
        self.note(evidence, now);
        match (self.state, evidence) {
            (State::Open(_), _) | (State::Closed, Evidence::UnservedAgain) => None,
            // It goes on with what others have begun, and says nothing by itself.
            (State::Closed, Evidence::FailedAgain) if self.in_a_row == 0 => None,
            (State::Closed, Evidence::FailedAgain) => {
                self.in_a_row += 1;
                (self.in_a_row >= MAX_IN_A_ROW).then(|| self.open(now))
            }
            (State::HalfOpen(_), Evidence::Worked) => {
                *self = Self { digest: std::mem::take(&mut self.digest), ..Self::default() };
                Some(Change::Closed)
            }
            // A run for which it never works must not be the only trial there is.
            (State::HalfOpen(_), Evidence::Unserved | Evidence::UnservedAgain) if self.undecided + 1 < TRIALS => {
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

    /// Counts what ended in this second.
    fn note(&mut self, evidence: Evidence, now: Timestamp) {
        let (worked, failed) = match evidence {
            Evidence::Worked => (1, 0),
            Evidence::Failed | Evidence::Unserved | Evidence::Hung(_) => (0, 1),
            Evidence::FailedAgain | Evidence::UnservedAgain => return,
        };
        match self.seconds.back_mut() {
            // A clock that was set back adds to what is there.
            Some(last) if last.at >= now.as_second() => (last.worked, last.failed) = (last.worked + worked, last.failed + failed),
            _ => {
                if self.seconds.len() == REMEMBERED {
                    self.seconds.pop_front();
                }
                self.seconds.push_back(Second { at: now.as_second(), worked, failed });
            }
        }
    }

    /// Whether most of the runs that ended in the last `lasted` have worked.
    fn others_worked(&self, lasted: Duration, now: Timestamp) -> bool {
        let since = now.as_second().saturating_sub_unsigned(lasted.as_secs());
        let meanwhile = self.seconds.iter().filter(|second| second.at >= since);
        let (worked, failed) = meanwhile.fold((0, 0), |(worked, failed), second| (worked + second.worked, failed + second.failed));
        worked > failed
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

    /// As metrics show it: 0 closed, 1 half open, 2 open. Of a version other than `digest` it is closed.
    #[must_use]
    pub fn level(&self, digest: &str, now: Timestamp) -> i64 {
        match self.state {
            State::Open(until) if self.digest == digest && now < until => 2,
            State::Open(_) | State::HalfOpen(_) if self.digest == digest => 1,
            _ => 0,
        }
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.saturating_add(PAUSE).unwrap_or(Timestamp::MAX)
}

/// The breakers of the components of a process.
pub struct Breakers {
    by_component: HashMap<String, Mutex<Breaker>>,
}

impl Breakers {
    /// All closed.
    #[must_use]
    pub fn new(components: impl Iterator<Item = String>) -> Self {
        Self { by_component: components.map(|name| (name, Mutex::default())).collect() }
    }

    /// See [`Breaker::admit`].
    ///
    /// # Errors
    /// As there.
    pub fn admit(&self, component: &str, digest: &str, again: bool, now: Timestamp) -> Result<(), Timestamp> {
        self.by_component.get(component).map_or(Ok(()), |breaker| breaker.lock().admit(digest, again, now))
    }

    /// See [`Breaker::record`].
    pub fn record(&self, component: &str, digest: &str, evidence: Evidence, now: Timestamp) -> Option<Change> {
        self.by_component.get(component)?.lock().record(digest, evidence, now)
    }

    /// See [`Breaker::level`].
    #[must_use]
    pub fn level(&self, component: &str, digest: &str, now: Timestamp) -> i64 {
        self.by_component.get(component).map_or(0, |breaker| breaker.lock().level(digest, now))
    }
}

#[cfg(test)]
mod tests {
    use super::Evidence::{Failed, FailedAgain, Hung, Unserved, UnservedAgain, Worked};
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn fresh() -> Breaker {
        let mut breaker = Breaker::default();
        breaker.admit("v1", false, at(0)).unwrap();
        breaker
    }

    fn opened() -> Breaker {
        let mut breaker = fresh();
        for _ in 0..MAX_IN_A_ROW {
            breaker.record("v1", Failed, at(0));
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_four_do_not() {
        let mut breaker = fresh();
        for round in 0..3 {
            for _ in 0..4 {
                assert_eq!(breaker.record("v1", Failed, at(0)), None, "{round}");
            }
            assert_eq!(breaker.record("v1", Worked, at(0)), None);
            // Enough successes that half of the last ones have not failed.
            for _ in 0..6 {
                breaker.record("v1", Worked, at(0));
            }
        }
        let changes: Vec<_> = (0..5).map(|_| breaker.record("v1", Failed, at(0))).collect();
        assert_eq!(changes, [None, None, None, None, Some(Change::Opened)]);
        assert_eq!(breaker.admit("v1", false, at(29)), Err(at(30)));
    }

    #[test]
    fn half_of_the_last_twenty_open_it_and_not_before_there_were_twenty() {
        let mut breaker = fresh();
        let changes: Vec<_> = (0..20).map(|n| breaker.record("v1", if n % 2 == 0 { Failed } else { Worked }, at(0))).collect();
        assert!(changes[..19].iter().all(Option::is_none), "{changes:?}");
        assert_eq!(changes[19], Some(Change::Opened));
    }

    #[test]
    fn after_its_pause_one_run_is_let_through_and_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.level("v1", at(1)), 2);
        assert_eq!(breaker.level("v1", at(30)), 1);
        assert_eq!(breaker.admit("v1", false, at(30)), Ok(()));
        assert_eq!(breaker.admit("v1", false, at(31)), Err(at(60)), "one at a time");
        assert_eq!(breaker.record("v1", Failed, at(32)), Some(Change::Opened));
        assert_eq!(breaker.admit("v1", false, at(61)), Err(at(62)));
        assert_eq!(breaker.admit("v1", false, at(62)), Ok(()));
        assert_eq!(breaker.record("v1", Worked, at(63)), Some(Change::Closed));
        assert_eq!((breaker.admit("v1", false, at(63)), breaker.level("v1", at(63))), (Ok(()), 0));
        assert_eq!(breaker.record("v1", Failed, at(64)), None, "it begins anew");
    }

    #[test]
    fn a_run_that_was_attempted_before_is_a_trial_only_if_no_other_comes() {
        let mut breaker = opened();
        assert_eq!(breaker.admit("v1", true, at(10)), Err(at(35)));
        assert_eq!(breaker.admit("v1", true, at(30)), Err(at(35)));
        assert_eq!(breaker.clone().admit("v1", false, at(30)), Ok(()));
        assert_eq!(breaker.admit("v1", true, at(35)), Ok(()));
        assert_eq!(breaker.admit("v1", false, at(36)), Err(at(65)), "one at a time");
    }

    #[test]
    fn runs_that_fail_again_open_nothing_by_themselves_and_go_on_with_what_others_began() {
        let mut breaker = fresh();
        for _ in 0..100 {
            assert_eq!(breaker.record("v1", FailedAgain, at(0)), None);
        }
        breaker.record("v1", Failed, at(0));
        let changes: Vec<_> = (0..4).map(|_| breaker.record("v1", FailedAgain, at(0))).collect();
        assert_eq!(changes, [None, None, None, Some(Change::Opened)]);
    }

    #[test]
    fn one_in_twenty_that_fails_at_every_attempt_opens_nothing() {
        let mut breaker = fresh();
        for run in 0..10_000 {
            let first = if run % 20 == 0 { Failed } else { Worked };
            for evidence in [first, if run % 3 == 0 { FailedAgain } else { Worked }] {
                assert_eq!(breaker.record("v1", evidence, at(0)), None, "{run}");
            }
        }
    }

    #[test]
    fn a_run_that_was_let_through_and_never_came_back_does_not_keep_it_shut_for_ever() {
        let mut breaker = opened();
        assert_eq!(breaker.admit("v1", false, at(40)), Ok(()));
        assert_eq!(breaker.admit("v1", false, at(69)), Err(at(70)));
        assert_eq!(breaker.admit("v1", false, at(70)), Ok(()));
    }

    #[test]
    fn another_version_begins_closed_and_late_results_of_the_old_one_are_not_its() {
        let mut breaker = opened();
        assert_eq!(breaker.level("v2", at(1)), 0);
        assert_eq!(breaker.admit("v2", false, at(1)), Ok(()));
        for _ in 0..20 {
            assert_eq!(breaker.record("v1", Failed, at(1)), None);
        }
        assert_eq!(breaker.admit("v2", false, at(1)), Ok(()));
    }

    #[test]
    fn one_run_that_is_never_served_opens_nothing() {
        let mut breaker = fresh();
        for _ in 0..100 {
            assert_eq!(breaker.record("v1", UnservedAgain, at(0)), None);
        }
        assert_eq!(breaker.admit("v1", false, at(0)), Ok(()));
    }

    #[test]
    fn half_of_the_last_twenty_that_are_not_served_open_it_and_a_few_in_a_row_do_not() {
        let mut breaker = fresh();
        for _ in 0..9 {
            assert_eq!(breaker.record("v1", Unserved, at(0)), None);
        }
        for _ in 0..10 {
            assert_eq!(breaker.record("v1", Worked, at(0)), None);
        }
        assert_eq!(breaker.record("v1", Unserved, at(0)), Some(Change::Opened));
    }

    #[test]
    fn few_of_many_that_hang_open_nothing_even_if_they_are_told_of_at_once() {
        let mut breaker = fresh();
        let hung = Hung(Duration::from_secs(30));
        for second in 0..30 {
            for _ in 0..19 {
                assert_eq!(breaker.record("v1", Worked, at(second)), None);
            }
        }
        // As after a pause of the whole process.
        for _ in 0..30 {
            assert_eq!(breaker.record("v1", hung, at(30)), None);
        }
        assert_eq!(breaker.admit("v1", false, at(30)), Ok(()));
    }

    #[test]
    fn a_component_in_which_most_hang_is_left_alone() {
        let mut breaker = fresh();
        let hung = Hung(Duration::from_secs(30));
        let changes: Vec<_> = (0..20).map(|n| breaker.record("v1", hung, at(n))).collect();
        assert!(changes[..19].iter().all(Option::is_none), "{changes:?}");
        assert_eq!(changes[19], Some(Change::Opened));

        let mut breaker = fresh();
        let opened = (0..200).any(|n| breaker.record("v1", if n % 5 < 2 { Worked } else { hung }, at(n / 10)).is_some());
        assert!(opened, "three of five");
    }

    #[test]
    fn a_trial_that_is_not_served_leaves_it_to_the_next_one_and_a_few_of_them_open_it_again() {
        let mut breaker = opened();
        for trial in 1..TRIALS {
            assert_eq!(breaker.admit("v1", false, at(30)), Ok(()), "{trial}");
            assert_eq!(breaker.admit("v1", false, at(30)), Err(at(60)), "one at a time");
            assert_eq!(breaker.record("v1", UnservedAgain, at(30)), Some(Change::Undecided), "{trial}");
        }
        assert_eq!(breaker.admit("v1", false, at(30)), Ok(()));
        assert_eq!(breaker.record("v1", Unserved, at(31)), Some(Change::Opened));
        assert_eq!(breaker.admit("v1", false, at(60)), Err(at(61)));
        assert_eq!(breaker.admit("v1", false, at(61)), Ok(()));
        assert_eq!(breaker.record("v1", UnservedAgain, at(61)), Some(Change::Undecided));
        assert_eq!(breaker.admit("v1", false, at(61)), Ok(()));
        assert_eq!(breaker.record("v1", Worked, at(62)), Some(Change::Closed));
    }

    #[test]
    fn what_began_before_it_opened_changes_nothing() {
        let mut breaker = opened();
        assert_eq!(breaker.record("v1", Worked, at(1)), None);
        assert_eq!(breaker.record("v1", Failed, at(20)), None);
        assert_eq!(breaker.admit("v1", false, at(2)), Err(at(30)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open_for_longer() {
        let mut breaker = opened();
        assert_eq!(breaker.admit("v1", false, at(-1_000)), Err(at(-970)));
    }
}
