//! A run as it was, kept so that it can be made again: its job, what it found, and what it said.

use std::time::Duration;

use super::bindings::{Failure, GuestJob, Outcome};
use super::sandbox::Ended;
use super::tape::{Deck, Tape};

/// What is taken for everything of a recording that has no length of its own, in bytes.
const FRAME: usize = 1_024;

/// A run as it was.
#[derive(Debug, Clone)]
pub struct Recording {
    /// SHA-256 of the version that ran, in hex.
    pub digest: String,
    /// What it said.
    pub said: Said,
    /// Time that it had.
    pub(super) wall: Duration,
    pub(super) job: GuestJob,
    pub(super) tape: Tape,
}

/// What a run said, in all its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// `accepted`, `rejected`, `transient`, `permanent`, or `broken` if something ended it.
    pub outcome: &'static str,
    /// Of what was rejected, for programs.
    pub code: Option<String>,
    /// Why not; of what was broken, what ended it.
    pub reason: Option<String>,
    /// Its results or details, as it wrote them.
    pub body: Option<String>,
}

impl Said {
    pub(super) fn of(answer: &Result<Result<Outcome, Failure>, Ended>) -> Self {
        let said = |outcome, reason: Option<&String>| Self { outcome, code: None, reason: reason.cloned(), body: None };
        match answer {
            Ok(Ok(Outcome::Accepted(results))) => Self { body: Some(results.clone()), ..said("accepted", None) },
            Ok(Ok(Outcome::Rejected(rejection))) => {
                let (code, body) = (Some(rejection.code.clone()), Some(rejection.details.clone()));
                Self { code, body, ..said("rejected", Some(&rejection.reason)) }
            }
            Ok(Err(Failure::Transient(reason))) => said("transient", Some(reason)),
            Ok(Err(Failure::Permanent(reason))) => said("permanent", Some(reason)),
            Err(ended) => said("broken", Some(&ended.text)),
        }
    }

    fn bytes(&self) -> usize {
        [&self.code, &self.reason, &self.body].into_iter().flatten().map(String::len).sum()
    }
}

impl Recording {
    /// Of a run that has ended. What it found is on the deck; nothing if it used none.
    pub(super) fn of(
        job: &GuestJob,
        deck: Option<&Deck>,
        (digest, wall): (&str, Duration),
        answer: &Result<Result<Outcome, Failure>, Ended>,
    ) -> Box<Self> {
        let began = job.deadline.saturating_sub(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)).saturating_mul(1_000_000);
        let tape = deck.map_or_else(|| Tape::beginning(began, rand::random()), |deck| deck.tape().begun(began));
        Box::new(Self { digest: digest.to_owned(), said: Said::of(answer), wall, job: job.clone(), tape })
    }

    /// Bytes that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.job.data.len() + self.job.config.len() + self.said.bytes() + self.tape.bytes() + FRAME
    }

    /// Which attempt it was.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.job.attempt
    }

    /// Name of the step.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.job.step
    }

    /// Id of the instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.job.instance_id
    }

    /// Data that it worked on, a JSON object as text.
    #[must_use]
    pub fn data(&self) -> &str {
        &self.job.data
    }

    /// Everything that the run has found was kept, so another one finds the same.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.tape.is_whole()
    }
}

impl PartialEq for Recording {
    fn eq(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.digest.clone(), one.said.clone(), one.job.idempotency_key.clone(), one.job.attempt);
        key(self) == key(other) && self.tape == other.tape
    }
}
