//! By what a candidate is taken or thrown out: how often its runs fail or are rejected, and how long they take, against the version that
//! serves.
//!
//! Knows numbers, not whose they are.

use std::collections::VecDeque;
use std::time::Duration;

/// Runs below which there is nothing to judge by.
pub const MIN_RUNS: u64 = 10;
/// How long a tally remembers times.
const MAX_TIMES: usize = 1_000;
/// How unlikely so many failures must be for a version that is as good as the other to be thrown out before the end: it is asked again
/// after each of them.
const EARLY: f64 = 0.001;
/// The same at the end, where it is asked once.
const LAST: f64 = 0.05;
/// Slower by less than this is not told from chance.
const SLOWER: Duration = Duration::from_millis(20);
/// The part of the runs whose time is compared.
const SLOW_PART: f64 = 0.95;

/// What a candidate may be worse by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Failures, and rejections, beyond those that the version that serves would have had in as many runs.
    pub max_failures: u32,
    /// How many times as long 95 of a hundred runs may take.
    pub max_slowdown: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The component did it.
    Accepted,
    /// The business says no.
    Rejected,
    /// Anything else.
    Failed,
}

/// How the runs of one version ended, and how long they took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// All of them.
    pub runs: u64,
    /// The business said no.
    pub rejected: u64,
    /// Neither that nor done.
    pub failed: u64,
    /// Seconds, the latest last.
    times: VecDeque<f64>,
}

impl Tally {
    /// A run has ended.
    pub fn count(&mut self, how: How, took: Duration) {
        self.runs += 1;
        match how {
            How::Accepted => {}
            How::Rejected => self.rejected += 1,
            How::Failed => self.failed += 1,
        }
        if self.times.len() == MAX_TIMES {
            self.times.pop_front();
        }
        self.times.push_back(took.as_secs_f64());
    }

    /// Seconds that 95 of a hundred of the last runs took at most; nothing before the first.
    #[must_use]
    pub fn p95(&self) -> Option<f64> {
        let mut times: Vec<f64> = self.times.iter().copied().collect();
        times.sort_by(f64::total_cmp);
        let rank = (SLOW_PART * times.len() as f64).ceil() as usize;
        times.get(rank.saturating_sub(1)).copied()
    }
}

impl Rule {
    /// Why a candidate is thrown out before the end, if it is.
    #[must_use]
    pub fn early(&self, candidate: &Tally, serving: &Tally) -> Option<String> {
        self.worse(candidate, serving, EARLY)
    }

    /// What becomes of a candidate at the end.
    ///
    /// # Errors
    /// It is thrown out, and why.
    pub fn last(&self, candidate: &Tally, serving: &Tally) -> Result<String, String> {
        let (ours, theirs) = (candidate.runs, serving.runs);
        if ours < MIN_RUNS || theirs < MIN_RUNS {
            return Err(format!("{ours} runs of it and {theirs} of the version that serves say too little; {MIN_RUNS} of each are needed"));
        }
        if let Some(reason) = self.worse(candidate, serving, LAST).or_else(|| self.slower(candidate, serving)) {
            return Err(reason);
        }
        Ok(format!(
            "of {ours} runs {} failed and {} were rejected, of {theirs} of the version that served {} and {}",
            candidate.failed, candidate.rejected, serving.failed, serving.rejected
        ))
    }

    fn worse(&self, candidate: &Tally, serving: &Tally, chance: f64) -> Option<String> {
        let counts = [("failed", candidate.failed, serving.failed), ("were rejected", candidate.rejected, serving.rejected)];
        counts.into_iter().find_map(|(what, ours, theirs)| {
            // Of few runs little is known: none that failed is not a version that never fails.
            let rate = (theirs as f64 + 1.0) / (serving.runs as f64 + 2.0);
            let beyond = ours as f64 - rate * candidate.runs as f64;
            let is_worse = beyond > f64::from(self.max_failures) && at_least(ours, candidate.runs, rate) < chance;
            is_worse
                .then(|| format!("{ours} of {} runs {what}, and {theirs} of {} of the version that serves", candidate.runs, serving.runs))
        })
    }

    fn slower(&self, candidate: &Tally, serving: &Tally) -> Option<String> {
        let (ours, theirs) = (candidate.p95()?, serving.p95()?);
        let is_slower = ours > theirs * self.max_slowdown && ours > theirs + SLOWER.as_secs_f64();
        is_slower.then(|| format!("95 of a hundred runs took {ours:.3} s at most, and {theirs:.3} s on the version that serves"))
    }
}

