//! Finished instances that are old: found by the index of creation, which has few of them that are not to go yet; and removed.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::Resource;
use super::columns::{int, micros};
use super::keys;
use super::resources::{RESOURCE, resource_row};
use super::retention::older;
use super::runs::RUN_OF;
use super::writer::{UnitError, Writing};

/// What must hold of an instance that may go.
const ENDED: &str = "finished = 1 AND attention IS NULL
    AND NOT EXISTS (SELECT 1 FROM step_runs WHERE key BETWEEN resources.id || ':' AND resources.id || ';'
                    AND resource_id = resources.id AND resource_kind = resources.kind AND status <> 'done')";

/// Which of them are wanted.
pub(super) struct Wanted {
    pub(super) kind: String,
    /// They last changed before that steady time.
    pub(super) before: Timestamp,
    /// That time as a date. It only bounds where is looked: all of these were created before.
    pub(super) created_before: Timestamp,
    pub(super) after: Option<(Timestamp, String)>,
    pub(super) limit: usize,
}

pub(super) fn select(connection: &Connection, wanted: &Wanted) -> rusqlite::Result<Vec<Resource>> {
    let before = older(connection, micros(wanted.before))?;
    let (created_at, id) = wanted.after.as_ref().map_or((i64::MIN, ""), |(at, id)| (micros(*at), id));
    let sql = format!(
        "{RESOURCE} WHERE kind = ?1 AND (created_at, id) > (?2, ?3) AND created_at < ?4 AND coalesce(touched_at, updated_at) < ?5 AND {ENDED}
         ORDER BY created_at, id LIMIT ?6"
    );
    let limit = i64::try_from(wanted.limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params![wanted.kind, created_at, id, micros(wanted.created_before), before, limit], resource_row)?.collect()
}

pub(super) fn forget(writing: &Writing<'_>, kind: &str, instances: &[(String, u64)]) -> Result<u64, UnitError> {
    let sql = format!("SELECT pk FROM resources WHERE kind = ?1 AND id = ?2 AND version = ?3 AND {ENDED}");
    let mut gone = 0;
    for (id, version) in instances {
        let found = writing.connection.prepare_cached(&sql)?.query_row(params![kind, id, int(*version)], |row| row.get::<_, i64>(0));
        let Some(pk) = found.optional()? else { continue };
        keys::forget(writing, pk)?;
        writing.run("DELETE FROM resources WHERE pk = ?1", [pk])?;
        writing.run("DELETE FROM history WHERE resource = ?1", [pk])?;
        writing.run("DELETE FROM timers WHERE resource = ?1", [pk])?;
        super::holds::end(writing, pk)?;
        super::waiting::forget(writing, pk)?;
        super::kv::forget(writing, pk)?;
        writing.run(&format!("DELETE FROM step_runs WHERE {RUN_OF}"), [id.as_str(), kind])?;
        writing.run("DELETE FROM reservations WHERE key = ?1 AND status <> 'reserved'", [id])?;
        gone += 1;
    }
    Ok(gone)
}
