//! The keys that resources are found by: written in the commit that changes them, and given to older resources in small steps.

use sqlx::postgres::PgConnection;
use sqlx::{Error, Row as _};

use super::super::keys::{KeyValue, Keyed, KeysOf, Note};
use super::super::{AuditEntry, IdempotencyRow};
use super::audit;
use super::columns::{count, int, json, micros, most, time};
use super::idempotency::insert_idempotency;
use super::unit::{UnitError, Writing, sql};

/// Resources that one transaction gives their keys, so that the writer is never held for long.
const AT_ONCE: i64 = 200;

/// Which resource keys belong to.
pub(super) struct Of<'a> {
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
    pub(super) created_at: i64,
}

/// Names, texts and numbers, as lists.
type Lists<'a> = (Vec<&'a str>, Vec<Option<&'a str>>, Vec<Option<i64>>);

fn lists<'a>(keyed: impl Iterator<Item = &'a (String, KeyValue)>) -> Lists<'a> {
    let mut lists = Lists::default();
    for (name, value) in keyed {
        let (text, number) = match value {
            KeyValue::Text(text) => (Some(text.as_str()), None),
            KeyValue::Number(number) => (None, Some(*number)),
        };
        lists.0.push(name);
        lists.1.push(text);
        lists.2.push(number);
    }
    lists
}

/// Has the resource found by what it `is` found by, and no longer by what only it `was`. Writes nothing if they are the same.
pub(super) async fn change(writing: &mut Writing, of: &Of<'_>, was: &Keyed, is: &Keyed) -> Result<(), Error> {
    let (names, texts, numbers) = lists(was.difference(is));
    if !names.is_empty() {
        // One of the two is asked for each, so that its index is used.
        let delete = "WITH gone AS (SELECT * FROM unnest($4::text[], $5::text[], $6::bigint[]) AS gone (name, text, number)),
                           texts AS (DELETE FROM resource_keys AS k USING gone WHERE k.kind = $1 AND k.name = gone.name AND k.text = gone.text
                                     AND k.created_at = $2 AND k.id = $3)
                      DELETE FROM resource_keys AS k USING gone WHERE k.kind = $1 AND k.name = gone.name AND k.number = gone.number
                                     AND k.created_at = $2 AND k.id = $3";
        writing.run(sql!(delete, of.kind, of.created_at, of.id, names, texts, numbers)).await?;
        writing.is_changed = true;
    }
    let (names, texts, numbers) = lists(is.difference(was));
    if !names.is_empty() {
        let insert = "INSERT INTO resource_keys (kind, name, text, number, created_at, id)
                      SELECT $1, name, text, number, $2, $3 FROM unnest($4::text[], $5::text[], $6::bigint[]) AS new (name, text, number)
                      ON CONFLICT DO NOTHING";
        writing.run(sql!(insert, of.kind, of.created_at, of.id, names, texts, numbers)).await?;
    }
    Ok(())
}

