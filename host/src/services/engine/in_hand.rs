//! The runs that this process has in hand: what it has claimed and not let go of.
//!
//! Each component has two lines, first attempts and runs that were attempted before, and room for so many of each: whatever waits for one
//! component, or hangs in it, leaves the room of the others. What the store calls claimed and is not in hand here was lost on the way.
//!
//! It also knows which runs were never inside a component, so that they can still be taken back, and of which every attempt was answered.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::store::{Line, RunStatus, StepRun};

/// First attempts at one component that are in hand at once; what is beyond waits in the store.
const MAX_FIRST: usize = 1_024;

/// Runs that are known, in hand or waiting.
const MAX_KNOWN: usize = 1 << 16;

/// The runs in hand. Clones share them.
#[derive(Clone)]
pub(in crate::services) struct InHand {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    most_again: usize,
    /// Told when a line that had no room has some again.
    freed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    known: HashMap<String, Known>,
    /// By component: first attempts, and others.
    counts: HashMap<String, [usize; 2]>,
    /// Lines of which some wait in the store for room: a new run goes there too, or those that wait would never have their turn.
    behind: HashSet<Line>,
    next_id: u64,
}

/// What is known of a run.
#[derive(Clone, Copy)]
enum Known {
    /// It is in hand.
    Held { id: u64, stage: Stage, waits: bool },
    /// It waits in the store since it was at this stage, and had this fence: with another one somebody else has had it since.
    Waits(Stage, u64),
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) enum Stage {
    /// It was inside no component until now.
    Untouched,
    /// It was, each time until there was an answer, and its next attempt has not begun.
    Answered,
    /// It may have been, before this process or this attempt, and nobody knows of an answer.
    Tried,
    /// It is.
    Inside,
}

/// Why a run cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) enum Busy {
    /// It is inside a component.
    Inside,
    /// It was, or may have been.
    Tried,
}

/// A run in hand; it is let go of when the last clone is dropped.
#[derive(Clone)]
pub(in crate::services) struct Held(Arc<Holding>);

struct Holding {
    shared: Arc<Shared>,
    key: String,
    line: Line,
    id: u64,
    fence: u64,
}

impl InHand {
    /// Nothing is in hand. Of runs of one component that were attempted before, at most `most_again` will be at once; `freed` is told when
    /// there is room again.
    pub fn new(most_again: usize, freed: Arc<Notify>) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), most_again, freed }) }
    }

    /// Takes a run that is not in the store yet, if there is room for it and it is not in hand already.
    pub fn take_new(&self, run: &StepRun) -> Option<Held> {
        let line = run.line();
        let mut state = self.shared.state.lock();
        if matches!(state.known.get(&run.key), Some(Known::Held { .. })) || state.behind.contains(&line) {
            return None;
        }
        if state.count(&line) >= self.shared.most(line.again) {
            state.behind.insert(line);
            return None;
        }
        // It is claimed in the commit that adds it.
        Some(self.hold(&mut state, run, line, (Stage::Untouched, 1)))
    }

    /// Takes a run that was claimed from the store, whether or not there is room.
    pub fn take_claimed(&self, run: &StepRun) -> Held {
        let mut state = self.shared.state.lock();
        let stage = match state.known.get(&run.key) {
            Some(Known::Waits(stage, fence)) if run.fence == fence + 1 => *stage,
            // The fence grows with every claim: at the first one nobody can have attempted it.
            _ if run.fence == 1 => Stage::Untouched,
            _ => Stage::Tried,
        };
        self.hold(&mut state, run, run.line(), (stage, run.fence))
    }

    /// Takes a run away from whoever has it in hand, or from the store where it waits, as long as no attempt at it was ever made. Who had
    /// it finds out by [`Held::enter`].
    ///
    /// # Errors
    /// It is inside a component, or may have been.
    pub fn take_back(&self, run: &StepRun) -> Result<Held, Busy> {
        self.take_over(run, |stage| stage == Stage::Untouched).map(|(held, _)| held)
    }

    /// The same of a run that is at a stage of which `may` says that it may be taken, and which stage that is.
    ///
    /// # Errors
    /// It is inside a component, or it may not.
    pub fn take_over(&self, run: &StepRun, may: impl Fn(Stage) -> bool) -> Result<(Held, Stage), Busy> {
        let mut state = self.shared.state.lock();
        // One that is not claimed yet is about to be.
        let fence = if run.status == RunStatus::Running { run.fence } else { run.fence + 1 };
        match state.stage(run) {
            Stage::Inside => Err(Busy::Inside),
            stage if may(stage) => Ok((self.hold(&mut state, run, run.line(), (stage, fence)), stage)),
            _ => Err(Busy::Tried),
        }
    }

    /// Whether [`Self::take_back`] would take that run: no attempt at it was ever made.
    pub fn is_untouched(&self, run: &StepRun) -> bool {
        self.shared.state.lock().stage(run) == Stage::Untouched
    }

    /// Whether the run of this key is in hand.
    pub fn holds(&self, key: &str) -> bool {
        matches!(self.shared.state.lock().known.get(key), Some(Known::Held { .. }))
    }

    /// How many more of a line may be claimed.
    pub fn room(&self, line: &Line) -> usize {
        self.shared.most(line.again).saturating_sub(self.shared.state.lock().count(line))
    }

    /// Nobody waits in the store for room any more, but for those who stand in `lines`.
    pub fn caught_up_but_for(&self, lines: &[Line]) {
        let mut state = self.shared.state.lock();
        if !state.behind.is_empty() {
            state.behind.retain(|line| lines.contains(line));
        }
    }

    fn hold(&self, state: &mut State, run: &StepRun, line: Line, (stage, fence): (Stage, u64)) -> Held {
        if state.known.len() > MAX_KNOWN {
            // Those that other processes have claimed since are known here for nothing.
            state.known.retain(|_, known| matches!(known, Known::Held { .. }));
        }
        state.next_id += 1;
        let id = state.next_id;
        state.known.insert(run.key.clone(), Known::Held { id, stage, waits: false });
        *state.counted(&line) += 1;
        Held(Arc::new(Holding { shared: Arc::clone(&self.shared), key: run.key.clone(), line, id, fence }))
    }
}

