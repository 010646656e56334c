//! Many episodes, each in a process of its own: then nothing that one leaves behind in its process reaches the next one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use millrace_chaos::shrink;
use parking_lot::Mutex;

use crate::episode::Verdict;
use crate::schedule::{Due, Schedule};

/// The word by which this program is asked for one episode, see `main.rs`.
pub const EPISODE: &str = "episode";
/// The same for one with all that happened in it.
pub const WHOLE_EPISODE: &str = "whole-episode";
/// Of so many episodes one is performed twice: it has to be the same.
const TWICE: u64 = 16;
/// Between two lines of a long run.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Which episodes.
#[derive(Debug, Clone)]
pub struct Runs {
    /// This program.
    pub program: PathBuf,
    /// The first seed; the others follow it.
    pub seed: u64,
    /// How much has to happen in all of them together.
    pub events: u64,
    /// How many are performed at the same time.
    pub at_once: usize,
    /// Whether it is told how it gets on.
    pub tells: bool,
    /// A bug that is planted in the program.
    pub planted: Option<String>,
}

/// What they came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Episodes.
    pub episodes: u64,
    /// What has happened in them.
    pub events: u64,
    /// How much of it went wrong.
    pub faults: u64,
    /// Processes that there were.
    pub lives: u64,
}

/// What all of them came to, and the first verdict that something does not hold.
#[derive(Debug)]
pub struct Outcome {
    /// See there.
    pub figures: Figures,
    /// How long it took.
    pub took: Duration,
    /// What does not hold.
    pub broken: Option<Verdict>,
}

impl Runs {
    /// Performs them until enough has happened, or something does not hold.
    ///
    /// # Errors
    /// One could not be performed, has no end, or was not the same a second time.
    pub fn perform(&self) -> anyhow::Result<Outcome> {
        let (next, is_over, began) = (AtomicU64::new(self.seed), AtomicBool::new(false), Instant::now());
        let state = Mutex::new((Figures::default(), None::<anyhow::Result<Verdict>>, Instant::now()));
        let work = || {
            while !is_over.load(Ordering::Relaxed) {
                let done = self.one(next.fetch_add(1, Ordering::Relaxed));
                let (figures, first, told) = &mut *state.lock();
                let ended = match done {
                    Ok(verdict) => {
                        figures.episodes += 1;
                        figures.events += verdict.events;
                        figures.faults += verdict.faults;
                        figures.lives += u64::from(verdict.lives);
                        (!verdict.broken.is_empty()).then_some(Ok(verdict))
                    }
                    Err(problem) => Some(Err(problem)),
                };
                if let Some(ended) = ended {
                    first.get_or_insert(ended);
                }
                if first.is_some() || figures.events >= self.events {
                    is_over.store(true, Ordering::Relaxed);
                }
                if self.tells && told.elapsed() >= BETWEEN_LINES {
                    *told = Instant::now();
                    tell(figures, began.elapsed());
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.at_once.max(1) {
                scope.spawn(work);
            }
        });
        let (figures, first, _) = state.into_inner();
        Ok(Outcome { figures, took: began.elapsed(), broken: first.transpose()? })
    }

    fn one(&self, seed: u64) -> anyhow::Result<Verdict> {
        let verdict = self.episode(seed, None)?;
        if seed.is_multiple_of(TWICE) {
            let again = self.episode(seed, None)?;
            if again.trace != verdict.trace {
                bail!("the episode of the seed {seed} was another one the second time: {} and {}", verdict.trace, again.trace);
            }
        }
        Ok(verdict)
    }

    /// Performs one; of its faults only those whose numbers are `kept`, if any are named.
    ///
    /// # Errors
    /// It could not be performed, or has no end.
    pub fn episode(&self, seed: u64, kept: Option<&[usize]>) -> anyhow::Result<Verdict> {
        perform(&self.program, (seed, kept), self.planted.as_deref())
    }

    /// The same, and the verdict has all that happened.
    ///
    /// # Errors
    /// It could not be performed, or has no end.
    pub fn whole_episode(&self, seed: u64, kept: Option<&[usize]>) -> anyhow::Result<Verdict> {
        perform_as(WHOLE_EPISODE, &self.program, (seed, kept), self.planted.as_deref())
    }

    /// The fewest faults of an episode with which the same invariant does not hold, as far as so many further episodes tell.
    ///
    /// # Errors
    /// One could not be performed.
    pub fn shrink(&self, verdict: &Verdict, episodes: u32) -> anyhow::Result<Vec<(usize, Due)>> {
        let faults: Vec<(usize, Due)> = Schedule::of(verdict.seed).faults.into_iter().enumerate().collect();
        let invariant = verdict.broken.first().map(|first| first.invariant.clone()).unwrap_or_default();
        let fails = async |kept: &[(usize, Due)]| {
            let numbers: Vec<usize> = kept.iter().map(|(number, _)| *number).collect();
            let again = self.episode(verdict.seed, Some(&numbers))?;
            Ok(again.broken.iter().any(|broken| broken.invariant == invariant))
        };
        futures::executor::block_on(shrink::shortest(&faults, episodes, fails))
    }
}

fn tell(figures: &Figures, took: Duration) {
    let rate = figures.events as f64 / took.as_secs_f64();
    eprintln!(
        "{} events in {} episodes, {} processes, {} faults; {rate:.0} events/s",
        figures.events, figures.episodes, figures.lives, figures.faults
    );
}

/// See [`Runs::episode`].
///
/// # Errors
/// It could not be performed, or has no end.
pub fn perform(program: &Path, episode: (u64, Option<&[usize]>), planted: Option<&str>) -> anyhow::Result<Verdict> {
    perform_as(EPISODE, program, episode, planted)
}

fn perform_as(word: &str, program: &Path, (seed, kept): (u64, Option<&[usize]>), planted: Option<&str>) -> anyhow::Result<Verdict> {
    let mut command = Command::new(program);
    command.arg(word).arg(seed.to_string());
    if let Some(kept) = kept {
        command.arg(kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    }
    if let Some(bug) = planted {
        command.env("MILLRACE_PLANTED", bug);
    }
    let output = command.output().with_context(|| format!("{} could not be started", program.display()))?;
    if !output.status.success() {
        bail!("the episode of the seed {seed} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let line = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap_or_default();
    serde_json::from_slice(line).with_context(|| format!("the episode of the seed {seed} says something else than a verdict"))
}
