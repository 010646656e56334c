//! Canaries: a share of a component's new visits runs on a candidate, until a rule takes that version or throws it out.
//!
//! Which visits these are follows from their keys, and all attempts at a visit are made on one version. A run that the candidate breaks is made
//! again on the version that serves, under the same key and with the same number: it was no attempt. So are runs that the candidate says
//! can never be done, and the last attempt of a visit if it fails: no visit fails by the candidate alone.
//!
//! A canary is kept by the process and ends with it: then the version serves that served.

mod rule;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

pub use rule::{MIN_RUNS, Rule, Tally};

use super::by_component::ByComponent;
use super::undo::began_before;
use crate::runtime::{Candidate, Report, Verdict};
use crate::store::StepRun;
use rule::How;

/// Visits of one canary that are known at once; while there are as many, new ones go to the version that serves.
const MAX_VISITS: usize = 10_000;

/// How a canary is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Percent of the new visits.
    pub share: u8,
    /// It ends after so many runs of the candidate.
    pub runs: Option<u32>,
    /// It ends at this time, by the steady time.
    pub until: Option<Timestamp>,
    /// What the candidate is judged by.
    pub rule: Rule,
}

/// What became of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The candidate serves.
    Taken,
    /// The rule has thrown it out.
    ThrownOut,
    /// Somebody has stopped it.
    Stopped,
    /// Another version was put in place meanwhile.
    Replaced,
}

impl End {
    /// As people, logs and metrics name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::ThrownOut => "thrown_out",
            Self::Stopped => "stopped",
            Self::Replaced => "replaced",
        }
    }
}

/// How far a canary is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Visits run on the candidate.
    Running,
    /// None does any more, and this is to become of it: what, and why.
    Decided(End, String),
    /// This became of it.
    Ended(End, String),
}

/// A candidate beside the version that serves.
pub struct Canary {
    candidate: Candidate,
    against: Arc<str>,
    terms: Terms,
    /// Visits go to the candidate.
    open: AtomicBool,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    ours: Tally,
    theirs: Tally,
    /// Keys of the visits that are made on the candidate.
    visits: HashSet<String>,
}

/// What is known of a canary.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How far it is.
    pub phase: Phase,
    /// Runs of the candidate.
    pub candidate: Tally,
    /// Runs of the version that serves, since the canary began.
    pub serving: Tally,
}

impl Canary {
    /// Of a candidate beside the version `against`.
    #[must_use]
    pub fn new(candidate: Candidate, against: Arc<str>, terms: Terms) -> Self {
        let state = State { phase: Phase::Running, ours: Tally::default(), theirs: Tally::default(), visits: HashSet::new() };
        Self { candidate, against, terms, open: AtomicBool::new(true), state: Mutex::new(state) }
    }

    /// The version that is tried.
    #[must_use]
    pub fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// Digest of the version that serves beside it.
    #[must_use]
    pub fn against(&self) -> &str {
        &self.against
    }

    /// How it was made.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.terms
    }

    /// What is known of it now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.state.lock();
        Standing { phase: state.phase.clone(), candidate: state.ours.clone(), serving: state.theirs.clone() }
    }

    /// Ends it, unless that was decided already.
    ///
    /// # Errors
    /// It was; how far it is.
    pub fn stop(&self, reason: &str) -> Result<(), Phase> {
        let mut state = self.state.lock();
        if state.phase != Phase::Running {
            return Err(state.phase.clone());
        }
        self.enter(&mut state, Phase::Ended(End::Stopped, reason.to_owned()));
        Ok(())
    }

    /// Notes what became of it.
    pub fn ended(&self, end: End, reason: String) {
        self.enter(&mut self.state.lock(), Phase::Ended(end, reason));
    }

    fn replace(&self, reason: &str) {
        let mut state = self.state.lock();
        if state.phase == Phase::Running {
            self.enter(&mut state, Phase::Decided(End::Replaced, reason.to_owned()));
        }
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        self.open.store(false, Ordering::Relaxed);
        state.visits.clear();
        state.phase = phase;
    }

    fn takes(&self, run: &StepRun, serving: &str, closed: impl FnOnce() -> bool) -> bool {
        let mut state = self.state.lock();
        if state.phase != Phase::Running {
            return false;
        }
        if serving != &*self.against {
            self.enter(&mut state, Phase::Decided(End::Replaced, format!("version {serving} serves by now")));
            return false;
        }
        if state.visits.contains(&run.key) {
            return true;
        }
        let is_new = !began_before(run) && run.last_error.is_none();
        let takes = is_new && state.visits.len() < MAX_VISITS && self.is_in_share(&run.key) && closed();
        if takes {
            state.visits.insert(run.key.clone());
        }
        takes
    }

    /// Whether the visit with this key is one of the share; the same for all attempts at it.
    fn is_in_share(&self, key: &str) -> bool {
        let hash = Sha256::new().chain_update(&self.candidate.about().digest).chain_update(key).finalize();
        let number = hash.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        number % 100 < u64::from(self.terms.share)
    }

    fn record(&self, key: &str, on_candidate: bool, how: How, again: bool, took: Duration) {
        let mut state = self.state.lock();
        if state.phase != Phase::Running {
            return;
        }
        if !on_candidate {
            state.theirs.count(how, took);
        } else {
            state.ours.count(how, took);
            if !again {
                state.visits.remove(key);
            }
            if let Some(reason) = self.terms.rule.early(&state.ours, &state.theirs) {
                return self.enter(&mut state, Phase::Decided(End::ThrownOut, reason));
            }
        }
        let enough = self.terms.runs.is_some_and(|runs| state.ours.runs >= u64::from(runs));
        if enough && state.theirs.runs >= MIN_RUNS {
            self.decide(&mut state);
        }
    }

    fn decide(&self, state: &mut State) {
        let (end, reason) = match self.terms.rule.last(&state.ours, &state.theirs) {
            Ok(reason) => (End::Taken, reason),
            Err(reason) => (End::ThrownOut, reason),
        };
        self.enter(state, Phase::Decided(end, reason));
    }

    /// What is to become of it, if that is known now.
    fn decided(&self, now: Timestamp) -> Option<(End, String)> {
        let mut state = self.state.lock();
        if state.phase == Phase::Running && self.terms.until.is_some_and(|until| until <= now) {
            self.decide(&mut state);
        }
        match &state.phase {
            Phase::Decided(end, reason) => Some((*end, reason.clone())),
            Phase::Running | Phase::Ended(..) => None,
        }
    }
}

