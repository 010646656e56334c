//! Holds of instances.

use sqlx::postgres::PgConnection;
use sqlx::{Error, Row as _};

use super::super::Hold;
use super::columns::{micros, time};
use super::runs::run_of;
use super::unit::{UnitError, Writing, sql};

pub(super) async fn hold(writing: &mut Writing, kind: &str, id: &str, hold: &Hold) -> Result<bool, UnitError> {
    let insert = "INSERT INTO holds (resource, kind, id, who, reason, at)
                  SELECT pk, kind, id, $3, $4, $5 FROM resources WHERE kind = $1 AND id = $2 AND NOT finished
                  ON CONFLICT (resource) DO UPDATE SET who = excluded.who, reason = excluded.reason, at = excluded.at";
    Ok(writing.run(sql!(insert, kind, id, &hold.who, &hold.reason, micros(hold.at))).await? > 0)
}

pub(super) async fn let_go(writing: &mut Writing, kind: &str, id: &str) -> Result<bool, UnitError> {
    Ok(writing.run(sql!("DELETE FROM holds WHERE kind = $1 AND id = $2", kind, id)).await? > 0)
}

pub(super) async fn held(connection: &mut PgConnection, kind: &str, id: &str) -> Result<Option<Hold>, Error> {
    let found = sql!("SELECT who, reason, at FROM holds WHERE kind = $1 AND id = $2", kind, id).fetch_optional(connection).await?;
    found.map(|row| Ok(Hold { who: row.try_get(0)?, reason: row.try_get(1)?, at: time(&row, 2)? })).transpose()
}

pub(super) async fn all(connection: &mut PgConnection) -> Result<Vec<(String, String)>, Error> {
    let rows = sql!("SELECT kind, id FROM holds ORDER BY kind, id").fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The runs of an instance that wait or were set aside are due at once.
pub(super) async fn hurry(writing: &mut Writing, kind: &str, id: &str) -> Result<u64, UnitError> {
    let update = concat!(
        "UPDATE step_runs SET status = 'ready', crashes = CASE WHEN status = 'ready' THEN crashes ELSE 0 END, due_at = least(due_at, $3) WHERE ",
        run_of!(),
        " AND (status IN ('parked', 'stranded') OR (status = 'ready' AND due_at > $3))"
    );
    Ok(writing.run(sql!(update, id, kind, writing.tail.written_at)).await?)
}

/// Looks at the first entry of each kind only.
pub(super) async fn kinds(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    let select = "WITH RECURSIVE each (kind) AS (
                      (SELECT kind FROM resources ORDER BY kind LIMIT 1)
                      UNION ALL SELECT (SELECT kind FROM resources WHERE resources.kind > each.kind ORDER BY kind LIMIT 1)
                                FROM each WHERE each.kind IS NOT NULL
                  ) SELECT kind FROM each WHERE kind IS NOT NULL";
    sql!(select).fetch_all(connection).await?.iter().map(|row| row.try_get(0)).collect()
}

/// A hold ends with its instance.
pub(super) async fn end(writing: &mut Writing, pk: i64) -> Result<(), Error> {
    writing.run(sql!("DELETE FROM holds WHERE resource = $1", pk)).await.map(drop)
}
