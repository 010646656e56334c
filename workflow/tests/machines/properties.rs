//! What holds on every machine, whatever happens: a million random inputs over random machines.

use std::cell::Cell;
use std::collections::BTreeMap;

use millrace_workflow::{Cause, Definition, Effect, Input, Instance, Machine, RunKind, StepOutcome};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::generated::{bent, sound, wild};

const MACHINES: u32 = 1_500;
const INPUTS: usize = 700;
const OUTCOMES: [StepOutcome; 5] =
    [StepOutcome::Accepted, StepOutcome::Rejected, StepOutcome::Transient, StepOutcome::Permanent, StepOutcome::Unserved];

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_local_rejects: 1_000_000, ..Config::default() }
}

/// A start of a step that was told to the caller.
#[derive(Debug, Clone)]
struct Started {
    step: String,
    visit: u32,
    seq: u64,
}

/// One instance, and all that its caller was told about it.
struct Life<'m> {
    machine: &'m Machine,
    instance: Instance,
    started: Vec<Started>,
    last_visit: BTreeMap<String, u32>,
}

impl<'m> Life<'m> {
    fn begin(machine: &'m Machine) -> Result<Self, TestCaseError> {
        let (instance, effects) = machine.create();
        let unborn = Instance { state: machine.definition().initial_state.clone(), version: 0, ..instance.clone() };
        let mut life = Self { machine, instance: unborn, started: Vec::new(), last_visit: BTreeMap::new() };
        life.check_move(&instance, &effects)?;
        life.take(instance, &effects);
        Ok(life)
    }

    fn take(&mut self, instance: Instance, effects: &[Effect]) {
        self.instance = instance;
        for effect in effects {
            if let Effect::Run { kind, name, visit, seq, .. } = effect {
                self.last_visit.insert(name.clone(), *visit);
                if *kind == RunKind::Step {
                    self.started.push(Started { step: name.clone(), visit: *visit, seq: *seq });
                }
            }
        }
    }

    /// An input that often fits, sometimes comes too late, and sometimes never made sense.
    fn input(&self, seed: u32) -> Input {
        let pick = seed as usize >> 8;
        let transitions: Vec<&String> = self.machine.definition().transitions.keys().collect();
        let any_transition = transitions.get(pick % (transitions.len() + 1)).map_or("no such transition", |name| name.as_str());
        let leaving = self.machine.leaving(&self.instance.state);
        let leaving = leaving.get(pick % leaving.len().max(1)).copied().unwrap_or(any_transition);
        let cause = if pick.is_multiple_of(2) { Cause::Api } else { Cause::Event };
        match seed % 10 {
            0 | 1 => Input::Fire { transition: leaving.to_owned(), cause },
            2 => Input::Fire { transition: any_transition.to_owned(), cause },
            3 | 4 => Input::TimerFired { transition: leaving.to_owned(), version: self.instance.version },
            5 => {
                Input::TimerFired { transition: any_transition.to_owned(), version: self.instance.version.saturating_sub(pick as u64 % 3) }
            }
            6 => self.answer(pick, pick % self.started.len().max(1)),
            _ => self.answer(pick, self.started.len().saturating_sub(1)),
        }
    }

    /// The answer of the start at `position`, or one for a visit that never was.
    fn answer(&self, pick: usize, position: usize) -> Input {
        let invented = Started { step: "step-0".into(), visit: 0, seq: 0 };
        let Started { step, visit, .. } = self.started.get(position).unwrap_or(&invented);
        let outcome = OUTCOMES[pick / 8 % OUTCOMES.len()];
        let visit = if pick.is_multiple_of(16) { self.instance.visits.get(step).map_or(0, |last| last + 1) } else { *visit };
        Input::StepFinished { step: step.clone(), visit, attempt: (pick / 32 % 5) as u32, outcome, jitter: (pick % 3) as f64 / 2.0 }
    }

    /// Whether the input has to be taken, from what the caller was told alone.
    fn fits(&self, input: &Input) -> bool {
        let leaves =
            |name: &str| self.machine.definition().transitions.get(name).filter(|transition| transition.from == self.instance.state);
        match input {
            Input::Fire { transition, .. } => leaves(transition).is_some(),
            Input::TimerFired { transition, version } => {
                *version == self.instance.version
                    && leaves(transition).is_some_and(|transition| transition.after.is_some() || transition.deadline.is_some())
            }
            // A run is awaited as long as the instance has not moved since the transition that started it.
            Input::StepFinished { step, visit, .. } => {
                self.started.iter().rev().any(|run| run.seq == self.instance.version && run.step == *step && run.visit == *visit)
            }
        }
    }

