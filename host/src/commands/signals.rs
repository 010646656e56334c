//! SIGTERM and Ctrl-C: the first asks the process to stop, another one ends it at once. So does SIGHUP where it means that the terminal was
//! closed. Where there is none it is what other programs take as a wish to read their config again or to open their log anew, as SIGUSR1 and
//! SIGUSR2 are; here it is answered by a line of the log.
//!
//! They are heard by a thread of their own, so that neither they nor the time limit depend on anything else that runs.

use std::ffi::c_int;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::exit;

use crate::shutdown::Stop;
use crate::telemetry::logs;

/// Signals so close together are one: some programs send theirs to a process and then once more to its whole group.
const SAME: Duration = Duration::from_millis(100);
/// Opens where the process belongs to a terminal, which a service does not.
const TERMINAL: &str = "/dev/tty";
/// How long an end at once waits for its own log line.
const LAST_LINE: Duration = Duration::from_millis(100);

/// What the program that has started this one does with signals is inherited, and here none of it is wanted. What it blocks would never
/// arrive, so nobody could ask for an end; where it ignores SIGCHLD, nobody could wait for the process that compiles components. And a file
/// that may not grow further, which ends a process, is to be a write that is refused, as on a full disk.
///
/// For all threads, so before there is a second one.
pub(super) fn as_usual() {
    // None of this fails for signals that there are. Without it a start says which component cannot be compiled.
    let_all_through();
    for signal in [SIGCHLD, SIGXFSZ] {
        // Heard, it is neither ignored nor the end.
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
}

/// Has no signal be blocked in this thread and in those that it starts.
#[expect(unsafe_code, reason = "the standard library has no signal masks")]
fn let_all_through() {
    // SAFETY: a set of signals is plain memory, which `sigfillset` fills and `pthread_sigmask` reads; the mask before is not asked for.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// From now on the first signal requests `stop`. Another one ends the process at once, and so does `limit` after the first.
///
/// # Errors
/// The system does not let this process hear signals, or start a thread.
pub(super) fn obey(stop: Stop, limit: Duration) -> std::io::Result<()> {
    // What `nohup` ignores stays ignored.
    let heard = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2].into_iter().filter(|signal| *signal != SIGHUP || !is_ignored(SIGHUP));
    let mut signals = Signals::new(heard)?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            if !stops(signal) {
                tracing::warn!(
                    signal = name(signal),
                    "this signal changes nothing: components are taken when their files change, for another config start the process again, \
                     and the log goes to stderr"
                );
                continue;
            }
            match first {
                None => {
                    first = Some(Instant::now());
                    tracing::info!(signal = name(signal), "asked to stop; another SIGTERM or Ctrl-C ends the process at once");
                    stop.request();
                    end_after(limit);
                }
                Some(at) if at.elapsed() < SAME => {}
                Some(_) => {
                    tracing::warn!(
                        signal = name(signal),
                        "asked again to stop: ended at once; what was under way goes on at the next start"
                    );
                    logs::flush(LAST_LINE);
                    exit(128 + signal);
                }
            }
        }
    })?;
    Ok(())
}

/// Ends the process if it has not ended by itself when `limit` is over.
fn end_after(limit: Duration) {
    let guard = std::thread::Builder::new().name("stop-limit".into()).spawn(move || {
        std::thread::sleep(limit);
        tracing::error!(seconds = limit.as_secs_f64(), "not stopped in time: cut off; what was under way goes on at the next start");
        logs::flush(LAST_LINE);
        exit(1);
    });
    if let Err(error) = guard {
        tracing::warn!(%error, "nothing limits how long the process takes to stop");
    }
}

/// Whether a signal asks the process to stop.
fn stops(signal: c_int) -> bool {
    match signal {
        SIGUSR1 | SIGUSR2 => false,
        SIGHUP => std::fs::File::open(TERMINAL).is_ok(),
        _ => true,
    }
}

/// Whether this process was started with `signal` ignored.
fn is_ignored(signal: c_int) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, signal))
}

/// What `/proc/<pid>/status` says of a signal: a mask in hex, its lowest bit for the first one.
fn ignores(status: &str, signal: c_int) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(|mask| u64::from_str_radix(mask.trim(), 16));
    mask.is_some_and(|mask| mask.is_ok_and(|mask| mask >> (signal - 1) & 1 == 1))
}

fn name(signal: c_int) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGHUP => "SIGHUP",
        SIGUSR1 => "SIGUSR1",
        SIGUSR2 => "SIGUSR2",
        _ => "SIGTERM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_mask() {
        let status = "Name:\tmillrace\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SIGHUP));
        assert!(!ignores(status, SIGTERM) && !ignores("Name:\tmillrace\n", SIGHUP));
    }
}
