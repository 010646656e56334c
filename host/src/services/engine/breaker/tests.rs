//! What opens a breaker and what closes it, and for whom.

use std::time::Duration;

use jiff::Timestamp;

use super::Evidence::{Failed, FailedAgain, Hung, Unserved, UnservedAgain, Worked};
use super::circuit::{MAX_IN_A_ROW, TRIALS};
use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

/// Of a run that belongs to nobody.
fn record(breaker: &mut Breaker, digest: &str, evidence: Evidence, now: Timestamp) -> Option<Change> {
    let changes = breaker.record(digest, None, evidence, now);
    assert_eq!(changes.of_owner, None);
    changes.of_all
}

/// A run that belongs to nobody.
fn admit(breaker: &mut Breaker, digest: &str, again: bool, now: Timestamp) -> Result<(), Timestamp> {
    breaker.admit(digest, None, again, now).map_err(|left_alone| {
        assert!(!left_alone.only_owner);
        left_alone.until
    })
}

fn fresh() -> Breaker {
    let mut breaker = Breaker::default();
    admit(&mut breaker, "v1", false, at(0)).unwrap();
    breaker
}

fn opened() -> Breaker {
    let mut breaker = fresh();
    for _ in 0..MAX_IN_A_ROW {
        record(&mut breaker, "v1", Failed, at(0));
    }
    breaker
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let mut breaker = fresh();
    for round in 0..3 {
        for _ in 0..4 {
            assert_eq!(record(&mut breaker, "v1", Failed, at(0)), None, "{round}");
        }
        assert_eq!(record(&mut breaker, "v1", Worked, at(0)), None);
        // Enough successes that half of the last ones have not failed.
        for _ in 0..6 {
            record(&mut breaker, "v1", Worked, at(0));
        }
    }
    let changes: Vec<_> = (0..5).map(|_| record(&mut breaker, "v1", Failed, at(0))).collect();
    assert_eq!(changes, [None, None, None, None, Some(Change::Opened)]);
    assert_eq!(admit(&mut breaker, "v1", false, at(29)), Err(at(30)));
}

#[test]
fn half_of_the_last_twenty_open_it_and_not_before_there_were_twenty() {
    let mut breaker = fresh();
    let changes: Vec<_> = (0..20).map(|n| record(&mut breaker, "v1", if n % 2 == 0 { Failed } else { Worked }, at(0))).collect();
    assert!(changes[..19].iter().all(Option::is_none), "{changes:?}");
    assert_eq!(changes[19], Some(Change::Opened));
}

#[test]
fn after_its_pause_one_run_is_let_through_and_decides() {
    let mut breaker = opened();
    assert_eq!(breaker.level("v1", at(1)), 2);
    assert_eq!(breaker.level("v1", at(30)), 1);
    assert_eq!(admit(&mut breaker, "v1", false, at(30)), Ok(()));
    assert_eq!(admit(&mut breaker, "v1", false, at(31)), Err(at(60)), "one at a time");
    assert_eq!(record(&mut breaker, "v1", Failed, at(32)), Some(Change::Opened));
    assert_eq!(admit(&mut breaker, "v1", false, at(61)), Err(at(62)));
    assert_eq!(admit(&mut breaker, "v1", false, at(62)), Ok(()));
    assert_eq!(record(&mut breaker, "v1", Worked, at(63)), Some(Change::Closed));
    assert_eq!((admit(&mut breaker, "v1", false, at(63)), breaker.level("v1", at(63))), (Ok(()), 0));
    assert_eq!(record(&mut breaker, "v1", Failed, at(64)), None, "it begins anew");
}

#[test]
fn a_run_that_was_attempted_before_is_a_trial_only_if_no_other_comes() {
    let mut breaker = opened();
    assert_eq!(admit(&mut breaker, "v1", true, at(10)), Err(at(35)));
    assert_eq!(admit(&mut breaker, "v1", true, at(30)), Err(at(35)));
    assert_eq!(admit(&mut breaker.clone(), "v1", false, at(30)), Ok(()));
    assert_eq!(admit(&mut breaker, "v1", true, at(35)), Ok(()));
    assert_eq!(admit(&mut breaker, "v1", false, at(36)), Err(at(65)), "one at a time");
}

