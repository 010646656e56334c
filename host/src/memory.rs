//! Memory that the allocator keeps for later.

/// Gives the system back what is free. What a start needs once, mostly the config and what is made of it, is more than what stays of it.
#[expect(unsafe_code, reason = "the crate of the allocator has no safe name for it")]
pub fn give_back() {
    // SAFETY: may be called at any time from any thread; it touches nothing that is in use. Where another allocator serves, there is nothing to give.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
