//! How values look in a column. What is the same in every database is in [`super::super::columns`].

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use millrace_workflow::RunKind;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Error, Row as _};

pub(super) use super::super::columns::{int, micros, most, reservation_text, run_kind_text, run_status_text};
use super::super::columns::{reservation_of, run_kind_of, run_status_of};
use super::super::{FieldChange, ReservationStatus, RunStatus};

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

pub(super) fn run_status(row: &PgRow, column: usize) -> Result<RunStatus, Error> {
    run_status_of(row.try_get(column)?).map_err(|error| unreadable(column, error))
}

pub(super) fn run_kind(row: &PgRow, column: usize) -> Result<RunKind, Error> {
    run_kind_of(row.try_get(column)?).map_err(|error| unreadable(column, error))
}

pub(super) fn reservation(row: &PgRow, column: usize) -> Result<ReservationStatus, Error> {
    reservation_of(row.try_get(column)?).map_err(|error| unreadable(column, error))
}