#[test]
fn runs_that_fail_again_open_nothing_by_themselves_and_go_on_with_what_others_began() {
    let mut breaker = fresh();
    for _ in 0..100 {
        assert_eq!(record(&mut breaker, "v1", FailedAgain, at(0)), None);
    }
    record(&mut breaker, "v1", Failed, at(0));
    let changes: Vec<_> = (0..4).map(|_| record(&mut breaker, "v1", FailedAgain, at(0))).collect();
    assert_eq!(changes, [None, None, None, Some(Change::Opened)]);
}

#[test]
fn one_in_twenty_that_fails_at_every_attempt_opens_nothing() {
    let mut breaker = fresh();
    for run in 0..10_000 {
        let first = if run % 20 == 0 { Failed } else { Worked };
        for evidence in [first, if run % 3 == 0 { FailedAgain } else { Worked }] {
            assert_eq!(record(&mut breaker, "v1", evidence, at(0)), None, "{run}");
        }
    }
}

#[test]
fn a_run_that_was_let_through_and_never_came_back_does_not_keep_it_shut_for_ever() {
    let mut breaker = opened();
    assert_eq!(admit(&mut breaker, "v1", false, at(40)), Ok(()));
    assert_eq!(admit(&mut breaker, "v1", false, at(69)), Err(at(70)));
    assert_eq!(admit(&mut breaker, "v1", false, at(70)), Ok(()));
}

#[test]
fn another_version_begins_closed_and_late_results_of_the_old_one_are_not_its() {
    let mut breaker = opened();
    assert_eq!(breaker.level("v2", at(1)), 0);
    assert_eq!(admit(&mut breaker, "v2", false, at(1)), Ok(()));
    for _ in 0..20 {
        assert_eq!(record(&mut breaker, "v1", Failed, at(1)), None);
    }
    assert_eq!(admit(&mut breaker, "v2", false, at(1)), Ok(()));
}

#[test]
fn one_run_that_is_never_served_opens_nothing() {
    let mut breaker = fresh();
    for _ in 0..100 {
        assert_eq!(record(&mut breaker, "v1", UnservedAgain, at(0)), None);
    }
    assert_eq!(admit(&mut breaker, "v1", false, at(0)), Ok(()));
}

#[test]
fn half_of_the_last_twenty_that_are_not_served_open_it_and_a_few_in_a_row_do_not() {
    let mut breaker = fresh();
    for _ in 0..9 {
        assert_eq!(record(&mut breaker, "v1", Unserved, at(0)), None);
    }
    for _ in 0..10 {
        assert_eq!(record(&mut breaker, "v1", Worked, at(0)), None);
    }
    assert_eq!(record(&mut breaker, "v1", Unserved, at(0)), Some(Change::Opened));
}

#[test]
fn few_of_many_that_hang_open_nothing_even_if_they_are_told_of_at_once() {
    let mut breaker = fresh();
    let hung = Hung(Duration::from_secs(30));
    for second in 0..30 {
        for _ in 0..19 {
            assert_eq!(record(&mut breaker, "v1", Worked, at(second)), None);
        }
    }
    // As after a pause of the whole process.
    for _ in 0..30 {
        assert_eq!(record(&mut breaker, "v1", hung, at(30)), None);
    }
    assert_eq!(admit(&mut breaker, "v1", false, at(30)), Ok(()));
}

#[test]
fn a_component_in_which_most_hang_is_left_alone() {
    let mut breaker = fresh();
    let hung = Hung(Duration::from_secs(30));
    let changes: Vec<_> = (0..20).map(|n| record(&mut breaker, "v1", hung, at(n))).collect();
    assert!(changes[..19].iter().all(Option::is_none), "{changes:?}");
    assert_eq!(changes[19], Some(Change::Opened));

    let mut breaker = fresh();
    let opened = (0..200).any(|n| record(&mut breaker, "v1", if n % 5 < 2 { Worked } else { hung }, at(n / 10)).is_some());
    assert!(opened, "three of five");
}

#[test]
fn a_trial_that_is_not_served_leaves_it_to_the_next_one_and_a_few_of_them_open_it_again() {
    let mut breaker = opened();
    for trial in 1..TRIALS {
        assert_eq!(admit(&mut breaker, "v1", false, at(30)), Ok(()), "{trial}");
        assert_eq!(admit(&mut breaker, "v1", false, at(30)), Err(at(60)), "one at a time");
        assert_eq!(record(&mut breaker, "v1", UnservedAgain, at(30)), Some(Change::Undecided), "{trial}");
    }
    assert_eq!(admit(&mut breaker, "v1", false, at(30)), Ok(()));
    assert_eq!(record(&mut breaker, "v1", Unserved, at(31)), Some(Change::Opened));
    assert_eq!(admit(&mut breaker, "v1", false, at(60)), Err(at(61)));
    assert_eq!(admit(&mut breaker, "v1", false, at(61)), Ok(()));
    assert_eq!(record(&mut breaker, "v1", UnservedAgain, at(61)), Some(Change::Undecided));
    assert_eq!(admit(&mut breaker, "v1", false, at(61)), Ok(()));
    assert_eq!(record(&mut breaker, "v1", Worked, at(62)), Some(Change::Closed));
}