impl Held {
    /// Notes that the run goes inside its component; false if it was taken back, then it must not.
    pub fn enter(&self) -> bool {
        self.change(|stage, _| *stage = Stage::Inside)
    }

    /// Notes that the run will wait in the store from now on.
    pub fn waits(&self) {
        self.change(|_, waits| *waits = true);
    }

    /// Notes that its attempt was answered, and that it waits in the store for its next one.
    pub fn waits_answered(&self) {
        self.change(|stage, waits| (*stage, *waits) = (Stage::Answered, true));
    }

    fn change(&self, change: impl FnOnce(&mut Stage, &mut bool)) -> bool {
        match self.0.shared.state.lock().known.get_mut(&self.0.key) {
            Some(Known::Held { id, stage, waits }) if *id == self.0.id => {
                change(stage, waits);
                true
            }
            _ => false,
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        if let Entry::Occupied(mut known) = state.known.entry(std::mem::take(&mut self.key)) {
            match *known.get() {
                Known::Held { id, stage: stage @ (Stage::Untouched | Stage::Answered), waits: true } if id == self.id => {
                    known.insert(Known::Waits(stage, self.fence));
                }
                Known::Held { id, .. } if id == self.id => drop(known.remove()),
                // Somebody else has it by now.
                Known::Held { .. } | Known::Waits(..) => {}
            }
        }
        let most = self.shared.most(self.line.again);
        let count = state.counted(&self.line);
        *count -= 1;
        // Not for each of them while there is a lot to do: claiming is a write.
        let worth_claiming = if self.line.again { *count + 1 >= most } else { *count == most * 3 / 4 };
        drop(state);
        if worth_claiming {
            self.shared.freed.notify_one();
        }
    }
}

impl Shared {
    fn most(&self, again: bool) -> usize {
        if again { self.most_again } else { MAX_FIRST }
    }
}

impl State {
    fn stage(&self, run: &StepRun) -> Stage {
        match self.known.get(&run.key) {
            Some(Known::Held { stage, .. }) => *stage,
            Some(Known::Waits(stage, fence)) if run.fence == *fence => *stage,
            _ if run.fence == 0 => Stage::Untouched,
            _ => Stage::Tried,
        }
    }

    fn count(&self, line: &Line) -> usize {
        self.counts.get(&line.component).map_or(0, |counts| counts[usize::from(line.again)])
    }