/// The canaries of the components of a process, the last one of each.
pub struct Canaries {
    by_component: ByComponent<ArcSwapOption<Canary>>,
    beginning: Mutex<()>,
    changed: Notify,
}

impl Canaries {
    /// None.
    #[must_use]
    pub fn new(components: impl Iterator<Item = String>) -> Self {
        Self { by_component: ByComponent::new(components), beginning: Mutex::default(), changed: Notify::new() }
    }

    /// These components can have some too.
    pub fn add(&self, components: impl Iterator<Item = String>) {
        self.by_component.add(components);
    }

    /// Begins a canary.
    ///
    /// # Errors
    /// Another one of the component has not ended: that one.
    pub fn begin(&self, component: &str, canary: Arc<Canary>) -> Result<(), Arc<Canary>> {
        let _turn = self.beginning.lock();
        let Some(kept) = self.by_component.of(component) else { return Ok(()) };
        if let Some(other) = kept.load_full().filter(|other| !matches!(other.standing().phase, Phase::Ended(..))) {
            return Err(other);
        }
        kept.store(Some(canary));
        Ok(())
    }

    /// The config says something else of a component from now on: a candidate that was judged by what it said before gets no more visits.
    pub fn replaced(&self, component: &str) {
        let Some(canary) = self.open(component) else { return };
        canary.replace("the config of the component was changed");
        self.changed.notify_one();
    }

    /// The last canary of a component.
    #[must_use]
    pub fn of(&self, component: &str) -> Option<Arc<Canary>> {
        self.by_component.of(component)?.load_full()
    }

    /// Percent of the new visits of a component that run on a candidate.
    #[must_use]
    pub fn percent(&self, component: &str) -> u8 {
        self.open(component).map_or(0, |canary| canary.terms.share)
    }

    /// Waits until one may be decided.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Those of which it is known what is to become of them, which nobody has done yet.
    #[must_use]
    pub fn decided(&self, now: Timestamp) -> Vec<(String, Arc<Canary>, End, String)> {
        let decided = |(component, kept): (String, Arc<ArcSwapOption<Canary>>)| {
            let canary = kept.load_full()?;
            let (end, reason) = canary.decided(now)?;
            Some((component, canary, end, reason))
        };
        self.by_component.all().into_iter().filter_map(decided).collect()
    }

    /// The canary on whose candidate an attempt is to be made, while `serving` serves. A visit is taken only while the component is `closed`: no
    /// run is to try whether it works again.
    pub(super) fn choose(&self, run: &StepRun, serving: Option<&str>, closed: impl FnOnce() -> bool) -> Option<Arc<Canary>> {
        let canary = self.open(&run.component)?;
        if canary.takes(run, serving?, closed) {
            return Some(canary);
        }
        if !canary.open.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
        None
    }

    /// An attempt has ended, on the candidate of `chosen` or on the version that serves. Whether it is to be made again on the version that serves.
    /// What fails as the last attempt of its visit, which no other follows, is.
    pub(super) fn record(&self, run: &StepRun, chosen: Option<&Canary>, report: &Report, is_last: bool) -> bool {
        let how = match &report.verdict {
            Verdict::Accepted(_) => How::Accepted,
            Verdict::Rejected { .. } => How::Rejected,
            Verdict::Transient(_) | Verdict::Permanent(_) => How::Failed,
        };
        // What a service refuses the candidate, it may well grant to the version that serves.
        let broke = is_last || !report.answered || report.refused.is_some() || matches!(report.verdict, Verdict::Permanent(_));
        match chosen {
            Some(canary) => {
                let again = how == How::Failed && !broke;
                canary.record(&run.key, true, how, again, report.wall);
                self.tell(canary);
                how == How::Failed && broke
            }
            None => {
                if let Some(canary) = self.open(&run.component).filter(|canary| *canary.against == *report.digest) {
                    canary.record(&run.key, false, how, false, report.wall);
                    self.tell(&canary);
                }
                false
            }
        }
    }

    fn tell(&self, canary: &Canary) {
        if !canary.open.load(Ordering::Relaxed) {
            self.changed.notify_one();
        }
    }

    fn open(&self, component: &str) -> Option<Arc<Canary>> {
        self.by_component.of(component)?.load_full().filter(|canary| canary.open.load(Ordering::Relaxed))
    }
}
