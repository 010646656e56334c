//! Resources by several conditions at once, the newest first. One condition leads: its index is walked in the sequence that is asked for, and
//! what the others say is looked up for each. It is the one that fits the fewest, as far as a short look at each index tells. Where none fits
//! few, a page looks at so many and no more, and says where to go on.

use std::borrow::Cow;

use rusqlite::types::Value;
use rusqlite::{Connection, Transaction, TransactionBehavior, params_from_iter};

use super::super::keys::{Matches, Search, Seen, Wanted};
use super::columns::{micros, time_of};
use super::resources::select_resource;

/// Entries of an index that are counted to find out whether a condition fits few.
const FEW: i64 = 2_000;
/// Resources that a page looks at, where something has to be looked up for each.
const LOOKED_AT: usize = 4_000;
/// The same where the index itself tells.
const READ: usize = 60_000;

/// All resources of a kind, by creation.
const NEWEST: &str = "resources AS k INDEXED BY resources_newest";

/// A part of a statement, and what its question marks stand for in their sequence.
#[derive(Clone, Default)]
struct Part {
    sql: String,
    values: Vec<Value>,
}

impl Part {
    fn new(sql: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Self { sql: sql.into(), values: values.into_iter().collect() }
    }

    fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        parts
            .into_iter()
            .reduce(|all, part| Self::new(format!("{} AND {}", all.sql, part.sql), [all.values, part.values].concat()))
            .unwrap_or_default()
    }
}

/// One condition: how it leads, and how it is looked up where another one does.
struct Condition {
    /// The table and its index.
    index: Cow<'static, str>,
    /// What holds of the entries that fit.
    fits: Part,
    /// The same for an entry `k` that another condition has led to, told by an index alone: resources themselves stand in the sequence of their
    /// ids, which is none. Empty where it is told by the entry's place.
    of_entry: Part,
    /// Where the index has the sequence of sizes: the one that has that of creation, where each entry says its size.
    by_size: Option<(&'static str, Part)>,
}

impl Condition {
    fn id(kind: &str, id: &str) -> Self {
        let of_entry = Part::new("k.id = ?", [Value::from(id.to_owned())]);
        let fits = Part::all([Part::new("k.kind = ?", [Value::from(kind.to_owned())]), of_entry.clone()]);
        Self { index: "resources AS k".into(), fits, of_entry, by_size: None }
    }

    /// A column with an index of its own, which has the sequence of creation.
    fn column(index: &str, kind: &str, condition: &str, value: Option<&str>) -> Self {
        let values = || {
            let value = value.map(|value| Value::from(value.to_owned()));
            std::iter::once(Value::from(kind.to_owned())).chain(value)
        };
        let other = format!("resources AS o INDEXED BY {index} WHERE o.kind = ? AND o.{condition}");
        Self {
            index: format!("resources AS k INDEXED BY {index}").into(),
            fits: Part::new(format!("k.kind = ? AND k.{condition}"), values()),
            of_entry: Part::new(format!("EXISTS (SELECT 1 FROM {other} AND o.created_at = k.created_at AND o.id = k.id)"), values()),
            by_size: None,
        }
    }

    fn key(kind: &str, wanted: &Wanted) -> Self {
        const SAME: &str = "o.kind = k.kind AND o.name = ? AND o.created_at = k.created_at AND o.id = k.id";
        const NUMBERS: &str = "resource_keys AS k INDEXED BY resource_keys_newest";
        const OTHER_NUMBERS: &str = "resource_keys AS o INDEXED BY resource_keys_newest";
        let text = |text: &str| Value::from(text.to_owned());
        match wanted {
            Wanted::Text { name, is } => Self {
                index: "resource_keys AS k".into(),
                fits: Part::new("k.kind = ? AND k.name = ? AND k.value = ?", [text(kind), text(name), text(is)]),
                of_entry: Part::new(
                    format!("EXISTS (SELECT 1 FROM resource_keys AS o WHERE {SAME} AND o.value = ?)"),
                    [text(name), text(is)],
                ),
                by_size: None,
            },
            Wanted::Number { name, least, most } => {
                let range = || [Value::from(*least), Value::from(*most)];
                let named = [text(kind), text(name)];
                Self {
                    index: "resource_keys AS k".into(),
                    fits: Part::new("k.kind = ? AND k.name = ? AND k.value BETWEEN ? AND ?", named.clone().into_iter().chain(range())),
                    of_entry: Part::new(
                        format!(
                            "EXISTS (SELECT 1 FROM {OTHER_NUMBERS} WHERE {SAME} AND typeof(o.value) = 'integer' AND o.value BETWEEN ? AND ?)"
                        ),
                        std::iter::once(text(name)).chain(range()),
                    ),
                    by_size: Some((NUMBERS, Part::new("k.kind = ? AND k.name = ? AND typeof(k.value) = 'integer'", named))),
                }
            }
        }
    }

    /// How many entries it fits, counted as far as [`FEW`] and one more. In an index by size those of a stretch of time do not stand together:
    /// there all are counted.
    fn count(&self, moment: &Transaction<'_>, bounds: &Part) -> rusqlite::Result<i64> {
        let bounds = self.by_size.is_none().then(|| bounds.clone());
        let all = Part::all(std::iter::once(self.fits.clone()).chain(bounds));
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT {})", self.index, all.sql, FEW + 1);
        moment.prepare_cached(&sql)?.query_row(params_from_iter(all.values), |row| row.get(0))
    }
}

