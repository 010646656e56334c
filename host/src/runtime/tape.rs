//! What a run finds that is otherwise different each time: what the clocks say, random numbers, and what services answer. It is recorded from the
//! first use on, and played to runs that are to find the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};

use super::heard::{Answer, Failure, Heard};
use crate::clock::Clock;

/// How much later a clock says that it is, each time it is read beyond the tape: who waits for it gets on. Nanoseconds.
const STEP: u64 = 1_000;
/// Readings of each clock that are kept.
const MAX_READINGS: usize = 4_096;
/// Calls of services that are kept, and bytes of all their addresses and answers.
const MAX_CALLS: usize = 256;
const MAX_HEARD_BYTES: usize = 256 << 10;
/// What a clock of a run can tell apart, in nanoseconds.
const WALL_RESOLUTION: u64 = 1_000_000;
const STEADY_RESOLUTION: u64 = 1;

/// What there was in a state, or why nobody could tell.
type Told = Result<Option<String>, String>;

/// What runs find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tape {
    /// Of all random numbers.
    seed: [u8; 32],
    /// What the wall clock said each time, in nanoseconds since 1970.
    wall: Vec<u64>,
    /// The same of the steady clock, in nanoseconds since it was there.
    steady: Vec<u64>,
    /// What services were asked, and what they said.
    calls: Vec<Heard>,
    /// What was read of its state: what was asked, and what there was, or why nobody could tell.
    state: Vec<(String, Told)>,
    /// Something was not kept.
    is_cut: bool,
}

impl Tape {
    fn empty(seed: [u8; 32]) -> Self {
        Self { seed, wall: Vec::new(), steady: Vec::new(), calls: Vec::new(), state: Vec::new(), is_cut: false }
    }

    /// Of a run that is to begin at `now`, in nanoseconds since 1970, with random numbers of this seed.
    #[must_use]
    pub fn beginning(now: u64, seed: [u8; 32]) -> Self {
        Self { wall: vec![now], ..Self::empty(seed) }
    }

    /// The same for a run that asks for the time where this one did not.
    pub(super) fn begun(mut self, now: u64) -> Self {
        if self.wall.is_empty() {
            self.wall.push(now);
        }
        self
    }

    /// Nothing of it is missing.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_cut
    }

    /// Bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let calls: usize = self.calls.iter().map(Heard::bytes).sum();
        let state: usize = self.state.iter().map(|(asked, told)| state_bytes(asked, told)).sum();
        (self.wall.len() + self.steady.len()) * size_of::<u64>() + calls + state
    }
}

fn state_bytes(asked: &str, told: &Told) -> usize {
    let (Ok(Some(text)) | Err(text)) = told else { return size_of::<(String, Told)>() + asked.len() };
    size_of::<(String, Told)>() + asked.len() + text.len()
}

/// Records or plays a tape. Clones share it.
#[derive(Clone)]
pub(super) struct Deck(Arc<Mutex<State>>);

struct State {
    tape: Tape,
    /// Bytes of the calls on it.
    heard: usize,
    /// How far it was played; nothing while it records.
    played: Option<Played>,
}

/// How far a tape was played.
struct Played {
    /// Readings of the wall clock and of the steady one.
    readings: [usize; 2],
    /// Which calls were answered.
    calls: Vec<bool>,
}

impl Deck {
    /// Records.
    pub fn recording() -> Self {
        Self(Arc::new(Mutex::new(State { tape: Tape::empty(rand::random()), heard: 0, played: None })))
    }

    /// Plays from the beginning.
    pub fn playing(tape: Tape) -> Self {
        let played = Played { readings: [0, 0], calls: vec![false; tape.calls.len()] };
        Self(Arc::new(Mutex::new(State { tape, heard: 0, played: Some(played) })))
    }

