//! Definitions in a few lines.

use std::time::Duration;

use millrace_workflow::{Definition, Hook, Machine, Reaction, RetryPolicy, State, Step, Transition};

/// A definition under construction; what it is not told is left out.
pub struct Builder(pub Definition);

/// A workflow named `test` that begins in `initial`.
pub fn workflow(initial: &str) -> Builder {
    Builder(Definition {
        name: "test".into(),
        description: String::new(),
        initial_state: initial.into(),
        initial_transition: None,
        states: Default::default(),
        transitions: Default::default(),
        steps: Default::default(),
        hooks: Vec::new(),
    })
}

/// A transition between two states that waits to be fired.
pub fn edge(from: &str, to: &str) -> Transition {
    Transition { from: from.into(), to: to.into(), ..Transition::default() }
}

/// A transition that is made at once.
pub fn automatic(from: &str, to: &str) -> Transition {
    Transition { automatic: true, ..edge(from, to) }
}

/// A transition that a timer fires.
pub fn timed(from: &str, to: &str, seconds: u64) -> Transition {
    Transition { after: Some(Duration::from_secs(seconds)), ..edge(from, to) }
}

/// A step that retries twice: after 1 s, then after 2 s.
pub fn step(component: &str, success: &str, compensate: &str) -> Step {
    Step {
        component: component.into(),
        success: success.into(),
        compensate: compensate.into(),
        reject: None,
        retry: RetryPolicy { max_retries: Some(2), backoff: Duration::from_secs(1), max_delay: RetryPolicy::DEFAULT_MAX_DELAY },
        timeout: Duration::from_secs(30),
    }
}

/// What a hook starts.
pub fn starts(step: &str) -> Reaction {
    Reaction::Step(step.into())
}

/// What a hook runs for its effect only.
pub fn runs(component: &str) -> Reaction {
    Reaction::Task(component.into())
}

/// Whom a hook tells.
pub fn tells(handler: &str) -> Reaction {
    Reaction::Announce(handler.into())
}

pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Builder {
    pub fn states(mut self, names: &[&str]) -> Self {
        self.0.states.extend(names.iter().map(|name| ((*name).to_owned(), State::default())));
        self
    }

    pub fn finals(mut self, names: &[&str]) -> Self {
        self.0.states.extend(names.iter().map(|name| ((*name).to_owned(), State { is_final: true, ..State::default() })));
        self
    }

    pub fn error(mut self, name: &str) -> Self {
        self.0.states.insert(name.into(), State { is_final: true, is_error: true, ..State::default() });
        self
    }

    pub fn begin(mut self, transition: &str) -> Self {
        self.0.initial_transition = Some(transition.into());
        self
    }

    pub fn transition(mut self, name: &str, transition: Transition) -> Self {
        self.0.transitions.insert(name.into(), transition);
        self
    }

    pub fn step(mut self, name: &str, step: Step) -> Self {
        self.0.steps.insert(name.into(), step);
        self
    }

    /// A hook on transitions.
    pub fn on(self, transitions: &[&str], reaction: Reaction) -> Self {
        self.hook(Hook { transitions: names(transitions), reaction, ..Hook::default() })
    }

    /// A hook on states entered.
    pub fn entering(self, states: &[&str], reaction: Reaction) -> Self {
        self.hook(Hook { to_states: names(states), reaction, ..Hook::default() })
    }

    pub fn hook(mut self, hook: Hook) -> Self {
        self.0.hooks.push(hook);
        self
    }

    pub fn machine(self) -> Machine {
        Machine::new(self.0).unwrap_or_else(|defects| panic!("{defects:#?}"))
    }

    /// Every defect as `path: message`.
    pub fn defects(self) -> Vec<String> {
        let defects = Machine::new(self.0).expect_err("a definition with defects");
        defects.iter().map(|defect| format!("{}: {defect}", defect.path.join("."))).collect()
    }
}
