//! SIGTERM and Ctrl-C: the first asks the process to stop, another one ends it at once.
//!
//! They are heard by a thread of their own, so that neither they nor the time limit depend on anything else that runs.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::exit;

use crate::shutdown::Stop;
use crate::telemetry::logs;

/// Signals so close together are one: some programs send theirs to a process and then once more to its whole group.
const SAME: Duration = Duration::from_millis(100);
/// How long an end at once waits for its own log line.
const LAST_LINE: Duration = Duration::from_millis(100);

/// From now on the first signal requests `stop`. Another one ends the process at once, and so does `limit` after the first.
///
/// # Errors
/// The system does not let this process hear signals, or start a thread.
pub(super) fn obey(stop: Stop, limit: Duration) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
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

fn name(signal: c_int) -> &'static str {
    if signal == SIGINT { "SIGINT" } else { "SIGTERM" }
}