    fn check_move(&self, after: &Instance, effects: &[Effect]) -> Result<(), TestCaseError> {
        self.check_history(after, effects)?;
        self.check_started(after, effects)?;
        self.check_rest(after, effects)
    }

    /// The history goes on where it stood, along edges of the machine, without a gap.
    fn check_history(&self, after: &Instance, effects: &[Effect]) -> Result<(), TestCaseError> {
        let (mut state, mut version) = (self.instance.state.as_str(), self.instance.version);
        for effect in effects {
            if let Effect::Transitioned { seq, transition, from, to, .. } = effect {
                let edge = &self.machine.definition().transitions[transition];
                prop_assert_eq!((&edge.from, &edge.to), (from, to));
                prop_assert_eq!(state, from);
                prop_assert_eq!(*seq, version + 1);
                (state, version) = (to, *seq);
            }
            if let Effect::Announce { seq, state: told, .. } = effect {
                prop_assert_eq!((*seq, told.as_str()), (version, state));
            }
        }
        prop_assert_eq!((after.state.as_str(), after.version), (state, version));
        // Each state is passed once at most by itself: nothing turns in circles.
        let moves = version - self.instance.version;
        prop_assert!(moves <= self.machine.definition().states.len() as u64 + 1);
        Ok(())
    }

    /// Visits grow, and no step is started only to be left behind.
    fn check_started(&self, after: &Instance, effects: &[Effect]) -> Result<(), TestCaseError> {
        for (name, visit) in &self.instance.visits {
            prop_assert!(after.visits[name] >= *visit);
        }
        let mut last_visit = self.last_visit.clone();
        for effect in effects {
            if let Effect::Run { kind, name, visit, seq, .. } = effect {
                let earlier = last_visit.insert(name.clone(), *visit).unwrap_or(0);
                prop_assert!(*visit > earlier);
                prop_assert!(*kind == RunKind::Task || *visit == after.visits[name]);
                prop_assert!(*kind == RunKind::Task || *seq == after.version, "the answer of '{}' is lost", name);
            }
        }
        Ok(())
    }

