//! Looking for instances whatever they are, the newest first. One thing that is asked for leads: its index is walked in the sequence of creation,
//! and the rest is looked up of each. A look ends after so many, and says where to go on: what no index tells, such as a part of an id, may be true
//! of none of millions.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, Statement, Transaction, TransactionBehavior, params_from_iter};

use super::super::{Found, Hold, Sighted, Sought};
use super::columns::{micros, time, time_of};
use super::resources::resource_row;

/// Columns of a resource as [`resource_row`] reads them, and of its hold after them.
const COLUMNS: &str = "r.kind, r.id, r.owner, r.state, r.version, r.workflow, r.machine, r.instance, r.attention, r.finished, r.created_at,
                       r.updated_at, r.data, r.traceparent, r.deadlines, h.who, h.reason, h.at";
/// Unfinished instances up to which they are few: all of them are read and put into their sequence.
const FEW: i64 = 4_000;

/// What leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    /// The instance of this very id.
    Id,
    /// Those that are held: people have done that by hand.
    Held,
    /// Those that ask for somebody.
    Asking,
    /// Those of an owner.
    Owner,
    /// Those that are unfinished, where these are few.
    Unfinished,
    /// Those in a state.
    State,
    /// All of the kind.
    All,
}

impl Lead {
    /// Where an index tells of several things that are asked for, the one that fits the fewest.
    fn of(moment: &Transaction<'_>, sought: &Sought) -> rusqlite::Result<Self> {
        let is = |sql: &str, values: &[&str]| moment.prepare_cached(sql)?.exists(params_from_iter(values));
        if let Some(text) = &sought.text
            && is("SELECT 1 FROM resources WHERE kind = ? AND id = ?", &[&sought.kind, text])?
        {
            return Ok(Self::Id);
        }
        let are_few = || -> rusqlite::Result<bool> {
            let sql = format!("SELECT count(*) FROM (SELECT 1 FROM resources WHERE finished = 0 LIMIT {})", FEW + 1);
            Ok(moment.prepare_cached(&sql)?.query_row([], |row| row.get::<_, i64>(0))? <= FEW)
        };
        Ok(match sought {
            Sought { held: true, .. } => Self::Held,
            Sought { attention: true, .. } => Self::Asking,
            Sought { owner: Some(_), .. } => Self::Owner,
            Sought { finished: Some(false), .. } if are_few()? => Self::Unfinished,
            Sought { state: Some(_), .. } => Self::State,
            _ => Self::All,
        })
    }

    /// The tables, the one that leads first.
    fn tables(self) -> &'static str {
        match self {
            Self::Id => "resources AS r LEFT JOIN holds AS h ON h.resource = r.pk",
            Self::Held => "holds AS h CROSS JOIN resources AS r ON r.pk = h.resource",
            Self::Asking => "resources AS r INDEXED BY resources_asking LEFT JOIN holds AS h ON h.resource = r.pk",
            Self::Owner => "resources AS r INDEXED BY resources_owned LEFT JOIN holds AS h ON h.resource = r.pk",
            Self::Unfinished => "resources AS r INDEXED BY resources_active LEFT JOIN holds AS h ON h.resource = r.pk",
            Self::State => "resources AS r INDEXED BY resources_state LEFT JOIN holds AS h ON h.resource = r.pk",
            Self::All => "resources AS r INDEXED BY resources_newest LEFT JOIN holds AS h ON h.resource = r.pk",
        }
    }
}

/// Conditions with their values.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn and(&mut self, sql: impl Into<String>, values: impl IntoIterator<Item = Value>) {
        self.sql.push(sql.into());
        self.values.extend(values);
    }
}

