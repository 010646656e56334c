//! What a run finds that is otherwise different each time: what the clocks say, and random numbers. It is played to runs that are to find the
//! same.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

use crate::clock::Clock;

/// How much later a clock says that it is, each time it is read beyond the tape: who waits for it gets on. Nanoseconds.
const STEP: u64 = 1_000;
/// What a clock of a run can tell apart, in nanoseconds.
const WALL_RESOLUTION: u64 = 1_000_000;
const STEADY_RESOLUTION: u64 = 1;

/// What runs find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tape {
    /// Of all random numbers.
    seed: [u8; 32],
    /// What the wall clock said each time, in nanoseconds since 1970.
    wall: Vec<u64>,
    /// The same of the steady clock, in nanoseconds since the run began.
    steady: Vec<u64>,
}

impl Tape {
    /// Of a run that is to begin at `now`, in nanoseconds since 1970, with random numbers of this seed.
    #[must_use]
    pub fn beginning(now: u64, seed: [u8; 32]) -> Self {
        Self { seed, wall: vec![now], steady: Vec::new() }
    }
}

/// Plays a tape. Clones share it.
#[derive(Clone)]
pub(super) struct Deck(Arc<Mutex<State>>);

struct State {
    tape: Tape,
    /// Readings of the wall clock and of the steady one that were played.
    played: [usize; 2],
}

impl Deck {
    /// Plays from the beginning.
    pub fn playing(tape: Tape) -> Self {
        Self(Arc::new(Mutex::new(State { tape, played: [0, 0] })))
    }

    /// The random numbers of the run, those that are to be secret and others, and a seed for its own.
    pub fn random(&self) -> (StdRng, StdRng, u128) {
        let seed = self.0.lock().tape.seed;
        let mut other = seed;
        other.iter_mut().for_each(|byte| *byte = !*byte);
        let mut own = [0; 16];
        own.copy_from_slice(&other[8..24]);
        (StdRng::from_seed(seed), StdRng::from_seed(other), u128::from_le_bytes(own))
    }

    fn read(&self, steady: bool) -> u64 {
        let State { tape, played } = &mut *self.0.lock();
        let readings = if steady { &tape.steady } else { &tape.wall };
        let at = &mut played[usize::from(steady)];
        *at += 1;
        let beyond = at.saturating_sub(readings.len()) as u64;
        let last = readings.last().copied().unwrap_or_default();
        readings.get(*at - 1).copied().unwrap_or(last.saturating_add(beyond * STEP))
    }
}

/// `wasi:clocks/wall-clock` from the host's clock, so that a component sees the same time as its deadline; or from a tape.
pub(super) struct WallClock(pub Clock, pub Option<Deck>);

impl HostWallClock for WallClock {
    fn resolution(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(WALL_RESOLUTION)
    }

    fn now(&self) -> std::time::Duration {
        let now = || u64::try_from(self.0.now().as_nanosecond()).unwrap_or_default();
        std::time::Duration::from_nanos(self.1.as_ref().map_or_else(now, |deck| deck.read(false)))
    }
}

/// `wasi:clocks/monotonic-clock` from a tape, where it begins with the run.
pub(super) struct SteadyClock(pub Deck);

impl HostMonotonicClock for SteadyClock {
    fn resolution(&self) -> u64 {
        STEADY_RESOLUTION
    }

    fn now(&self) -> u64 {
        self.0.read(true)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn what_is_on_a_tape_is_played_and_beyond_it_time_goes_on() {
        let tape = Tape { steady: vec![1, 5], ..Tape::beginning(7_000, [3; 32]) };
        let (deck, again) = (Deck::playing(tape.clone()), Deck::playing(tape));
        let first = deck.random().0.next_u64();
        assert_eq!([again.read(true), again.read(true), again.read(true), again.read(true)], [1, 5, 1_005, 2_005]);
        assert_eq!([again.read(false), again.read(false)], [7_000, 8_000]);
        assert_eq!(again.random().0.next_u64(), first);
        assert_ne!(again.random().1.next_u64(), first);
    }
}
