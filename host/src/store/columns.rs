//! How values look in a column, whatever database it is of. Counts are signed 64-bit integers, times are microseconds, and what is one of few
//! is a word.

use std::collections::BTreeMap;

use jiff::Timestamp;
use millrace_workflow::RunKind;

use super::{ReservationStatus, RunStatus};

/// A count as a column keeps it; what is beyond 2^63 is kept as the largest there is.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A limit as a column keeps it.
pub(super) fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Microseconds since 1970, what the tables hold.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// Deadlines by transition, in microseconds; nothing for none.
pub(super) fn deadlines_text(deadlines: &BTreeMap<String, Timestamp>) -> serde_json::Result<Option<String>> {
    if deadlines.is_empty() {
        return Ok(None);
    }
    let times: BTreeMap<&str, i64> = deadlines.iter().map(|(transition, at)| (transition.as_str(), at.as_microsecond())).collect();
    serde_json::to_string(&times).map(Some)
}

pub(super) fn run_status_text(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Ready => "ready",
        RunStatus::Running => "running",
        RunStatus::Done => "done",
        RunStatus::Quarantined => "parked",
        RunStatus::Stranded => "stranded",
    }
}

/// # Errors
/// It is none, in a sentence.
pub(super) fn run_status_of(text: &str) -> Result<RunStatus, String> {
    match text {
        "ready" => Ok(RunStatus::Ready),
        "running" => Ok(RunStatus::Running),
        "done" => Ok(RunStatus::Done),
        "parked" => Ok(RunStatus::Quarantined),
        "stranded" => Ok(RunStatus::Stranded),
        other => Err(format!("'{other}' is no status of a run")),
    }
}

pub(super) fn run_kind_text(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Step => "step",
        RunKind::Task => "task",
        RunKind::Undo => "undo",
    }
}

/// # Errors
/// It is none, in a sentence.
pub(super) fn run_kind_of(text: &str) -> Result<RunKind, String> {
    match text {
        "step" => Ok(RunKind::Step),
        "task" => Ok(RunKind::Task),
        "undo" => Ok(RunKind::Undo),
        other => Err(format!("'{other}' is no kind of run")),
    }
}

pub(super) fn reservation_text(status: ReservationStatus) -> &'static str {
    match status {
        ReservationStatus::Reserved => "reserved",
        ReservationStatus::Released => "released",
        ReservationStatus::Sold => "sold",
    }
}

/// # Errors
/// It is none, in a sentence.
pub(super) fn reservation_of(text: &str) -> Result<ReservationStatus, String> {
    match text {
        "reserved" => Ok(ReservationStatus::Reserved),
        "released" => Ok(ReservationStatus::Released),
        "sold" => Ok(ReservationStatus::Sold),
        other => Err(format!("'{other}' is no status of a reservation")),
    }
}
