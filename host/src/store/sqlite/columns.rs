//! How values look in a column. What is the same in every database is in [`super::super::columns`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use millrace_workflow::RunKind;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};
use serde::de::DeserializeOwned;

pub(super) use super::super::columns::{int, micros, most, reservation_text, run_kind_text, run_status_text};
use super::super::columns::{reservation_of, run_kind_of, run_status_of};
use super::super::{FieldChange, ReservationStatus, RunStatus};

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

fn unreadable(column: usize, text: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, text.into())
}

pub(super) fn run_status(row: &Row<'_>, column: usize) -> rusqlite::Result<RunStatus> {
    run_status_of(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

pub(super) fn run_kind(row: &Row<'_>, column: usize) -> rusqlite::Result<RunKind> {
    run_kind_of(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}

pub(super) fn reservation(row: &Row<'_>, column: usize) -> rusqlite::Result<ReservationStatus> {
    reservation_of(row.get_ref(column)?.as_str()?).map_err(|error| unreadable(column, error))
}
