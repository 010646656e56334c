//! The one place where an instance moves: an input in, the instance's next form and what has to be made durable out.

use crate::index::{Reactions, Start};
use crate::{Cause, Effect, Input, Instance, Machine, Refusal, Step, StepOutcome, Transition};

/// A transition of the machine with its name.
#[derive(Clone, Copy)]
struct Edge<'m> {
    name: &'m str,
    transition: &'m Transition,
}

impl Machine {
    /// A new instance, with the initial transition (and what is automatic after it) already made.
    ///
    /// Without an initial transition it is in the initial state; what is automatic there was made, a timer there is started.
    #[must_use]
    pub fn create(&self) -> (Instance, Vec<Effect>) {
        let state = self.definition().initial_state.clone();
        let instance = Instance { state, version: 0, visits: Default::default(), timer_firings: Default::default(), unserved: 0 };
        let mut course = Course { machine: self, instance, effects: Vec::new() };
        let initial = self.definition().initial_transition.as_deref();
        if let Some(edge) = initial.and_then(|name| self.edge(name)) {
            course.fire(edge, Cause::Created);
        }
        course.settle()
    }

    /// What follows from an input.
    ///
    /// Effects come in the sequence in which things happen: for each transition [`Effect::Transitioned`], then its
    /// [`Effect::Announce`]s, its [`Effect::Create`]s and its [`Effect::Run`]s; automatic transitions after the one that led to them; at the end the
    /// [`Effect::Timer`] or [`Effect::Finished`] of the state in which the instance rests. An answer of a step that is to be
    /// tried again gives [`Effect::Retry`] alone and leaves the instance as it was. So does the timer of an instance that may make no more
    /// transitions, with an [`Effect::Attention`] alone.
    ///
    /// # Errors
    /// The input does not fit the instance: a [`Refusal`], and nothing changes.
    pub fn advance(&self, instance: &Instance, input: &Input) -> Result<(Instance, Vec<Effect>), Refusal> {
        if !self.definition().states.contains_key(&instance.state) {
            return Err(Refusal::UnknownState { workflow: self.name().to_owned(), state: instance.state.clone() });
        }
        match input {
            Input::Fire { transition, cause } => self.fired(instance, transition, cause),
            Input::TimerFired { transition, version } => self.timer_fired(instance, transition, *version),
            Input::StepFinished { step, visit, attempt, outcome, jitter } => {
                let awaited = self.awaited_step(instance, step, *visit)?;
                Ok(self.step_finished(instance, awaited, (*visit, *attempt), *outcome, *jitter))
            }
        }
    }

    /// Whether an answer to this visit of a step would move the instance.
    #[must_use]
    pub fn awaits(&self, instance: &Instance, step: &str, visit: u32) -> bool {
        self.awaited_step(instance, step, visit).is_ok()
    }

    fn fired(&self, instance: &Instance, name: &str, cause: &Cause) -> Result<(Instance, Vec<Effect>), Refusal> {
        let edge = self.edge_from(instance, name)?;
        if self.is_worn(instance) && !self.is_final(&edge.transition.to) {
            return Err(Refusal::Worn { made: instance.version, most: self.most_made() });
        }
        let mut course = Course::of(self, instance);
        course.fire_counted(edge, cause.clone());
        Ok(course.settle())
    }

    fn timer_fired(&self, instance: &Instance, name: &str, version: u64) -> Result<(Instance, Vec<Effect>), Refusal> {
        let stale = || Refusal::StaleTimer { transition: name.to_owned(), started: version, current: instance.version };
        if version != instance.version {
            return Err(stale());
        }
        let edge = self.edge_from(instance, name)?;
        if edge.transition.after.is_none() && edge.transition.deadline.is_none() {
            return Err(stale());
        }
        let mut course = Course::of(self, instance);
        if self.is_worn(instance) && !self.is_final(&edge.transition.to) {
            course.rest();
            return Ok((course.instance, course.effects));
        }
        course.fire_counted(edge, Cause::Timer);
        Ok(course.settle())
    }

