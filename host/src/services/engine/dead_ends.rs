//! Steps that fail for good for one instance after the other.
//!
//! To fail for good is an answer, so it opens no circuit: what was asked for may be the fault. Where it is the answer to every instance, the
//! fault is the step's, its component's or the config's, and each instance that comes is lost to it until a person is told.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::runtime::Verdict;
use crate::store::StepRun;

/// So many instances one after the other are no bad luck.
const IN_A_ROW: u32 = 3;
/// And so many where all of them are of one owner: what is wrong may be what that one asks for, and nobody shall raise an alarm alone.
const OF_ONE_OWNER: u32 = 10;
/// After so long without another one it says nothing any more: nobody has tried.
const LASTS: SignedDuration = SignedDuration::from_mins(10);
/// Characters of a reason that are kept.
const MAX_REASON: usize = 300;

/// What is known of the steps of a process, by name; also of what its hooks and handlers run.
#[derive(Debug, Default)]
pub struct DeadEnds {
    steps: Mutex<BTreeMap<String, Row>>,
}

/// Instances for which a step failed for good, one after the other.
#[derive(Debug)]
struct Row {
    length: u32,
    /// The date of the first of them.
    since: Timestamp,
    /// The steady time of the last of them.
    last: Timestamp,
    /// The last of them: one that is tried again and again is one.
    instance: String,
    component: String,
    reason: String,
    /// Whose the first of them was, and whether another one was of somebody else.
    first_owner: Option<String>,
    several: bool,
}

impl Row {
    /// Before the first one, at the date `since`, which is `last` by the steady time.
    fn begun(since: Timestamp, last: Timestamp) -> Self {
        Self {
            length: 0,
            since,
            last,
            instance: String::new(),
            component: String::new(),
            reason: String::new(),
            first_owner: None,
            several: false,
        }
    }

    /// One more instance, which is `owner`'s.
    fn add(&mut self, instance: &str, owner: Option<&str>) {
        if self.length == 0 {
            self.first_owner = owner.map(str::to_owned);
        }
        self.several |= self.first_owner.as_deref() != owner;
        self.length = self.length.saturating_add(1);
        instance.clone_into(&mut self.instance);
    }

    /// Whether a person is told.
    fn is_told(&self) -> bool {
        self.length >= if self.several { IN_A_ROW } else { OF_ONE_OWNER }
    }
}

impl DeadEnds {
    /// Notes how an attempt for an instance of `owner` ended at the date `now`, which is `steady` by the steady time. One that is made again
    /// has not ended.
    pub fn record(&self, (run, owner): (&StepRun, Option<&str>), verdict: &Verdict, (now, steady): (Timestamp, Timestamp)) {
        let reason = match verdict {
            Verdict::Permanent(reason) => reason,
            Verdict::Transient(_) => return,
            Verdict::Accepted(_) | Verdict::Rejected { .. } => {
                if let Some(row) = self.steps.lock().remove(&run.name).filter(Row::is_told) {
                    tracing::info!(step = run.name, instances = row.length, "a step that failed for good for each instance works again");
                }
                return;
            }
        };
        let mut steps = self.steps.lock();
        let row = steps.entry(run.name.clone()).or_insert_with(|| Row::begun(now, steady));
        if steady.duration_since(row.last) >= LASTS {
            *row = Row::begun(now, steady);
        }
        if row.length == 0 || row.instance != run.resource_id {
            let was_told = row.is_told();
            row.add(&run.resource_id, owner);
            if row.is_told() && !was_told {
                tracing::error!(
                    step = run.name,
                    component = run.component,
                    reason,
                    "a step fails for good for one instance after the other"
                );
            }
        }
        row.last = steady;
        row.component.clone_from(&run.component);
        row.reason = reason.chars().take(MAX_REASON).collect();
    }

