//! The core does what the editor's simulator does: courses of instances that both are held to (`web/src/console/simulate.test.ts` reads the
//! same files, and writes them).

use millrace_workflow::{Cause, Effect, Input, Instance, Machine, RunKind, StepOutcome};
use serde::Deserialize;

use super::Stage;

#[derive(Deserialize)]
struct Courses {
    config: String,
    workflow: String,
    created: Rest,
    courses: Vec<Course>,
}

#[derive(Deserialize)]
struct Course {
    inputs: Vec<Written>,
    /// What came of each; nothing where it did not fit.
    rests: Vec<Option<Rest>>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Rest {
    state: String,
    made: Vec<(String, String)>,
    started: Vec<(String, String, u32)>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
enum Written {
    Fire { transition: String, cause: String },
    Timer { transition: String },
    Step { step: String, outcome: String },
}

impl Course {
    /// Whether the attempts of a timer are used up in it, after visits that nobody served, which are no attempts.
    fn is_worn_out(&self) -> bool {
        let unserved = self.inputs.iter().position(|input| matches!(input, Written::Step { outcome, .. } if outcome == "unserved"));
        let exhausted = |rest: &Option<Rest>| rest.iter().flat_map(|rest| &rest.made).any(|(_, cause)| cause == "exhausted");
        unserved.zip(self.rests.iter().position(exhausted)).is_some_and(|(first, last)| first < last)
    }
}

/// An instance, with the attempts that its steps are at.
struct Walker<'m> {
    machine: &'m Machine,
    instance: Instance,
    attempts: std::collections::BTreeMap<String, u32>,
}

impl Walker<'_> {
    fn go(&mut self, input: &Written) -> Option<Rest> {
        let version = self.instance.version;
        let input = match input {
            Written::Fire { transition, cause } => {
                let cause = if cause == "event" { Cause::Event } else { Cause::Api };
                Input::Fire { transition: transition.clone(), cause }
            }
            Written::Timer { transition } => Input::TimerFired { transition: transition.clone(), version },
            Written::Step { step, outcome } => {
                let visit = self.instance.visits.get(step).copied().unwrap_or_default();
                let outcome = match outcome.as_str() {
                    "accepted" => StepOutcome::Accepted,
                    "rejected" => StepOutcome::Rejected,
                    "permanent" => StepOutcome::Permanent,
                    "transient" => StepOutcome::Transient,
                    "unserved" => StepOutcome::Unserved,
                    other => panic!("no outcome is called '{other}'"),
                };
                let attempt = self.attempts.get(step).copied().unwrap_or(1);
                Input::StepFinished { step: step.clone(), visit, attempt, outcome, jitter: 0.5 }
            }
        };
        let (instance, effects) = self.machine.advance(&self.instance, &input).ok()?;
        self.instance = instance;
        Some(self.rest(&effects))
    }

    fn rest(&mut self, effects: &[Effect]) -> Rest {
        let mut rest = Rest { state: self.instance.state.clone(), made: Vec::new(), started: Vec::new() };
        for effect in effects {
            match effect {
                Effect::Transitioned { transition, cause, .. } => rest.made.push((transition.clone(), cause.as_str().to_owned())),
                Effect::Run { kind, name, visit, .. } => {
                    let kind = if *kind == RunKind::Step { "step" } else { "task" };
                    self.attempts.insert(name.clone(), 1);
                    rest.started.push((kind.to_owned(), name.clone(), *visit));
                }
                Effect::Retry { name, attempt, .. } => drop(self.attempts.insert(name.clone(), *attempt)),
                Effect::Announce { handler, .. } => rest.started.push(("announce".to_owned(), handler.clone(), 0)),
                Effect::Create { handler, .. } => rest.started.push(("create".to_owned(), handler.clone(), 0)),
                Effect::Timer { .. } | Effect::Finished { .. } | Effect::Attention { .. } => {}
            }
        }
        // The simulator tells what is started in the sequence of the hooks; the core has its own.
        rest.started.sort();
        rest
    }
}

fn sorted(mut rest: Rest) -> Rest {
    rest.started.sort();
    rest
}

#[test]
fn an_instance_of_the_program_goes_where_that_of_the_editor_goes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflow/tests/courses");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 5, "{files:?}");
    let mut worn_out = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let Courses { config, workflow, created, courses } = serde_json::from_str(&text).unwrap();
        let machine = machine(&config, &workflow);
        let begin = || {
            let (instance, effects) = machine.create();
            let mut walker = Walker { machine: &machine, instance, attempts: Default::default() };
            let rest = walker.rest(&effects);
            (walker, rest)
        };
        assert_eq!(begin().1, sorted(created), "{}", file.display());
        worn_out += courses.iter().filter(|course| course.is_worn_out()).count();
        for Course { inputs, rests } in courses {
            assert_eq!(inputs.len(), rests.len());
            let mut walker = begin().0;
            for (index, (input, rest)) in inputs.iter().zip(rests).enumerate() {
                let came = walker.go(input);
                assert_eq!(came, rest.map(sorted), "{}: {:?}", file.display(), &inputs[..=index]);
            }
        }
    }
    assert!(worn_out > 0, "none has attempts that are used up after visits that nobody served");
}

fn machine(config: &str, workflow: &str) -> Machine {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(config);
    let checked = Stage::new().check(
        if config.contains("examples/") { "examples/courses.yaml" } else { "courses.yaml" },
        &std::fs::read_to_string(path).unwrap(),
    );
    let plan = checked.plan.unwrap_or_else(|| panic!("{config}: {:?}", checked.report.problems));
    let found = plan.workflows.into_iter().find(|one| one.machine.name() == workflow);
    found.unwrap_or_else(|| panic!("{config} has no workflow '{workflow}'")).machine
}