fn conditions(search: &Search) -> Vec<Condition> {
    let kind = search.kind.as_str();
    let (texts, numbers): (Vec<_>, Vec<_>) = search.keys.iter().partition(|wanted| matches!(wanted, Wanted::Text { .. }));
    let of_id = || search.id.as_deref().map(|id| Condition::id(kind, id));
    let of_owner = || search.owner.as_deref().map(|owner| Condition::column("resources_owned", kind, "owner = ?", Some(owner)));
    let asking = || search.attention.then(|| Condition::column("resources_asking", kind, "attention IS NOT NULL", None));
    let in_state = || search.state.as_deref().map(|state| Condition::column("resources_state", kind, "state = ?", Some(state)));
    let in_time = || Condition {
        index: NEWEST.into(),
        fits: Part::new("k.kind = ?", [Value::from(kind.to_owned())]),
        of_entry: Part::default(),
        by_size: None,
    };
    // Where none fits few, the first leads.
    of_id()
        .into_iter()
        .chain(texts.into_iter().map(|wanted| Condition::key(kind, wanted)))
        .chain(of_owner())
        .chain(asking())
        .chain(in_state())
        .chain(numbers.into_iter().map(|wanted| Condition::key(kind, wanted)))
        .chain((search.from.is_some() || search.to.is_some()).then(in_time))
        .collect()
}

/// The stretch of time that is asked for, up to where the page before ended.
fn bounds(search: &Search) -> Part {
    let to = search.to.map(|to| (micros(to), String::new()));
    let after = search.after.as_ref().map(|(at, id)| (micros(*at), id.clone()));
    let (before, id) = match (to, after) {
        (Some(to), Some(after)) => to.min(after),
        (to, after) => to.or(after).unwrap_or((i64::MAX, String::new())),
    };
    let from = search.from.map_or(i64::MIN, micros);
    Part::new("(k.created_at, k.id) < (?, ?) AND k.created_at >= ?", [before.into(), id.into(), from.into()])
}

/// The statement that walks: creation, id, and whether all fits, of each entry.
struct Walk {
    statement: Part,
    looked_at: usize,
}

fn walk(moment: &Transaction<'_>, search: &Search) -> rusqlite::Result<Walk> {
    let bounds = bounds(search);
    let conditions = conditions(search);
    let counts = conditions.iter().map(|condition| condition.count(moment, &bounds)).collect::<rusqlite::Result<Vec<_>>>()?;
    let fewest = counts.iter().enumerate().min_by_key(|(_, count)| **count).map(|(at, count)| (at, *count));
    let Some(fewest) = fewest else {
        let all = Part::all([Part::new("k.kind = ?", [Value::from(search.kind.clone())]), bounds]);
        return Ok(statement(NEWEST, Part::default(), all, READ));
    };
    Ok(led(conditions, fewest, bounds))
}

/// Led by the condition at this place, of which there are so many entries, counted so far.
fn led(mut conditions: Vec<Condition>, (at, count): (usize, i64), bounds: Part) -> Walk {
    let leading = conditions.remove(at);
    let others = conditions.into_iter().map(|condition| condition.of_entry).filter(|part| !part.sql.is_empty());
    let others = Part::all(others);
    let looked_at = if others.sql.is_empty() { READ } else { LOOKED_AT };
    match leading.by_size {
        // Few of these sizes: all of them are read and put into their sequence. Else those of all sizes are walked.
        Some((index, numbered)) if count > FEW => {
            let size = Part::new("k.value BETWEEN ? AND ?", leading.fits.values[2..].to_vec());
            let fits = Part::all(std::iter::once(size).chain((!others.sql.is_empty()).then_some(others)));
            statement(index, fits, Part::all([numbered, bounds]), looked_at)
        }
        _ => statement(&leading.index, others, Part::all([leading.fits, bounds]), looked_at),
    }
}

fn statement(index: &str, fits: Part, entries: Part, looked_at: usize) -> Walk {
    let does = if fits.sql.is_empty() { "1" } else { &fits.sql };
    let sql = format!(
        "SELECT k.created_at, k.id, {does} FROM {index} WHERE {} ORDER BY k.created_at DESC, k.id DESC LIMIT {looked_at}",
        entries.sql
    );
    Walk { statement: Part::new(sql, [fits.values, entries.values].concat()), looked_at }
}

/// What is asked for, all of it as of one moment.
pub(super) fn find(connection: &mut Connection, search: &Search) -> rusqlite::Result<Matches> {
    let moment = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let Walk { statement, looked_at } = walk(&moment, search)?;
    let mut seen = Seen::default();
    let mut prepared = moment.prepare_cached(&statement.sql)?;
    let mut rows = prepared.query(params_from_iter(statement.values))?;
    while let Some(row) = rows.next()? {
        if !seen.take((row.get(0)?, row.get(1)?), row.get(2)?, search.limit) {
            break;
        }
    }
    let (wanted, next) = seen.found(search.limit, looked_at);
    let resources = wanted.iter().map(|(_, id)| select_resource(&moment, &search.kind, id)).collect::<rusqlite::Result<Vec<_>>>()?;
    let next = next.map(|(at, id)| Ok::<_, rusqlite::Error>((time_of(at)?, id))).transpose()?;
    Ok(Matches { resources: resources.into_iter().flatten().collect(), next })
}

/// Every statement that may be made of a search, whichever condition leads and however many entries there are: the texts, what they are led by,
/// and whether the entries that lead are few.
#[cfg(test)]
pub(super) fn statements(search: &Search) -> Vec<(String, Cow<'static, str>, bool)> {
    let each = (0..conditions(search).len()).flat_map(|at| [(at, FEW), (at, FEW + 1)]);
    let walks = each.map(|(at, count)| {
        let index = conditions(search).swap_remove(at).index;
        (led(conditions(search), (at, count), bounds(search)).statement.sql, index, count <= FEW)
    });
    walks.collect()
}