    /// A sentence for each step that fails for good for every instance, if there is any.
    #[must_use]
    pub fn problem(&self, steady: Timestamp) -> Option<String> {
        let steps = self.steps.lock();
        let lasting = steps.iter().filter(|(_, row)| row.is_told() && steady.duration_since(row.last) < LASTS);
        let told = lasting.map(|(step, Row { length, since, component, reason, .. })| {
            let since = since.strftime("%Y-%m-%dT%H:%M:%SZ");
            format!("'{step}' has failed for good for each of the last {length} instances, since {since}; component '{component}' says: {reason}")
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use millrace_workflow::RunKind;

    use super::*;
    use crate::store::StartedBy;

    fn run(step: &str, instance: &str) -> StepRun {
        let by = StartedBy {
            resource_kind: "jobs".into(),
            resource_id: instance.into(),
            workflow: "job-processing".into(),
            transition: "start".into(),
            from_state: "queued".into(),
            to_state: "working".into(),
        };
        StepRun::first(format!("{instance}:{step}:1"), by, RunKind::Step, (step, "worker"), Timestamp::UNIX_EPOCH)
    }

    fn at(minute: i64) -> (Timestamp, Timestamp) {
        (Timestamp::from_second(minute * 60).unwrap(), Timestamp::from_second(minute * 60).unwrap())
    }

    fn permanent() -> Verdict {
        Verdict::Permanent("no such account".into())
    }

    /// Instances of one owner each fail for good, one after the other.
    fn fail(dead_ends: &DeadEnds, instances: &[(&str, Option<&str>)], minute: i64) {
        for (instance, owner) in instances {
            dead_ends.record((&run("step", instance), *owner), &permanent(), at(minute));
        }
    }

    #[test]
    fn three_instances_that_fail_for_good_one_after_the_other_are_told_of_until_one_is_answered() {
        let (dead_ends, ada, bob) = (DeadEnds::default(), Some("ada"), Some("bob"));
        fail(&dead_ends, &[("a", ada), ("b", bob), ("b", bob), ("b", bob)], 1);
        assert_eq!(dead_ends.problem(at(1).1), None, "two instances, one of them tried three times");
        dead_ends.record((&run("step", "c"), ada), &Verdict::Transient("not now".into()), at(1));
        dead_ends.record((&run("other", "c"), ada), &Verdict::Accepted(Default::default()), at(1));
        fail(&dead_ends, &[("c", ada)], 2);
        let told = dead_ends.problem(at(2).1).unwrap();
        assert!(told.contains("'step'") && told.contains("last 3 instances, since 1970-01-01T00:01:00Z"), "{told}");
        assert!(told.contains("no such account") && told.contains("'worker'"), "{told}");
        dead_ends.record((&run("step", "d"), bob), &Verdict::Accepted(Default::default()), at(3));
        assert_eq!(dead_ends.problem(at(3).1), None);
    }

    #[test]
    fn of_one_owner_ten_are_told_of_and_three_once_somebody_else_has_the_same() {
        let names: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
        for owner in [Some("mallory"), None] {
            let all: Vec<_> = names.iter().map(|name| (name.as_str(), owner)).collect();
            let dead_ends = DeadEnds::default();
            fail(&dead_ends, &all[..9], 1);
            assert_eq!(dead_ends.problem(at(1).1), None, "nobody raises an alarm alone");
            fail(&dead_ends, &all[9..], 1);
            assert!(dead_ends.problem(at(1).1).unwrap().contains("last 10 instances"));

            let dead_ends = DeadEnds::default();
            fail(&dead_ends, &all[..5], 1);
            fail(&dead_ends, &[("another", Some("ada"))], 1);
            assert!(dead_ends.problem(at(1).1).unwrap().contains("last 6 instances"));
        }
    }

    #[test]
    fn it_is_over_when_nobody_has_tried_for_a_while() {
        let (dead_ends, ada, bob) = (DeadEnds::default(), Some("ada"), Some("bob"));
        fail(&dead_ends, &[("a", ada), ("b", bob), ("c", ada)], 0);
        assert!(dead_ends.problem(at(9).1).is_some());
        assert_eq!(dead_ends.problem(at(10).1), None);
        fail(&dead_ends, &[("d", ada), ("e", ada), ("f", ada)], 11);
        assert_eq!(dead_ends.problem(at(11).1), None, "the row begins anew, and who was in the one before counts for nothing");
        fail(&dead_ends, &[("g", bob)], 12);
        assert!(dead_ends.problem(at(12).1).unwrap().contains("last 4 instances, since 1970-01-01T00:11:00Z"));
    }
}
