//! Which stage may begin, and when. It starts nothing itself.

use super::Outcome;
use super::stages::{Load, Stage};

/// Stages, and how far each is.
pub struct Schedule<'a> {
    places: Vec<Place<'a>>,
    /// Stages that mostly wait may be so many at a time.
    waiting: usize,
    is_over: bool,
}

struct Place<'a> {
    stage: &'a Stage,
    state: State,
}

enum State {
    NotBegun,
    /// It is under way, and at the moment wants this of the machine.
    Under(Load),
    Ended(Outcome),
}

impl<'a> Schedule<'a> {
    /// For a machine with so many processors. Stages come in the sequence in which they are preferred, what they need before them.
    pub fn new(stages: impl IntoIterator<Item = &'a Stage>, processors: usize) -> Self {
        let places = stages.into_iter().map(|stage| Place { stage, state: State::NotBegun }).collect();
        Self { places, waiting: processors.max(2), is_over: false }
    }

    /// The next stage that may begin; it counts as begun. Stages that lack what they need are skipped.
    pub fn begin(&mut self) -> Option<&'a Stage> {
        while let Some(lacking) = self.places.iter().position(|place| place.is_waiting() && self.lacks_something(place.stage)) {
            self.places.get_mut(lacking)?.state = State::Ended(Outcome::Skipped);
        }
        let next = self.places.iter().position(|place| !self.is_over && place.is_waiting() && self.may_begin(place.stage))?;
        let next = self.places.get_mut(next)?;
        next.state = State::Under(next.stage.load);
        Some(next.stage)
    }

    /// A stage that has computed so far waits from now on.
    pub fn has_computed(&mut self, name: &str) {
        self.set(name, State::Under(Load::Waits));
    }

    /// A stage has ended.
    pub fn end(&mut self, name: &str, outcome: Outcome) {
        self.set(name, State::Ended(outcome));
    }

    /// No further stage begins.
    pub fn stop(&mut self) {
        self.is_over = true;
    }

    /// What each stage came to, in their sequence; those that have not ended were skipped.
    pub fn outcomes(self) -> impl Iterator<Item = (&'a Stage, Outcome)> {
        self.places.into_iter().map(|place| match place.state {
            State::Ended(outcome) => (place.stage, outcome),
            State::NotBegun | State::Under(_) => (place.stage, Outcome::Skipped),
        })
    }

    fn set(&mut self, name: &str, state: State) {
        if let Some(place) = self.places.iter_mut().find(|place| place.stage.name == name) {
            place.state = state;
        }
    }

    /// What it needs, as far as it is part of this run.
    fn needed(&self, stage: &Stage) -> impl Iterator<Item = &Place<'a>> {
        self.places.iter().filter(|place| stage.needs.contains(&place.stage.name))
    }

    fn lacks_something(&self, stage: &Stage) -> bool {
        self.needed(stage).any(|place| matches!(place.state, State::Ended(Outcome::Failed(..) | Outcome::Skipped)))
    }

    fn may_begin(&self, stage: &Stage) -> bool {
        self.needed(stage).all(|place| matches!(place.state, State::Ended(_))) && self.has_room_for(stage.load)
    }

    fn has_room_for(&self, load: Load) -> bool {
        let under: Vec<Load> =
            self.places.iter().filter_map(|place| if let State::Under(load) = place.state { Some(load) } else { None }).collect();
        if under.contains(&Load::Alone) {
            return false;
        }
        let nobody_computes = !under.iter().any(|load| matches!(load, Load::Computes | Load::ComputesUntil(_)));
        let waiting = under.iter().filter(|load| matches!(load, Load::Waits | Load::ComputesUntil(_))).count();
        match load {
            Load::Little => true,
            Load::Computes => nobody_computes,
            Load::Waits => waiting < self.waiting,
            Load::ComputesUntil(_) => nobody_computes && waiting < self.waiting,
            Load::Alone => under.is_empty(),
        }
    }
}