/// How likely `count` or more of `runs` fail if each does at `rate`.
fn at_least(count: u64, runs: u64, rate: f64) -> f64 {
    let (failing, working) = (rate.ln(), (1.0 - rate).ln());
    let mut ways = 0.0;
    let mut fewer = 0.0;
    for failures in 0..count {
        if failures > 0 {
            ways += ((runs - failures + 1) as f64 / failures as f64).ln();
        }
        fewer += (ways + failures as f64 * failing + (runs - failures) as f64 * working).exp();
    }
    (1.0 - fewer).max(0.0)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    const RULE: Rule = Rule { max_failures: 1, max_slowdown: 2.0 };
    const MOMENT: Duration = Duration::from_millis(5);

    /// What becomes of a candidate that fails at `bad` beside a version that fails at `good` and has nine runs for each of its: the runs
    /// that it had, and whether it was taken.
    fn walk(random: &mut StdRng, (bad, good): (f64, f64), runs: u64) -> (u64, bool) {
        let (mut candidate, mut serving) = (Tally::default(), Tally::default());
        let mut how = |rate: f64| if random.random::<f64>() < rate { How::Failed } else { How::Accepted };
        while candidate.runs < runs {
            (0..9).for_each(|_| serving.count(how(good), MOMENT));
            candidate.count(how(bad), MOMENT);
            if RULE.early(&candidate, &serving).is_some() {
                return (candidate.runs, false);
            }
        }
        (runs, RULE.last(&candidate, &serving).is_ok())
    }

    fn taken_of_a_thousand(rates: (f64, f64)) -> usize {
        let mut random = StdRng::seed_from_u64(7);
        (0..1_000).filter(|_| walk(&mut random, rates, 50).1).count()
    }

    #[test]
    fn one_that_fails_in_a_tenth_of_its_runs_is_rarely_taken_and_one_that_is_as_good_is_rarely_thrown_out() {
        assert!(taken_of_a_thousand((0.1, 0.0)) <= 60, "{}", taken_of_a_thousand((0.1, 0.0)));
        assert_eq!(taken_of_a_thousand((0.5, 0.0)), 0);
        assert_eq!(taken_of_a_thousand((0.0, 0.0)), 1_000);
        assert!(taken_of_a_thousand((0.05, 0.05)) >= 900, "{}", taken_of_a_thousand((0.05, 0.05)));
        assert!(taken_of_a_thousand((0.0, 0.2)) == 1_000, "it is better");
    }

    #[test]
    fn every_tenth_run_that_fails_is_enough_before_the_end_and_the_first_one_is_not() {
        let (mut candidate, mut serving) = (Tally::default(), Tally::default());
        let mut thrown_out = None;
        for run in 1..=50 {
            (0..9).for_each(|_| serving.count(How::Accepted, MOMENT));
            candidate.count(if run % 10 == 0 { How::Failed } else { How::Accepted }, MOMENT);
            thrown_out = thrown_out.or_else(|| RULE.early(&candidate, &serving).map(|_| run));
        }
        assert_eq!(thrown_out, Some(30));
    }

    #[test]
    fn what_both_reject_is_no_fault_and_what_one_rejects_is() {
        let tally = |runs: u64, rejected: u64| {
            let mut tally = Tally::default();
            (0..runs).for_each(|run| tally.count(if run < rejected { How::Rejected } else { How::Accepted }, MOMENT));
            tally
        };
        assert!(RULE.last(&tally(50, 10), &tally(450, 90)).is_ok());
        let reason = RULE.last(&tally(50, 10), &tally(450, 0)).unwrap_err();
        assert!(reason.contains("10 of 50 runs were rejected"), "{reason}");
    }

    #[test]
    fn a_slow_one_and_one_of_which_little_is_known_are_thrown_out_at_the_end() {
        let tally = |runs: u64, took: Duration| {
            let mut tally = Tally::default();
            (0..runs).for_each(|_| tally.count(How::Accepted, took));
            tally
        };
        let good = tally(100, MOMENT);
        assert!(RULE.last(&tally(50, MOMENT * 4), &good).is_ok(), "a moment more is chance");
        assert!(RULE.last(&tally(50, MOMENT * 6), &good).unwrap_err().contains("0.030 s"));
        assert!(RULE.last(&tally(9, MOMENT), &good).unwrap_err().contains("too little"));
    }

    #[test]
    fn many_runs_of_which_many_fail_are_counted_without_loss() {
        assert!((at_least(5_000, 10_000, 0.5) - 0.504).abs() < 0.001);
        assert!(at_least(5_300, 10_000, 0.5) < 1e-8);
        assert!((at_least(0, 10, 0.1) - 1.0).abs() < 1e-12);
    }
}