    /// What was recorded so far.
    pub fn tape(&self) -> Tape {
        self.0.lock().tape.clone()
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

    /// While it plays: what the call is told. Nothing while it records.
    pub fn answer(&self, asked: &str) -> Option<Answer> {
        let mut state = self.0.lock();
        let State { tape, played, .. } = &mut *state;
        let answered = &mut played.as_mut()?.calls;
        let mut calls = tape.calls.iter().zip(answered);
        let next = calls.find(|(heard, answered)| !**answered && heard.asked == asked);
        Some(next.map_or(Answer::Failed(Failure::Denied), |(heard, answered)| {
            *answered = true;
            heard.answer.clone()
        }))
    }

    /// Notes a call, and answers its number if there is room for it.
    pub fn asked(&self, asked: String) -> Option<usize> {
        let mut state = self.0.lock();
        let State { tape, heard, .. } = &mut *state;
        let call = Heard { asked, answer: Answer::Silence };
        if tape.calls.len() == MAX_CALLS || heard.saturating_add(call.bytes()) > MAX_HEARD_BYTES {
            tape.is_cut = true;
            return None;
        }
        *heard += call.bytes();
        tape.calls.push(call);
        Some(tape.calls.len() - 1)
    }

    /// Notes what has come of a call; nothing if it is an error that could not be told again as it was.
    pub fn heard(&self, call: Option<usize>, answer: Option<Answer>) {
        let mut state = self.0.lock();
        let State { tape, heard, .. } = &mut *state;
        let known = call.and_then(|call| tape.calls.get_mut(call));
        let Some((known, answer)) = known.zip(answer) else {
            tape.is_cut = true;
            return;
        };
        if heard.saturating_add(answer.bytes()) > MAX_HEARD_BYTES {
            tape.is_cut = true;
            return;
        }
        *heard += answer.bytes();
        known.answer = answer;
    }

    /// Notes a part of the body of an answer, as it is read.
    pub fn part(&self, call: Option<usize>, part: &Bytes) {
        let mut state = self.0.lock();
        let State { tape, heard, .. } = &mut *state;
        if heard.saturating_add(part.len()) > MAX_HEARD_BYTES {
            tape.is_cut = true;
            return;
        }
        *heard += part.len();
        if let Some(Heard { answer: Answer::Given { body, .. }, .. }) = call.and_then(|call| tape.calls.get_mut(call)) {
            body.extend_from_slice(part);
        }
    }

    /// While it plays: what there is of a state; nothing of what was not asked for when it recorded. None while it records.
    pub fn read_state(&self, asked: &str) -> Option<Told> {
        let state = self.0.lock();
        state.played.as_ref()?;
        let known = state.tape.state.iter().find(|(known, _)| known == asked);
        Some(known.map_or(Ok(None), |(_, told)| told.clone()))
    }

    /// Notes what was read of a state.
    pub fn state_read(&self, asked: String, told: Told) {
        let mut state = self.0.lock();
        let State { tape, heard, .. } = &mut *state;
        let bytes = state_bytes(&asked, &told);
        if tape.state.len() == MAX_CALLS || heard.saturating_add(bytes) > MAX_HEARD_BYTES {
            tape.is_cut = true;
            return;
        }
        *heard += bytes;
        tape.state.push((asked, told));
    }

    /// Notes that something cannot be played as it was.
    pub fn cut(&self) {
        self.0.lock().tape.is_cut = true;
    }

    fn read(&self, steady: bool, now: impl FnOnce() -> u64) -> u64 {
        let mut state = self.0.lock();
        let State { tape, played, .. } = &mut *state;
        let readings = if steady { &mut tape.steady } else { &mut tape.wall };
        let Some(played) = played else {
            let now = now();
            if readings.len() < MAX_READINGS {
                readings.push(now);
            } else {
                tape.is_cut = true;
            }
            return now;
        };
        let at = &mut played.readings[usize::from(steady)];
        *at += 1;
        let beyond = at.saturating_sub(readings.len()) as u64;
        let last = readings.last().copied().unwrap_or_default();
        readings.get(*at - 1).copied().unwrap_or(last.saturating_add(beyond * STEP))
    }
}

/// `wasi:clocks/wall-clock` from the host's clock, so that a component sees the same time as its deadline; or from a tape.
pub(super) struct WallClock(pub Clock, pub Deck);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(WALL_RESOLUTION)
    }

    fn now(&self) -> Duration {
        let now = || u64::try_from(self.0.now().as_nanosecond()).unwrap_or_default();
        Duration::from_nanos(self.1.read(false, now))
    }
}