    /// The instance rests where it may rest, and something will move it on.
    fn check_rest(&self, after: &Instance, effects: &[Effect]) -> Result<(), TestCaseError> {
        let definition = self.machine.definition();
        let leaving = || definition.transitions.iter().filter(|(_, transition)| transition.from == after.state);
        let is_answer = |name: &str| definition.steps.values().any(|step| step.answers().any(|answer| answer == name));
        prop_assert!(!leaving().any(|(_, transition)| transition.automatic));

        let timers: Vec<&Effect> = effects.iter().filter(|effect| matches!(effect, Effect::Timer { .. })).collect();
        let timed: Vec<&String> = leaving().filter(|(_, transition)| transition.after.is_some()).map(|(name, _)| name).collect();
        prop_assert_eq!(timers.len(), timed.len());
        prop_assert!(timers.len() <= 1);
        if let Some(Effect::Timer { transition, version, .. }) = timers.first() {
            prop_assert_eq!((transition, *version), (timed[0], after.version));
        }

        let finished = effects.iter().filter(|effect| matches!(effect, Effect::Finished { .. })).count();
        prop_assert_eq!(finished, usize::from(self.machine.is_final(&after.state)));
        let runs = effects.iter().any(|effect| matches!(effect, Effect::Run { kind: RunKind::Step, seq, .. } if *seq == after.version));
        let by_hand = leaving().any(|(name, _)| !is_answer(name));
        prop_assert!(finished == 1 || runs || timers.len() == 1 || by_hand, "stranded in '{}'", after.state);
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    inputs: Cell<u64>,
    taken: Cell<u64>,
    finished: Cell<u64>,
    effects: Cell<[u64; 8]>,
}

impl Tally {
    fn count(&self, effects: &[Effect]) {
        let mut counts = self.effects.get();
        for effect in effects {
            counts[match effect {
                Effect::Transitioned { .. } => 0,
                Effect::Run { .. } => 1,
                Effect::Retry { .. } => 2,
                Effect::Timer { .. } => 3,
                Effect::Announce { .. } => 4,
                Effect::Attention { .. } => 5,
                Effect::Finished { .. } => 6,
                Effect::Create { .. } => 7,
            }] += 1;
        }
        self.effects.set(counts);
    }
}

fn live(machine: &Machine, seeds: &[u32], tally: &Tally) -> Result<(), TestCaseError> {
    let mut life = Life::begin(machine)?;
    let mut refusals_at_end = 0;
    for seed in seeds {
        let input = life.input(*seed);
        tally.inputs.set(tally.inputs.get() + 1);
        match machine.advance(&life.instance, &input) {
            Ok((after, effects)) => {
                prop_assert!(life.fits(&input), "taken: {:?} at {:?}", input, life.instance);
                tally.taken.set(tally.taken.get() + 1);
                tally.count(&effects);
                check_taken(&mut life, &input, after, &effects)?;
            }
            Err(refusal) => prop_assert!(!life.fits(&input), "{}: {:?} at {:?}", refusal, input, life.instance),
        }
        if machine.is_final(&life.instance.state) {
            refusals_at_end += 1;
        }
        if refusals_at_end == 3 {
            tally.finished.set(tally.finished.get() + 1);
            (life, refusals_at_end) = (Life::begin(machine)?, 0);
        }
    }
    Ok(())
}

fn check_taken(life: &mut Life<'_>, input: &Input, after: Instance, effects: &[Effect]) -> Result<(), TestCaseError> {
    prop_assert!(!life.machine.is_final(&life.instance.state), "a final state was left");
    if let [Effect::Retry { visit, attempt, .. }] = effects {
        let Input::StepFinished { visit: answered, attempt: ended, outcome, .. } = input else {
            return Err(TestCaseError::fail("a retry of nothing"));
        };
        prop_assert!(matches!(outcome, StepOutcome::Transient | StepOutcome::Unserved));
        prop_assert_eq!((visit, *attempt), (answered, ended + 1));
        prop_assert_eq!(&after, &life.instance);
        return Ok(());
    }
    prop_assert!(after.version > life.instance.version);
    life.check_move(&after, effects)?;
    life.take(after, effects);
    if !matches!(input, Input::Fire { .. }) {
        prop_assert!(life.machine.advance(&life.instance, input).is_err(), "taken twice: {:?}", input);
    }
    Ok(())
}

#[test]
fn a_million_random_inputs_over_random_machines_break_nothing() {
    let tally = Tally::default();
    let inputs = prop::collection::vec(any::<u32>(), INPUTS);
    let outcome = TestRunner::new(config(MACHINES)).run(&(sound(), inputs), |(machine, seeds)| live(&machine, &seeds, &tally));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(tally.inputs.get() >= 1_000_000);
    assert!(tally.taken.get() > tally.inputs.get() / 5, "too few inputs fit: {}", tally.taken.get());
    assert!(tally.finished.get() > 10_000, "too few instances came to an end: {}", tally.finished.get());
    assert!(tally.effects.get().iter().all(|count| *count > 1_000), "an effect is too rare: {:?}", tally.effects.get());
}

/// Definitions that a machine can be made of behave, the others are refused with reasons; returns the share that was accepted.
fn accept_or_explain(definitions: impl Strategy<Value = Definition>, cases: u32) -> f64 {
    let accepted = Cell::new(0);
    let inputs = prop::collection::vec(any::<u32>(), 50);
    let outcome = TestRunner::new(config(cases)).run(&(definitions, inputs), |(definition, seeds)| {
        match Machine::new(definition.clone()) {
            Ok(machine) => {
                accepted.set(accepted.get() + 1);
                prop_assert_eq!(machine.definition(), &definition);
                live(&machine, &seeds, &Tally::default())?;
            }
            Err(defects) => {
                prop_assert!(!defects.is_empty());
                prop_assert!(defects.iter().all(|defect| !defect.path.is_empty() && !defect.message.is_empty()));
            }
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    f64::from(accepted.get()) / f64::from(cases)
}

#[test]
fn a_definition_of_dangling_names_and_contradictions_never_panics() {
    let accepted = accept_or_explain(wild(), 10_000);
    assert!(accepted < 0.1, "too little is wrong with these definitions: {accepted} were accepted");
}

#[test]
fn a_sound_definition_changed_at_random_is_refused_or_still_behaves() {
    let accepted = accept_or_explain(bent(), 5_000);
    assert!((0.1..0.9).contains(&accepted), "{accepted} were accepted");
}
