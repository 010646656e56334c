//! What a run finds that is otherwise different each time: what the clocks say, and random numbers. It is recorded as the run goes, and played
//! to another run that is to find the same.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

use crate::clock::Clock;

/// Readings of each clock that are kept.
const MAX_READINGS: usize = 4_096;
/// How much later a clock says that it is, each time it is read beyond what was recorded: who waits for it gets on. Nanoseconds.
const STEP: u64 = 1_000;
/// What a clock of a run can tell apart, in nanoseconds.
const WALL_RESOLUTION: u64 = 1_000_000;
const STEADY_RESOLUTION: u64 = 1;

/// What was recorded of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tape {
    /// Of all random numbers; none if nobody asked for one.
    seed: Option<[u8; 32]>,
    /// What the wall clock said each time, in nanoseconds since 1970.
    wall: Vec<u64>,
    /// The same of the steady clock, in nanoseconds since the run began.
    steady: Vec<u64>,
    /// Something was not kept because there was too much of it.
    pub(super) cut: bool,
}

impl Tape {
    /// Of a run that is to begin at `now`, in nanoseconds since 1970, with random numbers of this seed.
    #[must_use]
    pub fn beginning(now: u64, seed: [u8; 32]) -> Self {
        Self { seed: Some(seed), wall: vec![now], ..Self::default() }
    }
}

/// Records or plays. Clones share it.
#[derive(Clone)]
pub(super) struct Deck(Arc<Mutex<State>>);

struct State {
    tape: Tape,
    /// Readings that were played; nothing while it records.
    played: Option<[usize; 2]>,
}

impl Deck {
    /// Records.
    pub fn recording() -> Self {
        Self(Arc::new(Mutex::new(State { tape: Tape::default(), played: None })))
    }

    /// Plays what was recorded.
    pub fn playing(tape: Tape) -> Self {
        Self(Arc::new(Mutex::new(State { tape, played: Some([0, 0]) })))
    }

    /// The random numbers of the run, those that are to be secret and others, and a seed for its own.
    pub fn random(&self) -> (StdRng, StdRng, u128) {
        let seed = *self.0.lock().tape.seed.get_or_insert_with(rand::random);
        let mut other = seed;
        other.iter_mut().for_each(|byte| *byte = !*byte);
        let mut own = [0; 16];
        own.copy_from_slice(&other[8..24]);
        (StdRng::from_seed(seed), StdRng::from_seed(other), u128::from_le_bytes(own))
    }

    fn read(&self, steady: bool, now: impl FnOnce() -> u64) -> u64 {
        let mut state = self.0.lock();
        let State { tape, played } = &mut *state;
        let readings = if steady { &mut tape.steady } else { &mut tape.wall };
        let Some(played) = played else {
            let now = now();
            if readings.len() < MAX_READINGS {
                readings.push(now);
            } else {
                tape.cut = true;
            }
            return now;
        };
        let at = &mut played[usize::from(steady)];
        *at += 1;
        let beyond = at.saturating_sub(readings.len()) as u64;
        let last = readings.last().copied().unwrap_or_default();
        readings.get(*at - 1).copied().unwrap_or(last.saturating_add(beyond * STEP))
    }
}

/// `wasi:clocks/wall-clock` from the host's clock, so that a component sees the same time as its deadline.
pub(super) struct WallClock(pub Clock, pub Deck);

impl HostWallClock for WallClock {
    fn resolution(&self) -> std::time::Duration {
        std::time::Duration::from_nanos(WALL_RESOLUTION)
    }

    fn now(&self) -> std::time::Duration {
        let now = || u64::try_from(self.0.now().as_nanosecond()).unwrap_or_default();
        std::time::Duration::from_nanos(self.1.read(false, now))
    }
}

/// `wasi:clocks/monotonic-clock`, which begins with the run.
pub(super) struct SteadyClock(pub Instant, pub Deck);

impl HostMonotonicClock for SteadyClock {
    fn resolution(&self) -> u64 {
        STEADY_RESOLUTION
    }

    fn now(&self) -> u64 {
        self.1.read(true, || u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;

    #[test]
    fn what_was_recorded_is_played_and_beyond_it_time_goes_on() {
        let deck = Deck::recording();
        assert_eq!([deck.read(false, || 7_000), deck.read(true, || 1), deck.read(true, || 5)], [7_000, 1, 5]);
        let first = deck.random().0.next_u64();
        let tape = deck.0.lock().tape.clone();
        let again = Deck::playing(tape);
        let real = || -> u64 { panic!("nobody asks what it really is") };
        assert_eq!([again.read(true, real), again.read(true, real), again.read(true, real), again.read(true, real)], [1, 5, 1_005, 2_005]);
        assert_eq!([again.read(false, real), again.read(false, real)], [7_000, 8_000]);
        assert_eq!(again.random().0.next_u64(), first);
        assert_ne!(again.random().1.next_u64(), first);
    }

    #[test]
    fn who_reads_a_clock_without_end_is_recorded_so_far() {
        let deck = Deck::recording();
        (0..MAX_READINGS as u64 + 5).for_each(|at| assert_eq!(deck.read(true, || at), at));
        let state = deck.0.lock();
        assert_eq!((state.tape.steady.len(), state.tape.cut), (MAX_READINGS, true));
    }
}