/// `wasi:clocks/monotonic-clock`, which begins when it is made, or from a tape.
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
    use http::{HeaderName, HeaderValue, StatusCode};
    use rand::Rng as _;

    use super::*;

    fn nobody() -> u64 {
        panic!("nobody asks what it really is")
    }

    #[test]
    fn what_was_recorded_is_played_and_beyond_it_time_goes_on() {
        let deck = Deck::recording();
        assert_eq!([deck.read(false, || 7_000), deck.read(true, || 1), deck.read(true, || 5)], [7_000, 1, 5]);
        let first = deck.random().0.next_u64();
        let again = Deck::playing(deck.tape());
        assert_eq!([(); 4].map(|()| again.read(true, nobody)), [1, 5, 1_005, 2_005]);
        assert_eq!([(); 2].map(|()| again.read(false, nobody)), [7_000, 8_000]);
        assert_eq!(again.random().0.next_u64(), first);
        assert_ne!(again.random().1.next_u64(), first);
    }

    #[test]
    fn who_reads_a_clock_without_end_is_recorded_so_far() {
        let deck = Deck::recording();
        (0..MAX_READINGS as u64 + 5).for_each(|at| assert_eq!(deck.read(true, || at), at));
        assert_eq!((deck.tape().steady.len(), deck.tape().is_whole()), (MAX_READINGS, false));
    }

    #[test]
    fn addresses_headers_and_bodies_of_many_small_parts_count_and_have_an_end() {
        let deck = Deck::recording();
        let headers = (0..10).map(|number| (HeaderName::try_from(format!("x-{number}")).unwrap(), HeaderValue::from_static("1"))).collect();
        let call = deck.asked(format!("GET /{}", "a".repeat(1_000)));
        deck.heard(call, Some(Answer::Given { status: StatusCode::OK, headers, body: Vec::new() }));
        (0..100).for_each(|_| deck.part(call, &Bytes::from_static(b"1")));
        let bytes = deck.tape().bytes();
        assert!((1_000 + 10 * 64 + 100..4_000).contains(&bytes) && deck.tape().is_whole(), "{bytes}");

        let long = "a".repeat(8_000);
        assert!((0..MAX_CALLS).map(|_| deck.asked(long.clone())).any(|call| call.is_none()), "they have an end");
        assert!(deck.tape().bytes() <= MAX_HEARD_BYTES && !deck.tape().is_whole(), "{}", deck.tape().bytes());
        deck.part(call, &Bytes::from(vec![0; MAX_HEARD_BYTES]));
        assert!(deck.tape().bytes() <= MAX_HEARD_BYTES);
    }

    #[test]
    fn each_call_is_answered_once_whatever_comes_first() {
        let deck = Deck::recording();
        for (asked, failure) in [("GET /a", Failure::Refused), ("GET /b", Failure::Timeout), ("GET /a", Failure::Protocol)] {
            let call = deck.asked(asked.to_owned());
            deck.heard(call, Some(Answer::Failed(failure)));
        }
        let again = Deck::playing(deck.tape());
        let told = ["GET /b", "GET /a", "GET /a", "GET /a", "GET /c"].map(|asked| again.answer(asked));
        let expected = [Failure::Timeout, Failure::Refused, Failure::Protocol, Failure::Denied, Failure::Denied];
        assert_eq!(told, expected.map(|failure| Some(Answer::Failed(failure))));
    }
}