    fn step_finished(
        &self,
        instance: &Instance,
        (name, step): (&str, &Step),
        (visit, attempt): (u32, u32),
        outcome: StepOutcome,
        jitter: f64,
    ) -> (Instance, Vec<Effect>) {
        let (answer, cause) = match outcome {
            StepOutcome::Accepted => (&step.success, Cause::Accepted),
            StepOutcome::Rejected => (step.reject.as_ref().unwrap_or(&step.compensate), Cause::Rejected),
            StepOutcome::Permanent => (&step.compensate, Cause::Failed),
            StepOutcome::Transient | StepOutcome::Unserved => match step.retry.delay_after(attempt, jitter) {
                Some(delay) => {
                    let retry = Effect::Retry { name: name.to_owned(), visit, attempt: attempt.saturating_add(1), delay };
                    return (instance.clone(), vec![retry]);
                }
                None => (&step.compensate, Cause::Failed),
            },
        };
        let mut course = Course::of(self, instance);
        let unserved = std::mem::take(&mut course.instance.unserved);
        if let Some(edge) = self.edge(answer) {
            course.fire(edge, cause);
            if outcome == StepOutcome::Unserved && self.deadline(&edge.transition.to).is_some() {
                course.instance.unserved = unserved.saturating_add(1);
                course.uncount_way_to(&edge.transition.from);
            }
        }
        course.settle()
    }

    /// The step, if `visit` is its last and the instance is where its answer leads on.
    fn awaited_step(&self, instance: &Instance, name: &str, visit: u32) -> Result<(&str, &Step), Refusal> {
        let current = instance.visits.get(name).copied().unwrap_or(0);
        // Both answers leave the same state, or the machine would not exist.
        let leads_on = |step: &Step| self.edge(&step.success).is_some_and(|edge| edge.transition.from == instance.state);
        self.definition()
            .steps
            .get_key_value(name)
            .filter(|(_, step)| visit > 0 && visit == current && leads_on(step))
            .map(|(name, step)| (name.as_str(), step))
            .ok_or_else(|| Refusal::StaleStep { step: name.to_owned(), visit, current, state: instance.state.clone() })
    }

    fn edge(&self, name: &str) -> Option<Edge<'_>> {
        self.transition(name).map(|(name, transition)| Edge { name, transition })
    }

    /// The transition of this name, if it leaves the state of the instance.
    fn edge_from(&self, instance: &Instance, name: &str) -> Result<Edge<'_>, Refusal> {
        let unknown = || Refusal::UnknownTransition { workflow: self.name().to_owned(), transition: name.to_owned() };
        let edge = self.edge(name).ok_or_else(unknown)?;
        if edge.transition.from != instance.state {
            let (from, state) = (edge.transition.from.clone(), instance.state.clone());
            return Err(Refusal::WrongState { transition: name.to_owned(), from, state });
        }
        Ok(edge)
    }
}

/// Counts one more, and says how many there are now.
fn count(counts: &mut std::collections::BTreeMap<String, u32>, name: &str) -> u32 {
    if let Some(counted) = counts.get_mut(name) {
        *counted = counted.saturating_add(1);
        return *counted;
    }
    counts.insert(name.to_owned(), 1);
    1
}

/// An instance on its way from one rest to the next.
struct Course<'m> {
    machine: &'m Machine,
    instance: Instance,
    effects: Vec<Effect>,
}

impl<'m> Course<'m> {
    fn of(machine: &'m Machine, instance: &Instance) -> Self {
        Self { machine, instance: instance.clone(), effects: Vec::new() }
    }

    fn fire(&mut self, edge: Edge<'m>, cause: Cause) {
        let Transition { from, to, .. } = edge.transition;
        self.instance.version = self.instance.version.saturating_add(1);
        self.instance.state.clone_from(to);
        self.effects.push(Effect::Transitioned {
            seq: self.instance.version,
            transition: edge.name.to_owned(),
            from: from.clone(),
            to: to.clone(),
            cause,
        });
        if let Some(reactions) = self.machine.index().reactions.get(edge.name) {
            self.react(reactions);
        }
    }

