//! Threads that are asked for before anything depends on them: a library that cannot start one of its own panics, or waits without end.

use std::io;
use std::sync::Arc;
use std::thread::Builder;

use parking_lot::RwLock;

/// Bytes of the stack of a thread that does nothing.
const SMALL_STACK: usize = 64 << 10;

/// Fewer threads than were asked for.
#[derive(Debug, thiserror::Error)]
#[error("{had} of {asked} threads can be started ({cause}): the user or the container may have no more (`ulimit -u`, TasksMax=, pids.max)")]
pub struct TooFew {
    /// How many there should be at once.
    pub asked: usize,
    /// How many there were.
    pub had: usize,
    /// What the system says.
    pub cause: io::Error,
}

/// Starts so many threads at once, which do nothing, and waits for their end. Blocks for some milliseconds.
///
/// # Errors
/// There may not be so many beside those that there are.
pub fn try_at_once(asked: usize) -> Result<(), TooFew> {
    let gate = Arc::new(RwLock::new(()));
    let closed = gate.write();
    let mut started = Vec::with_capacity(asked);
    let mut refused = None;
    while started.len() < asked && refused.is_none() {
        let gate = Arc::clone(&gate);
        match Builder::new().name("trial".into()).stack_size(SMALL_STACK).spawn(move || drop(gate.read())) {
            Ok(thread) => started.push(thread),
            Err(error) => refused = Some(error),
        }
    }
    drop(closed);
    let had = started.len();
    // They do nothing that could panic.
    started.into_iter().for_each(|thread| drop(thread.join()));
    refused.map_or(Ok(()), |cause| Err(TooFew { asked, had, cause }))
}
