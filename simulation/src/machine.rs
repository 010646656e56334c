//! The machine that the simulated process sees: what time it is, what is random, and how long it waits.
//!
//! Whatever asks the system for one of these (the standard library, tokio, `rand`, `uuid`) calls one of the three functions of the C library
//! below, and the linker gives it these in their place. So nothing in the program has to know that it is simulated, and nothing can be forgotten.
//! Time passes only while nobody has anything to do: then it jumps to when somebody has. Until [`begin`] the system answers.
#![expect(unsafe_code, reason = "the functions of the C library are declared so")]

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use libc::{c_int, c_uint, c_void, clockid_t, epoll_event, size_t, ssize_t, timespec};

const NANOS: i64 = 1_000_000_000;
/// When it begins, in seconds since 1970.
const DATE: i64 = 1_780_000_000;
/// How long the machine has been on by then, in seconds.
const UP: i64 = 1_000_000;
/// For who waits without a limit and cannot be woken by anybody, in milliseconds.
const FOR_EVER: i64 = 60_000;

static IS_SIMULATED: AtomicBool = AtomicBool::new(false);
static PASSED: AtomicI64 = AtomicI64::new(0);
static RANDOM: AtomicU64 = AtomicU64::new(0);

/// From now on the machine is simulated, and everything random follows from `seed`. Called before anything else: what has asked before has
/// the system's answer.
pub fn begin(seed: u64) {
    // Named, so that the linker takes them.
    let _named = std::hint::black_box([clock_gettime as *const (), epoll_wait as *const (), getrandom as *const ()]);
    RANDOM.store(seed, Ordering::Relaxed);
    IS_SIMULATED.store(true, Ordering::Relaxed);
}

/// Nanoseconds that have passed since [`begin`].
#[must_use]
pub fn passed() -> i64 {
    PASSED.load(Ordering::Relaxed)
}

/// SplitMix64.
fn random() -> u64 {
    let state = RANDOM.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// What time it is.
///
/// # Safety
/// As of the function of the C library: `time` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    if !IS_SIMULATED.load(Ordering::Relaxed) {
        // SAFETY: it is called as this was.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as c_int;
    }
    let began = if clock == libc::CLOCK_REALTIME { DATE } else { UP };
    let passed = passed();
    // SAFETY: the caller says so.
    unsafe { time.write(timespec { tv_sec: began + passed / NANOS, tv_nsec: passed % NANOS }) };
    0
}

/// Waits: lets the time pass that the caller would wait for.
///
/// # Safety
/// As of the function of the C library: `events` has room for `most`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_wait(epoll: c_int, events: *mut epoll_event, most: c_int, timeout: c_int) -> c_int {
    let wait = |timeout: c_int| {
        let no_mask = std::ptr::null::<c_void>();
        // SAFETY: it is called as this was.
        unsafe { libc::syscall(libc::SYS_epoll_pwait, epoll, events, most, timeout, no_mask, 8) as c_int }
    };
    if !IS_SIMULATED.load(Ordering::Relaxed) {
        return wait(timeout);
    }
    let ready = wait(0);
    if ready == 0 {
        let millis = if timeout < 0 { FOR_EVER } else { i64::from(timeout) };
        PASSED.fetch_add(millis * (NANOS / 1_000), Ordering::Relaxed);
    }
    ready
}

/// Fills a buffer with what is random.
///
/// # Safety
/// As of the function of the C library: `buffer` has room for `length`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if !IS_SIMULATED.load(Ordering::Relaxed) {
        // SAFETY: it is called as this was.
        return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) } as ssize_t;
    }
    let mut at = 0;
    while at < length {
        let bytes = random().to_le_bytes();
        let count = bytes.len().min(length - at);
        // SAFETY: the caller says that there is room.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>().add(at), count) };
        at += count;
    }
    length as ssize_t
}