#[test]
fn what_began_before_it_opened_changes_nothing() {
    let mut breaker = opened();
    assert_eq!(record(&mut breaker, "v1", Worked, at(1)), None);
    assert_eq!(record(&mut breaker, "v1", Failed, at(20)), None);
    assert_eq!(admit(&mut breaker, "v1", false, at(2)), Err(at(30)));
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_it_open_for_longer() {
    let mut breaker = opened();
    assert_eq!(admit(&mut breaker, "v1", false, at(-1_000)), Err(at(-970)));
}

/// The fails of `owner` without end, until their own breaker opens.
fn fails_until_left_alone(breaker: &mut Breaker, owner: &str, evidence: Evidence, now: Timestamp) -> usize {
    (1..=WINDOW_OF_TESTS)
        .find(|_| {
            let changes = breaker.record("v1", Some(owner), evidence, now);
            assert_eq!(changes.of_all, None, "nobody else is harmed");
            changes.of_owner == Some(Change::Opened)
        })
        .expect("it opens")
}

/// More results than anything waits for.
const WINDOW_OF_TESTS: usize = 100;

#[test]
fn one_owner_whose_runs_all_fail_is_left_alone_and_others_are_not() {
    for (evidence, expected) in [(Unserved, 20), (Hung(Duration::from_secs(30)), 20), (Failed, 5)] {
        let mut breaker = fresh();
        assert_eq!(fails_until_left_alone(&mut breaker, "eve", evidence, at(0)), expected);
        let left_alone = LeftAlone { until: at(30), only_owner: true };
        assert_eq!(breaker.left_alone("v1", Some("eve"), false, at(1)), Some(left_alone));
        assert_eq!(
            (breaker.left_alone("v1", Some("ada"), false, at(1)), breaker.left_alone("v2", Some("eve"), false, at(1))),
            (None, None)
        );
        assert_eq!(breaker.admit("v1", Some("eve"), false, at(1)), Err(left_alone));
        assert_eq!(breaker.admit("v1", Some("ada"), false, at(1)), Ok(()));
        assert_eq!(admit(&mut breaker, "v1", false, at(1)), Ok(()));
        // Where nobody else has been seen, it may as well be the component.
        assert_eq!(breaker.level("v1", at(1)), 2);
        breaker.record("v1", Some("ada"), Worked, at(2));
        assert_eq!(breaker.level("v1", at(2)), 0);

        assert_eq!(breaker.admit("v1", Some("eve"), false, at(30)), Ok(()));
        assert_eq!(breaker.admit("v1", Some("eve"), false, at(31)), Err(LeftAlone { until: at(60), only_owner: true }), "one at a time");
        let changes = breaker.record("v1", Some("eve"), Worked, at(32));
        assert_eq!(changes, Changes { of_all: None, of_owner: Some(Change::Closed) });
        assert_eq!(breaker.admit("v1", Some("eve"), false, at(32)), Ok(()));
    }
}

#[test]
fn an_owner_who_goes_on_failing_opens_it_for_nobody_else_however_long_and_however_few_the_others_are() {
    for others_every in [5, 40, usize::MAX] {
        let mut breaker = fresh();
        for n in 0..1_000 {
            let now = at(i64::try_from(n).unwrap());
            if n % others_every == others_every - 1 {
                assert_eq!(breaker.admit("v1", Some("ada"), false, now), Ok(()));
                breaker.record("v1", Some("ada"), Worked, now);
            }
            let evidence = [Unserved, UnservedAgain, Failed, FailedAgain, Failed][n % 5];
            if breaker.admit("v1", Some("eve"), false, now).is_ok() {
                assert_eq!(breaker.record("v1", Some("eve"), evidence, now).of_all, None, "{n}");
            }
        }
        assert_eq!(breaker.admit("v1", Some("bea"), false, at(1_000)), Ok(()));
    }
}

#[test]
fn successes_in_between_do_not_give_an_owner_more_to_count() {
    let mut breaker = fresh();
    for n in 0..1_000 {
        let evidence = if n % 3 == 0 { Worked } else { Unserved };
        if breaker.admit("v1", Some("eve"), false, at(n)).is_ok() {
            assert_eq!(breaker.record("v1", Some("eve"), evidence, at(n)).of_all, None, "{n}");
        }
    }
}

#[test]
fn what_fails_for_many_owners_is_left_alone_as_soon_as_what_belongs_to_nobody() {
    let owner = |n: u32| format!("customer-{n}");
    let mut breaker = fresh();
    let opened = (1..100).find(|&n| breaker.record("v1", Some(&owner(n)), Unserved, at(0)).of_all.is_some());
    assert_eq!(opened, Some(20));
    assert_eq!(breaker.admit("v1", Some("ada"), false, at(1)), Err(LeftAlone { until: at(30), only_owner: false }));

    let mut breaker = fresh();
    let opened = (1..100).find(|&n| breaker.record("v1", Some(&owner(n)), Failed, at(0)).of_all.is_some());
    assert_eq!(opened, Some(5));

    // It has worked until now: ten customers who get no answer are half of the last twenty.
    let mut breaker = fresh();
    for n in 0..50 {
        breaker.record("v1", Some(&owner(n)), Worked, at(0));
    }
    let opened = (51..100).find(|&n| breaker.record("v1", Some(&owner(n)), Unserved, at(1)).of_all.is_some());
    assert_eq!(opened, Some(60));
}

#[test]
fn who_has_failed_is_a_trial_only_if_no_other_comes() {
    let mut breaker = fresh();
    for n in 0..MAX_IN_A_ROW {
        breaker.record("v1", Some(&format!("eve-{}", n / 2)), Failed, at(0));
    }
    let for_all = |seconds| LeftAlone { until: at(seconds), only_owner: false };
    for eve in ["eve-0", "eve-1", "eve-2"] {
        assert_eq!(breaker.admit("v1", Some(eve), false, at(30)), Err(for_all(35)));
    }
    assert_eq!(breaker.admit("v1", Some("bea"), false, at(29)), Err(for_all(30)));
    assert_eq!(breaker.admit("v1", Some("ada"), false, at(30)), Ok(()));
    assert_eq!(breaker.record("v1", Some("ada"), Worked, at(31)), Changes { of_all: Some(Change::Closed), of_owner: None });
}

#[test]
fn many_accounts_that_open_it_together_open_it_once() {
    let mut breaker = fresh();
    let fail = |breaker: &mut Breaker, now| {
        let mut has_opened = false;
        for n in 0..200 {
            let eve = format!("eve-{}", n % 10);
            if breaker.admit("v1", Some(&eve), false, now).is_ok() {
                has_opened |= breaker.record("v1", Some(&eve), Unserved, now).of_all.is_some();
            }
        }
        has_opened
    };
    assert!(fail(&mut breaker, at(0)));
    assert_eq!(breaker.admit("v1", Some("ada"), false, at(30)), Ok(()));
    assert_eq!(breaker.record("v1", Some("ada"), Worked, at(31)).of_all, Some(Change::Closed));
    for minute in 1..10 {
        assert!(!fail(&mut breaker, at(60 * minute)), "{minute}");
    }
}

#[test]
fn a_run_that_may_not_begin_for_all_is_no_trial_of_its_owner() {
    let mut breaker = fresh();
    fails_until_left_alone(&mut breaker, "eve", Failed, at(0));
    for n in 0..MAX_IN_A_ROW {
        breaker.record("v1", Some(&format!("customer-{n}")), Failed, at(20));
    }
    assert_eq!(breaker.admit("v1", Some("eve"), false, at(35)), Err(LeftAlone { until: at(55), only_owner: false }));
    assert_eq!(breaker.admit("v1", Some("ada"), false, at(50)), Ok(()));
    breaker.record("v1", Some("ada"), Worked, at(51));
    assert_eq!(breaker.admit("v1", Some("eve"), false, at(51)), Ok(()), "the trial was not made yet");
}

#[test]
fn owners_are_remembered_while_they_are_the_latest() {
    let mut breaker = fresh();
    fails_until_left_alone(&mut breaker, "eve", Unserved, at(0));
    for n in 0..10 * MAX_OWNERS {
        breaker.record("v1", Some(&format!("customer-{n}")), Worked, at(0));
    }
    assert_eq!(breaker.owners.len(), MAX_OWNERS);
}
