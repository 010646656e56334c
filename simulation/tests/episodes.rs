//! Episodes are the same whenever they are performed, and hold what was promised.

#![expect(clippy::expect_used, reason = "a test that cannot go on says so by panicking")]

use std::path::{Path, PathBuf};

use millrace_simulation::episode::Verdict;
use millrace_simulation::runs::{self, Runs};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_simulation"))
}

fn episode(seed: u64) -> Verdict {
    runs::perform(program(), (seed, None), None).expect("an episode")
}

#[test]
fn a_seed_is_the_same_episode_twice_and_another_seed_is_another_one() {
    let (once, again, other) = (episode(7), episode(7), episode(8));
    assert_eq!(once, again);
    assert_ne!(once.trace, other.trace);
    assert!(once.lives > 1 && once.faults > 10 && once.events > 1_000, "{once:?}");
}

#[test]
fn without_faults_there_is_one_process_and_everything_holds() {
    let verdict = runs::perform(program(), (3, Some(&[])), None).expect("an episode");
    assert_eq!((verdict.lives, verdict.faults, &verdict.broken), (1, 0, &Vec::new()));
}

#[test]
fn what_was_promised_holds_whatever_goes_wrong() {
    let program = PathBuf::from(program());
    let runs = Runs { program, seed: 1, events: 30_000, at_once: 2, tells: false, planted: None };
    let outcome = runs.perform().expect("the episodes");
    assert!(outcome.broken.is_none(), "{:#?}", outcome.broken);
    assert!(outcome.figures.lives > outcome.figures.episodes, "{:?}", outcome.figures);
}
