//! Holds of instances, and looking for instances whatever they are.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::super::{Found, Hold, Sought, StepRun};
use super::columns::time;
use super::resources::resource_row;
use super::runs;
use super::writer::{UnitError, Writing, micros};

/// Columns of a resource as [`resource_row`] reads them, and of its hold after them.
const COLUMNS: &str = "r.kind, r.id, r.owner, r.state, r.version, r.workflow, r.machine, r.instance, r.attention, r.finished, r.created_at,
                       r.updated_at, r.data, r.traceparent, r.deadlines, h.who, h.reason, h.at";

pub(super) fn hold(writing: &Writing<'_>, kind: &str, id: &str, hold: &Hold) -> Result<bool, UnitError> {
    let held = writing.run(
        "INSERT INTO holds (resource, kind, id, who, reason, at)
         SELECT pk, kind, id, ?3, ?4, ?5 FROM resources WHERE kind = ?1 AND id = ?2 AND finished = 0
         ON CONFLICT DO UPDATE SET who = excluded.who, reason = excluded.reason, at = excluded.at",
        params![kind, id, hold.who, hold.reason, micros(hold.at)],
    )?;
    Ok(held > 0)
}

pub(super) fn let_go(writing: &Writing<'_>, kind: &str, id: &str) -> Result<bool, UnitError> {
    Ok(writing.run("DELETE FROM holds WHERE kind = ?1 AND id = ?2", [kind, id])? > 0)
}

pub(super) fn held(connection: &Connection, kind: &str, id: &str) -> rusqlite::Result<Option<Hold>> {
    let mut statement = connection.prepare_cached("SELECT who, reason, at FROM holds WHERE kind = ?1 AND id = ?2")?;
    let found = statement.query_row([kind, id], |row| Ok(Hold { who: row.get(0)?, reason: row.get(1)?, at: time(row, 2)? }));
    found.optional()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare_cached("SELECT kind, id FROM holds ORDER BY kind, id")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The runs of an instance that wait or were set aside are due at once.
pub(super) fn hurry(writing: &Writing<'_>, kind: &str, id: &str) -> Result<u64, UnitError> {
    let sql = format!(
        "UPDATE step_runs SET status = 'ready', crashes = CASE WHEN status = 'ready' THEN crashes ELSE 0 END, due_at = min(due_at, ?3)
         WHERE {} AND (status IN ('parked', 'stranded') OR (status = 'ready' AND due_at > ?3))",
        runs::RUN_OF
    );
    let changed = writing.run(&sql, params![id, kind, writing.tail.written_at])?;
    Ok(changed as u64)
}

pub(super) fn set_aside(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<StepRun>> {
    let mut runs = runs::parked(connection)?;
    runs.truncate(limit);
    Ok(runs)
}

/// Whether a run that was set aside is let go on.
pub(super) fn release(writing: &Writing<'_>, key: &str) -> Result<bool, UnitError> {
    let now = super::columns::time_of(writing.tail.written_at)?;
    Ok(runs::release(writing.connection, key, now)?)
}

/// Looks at the first entry of each kind only.
pub(super) fn kinds(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE each (kind) AS (
             SELECT min(kind) FROM resources
             UNION ALL SELECT (SELECT min(kind) FROM resources WHERE kind > each.kind) FROM each WHERE each.kind IS NOT NULL
         ) SELECT kind FROM each WHERE kind IS NOT NULL",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

pub(super) fn find(connection: &Connection, sought: &Sought) -> rusqlite::Result<Vec<Found>> {
    let (sql, values) = statement(sought);
    connection.prepare_cached(&sql)?.query_map(params_from_iter(values), found)?.collect()
}

pub(super) fn statement(sought: &Sought) -> (String, Vec<Value>) {
    let (from, values) = conditions(sought);
    let limit = i64::try_from(sought.limit).unwrap_or(i64::MAX);
    (format!("SELECT {COLUMNS} FROM {from} ORDER BY r.created_at DESC, r.id DESC LIMIT {limit}"), values)
}

/// How many there are, up to the limit.
pub(super) fn count(connection: &Connection, sought: &Sought) -> rusqlite::Result<u64> {
    let (from, values) = conditions(sought);
    let limit = i64::try_from(sought.limit).unwrap_or(i64::MAX);
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT {limit})");
    connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| super::columns::count(row, 0))
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let who: Option<String> = row.get(15)?;
    let hold = who.map(|who| Ok::<_, rusqlite::Error>(Hold { who, reason: row.get(16)?, at: time(row, 17)? })).transpose()?;
    Ok(Found { resource: resource_row(row)?, hold })
}

/// Tables, joined so that the fewest rows are looked at, and the conditions.
fn conditions(sought: &Sought) -> (String, Vec<Value>) {
    let from = match sought {
        // Few are held, so they come first.
        Sought { held: true, .. } => "holds h CROSS JOIN resources r ON r.pk = h.resource",
        Sought { attention: true, .. } => "resources r INDEXED BY resources_asking LEFT JOIN holds h ON h.resource = r.pk",
        Sought { finished: Some(false), owner: None, .. } => {
            "resources r INDEXED BY resources_active LEFT JOIN holds h ON h.resource = r.pk"
        }
        _ => "resources r LEFT JOIN holds h ON h.resource = r.pk",
    };
    let (mut sql, mut values) = (format!("{from} WHERE r.workflow IS NOT NULL"), Vec::new());
    let mut and = |condition: &str, value: Value| {
        values.push(value);
        sql.push_str(" AND ");
        sql.push_str(&condition.replace('?', &format!("?{}", values.len())));
    };
    and("r.kind = ?", sought.kind.clone().into());
    let texts = [("r.workflow = ?", &sought.workflow), ("r.state = ?", &sought.state), ("r.owner = ?", &sought.owner)];
    for (condition, value) in texts.into_iter().filter_map(|(condition, value)| Some((condition, value.clone()?))) {
        and(condition, value.into());
    }
    if let Some(text) = &sought.text {
        and("instr(r.id, ?) > 0", text.clone().into());
    }
    if let Some(digest) = &sought.digest {
        and(
            "EXISTS (SELECT 1 FROM history AS h LEFT JOIN digests AS d ON d.pk = h.digest_pk
                     WHERE h.resource = r.pk AND substr(coalesce(d.digest, h.digest), 1, length(?)) = ?)",
            digest.clone().into(),
        );
    }
    if let Some(since) = sought.unchanged_since {
        and("r.updated_at < ?", micros(since).into());
    }
    if let Some((at, id)) = &sought.after {
        values.push(micros(*at).into());
        values.push(id.clone().into());
        sql.push_str(&format!(" AND (r.created_at, r.id) < (?{}, ?{})", values.len() - 1, values.len()));
    }
    // As texts, so that the indexes that are made for just this are used.
    match sought.finished {
        Some(false) => sql.push_str(" AND r.finished = 0"),
        Some(true) => sql.push_str(" AND r.finished = 1"),
        None => {}
    }
    if sought.attention {
        sql.push_str(" AND r.attention IS NOT NULL");
    }
    (sql, values)
}

/// A hold ends with its instance.
pub(super) fn end(writing: &Writing<'_>, pk: i64) -> rusqlite::Result<()> {
    writing.run("DELETE FROM holds WHERE resource = ?1", [pk]).map(drop)
}
