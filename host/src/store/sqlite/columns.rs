//! How values look in a column. Counts are SQLite's signed 64-bit integers, times are microseconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use millrace_workflow::RunKind;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};
use serde::de::DeserializeOwned;

use super::super::{FieldChange, ReservationStatus, RunStatus};

/// A count as SQLite keeps it; what is beyond 2^63 is kept as the largest there is.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from a column, which never holds a negative one.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| FromSqlError::OutOfRange(value).into())
}

/// A time from a column.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    time_of(row.get(column)?)
}

/// A time from microseconds.
pub(super) fn time_of(micros: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| FromSqlError::OutOfRange(micros).into())
}

/// A shared text from a column.
pub(super) fn shared_text(row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<str>> {
    Ok(Arc::from(row.get_ref(column)?.as_str()?))
}

/// A shared text from a column that may be empty.
pub(super) fn optional_shared_text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Arc<str>>> {
    Ok(row.get_ref(column)?.as_str_or_null()?.map(Arc::from))
}

/// A value from a column of JSON text.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error.to_string()))
}

/// What a transition has changed.
pub(super) fn changes(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<FieldChange>> {
    super::super::changes::from_text(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error.to_string()))
}

/// Deadlines by transition, in microseconds; none in an empty column.
pub(super) fn deadlines(row: &Row<'_>, column: usize) -> rusqlite::Result<BTreeMap<String, Timestamp>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else { return Ok(BTreeMap::new()) };
    let times: BTreeMap<String, i64> = serde_json::from_str(text).map_err(|error| unreadable(column, error.to_string()))?;
    times.into_iter().map(|(transition, micros)| Ok((transition, time_of(micros)?))).collect()
}

/// The text of such a column.
pub(super) fn deadlines_text(deadlines: &BTreeMap<String, Timestamp>) -> serde_json::Result<Option<String>> {
    if deadlines.is_empty() {
        return Ok(None);
    }
    let times: BTreeMap<&str, i64> = deadlines.iter().map(|(transition, at)| (transition.as_str(), at.as_microsecond())).collect();
    serde_json::to_string(&times).map(Some)
}

fn unreadable(column: usize, text: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, text.into())
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

pub(super) fn run_status(row: &Row<'_>, column: usize) -> rusqlite::Result<RunStatus> {
    match row.get_ref(column)?.as_str()? {
        "ready" => Ok(RunStatus::Ready),
        "running" => Ok(RunStatus::Running),
        "done" => Ok(RunStatus::Done),
        "parked" => Ok(RunStatus::Quarantined),
        "stranded" => Ok(RunStatus::Stranded),
        other => Err(unreadable(column, format!("'{other}' is no status of a run"))),
    }
}

pub(super) fn run_kind_text(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Step => "step",
        RunKind::Task => "task",
        RunKind::Undo => "undo",
    }
}

pub(super) fn run_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<RunKind> {
    match row.get_ref(column)?.as_str()? {
        "step" => Ok(RunKind::Step),
        "task" => Ok(RunKind::Task),
        "undo" => Ok(RunKind::Undo),
        other => Err(unreadable(column, format!("'{other}' is no kind of run"))),
    }
}

pub(super) fn reservation_text(status: ReservationStatus) -> &'static str {
    match status {
        ReservationStatus::Reserved => "reserved",
        ReservationStatus::Released => "released",
        ReservationStatus::Sold => "sold",
    }
}

pub(super) fn reservation(row: &Row<'_>, column: usize) -> rusqlite::Result<ReservationStatus> {
    match row.get_ref(column)?.as_str()? {
        "reserved" => Ok(ReservationStatus::Reserved),
        "released" => Ok(ReservationStatus::Released),
        "sold" => Ok(ReservationStatus::Sold),
        other => Err(unreadable(column, format!("'{other}' is no status of a reservation"))),
    }
}
