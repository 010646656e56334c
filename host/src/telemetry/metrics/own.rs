//! What is counted of telemetry itself: what was lost of it.

use prometheus::{IntCounter, Result};

use super::Metrics;
use super::instruments::Maker;
use crate::telemetry::{logs, traces};

pub(super) struct Own {
    log_lines: IntCounter,
    spans: IntCounter,
}

impl Own {
    pub(super) fn new(make: &Maker<'_>) -> Result<Self> {
        Ok(Self {
            log_lines: make.one_counter("log_lines_dropped_total", "Log lines that could not be written to stderr.")?,
            spans: make.one_counter("trace_spans_lost_total", "Spans that were not taken by the collector of traces.")?,
        })
    }

    /// Reads what was lost since it was last read.
    pub(super) fn read(&self) {
        raise(&self.log_lines, logs::state().map_or(0, |log| log.dropped));
        raise(&self.spans, traces::lost());
    }
}

fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

impl Metrics {
    /// Reads what the process keeps of the loss of its own log lines and spans.
    pub(super) fn read_own(&self) {
        self.inner.own.read();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_goes_up_to_what_was_counted_elsewhere_and_never_down() {
        let counter = IntCounter::new("name", "A help text.").unwrap();
        for (to, then) in [(3, 3), (3, 3), (7, 7), (2, 7)] {
            raise(&counter, to);
            assert_eq!(counter.get(), then);
        }
    }
}
