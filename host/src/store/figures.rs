//! How much there was of resources in each minute: counted as it happens, so that nobody has to read them all.

use super::keys::KeyValue;
use super::{Commit, Guard, KeysOf};

/// Minutes for which figures are kept.
pub const KEPT_MINUTES: i64 = 8 * 24 * 60;

/// The figures of a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figure {
    /// Since 1970, of dates.
    pub minute: i64,
    /// Resources that were made.
    pub made: u64,
    /// Those that entered one of the states that count.
    pub reached: u64,
    /// Their amounts.
    pub amount: i64,
    /// Those that left these states again.
    pub gone: u64,
    /// Their amounts.
    pub gone_amount: i64,
}

impl Figure {
    /// Both together, as of this minute.
    #[must_use]
    pub const fn with(self, other: &Self) -> Self {
        Self {
            minute: self.minute,
            made: self.made + other.made,
            reached: self.reached + other.reached,
            amount: self.amount.saturating_add(other.amount),
            gone: self.gone + other.gone,
            gone_amount: self.gone_amount.saturating_add(other.gone_amount),
        }
    }
}

/// What a commit adds to the figures of a kind, what comes with it aside; nothing if that is not counted.
pub(super) fn added(commit: &Commit, specs: &[KeysOf]) -> Option<Figure> {
    let (guard, resource) = commit.change.as_ref()?;
    let counted = specs.iter().find(|spec| spec.kind == resource.kind)?.counted.as_ref()?;
    let is_in = |state: &str| counted.states.contains(state);
    let made = u64::from(*guard == Guard::Absent);
    // No transition enters the state that it begins in.
    let begins = made > 0 && is_in(commit.history.first().map_or(&resource.state, |row| &row.from));
    let entered = commit.history.iter().filter(|row| is_in(&row.to) && !is_in(&row.from)).count() + usize::from(begins);
    let left = commit.history.iter().filter(|row| is_in(&row.from) && !is_in(&row.to)).count();
    if made == 0 && entered == left {
        return None;
    }
    let amount = match super::keys::first_value(&resource.data, &counted.amount, counted.form) {
        Some(KeyValue::Number(amount)) => amount,
        _ => 0,
    };
    // A state that is left and entered again in one commit has not changed anything.
    let (entered, left) = (entered.saturating_sub(left), left.saturating_sub(entered));
    let of = |count: usize| amount.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX));
    Some(Figure {
        minute: resource.updated_at.as_second().div_euclid(60),
        made,
        reached: entered as u64,
        amount: of(entered),
        gone: left as u64,
        gone_amount: of(left),
    })
}
