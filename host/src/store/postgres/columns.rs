//! How values look in a column. Counts are signed 64-bit integers, times are microseconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use millrace_workflow::RunKind;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Error, Row as _};

use super::super::{FieldChange, ReservationStatus, RunStatus};

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

/// The error of a column that holds what it cannot.
fn unreadable(column: usize, text: impl Into<String>) -> Error {
    let text: String = text.into();
    Error::ColumnDecode { index: column.to_string(), source: text.into() }
}

/// A count from a column, which never holds a negative one.
pub(super) fn count(row: &PgRow, column: usize) -> Result<u64, Error> {
    let value: i64 = row.try_get(column)?;
    u64::try_from(value).map_err(|_| unreadable(column, format!("{value} is no count")))
}

/// A small count from a column.
pub(super) fn small(row: &PgRow, column: usize) -> Result<u32, Error> {
    let value: i64 = row.try_get(column)?;
    u32::try_from(value).map_err(|_| unreadable(column, format!("{value} is no small count")))
}

/// A time from a column.
pub(super) fn time(row: &PgRow, column: usize) -> Result<Timestamp, Error> {
    time_of(row.try_get(column)?)
}

/// A time from microseconds.
pub(super) fn time_of(micros: i64) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros).map_err(|error| unreadable(0, error.to_string()))
}

/// A shared text from a column.
pub(super) fn shared_text(row: &PgRow, column: usize) -> Result<Arc<str>, Error> {
    Ok(Arc::from(row.try_get::<&str, _>(column)?))
}

/// A shared text from a column that may be empty.
pub(super) fn optional_shared_text(row: &PgRow, column: usize) -> Result<Option<Arc<str>>, Error> {
    Ok(row.try_get::<Option<&str>, _>(column)?.map(Arc::from))
}

/// A value from a column of JSON text.
pub(super) fn json<T: DeserializeOwned>(row: &PgRow, column: usize) -> Result<T, Error> {
    serde_json::from_str(row.try_get(column)?).map_err(|error| unreadable(column, error.to_string()))
}

/// What a transition has changed.
pub(super) fn changes(row: &PgRow, column: usize) -> Result<Vec<FieldChange>, Error> {
    super::super::changes::from_text(row.try_get(column)?).map_err(|error| unreadable(column, error.to_string()))
}

/// Deadlines by transition, in microseconds; none in an empty column.
pub(super) fn deadlines(row: &PgRow, column: usize) -> Result<BTreeMap<String, Timestamp>, Error> {
    let Some(text) = row.try_get::<Option<&str>, _>(column)? else { return Ok(BTreeMap::new()) };
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

pub(super) fn run_status_text(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Ready => "ready",
        RunStatus::Running => "running",
        RunStatus::Done => "done",
        RunStatus::Quarantined => "parked",
        RunStatus::Stranded => "stranded",
    }
}

pub(super) fn run_status(row: &PgRow, column: usize) -> Result<RunStatus, Error> {
    match row.try_get(column)? {
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

pub(super) fn run_kind(row: &PgRow, column: usize) -> Result<RunKind, Error> {
    match row.try_get(column)? {
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

pub(super) fn reservation(row: &PgRow, column: usize) -> Result<ReservationStatus, Error> {
    match row.try_get(column)? {
        "reserved" => Ok(ReservationStatus::Reserved),
        "released" => Ok(ReservationStatus::Released),
        "sold" => Ok(ReservationStatus::Sold),
        other => Err(unreadable(column, format!("'{other}' is no status of a reservation"))),
    }
}