    fn counted(&mut self, line: &Line) -> &mut usize {
        &mut self.counts.entry(line.component.clone()).or_default()[usize::from(line.again)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StartedBy;
    use millrace_workflow::RunKind;

    fn run(id: &str, attempt: u32, fence: u64) -> StepRun {
        let by = StartedBy {
            resource_kind: "jobs".into(),
            resource_id: id.into(),
            workflow: "job-processing".into(),
            transition: "start".into(),
            from_state: "new".into(),
            to_state: "paying".into(),
        };
        let first = StepRun::first(format!("{id}:step-pay:1"), by, RunKind::Step, ("step-pay", "pay"), jiff::Timestamp::UNIX_EPOCH);
        StepRun { attempt, status: RunStatus::Running, owner: Some(1), fence, ..first }
    }

    fn hand(most_again: usize) -> InHand {
        InHand::new(most_again, Arc::default())
    }

    #[test]
    fn what_was_attempted_before_has_a_room_of_its_own() {
        let hand = hand(2);
        let again: Vec<_> = (0..2).map(|n| hand.take_claimed(&run(&n.to_string(), 2, 2))).collect();
        assert_eq!(hand.room(&run("x", 2, 2).line()), 0);
        let first = hand.take_new(&run("first", 1, 0)).unwrap();
        assert_eq!(hand.room(&first.0.line), MAX_FIRST - 1);
        drop(again);
        assert_eq!(hand.room(&run("x", 2, 2).line()), 2);
        drop(first);
        assert!(hand.shared.state.lock().known.is_empty());
    }

    #[test]
    fn while_some_wait_in_the_store_for_room_new_ones_do_not_overtake_them() {
        let hand = hand(2);
        let mut held: Vec<_> = (0..MAX_FIRST).map(|n| hand.take_new(&run(&n.to_string(), 1, 0)).unwrap()).collect();
        assert!(hand.take_new(&run("waits", 1, 0)).is_none());
        held.pop();
        assert!(hand.take_new(&run("next", 1, 0)).is_none(), "it would overtake");
        let line = run("waits", 1, 0).line();
        hand.caught_up_but_for(std::slice::from_ref(&line));
        assert!(hand.take_new(&run("next", 1, 0)).is_none());
        assert_eq!(hand.room(&line), 1);
        let _taken = hand.take_claimed(&run("waits", 1, 1));
        hand.caught_up_but_for(&[]);
        held.pop();
        assert!(hand.take_new(&run("next", 1, 0)).is_some());
    }

    #[test]
    fn a_run_that_was_inside_no_component_can_be_taken_back_and_is_told_of_it() {
        let hand = hand(2);
        let held = hand.take_new(&run("a", 1, 0)).unwrap();
        assert!(hand.is_untouched(&run("a", 1, 1)));
        let back = hand.take_back(&run("a", 1, 1)).ok().unwrap();
        assert!(!held.enter(), "it was taken back");
        drop(held);
        assert!(hand.holds(&run("a", 1, 1).key));
        drop(back);
        assert!(!hand.holds(&run("a", 1, 1).key));
    }

    #[test]
    fn a_run_that_is_or_was_or_may_have_been_inside_cannot_be_taken_back() {
        let hand = hand(2);
        let busy = |run: &StepRun| hand.take_back(run).err();
        let held = hand.take_new(&run("a", 1, 0)).unwrap();
        assert!(held.enter());
        assert!(!hand.is_untouched(&run("a", 1, 1)));
        assert_eq!(busy(&run("a", 1, 1)), Some(Busy::Inside));
        held.waits();
        drop(held);
        assert_eq!(busy(&run("a", 1, 1)), Some(Busy::Tried), "it waits for its next attempt");
        let recovered = hand.take_claimed(&run("b", 1, 2));
        assert!(!hand.is_untouched(&run("b", 1, 2)));
        assert_eq!(busy(&run("b", 1, 2)), Some(Busy::Tried), "a process before this one had it");
        drop(recovered);
    }

    #[test]
    fn a_run_that_waits_in_the_store_untouched_can_be_taken_back() {
        let hand = hand(2);
        let denied = hand.take_new(&run("a", 1, 0)).unwrap();
        denied.waits();
        drop(denied);
        let denied_again = hand.take_claimed(&run("a", 1, 2));
        denied_again.waits();
        drop(denied_again);
        assert!(hand.is_untouched(&run("a", 1, 2)) && hand.is_untouched(&run("never claimed", 1, 0)));
        assert_eq!(hand.take_back(&run("a", 1, 2)).err(), None);
        assert_eq!(hand.take_back(&run("never claimed", 1, 0)).err(), None);
    }

    #[test]
    fn a_run_whose_attempts_were_all_answered_is_told_from_one_that_may_have_been_lost() {
        let hand = hand(2);
        let taken = |run: &StepRun| hand.take_over(run, |stage| stage != Stage::Tried).map(|(_, stage)| stage);
        let failed = hand.take_new(&run("a", 1, 0)).unwrap();
        assert!(failed.enter());
        assert_eq!(taken(&run("a", 1, 1)), Err(Busy::Inside), "its attempt is waited for");
        failed.waits_answered();
        drop(failed);
        let denied = hand.take_claimed(&run("a", 2, 2));
        denied.waits();
        drop(denied);
        assert_eq!(taken(&run("a", 2, 2)), Ok(Stage::Answered));
        assert_eq!(hand.take_back(&run("a", 2, 2)).err(), Some(Busy::Tried), "it was attempted all the same");
        assert_eq!(taken(&run("b", 2, 3)), Err(Busy::Tried), "a process before this one had it");
    }
}