    /// Fires a transition because its time has come or because somebody asks for it: where a timer has a number of attempts, both use
    /// them up.
    fn fire_counted(&mut self, edge: Edge<'m>, cause: Cause) {
        if edge.transition.after.is_none() {
            return self.fire(edge, cause);
        }
        let state = self.instance.state.clone();
        let firings = count(&mut self.instance.timer_firings, edge.name);
        self.fire(edge, cause);
        if edge.transition.attention_after.is_some_and(|threshold| firings.is_multiple_of(threshold)) {
            let reason = format!("transition '{}' was made {firings} times so far to leave state '{state}'", edge.name);
            self.effects.push(Effect::Attention { reason });
        }
    }

    /// What the timer of this state has made to get back to `tried` was no attempt: nobody served the visit that it led to. Without end it is
    /// not, since the state has a deadline.
    fn uncount_way_to(&mut self, tried: &str) {
        let Some(Edge { name, transition }) = self.timer() else { return };
        if transition.to == tried
            && transition.max_attempts.is_some()
            && let Some(firings) = self.instance.timer_firings.get_mut(name)
        {
            *firings = firings.saturating_sub(1);
        }
    }

    fn react(&mut self, reactions: &Reactions) {
        let (seq, state) = (self.instance.version, &self.instance.state);
        let announcements = reactions.announcements.iter();
        self.effects.extend(announcements.map(|handler| Effect::Announce { handler: handler.clone(), seq, state: state.clone() }));
        self.effects.extend(reactions.creations.iter().map(|handler| Effect::Create { handler: handler.clone(), seq }));
        for Start { kind, name, component } in &reactions.runs {
            let visit = count(&mut self.instance.visits, name);
            self.effects.push(Effect::Run { kind: *kind, name: name.clone(), component: component.clone(), visit, seq });
        }
        for step in &reactions.voided {
            if self.instance.visits.contains_key(step) {
                count(&mut self.instance.visits, step);
            }
        }
    }

    /// Makes the transitions that do not wait, then rests. It ends because a machine has no loop of such transitions.
    fn settle(mut self) -> (Instance, Vec<Effect>) {
        while let Some((edge, cause)) = self.at_once() {
            self.fire(edge, cause);
        }
        self.rest();
        (self.instance, self.effects)
    }

    fn at_once(&self) -> Option<(Edge<'m>, Cause)> {
        let machine = self.machine;
        // Enough for what is left of any course without a loop.
        let course = u64::try_from(machine.definition().states.len()).unwrap_or(u64::MAX);
        if self.instance.version >= machine.most_made().saturating_add(course) {
            return None;
        }
        if let Some(name) = machine.index().automatic.get(&self.instance.state) {
            return Some((machine.edge(name)?, Cause::Automatic));
        }
        let timer = self.timer()?;
        let (max, exhausted) = (timer.transition.max_attempts?, timer.transition.exhausted.as_deref()?);
        let firings = self.instance.timer_firings.get(timer.name).copied().unwrap_or(0);
        if firings < max { None } else { Some((machine.edge(exhausted)?, Cause::Exhausted)) }
    }

    fn rest(&mut self) {
        let (state, version) = (&self.instance.state, self.instance.version);
        if self.machine.is_worn(&self.instance) {
            if !self.machine.is_final(state) {
                let reason = format!(
                    "the instance has made {version} transitions, and {} are allowed: it goes nowhere but to its end, unless more are allowed",
                    self.machine.most_made()
                );
                self.effects.push(Effect::Attention { reason });
            }
        } else if let Some((name, after)) = self.machine.timer(state).and_then(|(name, _)| Some((name, self.machine.wait(&self.instance)?)))
        {
            self.effects.push(Effect::Timer { transition: name.to_owned(), after, version });
        }
        if let Some(entered) = self.machine.definition().states.get(state).filter(|state| state.is_final) {
            self.effects.push(Effect::Finished { state: state.clone(), is_error: entered.is_error });
        }
    }

    /// The transition that a timer fires out of the current state.
    fn timer(&self) -> Option<Edge<'m>> {
        self.machine.timer(&self.instance.state).map(|(name, transition)| Edge { name, transition })
    }
}
