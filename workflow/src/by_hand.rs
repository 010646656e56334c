//! What somebody may ask an instance for, and when: the rules for transitions that are made by hand.

use std::time::Duration;

use crate::{Instance, Machine, Refusal};

/// How an instance rests in its state, which only the caller's clock tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rest {
    /// How long it has been there, as far as a timer of the state tells it; `None` if it has only just come.
    pub lasted: Option<Duration>,
    /// The deadline of the state has passed.
    pub is_overdue: bool,
}

/// Why a transition cannot be made by hand at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotNow {
    /// Not in this state, however long it is waited.
    Refused(Refusal),
    /// It was made a moment ago: it may be made again after that long.
    Wait(Duration),
}

impl Machine {
    /// What an action comes to that somebody asks for now: the first of `among` that leaves the state of the instance.
    ///
    /// # Errors
    /// None of them leaves the state, its deadline has passed and another one follows, the instance may only go to its end, or the
    /// pause between two of them is not over ([`Machine::pause_by_hand`]).
    pub fn by_hand<'m>(&'m self, instance: &Instance, among: &[String], rest: Rest) -> Result<&'m str, NotNow> {
        let leaving = self.transition_leaving(&instance.state, among).and_then(|name| self.transition(name));
        let (name, transition) = leaving.ok_or_else(|| {
            let (transition, from) = (among.first().cloned().unwrap_or_default(), among.join(" or "));
            NotNow::Refused(Refusal::WrongState { transition, from, state: instance.state.clone() })
        })?;
        if let Some((overdue, _)) = self.deadline(&instance.state).filter(|(overdue, _)| rest.is_overdue && *overdue != name) {
            return Err(NotNow::Refused(Refusal::Overdue { transition: name.to_owned(), overdue: overdue.to_owned() }));
        }
        if self.is_worn(instance) {
            let worn = Refusal::Worn { made: instance.version, most: self.most_made() };
            return if self.is_final(&transition.to) { Ok(name) } else { Err(NotNow::Refused(worn)) };
        }
        let pause = self.pause_by_hand(instance, name).unwrap_or_default();
        let left = pause.saturating_sub(rest.lasted.unwrap_or_default());
        if left.is_zero() { Ok(name) } else { Err(NotNow::Wait(left)) }
    }
}
