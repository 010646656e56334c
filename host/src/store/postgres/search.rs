//! Resources by several conditions at once, the newest first. One condition leads: its index is walked in the sequence that is asked for, and
//! what the others say is looked up for each. It is the one that fits the fewest, as far as a short look at each index tells. Where none fits
//! few, a page looks at so many and no more, and says where to go on.

use futures::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::{Error, Row as _};

use super::super::keys::{Matches, Search, Seen, Wanted};
use super::columns::{micros, time_of};
use super::parts::{Part, Value};
use super::resources::{resource, resource_row};
use super::unit::sql;

/// Entries of an index that are counted to find out whether a condition fits few.
const FEW: i64 = 2_000;
/// Resources that a page looks at, where something has to be looked up for each.
const LOOKED_AT: usize = 4_000;
/// The same where the index itself tells.
const READ: usize = 60_000;

/// One condition: how it leads, and how it is looked up of a resource `r`.
struct Condition {
    /// The table that has it.
    table: &'static str,
    /// What holds of the entries that fit.
    fits: Part,
    /// The same for a resource `r` that another condition has led to; empty where that is told by its place alone.
    of_resource: Part,
    /// Where the entries that fit are those of some sizes: what holds of those of all sizes, which have the sequence of creation, and of those that
    /// fit among them.
    by_size: Option<(Part, Part)>,
}

impl Condition {
    fn column(kind: &str, condition: &str, value: Option<&str>) -> Self {
        let values = || value.map(Value::from);
        Self {
            table: "resources",
            fits: Part::new(format!("k.kind = ? AND k.{condition}"), std::iter::once(kind.into()).chain(values())),
            of_resource: Part::new(format!("r.{condition}"), values()),
            by_size: None,
        }
    }

    fn key(kind: &str, wanted: &Wanted) -> Self {
        const SAME: &str = "k.kind = r.kind AND k.name = ? AND k.created_at = r.created_at AND k.id = r.id";
        let exists = |value: &str| format!("EXISTS (SELECT 1 FROM resource_keys AS k WHERE {SAME} AND {value})");
        match wanted {
            Wanted::Text { name, is } => Self {
                table: "resource_keys",
                fits: Part::new("k.kind = ? AND k.name = ? AND k.text = ?", [kind.into(), name.as_str().into(), is.as_str().into()]),
                of_resource: Part::new(exists("k.text = ?"), [name.as_str().into(), is.as_str().into()]),
                by_size: None,
            },
            Wanted::Number { name, least, most } => {
                let range = || [Value::from(*least), Value::from(*most)];
                let named = [Value::from(kind), name.as_str().into()];
                Self {
                    table: "resource_keys",
                    fits: Part::new("k.kind = ? AND k.name = ? AND k.number BETWEEN ? AND ?", named.clone().into_iter().chain(range())),
                    of_resource: Part::new(exists("k.number BETWEEN ? AND ?"), std::iter::once(name.as_str().into()).chain(range())),
                    by_size: Some((
                        Part::new("k.kind = ? AND k.name = ? AND k.number IS NOT NULL", named),
                        Part::new("k.number BETWEEN ? AND ?", range()),
                    )),
                }
            }
        }
    }

    /// How many entries it fits, counted as far as [`FEW`] and one more. In an index by size those of a stretch of time do not stand together:
    /// there all are counted.
    async fn count(&self, moment: &mut PgConnection, bounds: &Part) -> Result<i64, Error> {
        let bounds = self.by_size.is_none().then(|| bounds.clone());
        let all = Part::all(std::iter::once(self.fits.clone()).chain(bounds));
        // Resources of a stretch of time are counted along their index. Without a sequence the server reads the table from its start where it
        // expects that many fit, and all of it where it is wrong.
        let sequence = if self.table == "resources" { " ORDER BY k.created_at DESC, k.id DESC" } else { "" };
        let text = format!("SELECT count(*) FROM (SELECT 1 FROM {} AS k WHERE {}{sequence} LIMIT {}) AS few", self.table, all.sql, FEW + 1);
        Part::new(text, all.values).statement().fetch_one(moment).await?.try_get(0)
    }
}

