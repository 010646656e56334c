//! How large a definition may be. Each limit is far above any process that people can read, and low enough that checking
//! one stays quick and no sum of durations overflows a date.

use std::time::Duration;

/// States of one definition.
pub const MAX_STATES: usize = 1_000;
/// Transitions of one definition.
pub const MAX_TRANSITIONS: usize = 1_000;
/// Steps of one definition.
pub const MAX_STEPS: usize = 1_000;
/// Hooks of one definition.
pub const MAX_HOOKS: usize = 1_000;
/// Names in one list of one hook.
pub const MAX_HOOK_NAMES: usize = 1_000;
/// Transitions that one instance makes at most unless its machine says otherwise, see [`crate::Machine::bounded`]. A retry every half minute
/// comes to this after a day and a half.
pub const MAX_TRANSITIONS_MADE: u64 = 10_000;
/// Longest pause between two firings by hand of a transition whose timer has no end, see [`crate::Machine::pause_by_hand`].
pub const PAUSE_BY_HAND: Duration = Duration::from_secs(5);
/// Longest wait for a timer after visits that nobody served, unless the timer itself waits longer: whoever was away is back for minutes at most
/// until it is tried again.
pub const UNSERVED_WAIT: Duration = Duration::from_secs(120);
/// Longest timer, timeout or retry delay: ten years.
pub const MAX_WAIT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
