//! Memory that the allocator keeps for later.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// For how long a thread that has something to do keeps what is free.
const KEPT: Duration = Duration::from_secs(10);

/// Gives the system back what is free. What a start needs once, mostly the config and what is made of it, is more than what stays of it.
pub fn give_back() {
    collect(true);
}

#[expect(unsafe_code, reason = "the crate of the allocator has no safe name for it")]
fn collect(at_once: bool) {
    // SAFETY: may be called at any time from any thread; it touches nothing that is in use. Where another allocator serves, there is nothing to give.
    unsafe { libmimalloc_sys::mi_collect(at_once) }
}

/// Takes back what others have freed of this thread's memory, unless the thread has done so a moment ago: for whoever has nothing to do just now.
/// The allocator keeps that for the thread until it looks itself; a process in which much comes and goes grew by it. When the system gets what is
/// free then is left to the allocator: somebody may want it the next moment.
pub fn give_back_at_rest() {
    thread_local! {
        static GIVEN: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    let given = GIVEN.get();
    if given.is_some_and(|given| now.duration_since(given) < KEPT) {
        return;
    }
    // What a thread begins with, it needs.
    if given.is_some() {
        collect(false);
    }
    GIVEN.set(Some(now));
}