fn conditions(search: &Search) -> Vec<Condition> {
    let kind = search.kind.as_str();
    let (texts, numbers): (Vec<_>, Vec<_>) = search.keys.iter().partition(|wanted| matches!(wanted, Wanted::Text { .. }));
    let in_time =
        || Condition { table: "resources", fits: Part::new("k.kind = ?", [kind.into()]), of_resource: Part::default(), by_size: None };
    // Where none fits few, the first leads.
    search
        .id
        .as_deref()
        .map(|id| Condition::column(kind, "id = ?", Some(id)))
        .into_iter()
        .chain(texts.into_iter().map(|wanted| Condition::key(kind, wanted)))
        .chain(search.owner.as_deref().map(|owner| Condition::column(kind, "owner = ?", Some(owner))))
        .chain(search.attention.then(|| Condition::column(kind, "attention IS NOT NULL", None)))
        .chain(search.state.as_deref().map(|state| Condition::column(kind, "state = ?", Some(state))))
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
    Part::new("(k.created_at, k.id) < (?, ?) AND k.created_at >= ?", [before.into(), id.as_str().into(), from.into()])
}

/// The statement that walks: creation, id, and whether all fits, of each entry.
struct Walk {
    statement: Part,
    looked_at: usize,
}

async fn walk(moment: &mut PgConnection, search: &Search) -> Result<Walk, Error> {
    let bounds = bounds(search);
    let mut conditions = conditions(search);
    let mut fewest: Option<(usize, i64)> = None;
    // One alone leads; how many it fits is of interest only where there are two ways to walk.
    if conditions.len() > 1 || conditions.first().is_some_and(|one| one.by_size.is_some()) {
        for (at, condition) in conditions.iter().enumerate() {
            let count = condition.count(moment, &bounds).await?;
            if fewest.is_none_or(|(_, fewest)| count < fewest) {
                fewest = Some((at, count));
            }
        }
    }
    if conditions.is_empty() {
        let all = Part::all([Part::new("k.kind = ?", [search.kind.as_str().into()]), bounds]);
        return Ok(statement("resources", Part::default(), all, READ));
    }
    let (at, count) = fewest.unwrap_or((0, 0));
    let leading = conditions.remove(at);
    Ok(led(leading, conditions, count, bounds))
}

/// Led by a condition, of which there are so many entries, counted so far.
fn led(leading: Condition, others: Vec<Condition>, count: i64, bounds: Part) -> Walk {
    let others = Part::all(others.into_iter().map(|condition| condition.of_resource).filter(|part| !part.sql.is_empty()));
    let looked_at = if others.sql.is_empty() { READ } else { LOOKED_AT };
    let others = if others.sql.is_empty() {
        others
    } else {
        Part::new(format!("EXISTS (SELECT 1 FROM resources AS r WHERE r.kind = k.kind AND r.id = k.id AND {})", others.sql), others.values)
    };
    match leading.by_size {
        // Few of these sizes: all of them are read and put into their sequence. Else those of all sizes are walked.
        Some((numbered, size)) if count > FEW => {
            let fits = Part::all(std::iter::once(size).chain((!others.sql.is_empty()).then_some(others)));
            statement(leading.table, fits, Part::all([numbered, bounds]), looked_at)
        }
        _ => statement(leading.table, others, Part::all([leading.fits, bounds]), looked_at),
    }
}

fn statement(table: &str, fits: Part, entries: Part, looked_at: usize) -> Walk {
    let does = if fits.sql.is_empty() { "true" } else { &fits.sql };
    let sql = format!(
        "SELECT k.created_at, k.id, {does} FROM {table} AS k WHERE {} ORDER BY k.created_at DESC, k.id DESC LIMIT {looked_at}",
        entries.sql
    );
    Walk { statement: Part::new(sql, [fits.values, entries.values].concat()), looked_at }
}

/// What is asked for, all of it as of the moment of the transaction that the connection is in.
pub(super) async fn find(moment: &mut PgConnection, search: &Search) -> Result<Matches, Error> {
    let Walk { statement, looked_at } = walk(moment, search).await?;
    let mut seen = Seen::default();
    {
        let mut rows = statement.statement().fetch(&mut *moment);
        while let Some(row) = rows.try_next().await? {
            if !seen.take((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?, search.limit) {
                break;
            }
        }
    }
    let (wanted, next) = seen.found(search.limit, looked_at);
    let ids: Vec<&str> = wanted.iter().map(|(_, id)| id.as_str()).collect();
    let select = resource!("WHERE kind = $1 AND id = ANY ($2::text[]) ORDER BY created_at DESC, id DESC");
    let rows = sql!(select, &search.kind, ids).fetch_all(moment).await?;
    let next = next.map(|(at, id)| Ok::<_, Error>((time_of(at)?, id))).transpose()?;
    Ok(Matches { resources: rows.iter().map(resource_row).collect::<Result<_, _>>()?, next })
}