impl Place<'_> {
    fn is_waiting(&self) -> bool {
        matches!(self.state, State::NotBegun)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::test::Cost;
    use crate::test::stages::Runs;

    const fn stage(name: &'static str, needs: &'static [&'static str], load: Load) -> Stage {
        Stage { name, needs, runs: Runs::Always, load, check: |_| bail!("it is not run here") }
    }

    fn passed() -> Outcome {
        Outcome::Passed(Cost::default())
    }

    fn failed() -> Outcome {
        Outcome::Failed(Cost::default(), "on purpose".into())
    }

    /// Those that begin now.
    fn begun<'a>(schedule: &mut Schedule<'a>) -> Vec<&'a str> {
        std::iter::from_fn(|| schedule.begin()).map(|stage| stage.name).collect()
    }

    #[test]
    fn a_failure_lets_the_others_run_unless_they_need_it() {
        let stages = [
            stage("a", &[], Load::Little),
            stage("b", &["a"], Load::Little),
            stage("c", &["b"], Load::Little),
            stage("d", &[], Load::Little),
        ];
        let mut schedule = Schedule::new(&stages, 2);
        assert_eq!(begun(&mut schedule), ["a", "d"]);
        schedule.end("a", failed());
        schedule.end("d", passed());
        assert_eq!(begun(&mut schedule), [""; 0]);
        let outcomes: Vec<bool> = schedule.outcomes().map(|(_, outcome)| matches!(outcome, Outcome::Skipped)).collect();
        assert_eq!(outcomes, [false, true, true, false]);
    }

    #[test]
    fn a_stage_begins_when_what_it_needs_has_ended() {
        let stages = [stage("a", &[], Load::Little), stage("b", &[], Load::Little), stage("c", &["a", "b"], Load::Little)];
        let mut schedule = Schedule::new(&stages, 2);
        assert_eq!(begun(&mut schedule), ["a", "b"]);
        schedule.end("b", passed());
        assert_eq!(begun(&mut schedule), [""; 0]);
        schedule.end("a", Outcome::NotChecked("there is no such thing here".into()));
        assert_eq!(begun(&mut schedule), ["c"], "what cannot be checked here is no failure");
    }

    #[test]
    fn one_computes_while_others_wait_as_many_as_there_are_processors() {
        let stages = [
            stage("compiles", &[], Load::Computes),
            stage("lints", &[], Load::Computes),
            stage("waits", &[], Load::Waits),
            stage("waits too", &[], Load::Waits),
            stage("waits as well", &[], Load::Waits),
            stage("fetches", &[], Load::Little),
        ];
        let mut schedule = Schedule::new(&stages, 2);
        assert_eq!(begun(&mut schedule), ["compiles", "waits", "waits too", "fetches"]);
        schedule.end("waits too", passed());
        assert_eq!(begun(&mut schedule), ["waits as well"]);
        schedule.end("compiles", failed());
        assert_eq!(begun(&mut schedule), ["lints"]);
        assert_eq!(begun(&mut Schedule::new(&stages, 8)), ["compiles", "waits", "waits too", "waits as well", "fetches"]);
        assert_eq!(begun(&mut Schedule::new(&stages, 1)), ["compiles", "waits", "waits too", "fetches"]);
    }

    #[test]
    fn what_compiles_before_it_waits_counts_as_both_until_then() {
        let stages = [
            stage("tests", &[], Load::ComputesUntil("Running")),
            stage("lints", &[], Load::Computes),
            stage("waits", &[], Load::Waits),
            stage("waits too", &[], Load::Waits),
        ];
        let mut schedule = Schedule::new(&stages, 2);
        assert_eq!(begun(&mut schedule), ["tests", "waits"]);
        schedule.has_computed("tests");
        assert_eq!(begun(&mut schedule), ["lints"]);
        schedule.end("tests", passed());
        assert_eq!(begun(&mut schedule), ["waits too"]);
    }

    #[test]
    fn nothing_is_beside_what_takes_figures() {
        let stages = [stage("figures", &[], Load::Alone), stage("fetches", &[], Load::Little), stage("waits", &[], Load::Waits)];
        let mut schedule = Schedule::new(&stages, 2);
        assert_eq!(begun(&mut schedule), ["figures"]);
        schedule.end("figures", passed());
        assert_eq!(begun(&mut schedule), ["fetches", "waits"]);
        let mut schedule = Schedule::new(stages.iter().rev(), 2);
        assert_eq!(begun(&mut schedule), ["waits", "fetches"]);
        schedule.end("waits", passed());
        assert_eq!(begun(&mut schedule), [""; 0], "something is fetched meanwhile");
        schedule.end("fetches", passed());
        assert_eq!(begun(&mut schedule), ["figures"]);
    }

    #[test]
    fn who_is_stopped_begins_nothing_more() {
        let stages = [stage("a", &[], Load::Computes), stage("b", &[], Load::Computes)];
        let mut schedule = Schedule::new(&stages, 2);
        assert_eq!(begun(&mut schedule), ["a"]);
        schedule.stop();
        schedule.end("a", failed());
        assert_eq!(begun(&mut schedule), [""; 0]);
    }
}
