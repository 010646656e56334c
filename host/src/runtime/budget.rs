//! What one run may still use, and the lane that long runs share.
//!
//! A run that computes for more than a few milliseconds must hold a place in the slow lane each time it goes on, so any
//! number of spinning components leave the other threads to those that are quick.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::ready;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;
use wasmtime::UpdateDeadline;

use super::engine::TICK;

/// CPU time after which a run belongs into the slow lane.
const QUICK_TICKS: u32 = 3;

/// Which limit of the sandbox ended a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Limit {
    /// It computed for too long.
    Cpu = 1,
    /// It took too long.
    Wall,
    /// It wanted more memory.
    Memory,
    /// It called the host too often.
    HostCalls,
    /// It did something impossible, or ended itself.
    Trap,
    /// It wanted larger tables.
    Table,
    /// It answered with more than is taken.
    Output,
}

impl Limit {
    /// As the log names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::Memory => "memory",
            Self::HostCalls => "host_calls",
            Self::Trap => "trap",
            Self::Table => "table",
            Self::Output => "output",
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Cpu, Self::Wall, Self::Memory, Self::HostCalls, Self::Trap].into_iter().find(|limit| *limit as u8 == code)
    }
}

/// Counts what a run uses; shared by its store and the future that polls it.
#[derive(Debug)]
pub(super) struct Meter {
    ticks: AtomicU32,
    most_ticks: u32,
    /// 0, or the code of the first limit that was reached.
    reached: AtomicU8,
}

impl Meter {
    /// For a run that may compute for `cpu`.
    pub fn new(cpu: Duration) -> Arc<Self> {
        let most_ticks = u32::try_from(cpu.as_micros().div_ceil(TICK.as_micros())).unwrap_or(u32::MAX).max(1);
        Arc::new(Self { ticks: AtomicU32::new(0), most_ticks, reached: AtomicU8::new(0) })
    }

    /// The limit that was reached first.
    pub fn reached(&self) -> Option<Limit> {
        Limit::from_code(self.reached.load(Ordering::Relaxed))
    }

    /// How long it has computed, to a tick.
    pub fn cpu(&self) -> Duration {
        TICK * self.ticks.load(Ordering::Relaxed)
    }

    /// A limit was reached that ends the run at its next chance.
    pub fn reach(&self, limit: Limit) {
        let _ = self.reached.compare_exchange(0, limit as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// One tick of computing has passed: go on after the others had their turn, or stop.
    pub fn tick(&self) -> UpdateDeadline {
        let ticks = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        if ticks > self.most_ticks {
            self.reach(Limit::Cpu);
        }
        match self.reached() {
            None => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
            Some(_) => UpdateDeadline::Interrupt,
        }
    }

    fn is_slow(&self) -> bool {
        self.ticks.load(Ordering::Relaxed) >= QUICK_TICKS
    }
}

/// Polls `run`; once it is slow, only while it holds a place in `lane`. The place is given back after every poll, and the
/// lane is first come, first served, so slow runs take turns of one tick, and one that waits for something holds nothing.
pub(super) async fn in_lane<F: Future>(run: F, meter: &Meter, lane: Arc<Semaphore>) -> F::Output {
    let mut run = pin!(run);
    let mut lane = PollSemaphore::new(lane);
    poll_fn(move |cx| {
        let _place = if meter.is_slow() { ready!(lane.poll_acquire(cx)) } else { None };
        run.as_mut().poll(cx)
    })
    .await
}