/// Removes what a resource is found by and what was noted of it. To be called before its row goes. Keys of another time, of which today's specs
/// know nothing, stay: they go before any like them are given.
pub(super) async fn forget(writing: &mut Writing, pk: i64) -> Result<(), Error> {
    let Some(row) = writing.row(sql!("SELECT kind, id, created_at, data FROM resources WHERE pk = $1", pk)).await? else { return Ok(()) };
    let (kind, id, created_at): (String, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    if let Some(spec) = writing.spec(&kind) {
        change(writing, &Of { kind: &kind, id: &id, created_at }, &spec.of(&id, &json(&row, 3)?), &Keyed::new()).await?;
    }
    writing.run(sql!("DELETE FROM notes WHERE kind = $1 AND id = $2", kind, id)).await?;
    Ok(())
}

/// Whether every resource has the keys that `specs` say, and nothing else is kept up.
pub(super) async fn is_complete(connection: &mut PgConnection, specs: &[KeysOf]) -> Result<bool, Error> {
    let known = sql!("SELECT kind, spec, next FROM resource_keying WHERE spec <> ''").fetch_all(connection).await?;
    let known = known
        .iter()
        .map(|row| Ok((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?, row.try_get::<Option<i64>, _>(2)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(KeysOf::are_given(specs, &known))
}

/// Gives some of the resources their keys that lack them; false when none lacks any.
pub(super) async fn give_some(writing: &mut Writing) -> Result<bool, UnitError> {
    let specs = std::sync::Arc::clone(&writing.specs);
    let kinds: Vec<&str> = specs.iter().map(|spec| spec.kind.as_str()).collect();
    // What is no longer asked for is not kept up either: if it is asked for again, all begins anew.
    writing.run(sql!("UPDATE resource_keying SET spec = '', next = NULL WHERE spec <> '' AND kind <> ALL ($1::text[])", kinds)).await?;
    for spec in specs.iter() {
        let begin = "INSERT INTO resource_keying (kind, spec, next) VALUES ($1, $2, 0)
                     ON CONFLICT (kind) DO UPDATE SET spec = excluded.spec, next = -1 WHERE resource_keying.spec <> excluded.spec";
        writing.run(sql!(begin, &spec.kind, spec.text())).await?;
        let row = writing.row(sql!("SELECT next FROM resource_keying WHERE kind = $1", &spec.kind)).await?;
        let next: Option<i64> = row.map(|row| row.try_get(0)).transpose()?.flatten();
        if let Some(next) = next {
            let next = if next < 0 { Some(take_some(writing, spec).await?) } else { give_from(writing, spec, next).await? };
            writing.run(sql!("UPDATE resource_keying SET next = $2 WHERE kind = $1", &spec.kind, next)).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes keys that another spec has given, some at a time; answers 0 when there are none any more, so that all get theirs anew.
async fn take_some(writing: &mut Writing, spec: &KeysOf) -> Result<i64, UnitError> {
    // The number is written out: the server would expect a tenth of the table of one that it is told later, and read all of it.
    let texts = "DELETE FROM resource_keys WHERE kind = $1 AND text IS NOT NULL AND (name, text, created_at, id) IN
                     (SELECT name, text, created_at, id FROM resource_keys WHERE kind = $1 AND text IS NOT NULL
                      ORDER BY name, text, created_at, id LIMIT 500)";
    let numbers = "DELETE FROM resource_keys WHERE kind = $1 AND number IS NOT NULL AND (name, number, created_at, id) IN
                       (SELECT name, number, created_at, id FROM resource_keys WHERE kind = $1 AND number IS NOT NULL
                        ORDER BY name, number, created_at, id LIMIT 500)";
    let mut taken = writing.run(sql!(texts, &spec.kind)).await?;
    if taken == 0 {
        taken = writing.run(sql!(numbers, &spec.kind)).await?;
    }
    Ok(if taken == 0 { 0 } else { -1 })
}

/// Gives keys to a stretch of resources; answers where the next stretch begins.
async fn give_from(writing: &mut Writing, spec: &KeysOf, first: i64) -> Result<Option<i64>, UnitError> {
    let stretch = "SELECT pk, id, created_at, data FROM resources WHERE kind = $1 AND pk >= $2 ORDER BY pk LIMIT $3";
    let rows = sql!(stretch, &spec.kind, first, AT_ONCE).fetch_all(&mut writing.connection).await?;
    for row in &rows {
        let (id, created_at): (&str, i64) = (row.try_get(1)?, row.try_get(2)?);
        change(writing, &Of { kind: &spec.kind, id, created_at }, &Keyed::new(), &spec.of(id, &json(row, 3)?)).await?;
    }
    let last = rows.last().map(|row| row.try_get::<i64, _>(0)).transpose()?;
    Ok(last.filter(|_| most(rows.len()) >= AT_ONCE).map(|pk| pk + 1))
}

pub(super) async fn add_note(
    writing: &mut Writing,
    note: &Note,
    entry: Option<AuditEntry>,
    request: Option<IdempotencyRow>,
) -> Result<Option<u64>, UnitError> {
    let insert = "INSERT INTO notes (kind, id, at, author, text)
                  SELECT kind, id, $3, $4, $5 FROM resources WHERE kind = $1 AND id = $2 RETURNING seq";
    let added = writing.change(sql!(insert, &note.kind, &note.id, micros(note.at), &note.author, &note.text)).await?;
    let Some(row) = added.first() else { return Ok(None) };
    let seq = count(row, 0)?;
    if let Some(request) = request {
        insert_idempotency(writing, &IdempotencyRow { resource_id: seq.to_string(), ..request }).await?;
    }
    audit::append(writing, entry).await?;
    Ok(Some(seq))
}

/// The last `limit` notes before that number, the newest first.
pub(super) async fn notes(connection: &mut PgConnection, kind: &str, id: &str, before: u64, limit: usize) -> Result<Vec<Note>, Error> {
    let select = "SELECT seq, kind, id, at, author, text FROM notes WHERE kind = $1 AND id = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4";
    let rows = sql!(select, kind, id, int(before), most(limit)).fetch_all(connection).await?;
    let note = |row: &sqlx::postgres::PgRow| {
        Ok(Note {
            seq: count(row, 0)?,
            kind: row.try_get(1)?,
            id: row.try_get(2)?,
            at: time(row, 3)?,
            author: row.try_get(4)?,
            text: row.try_get(5)?,
        })
    };
    rows.iter().map(note).collect()
}
