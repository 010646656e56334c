//! How a person ends what xtask runs.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, being told to stop, and a terminal that was closed.
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl StopSignals {
    /// From now on they do not end this process.
    pub fn listen() -> std::io::Result<Self> {
        let [interrupt, terminate, hang_up] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self { interrupt: interrupt?, terminate: terminate?, hang_up: hang_up? })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