/// What of the entries that are walked is asked for, and what is looked up of each: what costs the least first.
fn conditions(lead: Lead, sought: &Sought) -> (Conditions, Conditions) {
    let (mut walked, mut looked_up) = (Conditions::default(), Conditions::default());
    let text = |value: &String| [Value::from(value.clone())];
    walked.and("r.kind = ?", text(&sought.kind));
    if let Some((at, id)) = &sought.after {
        walked.and("(r.created_at, r.id) < (?, ?)", [micros(*at).into(), id.clone().into()]);
    }
    match (lead, &sought.text) {
        (Lead::Id, Some(id)) => walked.and("r.id = ?", text(id)),
        (_, Some(part)) => looked_up.and("instr(r.id, ?) > 0", text(part)),
        (_, None) => {}
    }
    for (column, value, leads) in [("owner", &sought.owner, Lead::Owner), ("state", &sought.state, Lead::State)] {
        let Some(value) = value else { continue };
        let conditions = if lead == leads { &mut walked } else { &mut looked_up };
        conditions.and(format!("r.{column} = ?"), text(value));
    }
    // As texts, so that the indexes that are made for just this are used.
    if sought.attention {
        let conditions = if lead == Lead::Asking { &mut walked } else { &mut looked_up };
        conditions.and("r.attention IS NOT NULL", []);
    }
    match sought.finished {
        Some(false) if lead == Lead::Unfinished => walked.and("r.finished = 0", []),
        Some(finished) => looked_up.and("r.finished = ?", [Value::from(i64::from(finished))]),
        None => {}
    }
    if sought.held && lead != Lead::Held {
        looked_up.and("h.resource IS NOT NULL", []);
    }
    looked_up.and("r.workflow IS NOT NULL", []);
    if let Some(workflow) = &sought.workflow {
        looked_up.and("r.workflow = ?", text(workflow));
    }
    if let Some(since) = sought.unchanged_since {
        looked_up.and("r.updated_at < ?", [micros(since).into()]);
    }
    if let Some(digest) = &sought.digest {
        looked_up.and(
            "EXISTS (SELECT 1 FROM history AS m LEFT JOIN digests AS d ON d.pk = m.digest_pk
                     WHERE m.resource = r.pk AND substr(coalesce(d.digest, m.digest), 1, length(?)) = ?)",
            [digest.clone().into(), digest.clone().into()],
        );
    }
    (walked, looked_up)
}

/// The statement that walks: creation, id, and whether all fits, of each entry. With `whole` what fits comes as it is.
pub(super) fn statement(lead: Lead, sought: &Sought, whole: bool) -> (String, Vec<Value>) {
    let (walked, looked_up) = conditions(lead, sought);
    // One after the other: a history is not read where the id tells.
    let whens: Vec<String> = looked_up.sql.iter().map(|condition| format!("WHEN NOT coalesce({condition}, 0) THEN 0")).collect();
    // What was looked at without need, one more, tells whether there is more.
    let limit = i64::try_from(sought.look_at.saturating_add(1)).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT r.created_at, r.id, CASE {} ELSE 1 END{} FROM {} WHERE {} ORDER BY r.created_at DESC, r.id DESC LIMIT {limit}",
        whens.join(" "),
        if whole { ", r.pk" } else { "" },
        lead.tables(),
        walked.sql.join(" AND "),
    );
    (sql, [looked_up.values, walked.values].concat())
}

fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let who: Option<String> = row.get(15)?;
    let hold = who.map(|who| Ok::<_, rusqlite::Error>(Hold { who, reason: row.get(16)?, at: time(row, 17)? })).transpose()?;
    Ok(Found { resource: resource_row(row)?, hold })
}

/// Where an entry stands in the sequence.
type Position = (i64, String);

/// Walks until `each` says that it is enough. Answers where to go on: nothing when there is nothing more.
fn walk(
    statement: &mut Statement<'_>,
    values: Vec<Value>,
    look_at: usize,
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<bool>,
) -> rusqlite::Result<Option<Position>> {
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut looked_at, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        if looked_at == look_at {
            return Ok(last);
        }
        if row.get::<_, bool>(2)? && !each(row)? {
            return Ok(last);
        }
        looked_at += 1;
        last = Some((row.get(0)?, row.get(1)?));
    }
    Ok(None)
}

/// What is asked for, all of it as of one moment.
pub(super) fn find(connection: &mut Connection, sought: &Sought) -> rusqlite::Result<Sighted> {
    let moment = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let (sql, values) = statement(Lead::of(&moment, sought)?, sought, true);
    let one = format!("SELECT {COLUMNS} FROM resources AS r LEFT JOIN holds AS h ON h.resource = r.pk WHERE r.pk = ?1");
    let mut one = moment.prepare_cached(&one)?;
    let mut all = Vec::new();
    let mut prepared = moment.prepare_cached(&sql)?;
    let next = walk(&mut prepared, values, sought.look_at, |row| {
        if all.len() == sought.limit {
            return Ok(false);
        }
        all.push(one.query_row([row.get::<_, i64>(3)?], found)?);
        Ok(true)
    })?;
    let next = next.map(|(at, id)| Ok::<_, rusqlite::Error>((time_of(at)?, id))).transpose()?;
    Ok(Sighted { found: all, next })
}

/// How many there are, and whether that is all of them.
pub(super) fn count(connection: &mut Connection, sought: &Sought) -> rusqlite::Result<(u64, bool)> {
    let moment = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let (sql, values) = statement(Lead::of(&moment, sought)?, sought, false);
    let mut count = 0;
    let mut prepared = moment.prepare_cached(&sql)?;
    let next = walk(&mut prepared, values, sought.look_at, |_| {
        if count == sought.limit as u64 {
            return Ok(false);
        }
        count += 1;
        Ok(true)
    })?;
    Ok((count, next.is_none()))
}
