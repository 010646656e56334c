//! What tasks run in, and the threads that a process needs beside: where they are limited, a start says so.

use std::panic;
use std::process::exit;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use crate::memory;
use crate::shutdown::LOG_LIMIT;
use crate::telemetry::logs;
use crate::threads::try_at_once;

/// Threads beside the first one and the workers: of the log, the clock, signals, components and the database, some that wait for a disk or for
/// the broker, and a process that compiles.
const BESIDE_WORKERS: usize = 11;
/// Exit code after a panic, as the standard library has it.
const PANICKED: i32 = 101;

/// Tries whether there may be as many threads as a process needs at least. Blocks for some milliseconds.
///
/// # Errors
/// There may not; how many there were, and what limits them.
pub(super) fn are_to_be_had() -> anyhow::Result<()> {
    let needed = BESIDE_WORKERS + available_parallelism().map_or(1, usize::from);
    try_at_once(needed).with_context(|| format!("this process needs {needed} threads beside its first one"))
}

/// What tasks run in. Where it cannot start its own threads its library panics, and then waits for those that it did start: here a panic
/// meanwhile is the end.
///
/// # Errors
/// The system does not give what it needs.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    let hook = Arc::new(panic::take_hook());
    let telling = Arc::clone(&hook);
    panic::set_hook(Box::new(move |panic| {
        telling(panic);
        logs::flush(LOG_LIMIT);
        exit(PANICKED);
    }));
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(memory::give_back_at_rest).build();
    panic::set_hook(Box::new(move |panic| hook(panic)));
    built.context("what tasks run in cannot be started")
}
