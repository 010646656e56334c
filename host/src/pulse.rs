//! Signs of life of the parts that have to get on: a part that gives none for a minute makes `/livez` say so.
//!
//! Time is counted in ticks of the process itself. A process that was stopped for an hour, or a machine that slept, has seen none of them, so
//! that it is not taken for dead when it wakes up.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use crate::shutdown::Stop;

/// Between two looks, and between two questions to a part that has to be asked.
const TICK: Duration = Duration::from_secs(1);
/// Ticks without a sign of life. A disk that takes half a minute for a write is slow; to start again would not make it faster.
const MAX_STILL: u32 = 60;

/// The parts that are watched. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pulse {
    parts: Arc<Mutex<Vec<Part>>>,
}

#[derive(Debug)]
struct Part {
    name: &'static str,
    beat: Beat,
    /// The beats at the last tick, and for how many ticks they have been the same.
    seen: u64,
    still: u32,
}

/// How a part tells that it gets on. Clones are of the same part.
#[derive(Debug, Clone, Default)]
pub struct Beat(Arc<AtomicU64>);

impl Beat {
    /// The part has got on.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Pulse {
    /// Nothing to watch yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches a part from now on, which has to beat at least every few seconds. `name` goes into "… has not got on".
    #[must_use]
    pub fn part(&self, name: &'static str) -> Beat {
        let beat = Beat::default();
        self.parts.lock().push(Part { name, beat: beat.clone(), seen: 0, still: 0 });
        beat
    }

    /// Looks at all parts once a second until `stop`.
    ///
    /// # Errors
    /// None.
    pub async fn watch(self, stop: Stop) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(TICK);
        // The ticks of a pause are not made up for: nobody could beat in it.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tick(),
                () = stop.requested() => return Ok(()),
            }
        }
    }

    fn tick(&self) {
        for part in self.parts.lock().iter_mut() {
            let beats = part.beat.0.load(Ordering::Relaxed);
            part.still = if beats == part.seen { part.still.saturating_add(1) } else { 0 };
            part.seen = beats;
            if part.still == MAX_STILL {
                tracing::error!(part = part.name, seconds = MAX_STILL, "a part of the process does not get on; /livez says so");
            }
        }
    }

    /// Why the process has to be started again; `None` if everything gets on.
    #[must_use]
    pub fn stuck(&self) -> Option<String> {
        let parts = self.parts.lock();
        let stuck = parts.iter().find(|part| part.still >= MAX_STILL)?;
        Some(format!("{} has not got on for {} s", stuck.name, stuck.still))
    }
}

/// Asks a part again and again, until `stop`, whether it is there: each answer is a beat.
///
/// # Errors
/// None.
pub async fn keep_asking<F: Future<Output = ()>>(beat: Beat, ask: impl Fn() -> F, stop: Stop) -> anyhow::Result<()> {
    let asking = async {
        loop {
            ask().await;
            beat.beat();
            tokio::time::sleep(TICK).await;
        }
    };
    tokio::select! {
        () = asking => {}
        () = stop.requested() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(pulse: &Pulse, count: u32) {
        (0..count).for_each(|_| pulse.tick());
    }

    #[test]
    fn a_part_that_does_not_get_on_is_named_until_it_does() {
        let pulse = Pulse::new();
        let (one, other) = (pulse.part("the one"), pulse.part("the other"));
        for _ in 0..2 * MAX_STILL {
            one.beat();
            pulse.tick();
        }
        assert_eq!(pulse.stuck().unwrap(), "the other has not got on for 120 s");
        one.beat();
        other.beat();
        pulse.tick();
        assert_eq!(pulse.stuck(), None);
        ticks(&pulse, MAX_STILL - 1);
        assert_eq!(pulse.stuck(), None);
        pulse.tick();
        assert!(pulse.stuck().unwrap().starts_with("the one "), "both stand still, the first is named");
    }
}
