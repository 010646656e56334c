//! Which fault when: a function of the seed, so that a run can be done again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// What is done to the program. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Killed while it works, and started again after a while.
    Kill {
        /// How long it is gone.
        down: u64,
    },
    /// Killed so soon after it has answered 201.
    KillAfterAnswer {
        /// How soon, in microseconds.
        within: u64,
    },
    /// Killed, started, and killed again before it is ready.
    KillStarting {
        /// How long after its start.
        after: u64,
    },
    /// Killed, started, and killed again when it has just become ready and takes up what was under way.
    KillRecovering {
        /// How long after it is ready.
        after: u64,
    },
    /// Everything of it stands still, and goes on.
    Pause {
        /// For how long.
        still: u64,
    },
    /// Asked to stop, and started again.
    Stop,
    /// Killed, and started with another date.
    Jump {
        /// How far the date is from the real one, in minutes.
        minutes: i64,
    },
    /// The file of a component is replaced.
    Swap {
        /// Name of the file, without `.wasm`.
        component: String,
        /// By what.
        with: Version,
    },
    /// A second process is started on the same database.
    Second,
    /// The database is copied while it is written.
    Copy,
}

/// What a component's file is replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// The same component with another digest.
    Good(u8),
    /// Another component altogether.
    Foreign,
    /// Half of the file.
    Half,
    /// No component.
    Garbage,
}

/// A fault and when it is due, in milliseconds since the run began. One that is due while another one lasts comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// When.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
}

/// Everything of a run that is not left to chance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What it is made from; the clients take their own numbers from it too.
    pub seed: u64,
    /// How long customers buy, in milliseconds.
    pub span: u64,
    /// In the sequence in which they are due.
    pub faults: Vec<Due>,
}

/// Between two faults, in milliseconds.
const PAUSES: std::ops::Range<u64> = 300..1_500;
/// The components of the shop.
const COMPONENTS: [&str; 4] = ["inventory", "payment", "shipping", "notify"];

impl Schedule {
    /// That of a seed, for so long.
    pub fn of(seed: u64, span: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let mut faults = Vec::new();
        let mut at = random.random_range(PAUSES);
        while at < span {
            faults.push(Due { at, fault: fault(&mut random) });
            at += random.random_range(PAUSES);
        }
        Self { seed, span, faults }
    }

    /// The same with these faults only.
    pub fn with(&self, faults: Vec<Due>) -> Self {
        Self { faults, ..self.clone() }
    }
}

fn fault(random: &mut StdRng) -> Fault {
    match random.random_range(0..100) {
        0..26 => Fault::Kill { down: random.random_range(0..300) },
        26..48 => Fault::KillAfterAnswer { within: random.random_range(0..20_000) },
        48..55 => Fault::KillStarting { after: random.random_range(0..400) },
        55..65 => Fault::KillRecovering { after: random.random_range(0..60) },
        65..75 => Fault::Pause { still: random.random_range(100..2_500) },
        75..82 => Fault::Stop,
        82..86 => Fault::Jump { minutes: *[-1_500, -60, 0, 60, 1_500].choose(random).unwrap_or(&0) },
        86..96 => Fault::Swap { component: (*COMPONENTS.choose(random).unwrap_or(&"payment")).to_owned(), with: version(random) },
        96..98 => Fault::Second,
        _ => Fault::Copy,
    }
}

fn version(random: &mut StdRng) -> Version {
    match random.random_range(0..6) {
        0..3 => Version::Good(random.random_range(1..=250)),
        3 => Version::Foreign,
        4 => Version::Half,
        _ => Version::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_schedule_and_another_seed_another_one() {
        let minute = Duration::from_secs(60);
        assert_eq!(Schedule::of(7, minute), Schedule::of(7, minute));
        assert_ne!(Schedule::of(7, minute).faults, Schedule::of(8, minute).faults);
    }

    #[test]
    fn a_few_schedules_together_have_every_kind_of_fault() {
        let schedules: Vec<String> =
            (0..8).map(|seed| serde_json::to_string(&Schedule::of(seed, Duration::from_secs(60))).expect("JSON")).collect();
        let all = schedules.concat();
        let kinds = ["kill", "kill_after_answer", "kill_starting", "kill_recovering", "pause", "stop", "jump", "swap", "second", "copy"];
        for kind in kinds {
            assert!(all.contains(&format!("\"fault\":\"{kind}\"")), "{kind}");
        }
    }

    #[test]
    fn a_schedule_that_was_written_is_read_as_it_was() {
        let schedule = Schedule::of(3, Duration::from_secs(20));
        let text = serde_json::to_string(&schedule).expect("JSON");
        assert_eq!(serde_json::from_str::<Schedule>(&text).expect("a schedule"), schedule);
    }
}
